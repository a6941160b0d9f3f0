"""The arithmetic of real matrix units (tensor cores, matrix cores), bit by bit."""

from verify.matrix_units.formats import truncated_to_tf32 as truncated_to_tf32
from verify.matrix_units.generations import GENERATIONS as GENERATIONS
from verify.matrix_units.unit import MatrixUnit as MatrixUnit
