"""OPT: LayerNorm, relu, a learned vector for each position."""

from fractions import Fraction

from constructions.activations import RELU
from constructions.layers import LayerNorm
from constructions.residual.architectures.base import Architecture
from constructions.residual.blocks import Normed, Sequential
from constructions.residual.masking import Masking

#: Its norms have the ``eps`` of ``torch.nn.LayerNorm``: the float64 number that 1e-5 is; kernels of float32 round it.
ARCHITECTURE = Architecture(
    name="opt",
    norm=Normed(LayerNorm, Fraction(1e-5)),
    selector=Masking(RELU),
    arrangement=Sequential(),
    learned_positions=True,
)
