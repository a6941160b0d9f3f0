r"""Sums of rows with factors: linear maps, residual connections and attention.

The error of a computed sum is bounded by a multiple of the magnitudes that are added. As
``|x_i| <= sum_k mu_k |X_ki|``, it is a sum of errors, one for each product of factors ``mu_k``: where numbers of one
part cancel, the error stays relative to that part. An error below the normal range has no factors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float

from verify.certificates.floats.directed import is_power_of_two
from verify.certificates.relational.factors.kernels import Kernels, SumError
from verify.certificates.relational.factors.parts import Part, Reach, error_length, part
from verify.certificates.relational.factors.rows import Row
from verify.certificates.relational.factors.table import ALONE, Monomial, Table, reduce_sum, slack

_Array = Float[np.ndarray, "..."]


#: Errors of a part that are kept as unknown numbers, if several sums read them: a limit of the work.
_NAMED = 8


@dataclass(frozen=True, eq=False)
class Matrix:
    """A weight, as float64 numbers that are off by at most the own roundings of a number.

    Attributes:
        values: rows x columns.

    """

    values: _Array

    @cached_property
    def heavy(self) -> _Array:
        """The magnitudes, columns x rows."""
        return np.asarray(np.abs(self.values).T)

    @cached_property
    def nonzero(self) -> Bool[np.ndarray, "rows columns"]:
        """Which numbers are not 0."""
        return np.asarray(self.values != 0)

    @cached_property
    def read_often(self) -> Bool[np.ndarray, " columns"]:
        """Which coordinates several sums read."""
        return np.asarray(self.nonzero.sum(axis=0) > 1)

    @cached_property
    def rounding(self) -> Bool[np.ndarray, "rows columns"]:
        """Which numbers are no powers of two, so that products with them may round."""
        return np.asarray(~is_power_of_two(self.values))

    @property
    def column(self) -> _Array:
        """The numbers of a matrix of one column."""
        return np.asarray(self.values[:, 0])


@dataclass(frozen=True)
class Sums:
    """Computes sums of rows.

    Attributes:
        table: factors and unknown numbers.
        kernels: what sums may be off by.

    """

    table: Table
    kernels: Kernels

    def linear(self, row: Row, weight: Matrix, bias: Matrix | None) -> Row:
        """Return ``W x + b``."""
        shift = np.zeros(len(weight.values)) if bias is None else bias.column
        allowed = self._allowed(row, weight, bias)
        found = [self._linear(one, weight) for one in row.parts]
        found.append(part(ALONE, shift[None], np.abs(shift)[None] * slack(1)))
        whole = Row(len(shift), tuple(found)).merged(self.table)
        rounded = whole.with_errors(self._before_last(row, weight, bias, allowed), self.table)
        return rounded.loosened(self.table, allowed.last)

    def errors(self, row: Row, weight: Matrix, bias: Matrix | None) -> list[tuple[Monomial, _Array]]:
        """Return how far computed ``W x + b`` may be off, products of factors with an error of each sum."""
        allowed, heavy = self._allowed(row, weight, bias), weight.heavy
        before = self._before_last(row, weight, bias, allowed)
        sums = [(monomial, most @ heavy) for monomial, most in row.magnitudes(self.table)]
        if bias is not None:
            sums.append((ALONE, np.abs(bias.column)[None]))
        grown = 1 + slack(len(heavy))
        return [*before, *((monomial, allowed.last * most * grown) for monomial, most in [*sums, *before])]

    def _allowed(self, row: Row, weight: Matrix, bias: Matrix | None) -> SumError:
        """Return the allowances of every sum."""
        used = weight.nonzero & row.nonzero(self.table)
        shift = np.zeros(len(used)) if bias is None else bias.column
        count = used.sum(axis=1) + (shift != 0)
        return self.kernels.sums(count.astype(np.float64), ~(used & self._rounds(weight, bias)).any(axis=1))

    def _rounds(self, weight: Matrix, bias: Matrix | None) -> Bool[np.ndarray, "rows columns"]:
        """Return which products may round."""
        rounds = weight.rounding
        return rounds if bias is None else rounds & self.kernels.rounds_products(bias.column)[:, None]

    def _before_last(
        self, row: Row, weight: Matrix, bias: Matrix | None, allowed: SumError
    ) -> list[tuple[Monomial, _Array]]:
        """Return the errors before the last operation of every sum."""
        heavy, rounding = weight.heavy, np.where(self._rounds(weight, bias).T, weight.heavy, 0)
        shift = np.zeros((1, len(weight.values))) if bias is None else np.abs(bias.column)[None]
        self.table.note(self._magnitude(row.magnitude(self.table) @ heavy + shift, allowed))
        found = [
            (monomial, self._error(most @ heavy, most @ rounding, allowed, len(heavy)))
            for monomial, most in row.magnitudes(self.table)
        ]
        return [*found, (ALONE, self._error(shift, np.zeros_like(shift), allowed, len(heavy)) + allowed.tiny)]

    def _linear(self, one: Part, weight: Matrix) -> Part:
        """Return ``W X``, with own roundings alone."""
        values, heavy, told = weight.values, weight.heavy, one.told
        own = slack(len(heavy)) * (one.size(self.table) @ heavy)
        # the largest row sum and column sum bound the largest stretch of a vector; mere errors are another vector
        read = heavy[told]
        stretch = np.sqrt(read.sum(axis=0).max(initial=0) * read.sum(axis=1).max(initial=0)) * (1 + slack(len(heavy)))
        more = own + one.error[:, ~told] @ heavy[~told] * (1 + slack(len(heavy)))
        named = one.naming(self.table, self._common(one, weight))
        return part(
            one.monomial,
            one.known @ values.T,
            named.error @ heavy * (1 + slack(len(heavy))) + own,
            names=named.names,
            slopes=values @ named.slopes,
            length=_times(stretch, one.norm(self.table)) + error_length(more, one.monomial, self.table),
            reach=self._reach(one, heavy, more),
        )

    def _common(self, one: Part, weight: Matrix) -> list[int]:
        """Return the coordinates whose errors several sums have in common, the largest ones of many."""
        several = np.flatnonzero(weight.read_often & (one.error != 0).any(axis=0))
        return sorted(several[np.argsort(-one.error.max(axis=0)[several], kind="stable")][:_NAMED].tolist())

    def _reach(self, one: Part, heavy: _Array, more: _Array) -> Reach | None:
        """Return how far sums of coordinates reach, of which only some are more than errors, and ``more``."""
        if one.reach is None:
            return None
        told, scale = one.told, self.table.times(one.reach.core).high[:, None]
        most = np.broadcast_to(one.reach.most, (len(one.reach.most), one.width))[:, told] @ heavy[told] + more * scale
        return Reach(one.reach.core, most * (1 + slack(one.width)))

    def _error(self, magnitude: _Array, rounding: _Array, allowed: SumError, count: int) -> _Array:
        """Return what is off before the last of so many operations, for magnitudes of all and of what may round."""
        before = allowed.product * rounding + allowed.partial * magnitude
        return np.asarray(before * (1 + slack(count)))

    def _magnitude(self, sums: _Array, allowed: SumError) -> _Array:
        """Return the magnitudes that sums may have in any order, with their roundings."""
        return np.asarray(sums * (1 + allowed.product + allowed.partial) * (1 + allowed.last + slack(sums.shape[1])))

    def total(self, rows: Sequence[Row]) -> Row:
        """Return the sum of rows."""
        parts = [one for row in rows for one in row.parts]
        moving = [row.nonzero(self.table) for row in rows]
        count = np.sum(moving, axis=0)
        allowed = self.kernels.sums(count.astype(np.float64), np.ones(len(count), dtype=np.bool_))
        whole = Row(rows[0].width, tuple(parts)).merged(self.table)
        self.table.note(self._magnitude(reduce_sum([row.magnitude(self.table) for row in rows]), allowed))
        return self._summed(whole, rows, replace(allowed, tiny=allowed.tiny * (count > 1)), products=False)

    def _summed(self, whole: Row, terms: Sequence[Row], allowed: SumError, *, products: bool) -> Row:
        """Return a sum with its errors, which are relative to its terms: these may cancel in the sum itself.

        Args:
            whole: the sum.
            terms: what is added.
            allowed: the allowances.
            products: whether the terms are products, which may round.

        """
        before = [
            (monomial, self._error(most, most * products, allowed, len(terms)))
            for term in terms
            for monomial, most in term.magnitudes(self.table)
        ]
        return whole.with_errors([*before, (ALONE, allowed.tiny[None])], self.table).loosened(self.table, allowed.last)

    def affine(self, row: Row, weight: Matrix | None, bias: Matrix | None) -> Row:
        """Return ``w * x + b``, the product rounded or not before the sum is."""
        factor = np.ones(row.width) if weight is None else weight.column
        shift = np.zeros(row.width) if bias is None else bias.column
        step = np.where(np.abs(factor) == 1, 0, self.kernels.step)
        last = np.where(shift == 0, 0, self.kernels.step)
        both = (step + last) * (1 + 2 * self.kernels.step) + slack(2)
        found = []
        for one in row.parts:
            own = one.size(self.table) * np.abs(factor) * both
            length = _times(np.abs(factor).max(initial=0) * (1 + slack(1)), one.norm(self.table))
            found.append(
                part(
                    one.monomial,
                    one.known * factor,
                    one.error * np.abs(factor) + own,
                    names=one.names,
                    slopes=one.slopes * factor[:, None],
                    length=length + error_length(own, one.monomial, self.table),
                )
            )
        moving = row.nonzero(self.table) & (factor != 0)
        self.table.note((row.magnitude(self.table) * np.abs(factor) + np.abs(shift)) * (1 + both))
        tiny = 2 * self.kernels.tiny * moving
        found.append(part(ALONE, shift[None], (np.abs(shift) * np.where(moving, both, slack(1)) + tiny)[None]))
        return Row(row.width, tuple(found)).merged(self.table)


def _times(factor: float, lengths: _Array) -> _Array:
    """Return a multiple of lengths; a factor of 0 leaves none, even of one that is not bounded."""
    return np.zeros_like(lengths) if factor == 0 else factor * lengths
