"""Sums from the last term to the first: a kernel whose order is known, as an example of a kind of one's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from verify.certificates.floats.rounding.base import Rounding, _Array


@final
@dataclass(frozen=True)
class ReversedOrder(Rounding):
    """Every product is rounded; they are added one by one, the last coordinate's first, and a bias after them.

    The first two products meet as many roundings as a term meets in any order, so that only a single product with a
    bias has tighter bounds.
    """

    word = "reversed"
    summary = "last to first, bias last, no fused multiply-add"

    def sentence(self) -> str:
        """Return what is assumed."""
        return (
            "rounded products summed from the last to the first, without fused multiply-add, rounded before a bias is"
            " added"
        )

    def single_products(self, kept: Sequence[_Array], rounded: Sequence[_Array]) -> Sequence[_Array]:
        """Return the rounded values: no product escapes its rounding."""
        return rounded
