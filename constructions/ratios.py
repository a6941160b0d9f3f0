"""Arrays of exact rationals with one common denominator: the contents of virtual tokens."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np
from jaxtyping import Float

from constructions.formats import Format
from constructions.rounding import round_ratios
from constructions.validation import check_integer

#: Up to this denominator the rounded values of 0/d .. d/d are kept as one table, so that a batch is one look-up.
_LARGEST_TABLE = 1 << 16


@dataclass(frozen=True, eq=False)
class Ratios:
    """The array ``numerators / denominator``, exactly.

    Attributes:
        numerators: integer array, int64 or (for numbers beyond it) Python integers as objects; in a certificate's run
            of a construction's code :class:`~constructions.unknown_tokens.UnknownTokens`.
        denominator: a positive integer.

    """

    numerators: np.ndarray[Any, Any]
    denominator: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "denominator", check_integer("denominator", self.denominator, 1))

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the array."""
        return tuple(self.numerators.shape)

    def __getitem__(self, index: Any) -> Ratios:
        """Return the part of the array that numpy's indexing selects."""
        return Ratios(np.asarray(self.numerators[index]), self.denominator)

    def to_fractions(self) -> list[Any]:
        """Return the numbers as Fractions in nested lists."""
        exact = np.frompyfunc(lambda numerator: Fraction(int(numerator), self.denominator), 1, 1)
        nested: list[Any] = np.asarray(exact(self.numerators)).tolist()
        return nested

    def to_float(self, fmt: Format) -> Float[np.ndarray, ...]:
        """Return every number correctly rounded to ``fmt``, as float64, which holds all formats.

        Raises:
            OverflowError: a number is beyond the largest of the format.

        """
        flat = self.numerators
        if flat.size and self.denominator <= _LARGEST_TABLE and flat.min() >= 0 and flat.max() <= self.denominator:
            return np.asarray(_table(self.denominator, fmt)[self.numerators.astype(np.int64)])
        return round_ratios(self.numerators, self.denominator, fmt)


@lru_cache(maxsize=64)
def _table(denominator: int, fmt: Format) -> Float[np.ndarray, " values"]:
    table = round_ratios(np.arange(denominator + 1), denominator, fmt)
    table.setflags(write=False)
    return table
