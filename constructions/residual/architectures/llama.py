"""Llama: RMSNorm, gates with silu; its rotary positions do nothing to queries and keys of 0."""

from fractions import Fraction

from constructions.activations import SILU
from constructions.layers import RMSNorm
from constructions.residual.architectures.base import Architecture
from constructions.residual.blocks import Normed, Sequential
from constructions.residual.gating import Gating

#: ``rms_norm_eps`` of a default configuration: the float64 number that 1e-6 is; kernels of float32 round it. A rotary
#: head is made of pairs of coordinates.
ARCHITECTURE = Architecture(
    name="llama",
    norm=Normed(RMSNorm, Fraction(1e-6)),
    selector=Gating(SILU),
    arrangement=Sequential(),
    learned_positions=False,
    multiple=2,
)
