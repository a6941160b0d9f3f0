"""GPT-NeoX: LayerNorm, gelu, attention beside the MLP; its rotary positions do nothing to queries and keys of 0."""

from fractions import Fraction

from constructions.activations import GELU
from constructions.layers import LayerNorm
from constructions.residual.architectures.base import Architecture
from constructions.residual.blocks import Normed, Parallel
from constructions.residual.masking import Masking

#: ``layer_norm_eps`` of a default configuration: the float64 number that 1e-5 is; kernels of float32 round it. A
#: quarter of a head is rotary by default, and that is made of pairs of coordinates.
ARCHITECTURE = Architecture(
    name="gpt-neox",
    norm=Normed(LayerNorm, Fraction(1e-5)),
    selector=Masking(GELU),
    arrangement=Parallel(),
    learned_positions=False,
    multiple=8,
)
