"""Heads of ours in the heads of stock classes, all of which have queries, keys and values of one size.

A head's values fill as many stock heads as they need, each with the same queries and keys: the attention weights are
the same, and the output projection adds the parts up. A head whose outputs are added without a projection has the
identity for one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np
from jaxtyping import Int

from constructions.exact_matrix import ExactMatrix
from constructions.layers import Attention, Head, Rotary
from constructions.temperature import Softmax, Temperatures
from constructions.validation import InvalidArgument


@dataclass(frozen=True, eq=False)
class Seat:
    """One head of a stock class.

    Attributes:
        layer: the name of the layer, for messages.
        head: whose queries it has.
        source: whose keys and values it has: the head itself, or the one that it shares those of.
        values: the rows of the value that it has.
        outputs: the columns of the output projection that belong to them; without a projection, the coordinates that
            they are added to.

    """

    layer: str
    head: Head[ExactMatrix]
    source: Head[ExactMatrix]
    values: Int[np.ndarray, " rows"]
    outputs: Int[np.ndarray, " rows"]

    @property
    def where(self) -> str:
        """The head in words."""
        return f"head {self.head.name} of layer {self.layer}"

    @cached_property
    def scored(self) -> bool:
        """Whether its scores may be anything but 0: neither all queries nor all keys are."""
        return _nonzero(self.head.query, self.head.query_bias) and _nonzero(self.source.own_key, self.source.key_bias)

    @property
    def turned(self) -> Iterator[Rotary[ExactMatrix] | None]:
        """The rotary positions of queries and of keys."""
        yield self.head.rotary
        yield self.source.rotary

    def same_keys(self, other: Seat) -> bool:
        """Whether two heads have the same keys and values."""
        return self.source is other.source and np.array_equal(self.values, other.values)

    def head_size(self, temperature: Temperatures) -> int:
        """Return the size at which a stock class scales scores by ``1/sqrt(size)`` as this head's are.

        Raises:
            InvalidArgument: there is none.

        """
        key_size = self.head.key_size
        if isinstance(temperature, Softmax) and temperature.scaled_by == "key":
            found = key_size / Fraction(temperature.inverse_temperature) ** 2
            if found.denominator == 1 and found >= key_size:
                return int(found)
        raise InvalidArgument(
            f"temperature: expected Softmax(1.0), the factor 1/sqrt(k) of stock classes, for {self.where}, whose scores"
            f" are not all 0, but got {temperature!r}"
        )


def seats_of(attention: Attention[ExactMatrix], head_size: int) -> tuple[Seat, ...]:
    """Return the stock heads of a layer, one after another.

    Args:
        attention: the layer.
        head_size: of the stock class.

    """
    sources: dict[str, Head[ExactMatrix]] = {}
    made: list[Seat] = []
    start = 0
    for head in attention.heads:
        source = sources[head.name] = head if head.shares is None else sources[head.shares]
        count = source.own_value.shape[0]
        first = 0 if attention.output is None else start
        start += count
        chunks = _chunks(_values(attention, source, first, head_size), head_size)
        made += [Seat(attention.name, head, source, values, first + values) for values in chunks]
    return tuple(made)


def _values(
    attention: Attention[ExactMatrix], source: Head[ExactMatrix], first: int, head_size: int
) -> Int[np.ndarray, " rows"]:
    """Return the rows of a head's value, without those that are 0 or that nothing reads where all are too many."""
    count = source.own_value.shape[0]
    if count <= head_size:
        return np.arange(count)
    there = _rows(source.own_value) | (set() if source.value_bias is None else _rows(source.value_bias))
    if attention.output is not None:
        read = {column - first for _, column, _ in attention.output.nonzero()}
        there &= read
    return np.array(sorted(there), dtype=np.int64)


def _chunks(values: Int[np.ndarray, " rows"], size: int) -> Iterator[Int[np.ndarray, " some"]]:
    """Yield rows in parts of at most ``size``; one part where there are none."""
    yield from (values[start : start + size] for start in range(0, max(1, len(values)), size))


def groups_of(blocks: list[tuple[Seat, ...]], heads: int) -> int:
    """Return the fewest groups of neighbouring heads with the same keys and values, the same number in every block."""
    for groups in range(1, heads):
        size, left = divmod(heads, groups)
        if not left and all(_grouped(seats, size) for seats in blocks):
            return groups
    return heads


def _grouped(seats: tuple[Seat, ...], size: int) -> bool:
    parts = (seats[start : start + size] for start in range(0, len(seats), size))
    return all(part[0].same_keys(seat) for part in parts for seat in part[1:])


def _rows(matrix: ExactMatrix) -> set[int]:
    return {row for row, _, _ in matrix.nonzero()}


def _nonzero(*matrices: ExactMatrix | None) -> bool:
    return any(matrix is not None and next(matrix.nonzero(), None) is not None for matrix in matrices)
