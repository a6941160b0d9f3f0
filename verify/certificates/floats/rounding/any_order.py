"""Sums in any order, with or without fused multiply-add: all that IEEE kernels have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from verify.certificates.floats.rounding.base import Rounding


@final
@dataclass(frozen=True)
class AnyOrder(Rounding):
    """Any order, each product rounded or not, the bias anywhere."""

    word = "either"
    summary = "any order"
    any_order = True

    def sentence(self) -> str:
        """Return what is assumed."""
        return "any order of summation, with or without fused multiply-add"
