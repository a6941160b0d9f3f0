"""Bounds in balls, taken apart and put together."""

from __future__ import annotations

import flint
import numpy as np
from jaxtyping import Bool, Float, Int

from verify.certificates.balls.arithmetic import BallArithmetic, BallRows, BallWeight
from verify.certificates.balls.columns import Column, extreme, known_column, larger, smaller, zeros
from verify.certificates.relational import monomials
from verify.certificates.relational.ball_lines import BallLines
from verify.certificates.relational.enclosures import Enclosures, enclosures_of
from verify.certificates.relational.factors.kernels import RealNumbers
from verify.certificates.relational.related import Origin


class BallEnclosures(Enclosures[BallWeight, BallRows, BallRows]):
    """Inner rows are rows of a batch of 1."""

    symbols = monomials

    def __init__(self, arithmetic: BallArithmetic) -> None:
        """Take the rows of ``arithmetic`` apart."""
        self.inner = BallArithmetic()  # of its own: an alternative that is undefined may be none of a cell's
        self.kernels = RealNumbers()

    def finite(self, rows: BallRows) -> bool:
        """Return whether all bounds are finite."""
        return rows.finite

    def count(self, rows: BallRows) -> int:
        """Return the number of rows."""
        return rows.rows

    def width(self, inner: BallRows) -> int:
        """Return the number of coordinates."""
        return len(inner.columns)

    def one(self, rows: BallRows, place: int) -> BallRows:
        """Return the bounds of a row in all cells."""
        columns = []
        for column in rows.columns:
            if column is None or column.low.shape[0] == 1:
                columns.append(None if column is None else column.map(lambda part: part[:, place : place + 1]))
                continue
            low, high = list(column.low[:, place]), list(column.high[:, place])
            columns.append(Column(_one(extreme(low, smaller)), _one(extreme(high, larger))))
        return BallRows(tuple(columns), 1, 1)

    def repeated(self, inner: BallRows, count: int) -> BallRows:
        """Return a row so many times."""
        columns = tuple(
            None if column is None else column.map(lambda part: np.repeat(part, count, axis=1))
            for column in inner.columns
        )
        return BallRows(columns, 1, count)

    def hulls(self, inner: BallRows, first: Int[np.ndarray, " cells"], last: Int[np.ndarray, " cells"]) -> BallRows:
        """Return for every cell the smallest and largest values of some rows."""
        pairs, place = np.unique(np.stack([first, last], axis=1), axis=0, return_inverse=True)
        place = place.reshape(-1)
        columns: list[Column | None] = []
        for column in inner.columns:
            if column is None:
                columns.append(None)
                continue
            ranges = [slice(start, stop + 1) for start, stop in pairs.tolist()]
            least = [extreme(list(column.low[0, each]), smaller) for each in ranges]
            most = [extreme(list(column.high[0, each]), larger) for each in ranges]
            low, high = (np.array(part, dtype=object)[place][:, None] for part in (least, most))
            # numbers, not balls around them: one value, equal to itself
            same = all(bool(a == b) for a, b in zip(least, most, strict=True))
            columns.append(known_column(low) if same else Column(low, high))
        return BallRows(tuple(columns), len(first), 1)

    def met(self, rows: BallRows, place: int, other: BallRows) -> BallRows:
        """Return the rows with one of them in both enclosures."""
        columns = tuple(
            _met(own, place, another, rows.rows) for own, another in zip(rows.columns, other.columns, strict=True)
        )
        return BallRows(columns, max(rows.batch, other.batch), rows.rows)

    def along_lines(
        self, found: BallRows, origin: Origin[BallRows], hidden: BallRows, weight: BallWeight, bias: BallWeight | None
    ) -> BallRows:
        """Return bounds of ``W h + b``."""
        pieces = origin.activation.pieces()
        return found if pieces is None else BallLines(origin, pieces, hidden, weight, bias).met(found)

    def varying(self, rows: BallRows, place: int) -> Bool[np.ndarray, " width"]:
        """Return the coordinates of a row that are not the same single number in every cell."""
        return np.array([column is not None and not _single(column, place) for column in rows.columns])

    def dense(self, weight: BallWeight) -> Float[np.ndarray, "rows columns"]:
        """Return the entries; infinite where one is beyond float64."""
        found = np.zeros(weight.shape)
        for row, entries in enumerate(weight.entries):
            for column, value in entries:
                found[row, column] = float(value)  # of a ball of 128 bits, within two roundings of its number
        return found

    def of_numbers(
        self, low: Float[np.ndarray, "cells rows width"], high: Float[np.ndarray, "cells rows width"]
    ) -> BallRows:
        """Return rows of all real numbers between the bounds."""
        held = np.frompyfunc(flint.arb, 1, 1)
        columns = []
        for at in range(low.shape[2]):
            least, most = (np.asarray(held(part[..., at]), dtype=object) for part in (low, high))
            known = bool((low[..., at] == high[..., at]).all())
            columns.append(None if known and not low[..., at].any() else Column(least, least if known else most))
        return BallRows(tuple(columns), len(low), low.shape[1])

    def reads(self, weight: BallWeight) -> Bool[np.ndarray, "rows columns"]:
        """Return where a matrix is not 0."""
        found = np.zeros(weight.shape, dtype=np.bool_)
        for row, entries in enumerate(weight.entries):
            found[row, [column for column, _ in entries]] = True
        return found


def _one(value: object) -> np.ndarray[tuple[int, ...], np.dtype[np.object_]]:
    found = np.empty((1, 1), dtype=object)
    found[0, 0] = value
    return found


def _single(column: Column, place: int) -> bool:
    low, high = column.low[:, place], column.high[:, place]
    first = low[0]
    return all(bool(value == first) for value in (*low, *high))


def _met(own: Column | None, place: int, other: Column | None, rows: int) -> Column | None:
    """Return a coordinate with one row of it in another enclosure as well; ``None`` is 0 in every row."""
    if own is None or own.known:
        return own
    other = known_column(zeros(1, 1)) if other is None else other
    low, high = larger(own.low[:, place], other.low[:, 0]), smaller(own.high[:, place], other.high[:, 0])
    meets = np.array([not bool(least > most) for least, most in zip(low, high, strict=True)])
    both = [np.broadcast_to(part, (len(low), rows)).copy() for part in (own.low, own.high)]
    both[0][:, place], both[1][:, place] = (
        np.where(meets, low, both[0][:, place]),
        np.where(meets, high, both[1][:, place]),
    )
    return Column(both[0], both[1])


@enclosures_of.register
def _(arithmetic: BallArithmetic) -> BallEnclosures:
    return BallEnclosures(arithmetic)
