"""GPT-2: LayerNorm, gelu with tanh, a learned vector for each position."""

from fractions import Fraction

from constructions.activations import TANH_GELU
from constructions.layers import LayerNorm
from constructions.residual.architectures.base import Architecture
from constructions.residual.blocks import Normed, Sequential
from constructions.residual.masking import Masking

#: ``layer_norm_epsilon`` of a default configuration: the float64 number that 1e-5 is; kernels of float32 round it.
ARCHITECTURE = Architecture(
    name="gpt2",
    norm=Normed(LayerNorm, Fraction(1e-5)),
    selector=Masking(TANH_GELU),
    arrangement=Sequential(),
    learned_positions=True,
)
