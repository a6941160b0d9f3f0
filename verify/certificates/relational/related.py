"""Rows, and what is known of them beside the bounds of every coordinate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Generic

from constructions.activations import IDENTITY, Activation
from constructions.operations import RowsT

if TYPE_CHECKING:
    from verify.certificates.relational.alternatives import Table


@dataclass(frozen=True, eq=False)
class Origin(Generic[RowsT]):
    """Rows are ``f(W x + b)`` of others.

    Attributes:
        rows: bounds of ``x``.
        weight: ``W``.
        bias: ``b``.
        activation: ``f``.

    """

    rows: RowsT
    weight: Any
    bias: Any
    activation: Activation = IDENTITY

    def then(self, activation: Activation) -> Origin[RowsT] | None:
        """Return the origin of an activation of such rows; ``None`` for an activation of another one."""
        return replace(self, activation=activation) if type(self.activation) is type(IDENTITY) else None


@dataclass(frozen=True, eq=False)
class Scaled(Generic[RowsT]):
    """Rows are others over their lengths, with no mean taken off.

    Attributes:
        rows: bounds of the others.
        normed: bounds of these rows.

    """

    rows: RowsT
    normed: RowsT


@dataclass(frozen=True, eq=False)
class Related(Generic[RowsT]):
    """Rows, and what is known of them beside bounds of every coordinate.

    Attributes:
        rows: the bounds.
        tables: the rows, by their places, that are known to be one of finitely many.
        origin: the rows that they were computed from, and how.
        scaled: the rows that they are but for a positive factor of each.

    """

    rows: RowsT
    tables: Mapping[int, Table] = field(default_factory=dict)
    origin: Origin[RowsT] | None = None
    scaled: Scaled[RowsT] | None = None
