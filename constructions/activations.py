"""Activations: functions of one number that describe themselves, to exact numbers, floats, bounds and LaTeX alike."""

from __future__ import annotations

from abc import ABC, abstractmethod
from fractions import Fraction
from typing import TYPE_CHECKING, Any, TypeVar, final

if TYPE_CHECKING:
    from constructions.operations import Operations

_WeightT = TypeVar("_WeightT")
_RowsT = TypeVar("_RowsT")
_ScoresT = TypeVar("_ScoresT")


class Activation(ABC):
    """A function of one number, applied to every coordinate.

    Attributes:
        name: a word, unique among activations; also the name of the torch function where there is one.

    """

    name: str

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and vars(other) == vars(self)

    def __hash__(self) -> int:
        return hash((type(self).__name__, *sorted(vars(self).items())))

    def __repr__(self) -> str:
        return self.name

    @abstractmethod
    def latex(self, argument: str) -> str:
        """Return LaTeX of the function of ``argument``."""

    @abstractmethod
    def exact(self, value: Fraction) -> Fraction | None:
        """Return the value at a rational, ``None`` where it is irrational."""

    def apply(self, operations: Operations[_WeightT, _RowsT, _ScoresT], rows: _RowsT) -> _RowsT:
        """Return the function of every coordinate of rows, in an arithmetic."""
        return operations.pointwise(rows, self)


@final
class Relu(Activation):
    """``max(0, x)``."""

    name = "relu"

    def latex(self, argument: str) -> str:
        """Return LaTeX."""
        return rf"\operatorname{{ReLU}}\left({argument}\right)"

    def exact(self, value: Fraction) -> Fraction:
        """Return the value."""
        return max(value, Fraction(0))

    def apply(self, operations: Operations[_WeightT, _RowsT, _ScoresT], rows: _RowsT) -> _RowsT:
        """Return the function of every coordinate: every arithmetic has this one as an operation of its own."""
        return operations.relu(rows)


@final
class Identity(Activation):
    """``x``, for layers that are linear."""

    name = "identity"

    def latex(self, argument: str) -> str:
        """Return LaTeX."""
        return argument

    def exact(self, value: Fraction) -> Fraction:
        """Return the value."""
        return value

    def apply(self, operations: Operations[_WeightT, _RowsT, _ScoresT], rows: _RowsT) -> _RowsT:
        """Return the rows."""
        return rows


RELU = Relu()
IDENTITY = Identity()


def as_activation(value: Any) -> Activation | None:
    """Return an activation as a layer takes it: ``None`` is the identity; ``None`` back for anything else."""
    if value is None:
        return IDENTITY
    return value if isinstance(value, Activation) else None
