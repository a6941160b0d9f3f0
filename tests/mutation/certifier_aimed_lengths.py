"""Aimed killers of what is wrong with lengths and reaches: what is known of parts beyond their coordinates.

A part that is longer by its own coordinates than its length contradicts itself, see :func:`contradicted`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import numpy as np

from constructions.activations import SILU
from tests.mutation.certifier_aimed import Aimed, contradicted, killer
from verify.certificates.relational.factors.kernels import NormError
from verify.certificates.relational.factors.table import ALONE, Bounds

_EPS = Fraction(1, 2**20)


def _normed(aimed: Aimed, low: Any, high: Any = None, *, centred: bool = False) -> Any:
    return aimed.over.normalise(aimed.rows(low, high), centred=centred, mean=True, eps=_EPS)


def lengths() -> Iterator[str]:
    """Operations on normed rows of known numbers, whose lengths and reaches are all but equalities."""
    for values in ([[3, 1]], [[3, 0]], [[-2, 2]]):
        for centred in (False, True):
            aimed = Aimed(None)
            over, rows = aimed.over, _normed(aimed, values, centred=centred)
            less = aimed.linear(rows, [[-1, 0], [0, -1]])
            made = {
                "norm": rows,
                "sum": aimed.linear(rows, [[1, 1], [1, 1]]),
                "both": aimed.linear(rows, [[2, 1], [1, -3]]),
                "column": aimed.linear(rows, [[1, 0], [1, 0], [1, 0]]),
                "bias": aimed.linear(rows, [[1, 2], [2, 1]], [1, 1]),
                "affine": over.affine(rows, aimed.weight([[3], [-2]]), None),
                "total": over.total([rows, rows]),
                "less": over.total([rows, aimed.linear(less, [[3, 0], [0, 2]])]),
                "beside": over.beside(rows, rows),
                "relu": over.relu(rows),
                "silu": over.pointwise(rows, SILU),
                "product": over.multiply(rows, rows),
                "known weights": aimed.mix([2, 3], [2, 3], [rows, rows]),
                "weights": aimed.mix([2, 3], [4, 5], [rows, less]),
                "all but known weights": aimed.mix([2], [2 + 2.0**-20], [rows]),
                "norm of a norm": over.normalise(rows, centred=centred, mean=False, eps=_EPS),
                "cancelled": over.normalise(
                    over.total([rows, aimed.rows([[Fraction(-value) / 2 for value in values[0]]])]),
                    centred=centred,
                    mean=True,
                    eps=_EPS,
                ),
            }
            for name, found in made.items():
                yield from (f"{name} of {values}: {line}" for line in contradicted(found, aimed.over.table))


def loosened() -> Iterator[str]:
    """Errors of every coordinate lengthen a part, and carry it farther than its reach."""
    aimed = Aimed(None)
    rows, table = _normed(aimed, [[1, 1]], [[4, 1]]), aimed.over.table
    true = np.array([[4.0, 1.0]]) / np.sqrt(17 / 2 + float(_EPS))
    for more in (0.25, 2.0):
        off = type(rows)((rows.rows[0].loosened(table, more),))
        yield from aimed.outside("reach", off, (1 + more) * true)
        length = sum(one.norm(table) for one in off.rows[0].parts)
        if not (length >= (1 + more) * np.sqrt((true * true).sum())).all():
            yield f"length: {length} of a row that is {more} longer"
        # a second norm reads the length, and the reach
        again = aimed.over.normalise(off, centred=False, mean=False, eps=Fraction(1))
        under = np.sqrt(((1 + more) ** 2 * true**2).sum() + 1)
        yield from aimed.outside("norm", again, (1 + more) * true / under)


def cancelled_magnitudes() -> Iterator[str]:
    """``F x - c``, where the parts are larger than the whole: errors are relative to what is left, which is not 0."""
    aimed = Aimed(None)
    rows = aimed.over.total([_normed(aimed, [[1, 2]]), aimed.rows([[Fraction(-3, 5), Fraction(-6, 5)]])])
    table = aimed.over.table
    most = sum(table.times(monomial).high[:, None] * size for monomial, size in rows.rows[0].magnitudes(table))
    true = np.array([[1.0, 2.0]]) / np.sqrt(5 / 2 + float(_EPS)) - np.array([[0.6, 1.2]])
    if not (most >= np.abs(true) * (1 - 2.0**-44)).all():
        yield f"magnitudes of {most}, and {true} is left"


def factors_of_norms() -> Iterator[str]:
    """``F`` for the least and the largest number under the root that :class:`NormError` speaks of."""
    none = np.zeros(1)
    for distance, mean in ((1.0, 0.0), (0.0, 1.0), (0.5, 0.25)):
        for scale in (1.0, 4.0):
            away, off = np.full(1, distance), np.full(1, mean)
            errors = NormError(4, 0.25, 0.25, 0.5, 0.5, 0.0, away, off, 0.0, 0.0, none == 0, (0.0, np.inf))
            root = 3.0  # sqrt(S)
            squares = [(root + side * distance) ** 2 for side in (-1, 0, 1)] + [root**2 + 4 * mean**2]
            found = errors.factor(Bounds(*[np.full(1, root / scale)] * 2), Bounds(*[np.full(1, scale)] * 2))
            for square in squares:
                factor = 1 / np.sqrt(square / 4 + 0.5)
                if (
                    not (found.low <= factor * scale * (1 + 2.0**-44)).all()
                    or not (found.high >= factor * scale * (1 - 2.0**-44)).all()
                ):
                    yield f"{factor * scale} is not within {found}"
                if not (errors.stretch(np.full(1, root)) >= factor * root).all():
                    yield f"a stretch of {factor * root}"


def shared_length() -> Iterator[str]:
    """A length over a factor: the squares of ``F x`` divided by ``F`` are those of ``x``."""
    aimed = Aimed(None)
    rows = _normed(aimed, [[1, 1]], [[4, 1]])
    for divisor in (ALONE, rows.rows[0].parts[0].monomial):
        low, high = rows.rows[0].hull(aimed.over.table, divisor)
        for x in (1.0, 4.0):
            true = np.array([[x, 1.0]]) / (1 if divisor else np.sqrt((x * x + 1) / 2 + float(_EPS)))
            if ((true < low * (1 - 2.0**-44)) | (true > high * (1 + 2.0**-44))).any():
                yield f"{true} is not within {low} and {high} over {divisor}"


def killers() -> dict[str, Callable[[], list[str]]]:
    """Return the killers by name."""
    return {
        "factors, aimed lengths": killer(lengths, loosened, cancelled_magnitudes, factors_of_norms, shared_length),
    }
