"""Activations: functions of one number that describe themselves, to exact numbers, floats, bounds and LaTeX alike."""

from __future__ import annotations

from typing import Any

from constructions.activations.base import Activation as Activation
from constructions.activations.base import KernelError as KernelError
from constructions.activations.base import Pieces as Pieces
from constructions.activations.gelu import Gelu as Gelu
from constructions.activations.gelu import TanhGelu as TanhGelu
from constructions.activations.piecewise import Absolute as Absolute
from constructions.activations.piecewise import ClippedRelu as ClippedRelu
from constructions.activations.piecewise import Identity as Identity
from constructions.activations.piecewise import Relu as Relu
from constructions.activations.piecewise import Square as Square
from constructions.activations.smooth import Sigmoid as Sigmoid
from constructions.activations.smooth import Silu as Silu
from constructions.activations.smooth import Tanh as Tanh

RELU = Relu()
IDENTITY = Identity()
ABSOLUTE = Absolute()
SQUARE = Square()
GELU = Gelu()
TANH_GELU = TanhGelu()
SILU = Silu()
SIGMOID = Sigmoid()
TANH = Tanh()

#: Every activation without options, the approximate ones of today's language models included.
ACTIVATIONS: tuple[Activation, ...] = (RELU, IDENTITY, ABSOLUTE, SQUARE, GELU, TANH_GELU, SILU, SIGMOID, TANH)


def as_activation(value: Any) -> Activation | None:
    """Return an activation as a layer takes it: ``None`` is the identity; ``None`` back for anything else."""
    if value is None:
        return IDENTITY
    return value if isinstance(value, Activation) else None
