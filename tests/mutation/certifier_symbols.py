"""A killer of what is wrong with the factors of norms as symbols: values and margins of members lie within bounds."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import sympy as sp

from constructions.activations import ABSOLUTE
from constructions.lowering import lower
from constructions.ratios import Ratios
from constructions.temperature import Softmax
from tests.certificates.emulated import Array, held, multiply, to_format
from tests.certificates.kernels import DrawnKernel
from tests.certificates.own import rounded
from verify.certificates.balls.arithmetic import BallArithmetic
from verify.certificates.balls.columns import ball_precision
from verify.certificates.balls.rows import BallRows
from verify.certificates.relational import relational

_CELLS, _ROWS, _WIDTH, _MEMBERS, _STEPS = 2, 2, 3, 6, 5
_NUMBERS = (-2, -1, Fraction(-1, 3), 0, Fraction(1, 7), 1, 1, 2)


def _finer(arithmetic: Any) -> Any:
    """Return the arithmetic that keeps relations beside the bounds of another one."""
    return relational(arithmetic)


class _Both:
    """A computation on bounds, and on members of each cell, which are points."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.points: Any = BallArithmetic()
        self.bounds = _finer(BallArithmetic())
        ends = np.sort(rng.integers(-6, 7, (2, _CELLS, _ROWS, _WIDTH)), axis=0)
        ends[1] = np.where(rng.random(ends[1].shape) < 0.5, ends[0], ends[1])
        ends[:, :, 0] = ends[:, :1, 0] if rng.random() < 0.3 else ends[:, :, 0]
        places = rng.integers(0, 9, (_MEMBERS, _CELLS, _ROWS, _WIDTH))
        places[0], places[1] = 0, 8
        members = (8 * ends[0] + places * (ends[1] - ends[0])).reshape(-1, _ROWS, _WIDTH)
        self.rows: Any = self.bounds.reals_between(Ratios(ends[0], 3), Ratios(ends[1], 3))
        self.members: Any = self.points.prompt(Ratios(members, 24))

    def both(self, operation: Callable[[Any, Any], Any]) -> tuple[Any, Any]:
        """Return an operation on both: it gets an arithmetic and its rows."""
        return operation(self.bounds, self.rows), operation(self.points, self.members)

    def matrix(self, rows: int, columns: int, *, sums: bool = False) -> Any:
        """Return a random matrix; its rows add up to 0 perhaps."""
        values = [
            [Fraction(_NUMBERS[int(at)]) for at in self.rng.integers(len(_NUMBERS), size=columns)] for _ in range(rows)
        ]
        if sums:
            values = [[*row[:-1], -sum(row[:-1], Fraction(0))] for row in values]
        return self.points.weight(lower(sp.Matrix(values).as_immutable(), {}))

    def step(self) -> str:
        """Compute something at random, and return its name."""
        rng, width = self.rng, len(self.members.columns)
        kind = str(
            rng.choice(["linear", "linear", "relu", "abs", "norm", "norm", "affine", "residual", "attention", "last"])
        )
        if kind == "linear":
            matrix = self.matrix(_WIDTH, width, sums=bool(rng.random() < 0.6))
            bias = self.matrix(_WIDTH, 1) if rng.random() < 0.3 else None
            found = self.both(lambda one, rows: one.linear(rows, matrix, bias))
        elif kind == "relu":
            found = self.both(lambda one, rows: one.relu(rows))
        elif kind == "abs":
            found = self.both(lambda one, rows: one.pointwise(rows, ABSOLUTE))
        elif kind == "norm":
            centred, mean, eps = bool(rng.random() < 0.5), bool(rng.random() < 0.5), Fraction(1, 8)
            found = self.both(lambda one, rows: one.normalise(rows, centred=centred, mean=mean, eps=eps))
        elif kind == "affine":
            weight, bias = self.matrix(width, 1), self.matrix(width, 1) if rng.random() < 0.5 else None
            found = self.both(lambda one, rows: one.affine(rows, weight, bias))
        elif kind == "residual":
            matrix = self.matrix(width, width)
            found = self.both(
                lambda one, rows: one.total(
                    [rows, one.linear(one.normalise(rows, centred=True, mean=True, eps=Fraction(1)), matrix)]
                )
            )
        elif kind == "attention":
            query = self.matrix(2, width)
            visible = np.tri(self.members.rows, dtype=np.bool_)

            def attended(one: Any, rows: Any) -> Any:
                scores = one.scores(one.linear(rows, query), one.linear(rows, query))
                return one.mix(one.attention(scores, visible, Softmax(1.0), key_size=4), rows)

            found = self.both(attended)
        else:
            found = self.both(lambda one, rows: one.last(rows))
        self.rows, self.members = found
        return kind

    def outside(self) -> bool:
        """Return whether a member is certainly outside of the bounds of its forms."""
        bounds = self.bounds._domain.hull(self.rows.symbols.forms)
        return _outside(bounds, self.members)

    def above(self) -> bool:
        """Return whether a margin is above one of a member."""
        one, rows = self.both(lambda one, rows: one.last(rows))
        width = len(self.members.columns)
        weight, bias = self.matrix(3, width, sums=bool(self.rng.random() < 0.6)), self.matrix(3, 1)
        if self.rng.random() < 0.6:
            bias = self.points.weight(lower(sp.zeros(3, 1).as_immutable(), {}))
        expected = self.rng.integers(0, 3, _CELLS)
        lower_bounds = self.bounds._domain.margins(one.symbols.forms[0], weight, bias, expected)
        logits = self.points.linear(rows, weight, bias)
        for member in range(_MEMBERS * _CELLS):
            cell = member % _CELLS
            values = [_at(column, member, 0) for column in logits.columns]
            gaps = [values[expected[cell]] - value for token, value in enumerate(values) if token != expected[cell]]
            if any(bool(gap < lower_bounds[cell]) for gap in gaps):
                return True
        return False


def _at(column: Any, member: int, row: int) -> Any:
    return 0 if column is None else column.low[member if column.low.shape[0] > 1 else 0, row]


def _outside(bounds: BallRows, members: BallRows) -> bool:
    for own, point in zip(bounds.columns, members.columns, strict=True):
        for member in range(_MEMBERS * _CELLS):
            for row in range(members.rows):
                value = _at(point, member, row)
                cell = 0 if own is None or own.low.shape[0] == 1 else member % _CELLS
                low, high = (0, 0) if own is None else (own.low[cell, row], own.high[cell, row])
                if bool(value < low) or bool(value > high):
                    return True
    return False


def _members(ends: Array, rng: np.random.Generator, fmt: str) -> Array:
    places = rng.integers(0, 9, (_MEMBERS, _CELLS, ends.shape[-1]))
    places[:3] = rng.choice([0, 8], (3, _CELLS, ends.shape[-1]))
    exact = (8 * ends[0] + places * (ends[1] - ends[0])).reshape(-1, ends.shape[-1])
    return np.array([[held(Fraction(int(value), 24), fmt) for value in row] for row in exact])


def scaled(*formats: str, rounds: int = 150) -> Callable[[], list[str]]:
    """Return a killer: logits of floats of a norm."""

    def run() -> list[str]:
        found = []
        for fmt in formats:
            for seed in range(rounds):
                rng = np.random.default_rng(seed)
                arithmetic = _finer(rounded(fmt).for_cells())
                kernel, width = DrawnKernel(fmt, rng), int(rng.integers(2, 5))
                ends = np.sort(rng.integers(-9, 10, (2, _CELLS, width)), axis=0)
                ends[1] = np.where(rng.random(ends[1].shape) < 0.6, ends[0], ends[1])
                rows = arithmetic.reals_between(Ratios(ends[0][:, None], 3), Ratios(ends[1][:, None], 3))
                mean, eps = bool(rng.random() < 0.5), Fraction(int(rng.integers(1, 9)), 8)
                normed = arithmetic.normalise(rows, centred=False, mean=mean, eps=eps)
                values = [[_NUMBERS[int(at)] for at in rng.integers(len(_NUMBERS), size=width)] for _ in range(3)]
                shifts = [[_NUMBERS[int(at)]] for at in rng.integers(len(_NUMBERS), size=3)]
                shifts = shifts if rng.random() < 0.4 else [[0]] * 3
                exact = [lower(sp.Matrix(part).as_immutable(), {}) for part in (values, shifts)]
                weight, bias = (arithmetic.weight(part) for part in exact)
                x = _members(ends, rng, fmt)
                squares = (x * x).sum(axis=1, keepdims=True) / (width if mean else 1) + float(eps)
                factor = to_format(1 / np.sqrt(squares), kernel.inner)
                y = to_format(multiply(x, factor, kernel.inner), fmt)
                heavy = np.array([[held(Fraction(value), fmt) for value in row] for row in values])
                shift = np.array([held(Fraction(row[0]), fmt) for row in shifts])
                logits = kernel.linear(y[:, None], heavy, shift)[:, 0] if heavy.any() else np.tile(shift, (len(y), 1))
                logits = logits.reshape(_MEMBERS, _CELLS, 3)
                for own in range(3):
                    least = arithmetic.enclosures.scaled_margins(normed.scaled, weight, bias, np.full(_CELLS, own))
                    others = np.delete(logits, own, axis=2).max(axis=2)
                    if (logits[..., own] - others < least).any():
                        found.append(f"{fmt}, seed {seed}: a margin is below its bound")
        return found

    return run


def symbols(rounds: int = 60) -> list[str]:
    """Return what is wrong with forms and their margins."""
    found = []
    with ball_precision():
        for seed in range(rounds):
            both = _Both(np.random.default_rng(seed))
            for _ in range(_STEPS):
                name = both.step()
                if both.outside():
                    found.append(f"seed {seed}: {name} is outside of its bounds")
            if both.above():
                found.append(f"seed {seed}: a margin is below its bound")
    return found
