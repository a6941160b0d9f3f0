"""How matrix units add the products of one step: one file a way."""

from verify.matrix_units.blocks.aligned import AlignedBlock as AlignedBlock
from verify.matrix_units.blocks.base import Block as Block
from verify.matrix_units.blocks.base import Output as Output
from verify.matrix_units.blocks.exact import ExactBlock as ExactBlock
from verify.matrix_units.blocks.floored import EvenOddBlock as EvenOddBlock
from verify.matrix_units.blocks.floored import FlooredBlock as FlooredBlock
from verify.matrix_units.blocks.pairwise import PairwiseBlock as PairwiseBlock
