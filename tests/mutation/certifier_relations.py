"""Killers of what is wrong with relations: every value that a drawn kernel computes lies within the bounds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import numpy as np
import sympy as sp

from constructions.activations import ABSOLUTE, ClippedRelu
from constructions.lowering import lower
from constructions.ratios import Ratios
from tests.certificates.emulated import Array, held, to_format
from tests.certificates.kernels import DrawnKernel
from tests.certificates.own import rounded
from verify.certificates.balls.arithmetic import BallArithmetic
from verify.certificates.balls.columns import ball_precision
from verify.certificates.floats.sparse import SparseArithmetic
from verify.certificates.relational import relational

#: Numbers that rounding errors and cancellation are large with.
_NUMBERS = (-3, -1, Fraction(-1, 3), 0, 0, Fraction(1, 7), 1, 1, 2, 5)
_CELLS, _ROWS, _STEPS = 3, 2, 4


#: Yields bounds of a random computation, and what members of each cell compute.
Computed = Callable[[Any, Any, np.random.Generator], Iterator[tuple[str, Any, Array]]]


class _Floats:
    """A drawn kernel, on rows of shape members x rows x width."""

    def __init__(self, fmt: str, rng: np.random.Generator) -> None:
        self.fmt, self.kernel = fmt, DrawnKernel(fmt, rng)

    def matrix(self, values: list[list[Any]]) -> Array:
        return np.array([[held(Fraction(value), self.fmt) for value in row] for row in values])

    def linear(self, rows: Array, weight: Array, bias: Array | None) -> Array:
        if not weight.any():  # a drawn kernel forgets a bias that nothing is added to
            return np.zeros((*rows.shape[:2], len(weight))) + (0 if bias is None else bias[:, 0])
        return self.kernel.linear(rows, weight, None if bias is None else bias[:, 0])

    def total(self, parts: list[Array]) -> Array:
        return to_format(self.kernel.tree(parts, self.kernel.inner), self.fmt)


class _Exact:
    """Rational numbers, on rows of the same shape."""

    def matrix(self, values: list[list[Any]]) -> Array:
        return np.array([[Fraction(value) for value in row] for row in values], dtype=object)

    def linear(self, rows: Array, weight: Array, bias: Array | None) -> Array:
        return rows @ weight.T + (0 if bias is None else bias[:, 0])

    def total(self, parts: list[Array]) -> Array:
        return np.asarray(sum(parts[1:], parts[0]))


def _drawn(rng: np.random.Generator, rows: int, columns: int) -> list[list[Any]]:
    return [[_NUMBERS[int(at)] for at in rng.integers(len(_NUMBERS), size=columns)] for _ in range(rows)]


def _outcomes(arithmetic: Any, own: Any, rng: np.random.Generator) -> Iterator[tuple[str, Any, Array]]:
    """Yield bounds of a random computation on unknown tokens, and what members of each cell compute."""

    def weight(values: list[list[Any]]) -> tuple[Any, Array]:
        exact = lower(sp.Matrix(values).as_immutable(), {})
        return arithmetic.weight(exact), own.matrix(values)

    vocab, width = int(rng.integers(2, 6)), int(rng.integers(1, 4))
    table, numbers = weight(_drawn(rng, width, vocab))
    ends = np.sort(rng.integers(0, vocab, (2, _CELLS, _ROWS)), axis=0)
    if rng.random() < 0.4:
        ends[:] = ends[:, :1]
    known = rng.integers(0, vocab, (_CELLS, 1))
    rows = arithmetic.below(arithmetic.embed(table, known), arithmetic.embed_between(table, ends[0], ends[1]))
    if rng.random() < 0.3:
        rows = arithmetic.below(arithmetic.embed_between(table, ends[0], ends[1]), arithmetic.embed(table, known))
        at = (0, 1)
    else:
        at = (1, 2)
    tokens = rng.integers(ends[0], ends[1] + 1, (8, _CELLS, _ROWS)).reshape(-1, _ROWS)
    all_tokens = np.tile(known, (8, _ROWS + 1))
    all_tokens[:, at[0]], all_tokens[:, at[1]] = tokens.T
    x = numbers.T[all_tokens]
    yield "embeddings", rows, x
    for _ in range(_STEPS):
        kind = str(rng.choice(["linear", "affine", "relu", "residual", "codes", "table", "last"]))
        count = x.shape[1]
        if kind in {"linear", "affine"}:
            matrix, values = weight(_drawn(rng, int(rng.integers(1, 4)), x.shape[2]))
            bias, shift = weight(_drawn(rng, len(values), 1)) if kind == "affine" else (None, None)
            rows, x = arithmetic.linear(rows, matrix, bias), own.linear(x, values, shift)
        elif kind == "relu":
            rows, x = arithmetic.relu(rows), np.where(x > 0, x, 0 * x)
        elif kind == "residual":
            matrix, values = weight(_drawn(rng, x.shape[2], x.shape[2]))
            rows = arithmetic.total([rows, arithmetic.linear(rows, matrix)])
            x = own.total([x, own.linear(x, values, None)])
        elif kind == "codes" and count > 1:
            codes = np.broadcast_to(own.matrix(np.eye(count, dtype=int).tolist()), (len(x), count, count))
            rows = arithmetic.beside(rows, arithmetic.positions(count, 0, count))
            x = np.concatenate([x, codes], axis=2)
        elif kind == "table":
            matrix, values = weight(_drawn(rng, x.shape[2], count))
            rows = arithmetic.total([rows, arithmetic.embed(matrix, np.arange(count)[None])])
            x = own.total([x, np.broadcast_to(values.T, x.shape)])
        elif kind == "last":
            rows, x = arithmetic.last(rows), x[:, -1:]
        yield kind, rows, x


def _along(arithmetic: Any, own: Any, rng: np.random.Generator) -> Iterator[tuple[str, Any, Array]]:
    """Yield bounds of sums of activations of few unknown numbers, and what members of each cell compute."""

    def weight(values: list[list[Any]]) -> tuple[Any, Array]:
        exact = lower(sp.Matrix(values).as_immutable(), {})
        return arithmetic.weight(exact), own.matrix(values)

    width, units = int(rng.integers(1, 4)), int(rng.integers(2, 6))
    ends = np.sort(rng.integers(-12, 13, (2, _CELLS, _ROWS, width)), axis=0)
    if rng.random() < 0.7:  # one unknown number, so that members reach the extremes
        ends[1, ..., 1:] = ends[0, ..., 1:]
    denominator = int(rng.choice([1, 3, 8]))
    rows = arithmetic.reals_between(Ratios(ends[0], denominator), Ratios(ends[1], denominator))
    places = rng.integers(0, 25, (8, _CELLS, _ROWS, width))
    places[:2] = [[[[0]]], [[[24]]]]
    numerators = 24 * ends[0] + places * (ends[1] - ends[0])
    x = own.matrix([[Fraction(int(value), 24 * denominator) for value in numerators.reshape(-1)]])
    x = x.reshape(8 * _CELLS, _ROWS, width)
    direction = _drawn(rng, 1, width)[0]
    first = [[value * int(rng.choice([1, 1, -1, 3])) for value in direction] for _ in range(units)]
    for at in range(units):
        if rng.random() < 0.2:
            first[at] = _drawn(rng, 1, width)[0]
    matrix, values = weight(first)
    bias, shift = weight(_drawn(rng, units, 1)) if rng.random() < 0.8 else (None, None)
    rows, x = arithmetic.linear(rows, matrix, bias), own.linear(x, values, shift)
    yield "hidden", rows, x
    kind = rng.choice(["relu", "relu", "abs", "clipped", "nothing"])
    if kind == "relu":
        rows, x = arithmetic.relu(rows), np.where(x > 0, x, 0 * x)
    elif kind == "abs":
        rows, x = arithmetic.pointwise(rows, ABSOLUTE), np.abs(x)
    elif kind == "clipped":
        rows, x = arithmetic.pointwise(rows, ClippedRelu(Fraction(2))), np.clip(x, 0, 2)
    if rng.random() < 0.3:
        rows, x = arithmetic.last(rows), x[:, -1:]
    matrix, values = weight(_drawn(rng, int(rng.integers(1, 4)), units))
    bias, shift = weight(_drawn(rng, len(values), 1)) if rng.random() < 0.5 else (None, None)
    yield "sum along lines", arithmetic.linear(rows, matrix, bias), own.linear(x, values, shift)


def floats_along_lines(fmt: str, rounds: int = 300) -> Callable[[], list[str]]:
    """Return a killer: sums of activations of one number in floats."""
    return floats_of_tokens(fmt, rounds, _along)


def balls_along_lines(rounds: int = 150) -> Callable[[], list[str]]:
    """Return a killer: sums of activations of one number in balls."""
    return balls_of_tokens(rounds, _along)


def floats_of_tokens(fmt: str, rounds: int = 150, computed: Computed = _outcomes) -> Callable[[], list[str]]:
    """Return a killer: unknown tokens in floats."""

    def run() -> list[str]:
        found = []
        for seed in range(rounds):
            rng = np.random.default_rng(seed)
            arithmetic: Any = relational(SparseArithmetic(rounded(fmt)))
            for name, related, values in computed(arithmetic, _Floats(fmt, rng), rng):
                box = related.rows.dense()
                members = values.reshape(8, _CELLS, *values.shape[1:])
                shared = related.rows.shared
                inside = (box.low <= members) & (members <= box.high)
                if not (inside & (shared.low <= members) & (members <= shared.high)).all():
                    found.append(f"{fmt}, seed {seed}: {name} is outside of its bounds")
        return found

    return run


def balls_of_tokens(rounds: int = 60, computed: Computed = _outcomes) -> Callable[[], list[str]]:
    """Return a killer: unknown tokens in balls."""

    def run() -> list[str]:
        found = []
        with ball_precision():
            for seed in range(rounds):
                rng = np.random.default_rng(seed)
                arithmetic: Any = relational(BallArithmetic())
                for name, related, values in computed(arithmetic, _Exact(), rng):
                    bounds = arithmetic.numbers(related)
                    members = values.astype(np.float64).reshape(8, _CELLS, *values.shape[1:])
                    below, above = np.nextafter(members, -np.inf), np.nextafter(members, np.inf)
                    if not ((bounds[..., 0] <= above) & (below <= bounds[..., 1])).all():
                        found.append(f"balls, seed {seed}: {name} is outside of its bounds")
        return found

    return run
