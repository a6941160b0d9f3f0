"""Where a construction stops being exact in a format: certified below, falsified above."""

from verify.frontier.kernels import KERNELS as KERNELS
from verify.frontier.kernels import TF32 as TF32
from verify.frontier.record import Certified as Certified
from verify.frontier.record import Falsified as Falsified
from verify.frontier.record import Frontier as Frontier
from verify.frontier.search import find_frontier as find_frontier
from verify.frontier.spaced_values import evenly_spaced_values as evenly_spaced_values
