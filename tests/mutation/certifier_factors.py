"""Killers of what is wrong with rows with factors: numbers of drawn kernels, and true ones, lie within bounds."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import sympy as sp

from constructions.activations import GELU, SILU, TANH_GELU
from constructions.lowering import lower
from constructions.ratios import Ratios
from constructions.temperature import Softmax
from tests.certificates import factored_runs
from tests.certificates.emulated import Array, held
from tests.certificates.layered import DrawnArithmetic
from tests.certificates.own import rounded
from tests.mutation import certifier_aimed_factors as aimed
from tests.mutation import certifier_repeated as repeated
from tests.mutation.certifier_aimed import contradicted
from verify.certificates.balls.arithmetic import BallArithmetic
from verify.certificates.balls.columns import ball_precision
from verify.certificates.relational import factored

_CELLS, _ROWS, _WIDTH, _MEMBERS, _STEPS = 2, 3, 4, 6, 7
_NUMBERS = (-2, -1, Fraction(-1, 3), 0, 0, Fraction(1, 7), 1, 1, 2)
_KINDS = (
    *("linear", "linear", "linear", "relu", "norm", "norm", "affine", "residual", "residual"),
    *("smooth", "gated", "gated", "equal", "uniform", "attention", "beside"),
)


class _Both:
    """A computation on bounds, and on members of each cell."""

    def __init__(self, rng: np.random.Generator, fmt: str | None) -> None:
        self.rng, self.fmt = rng, fmt
        base: Any = BallArithmetic() if fmt is None else rounded(fmt).for_cells()
        finer: Any = factored(base)
        self.bounds = finer
        self.points: Any = BallArithmetic() if fmt is None else DrawnArithmetic(fmt, rng)
        ends = np.sort(rng.integers(-6, 7, (2, _CELLS, _ROWS, _WIDTH)), axis=0)
        ends[1] = np.where(rng.random(ends[1].shape) < 0.6, ends[0], ends[1])
        ends[:, :, 0] = ends[:, :1, 0] if rng.random() < 0.5 else ends[:, :, 0]
        if rng.random() < 0.5:
            ends = ends * (rng.random(_WIDTH) < 0.7).astype(np.int64)  # coordinates that are 0
        places = rng.integers(0, 9, (_MEMBERS, _CELLS, _ROWS, _WIDTH))
        places[0], places[1] = 0, 8
        members = (8 * ends[0] + places * (ends[1] - ends[0])).reshape(-1, _ROWS, _WIDTH)
        self.rows: Any = self.bounds.reals_between(Ratios(ends[0], 3), Ratios(ends[1], 3))
        self.members: Any = self.points.prompt(Ratios(members, 24)) if fmt is None else _floats(members, fmt)

    @property
    def width(self) -> int:
        """How wide rows are."""
        return int(self.rows.rows[0].width)

    def matrix(self, rows: int, columns: int, *, sums: bool = False) -> tuple[Any, Any]:
        """Return a random matrix for both; its rows add up to 0 perhaps, and are equal perhaps."""
        rng = self.rng
        values = [
            [Fraction(_NUMBERS[int(at)]) for at in rng.integers(len(_NUMBERS), size=columns)] for _ in range(rows)
        ]
        if rng.random() < 0.3:
            values = [values[0]] * rows
        values[0][0] = values[0][0] or Fraction(1)  # drawn kernels take no bias where all products are 0
        if sums:
            values = [[*row[:-1], -sum(row[:-1], Fraction(0))] if len(row) > 1 else row for row in values]
        exact = lower(sp.Matrix(values).as_immutable(), {})
        return self.bounds.weight(exact), self.points.weight(exact)

    def both(self, operation: Callable[[Any, Any, Callable[[Any], Any]], Any]) -> None:
        """Do an operation on both: it gets an arithmetic, its rows, and what chooses of a pair of weights."""
        found = operation(self.bounds, self.rows, lambda pair: None if pair is None else pair[0])
        self.members = operation(self.points, self.members, lambda pair: None if pair is None else pair[1])
        self.rows = found

    def step(self) -> str:
        """Compute something at random, and return its name."""
        rng, width, kind = self.rng, self.width, str(self.rng.choice(_KINDS))
        sums = bool(rng.random() < 0.6)
        square, other = self.matrix(width, width, sums=sums), self.matrix(width, width, sums=sums)
        bias = self.matrix(width, 1) if rng.random() < 0.4 else None
        eps, centred, mean = Fraction(1, 8), bool(rng.random() < 0.6), bool(rng.random() < 0.6)
        gain = Fraction(2) ** int(rng.integers(0, 9))
        act = (GELU, SILU, TANH_GELU)[int(rng.integers(3))]
        scaled = lower((gain * sp.eye(width)).as_immutable(), {})
        gains = self.bounds.weight(scaled), self.points.weight(scaled)

        def normed(one: Any, rows: Any) -> Any:
            return one.normalise(rows, centred=centred, mean=mean, eps=eps)

        def attended(one: Any, rows: Any, of: Any) -> Any:
            zero = lower(sp.zeros(1, width).as_immutable(), {})
            keys = of(square) if kind == "attention" else one.weight(zero)
            visible = np.tri(_ROWS, dtype=np.bool_)
            scores = one.scores(one.linear(rows, keys), one.linear(rows, keys))
            return one.mix(one.attention(scores, visible, Softmax(1.0), key_size=4), rows)

        operations: dict[str, Callable[[Any, Any, Any], Any]] = {
            "linear": lambda one, rows, of: one.linear(rows, of(square), of(bias)),
            "relu": lambda one, rows, of: one.relu(rows),
            "norm": lambda one, rows, of: normed(one, rows),
            "affine": lambda one, rows, of: one.affine(rows, of(self.column), of(bias)),
            "residual": lambda one, rows, of: one.total([rows, one.linear(normed(one, rows), of(square), of(bias))]),
            "smooth": lambda one, rows, of: one.pointwise(one.linear(rows, of(gains)), act),
            "gated": lambda one, rows, of: one.multiply(
                one.pointwise(one.linear(rows, of(square)), act), one.linear(rows, of(other))
            ),
            "equal": lambda one, rows, of: one.multiply(
                one.pointwise(one.linear(normed(one, rows), of(square)), act), one.linear(rows, of(other))
            ),
            "uniform": attended,
            "attention": attended,
            "beside": lambda one, rows, of: one.linear(one.beside(rows, one.relu(rows)), of(self.wide)),
        }
        self.column, self.wide = self.matrix(width, 1), self.matrix(width, 2 * width, sums=sums)
        self.both(operations[kind])
        return kind

    def numbers(self) -> Array:
        """Return the members' numbers, with a last axis of two for bounds of what is not known exactly."""
        found = self.points.numbers(self.members)
        return np.asarray(found if self.fmt is None else np.stack([found, found], axis=-1))

    def outside(self) -> bool:
        """Return whether a member is certainly outside of its bounds, or bounds contradict themselves."""
        if any(contradicted(self.rows, self.bounds.table)):
            return True
        return _outside(self.bounds.numbers(self.rows), self.numbers())

    def above(self) -> bool:
        """Return whether a margin is above one of a member."""
        weight, bias = self.matrix(3, self.width, sums=bool(self.rng.random() < 0.6)), self.matrix(3, 1)
        expected = self.rng.integers(0, 3, _CELLS)
        margins = self.bounds.margins(self.bounds.last(self.rows), weight[0], bias[0], expected, points=1).lower
        self.both(lambda one, rows, of: one.linear(one.last(rows), of(weight), of(bias)))
        logits = self.numbers()[:, 0]
        cell = np.arange(len(logits)) % _CELLS
        own = logits[np.arange(len(logits)), expected[cell], 1]
        rest = logits[..., 0].copy()
        rest[np.arange(len(logits)), expected[cell]] = -np.inf
        return bool((own - rest.max(axis=1) < margins[cell] * (1 - 2.0**-50)).any())


def _floats(members: Array, fmt: str) -> Array:
    return np.asarray(np.vectorize(lambda value: held(Fraction(int(value), 24), fmt), otypes=[np.float64])(members))


def _outside(bounds: Array, members: Array) -> bool:
    low, high = (np.broadcast_to(bounds[..., end], (_CELLS, *bounds.shape[1:3])) for end in (0, 1))
    cell = np.arange(len(members)) % _CELLS
    return bool(((members[..., 1] < low[cell]) | (members[..., 0] > high[cell])).any())


def factors(*formats: str | None, rounds: int = 40) -> Callable[[], list[str]]:
    """Return a killer: computations in formats, and in real numbers for ``None``."""

    def run() -> list[str]:
        found = []
        with ball_precision(), np.errstate(all="ignore"):
            for fmt in formats:
                for seed in range(rounds):
                    both = _Both(np.random.default_rng(seed), fmt)
                    for _ in range(_STEPS):
                        name = both.step()
                        if both.bounds.undefined:
                            break
                        if both.outside():
                            found.append(f"{fmt}, seed {seed}: {name} is outside of its bounds")
                            break
                    else:
                        if both.above():
                            found.append(f"{fmt}, seed {seed}: a margin is below its bound")
                    if found:
                        return found
        return found

    return run


def models() -> list[str]:
    """Return what left its bounds in small residual models."""
    found = []
    with np.errstate(all="ignore"):
        for which in (1, 2):
            for architecture in ("opt", "gpt2", "llama"):
                wrong = factored_runs.outside(factored_runs.theorem(which, architecture, 3, 3), "float32", 2, 2, 4)[2]
                found += [f"theorem {which}, {architecture}: {line}" for line in wrong]
    return found


def killers() -> dict[str, Callable[[], list[str]]]:
    """Return the killers of rows with factors by name, drawn and aimed ones."""
    return {
        "factors, real": factors(None),
        "factors, floats": factors("bfloat16", "float32"),
        "factors, models": models,
        **aimed.killers(),
        **repeated.killers(),
    }
