"""Oracles of attention on scores of which only bounds are known, in balls and in floats; what fails in floats."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import partial
from itertools import product
from typing import Any

import flint
import numpy as np

from constructions import Hardmax, InvalidArgument, RationalSoftmax, Softmax
from tests.certificates import test_never_contradicted
from tests.certificates.kernels import DrawnKernel
from tests.certificates.own import rounded
from tests.mutation.certifier_killers import box, outside
from tests.mutation.oracle import attention_weights, exact
from verify.certificates import BallArithmetic, certify
from verify.certificates.balls.arithmetic import BallRows, BallScores, outward
from verify.certificates.balls.columns import Column, ball_precision, known_column, relu_column


def _holds(low: flint.arb, high: flint.arb, value: Fraction) -> bool:
    held = flint.arb(flint.fmpq(value.numerator, value.denominator))
    return not (held < low.lower() or held > high.upper())


def attended_balls(*, hard: bool) -> Callable[[], list[str]]:
    """Return the oracle of attention in balls: exact weights at every whole score between bounds, some keys hidden."""

    def run() -> list[str]:
        rng = np.random.default_rng(19)
        arithmetic = BallArithmetic()
        for at in range(40):
            keys = 3
            low = rng.integers(-2, 3, keys)
            high = low + rng.integers(0, 3, keys) * (rng.random(keys) < 0.7)
            q = [Fraction(7), Fraction(1, 5), Fraction(3, 2)][at % 3]
            temperature: Any = Hardmax() if hard else RationalSoftmax(q)
            visible = np.ones((1, keys), dtype=bool)
            visible[0, -1] = at % 4 != 0
            with ball_precision():
                ends = [np.array([[[flint.arb(int(value)) for value in part]]], dtype=object) for part in (low, high)]
                known = bool((low == high).all())
                scores = BallScores(ends[0], ends[0] if known else ends[1])
                found = arithmetic.attention(scores, visible, temperature, key_size=1)
                for values in product(*(range(int(a), int(b) + 1) for a, b in zip(low, high, strict=True))):
                    seen = [value for value, shown in zip(values, visible[0], strict=True) if shown]
                    weights = attention_weights([exact(Fraction(value)) for value in seen], temperature)
                    wanted = [Fraction(int(w.p), int(w.q)) for w in weights] + [Fraction(0)] * (keys - len(seen))
                    for key in range(keys):
                        if not _holds(found.low[0, 0, key], found.high[0, 0, key], wanted[key]):
                            return [
                                f"{temperature}: weight {key} is {wanted[key]} at scores {values} of {low} to {high}"
                            ]
        return []

    return run


def columns() -> list[str]:
    """Return what columns of balls do not hold: sums, products, multiples, ReLU, and their float64 bounds."""
    rng = np.random.default_rng(20)
    with ball_precision():
        for _ in range(60):
            ends = [sorted(int(value) for value in rng.integers(-4, 5, 2)) for _ in range(2)]
            if rng.random() < 0.3:
                ends[0][1] = ends[0][0]
            parts = [_column(low, high) for low, high in ends]
            factor = int(rng.integers(-3, 4))
            found: dict[str, tuple[Column, Callable[[int, int], int]]] = {
                "sum": (parts[0].plus(parts[1]), lambda a, b: a + b),
                "product": (parts[0].times(parts[1]), lambda a, b: a * b),
                "multiple": (parts[0].scaled(flint.arb(factor)), partial(_multiple, factor)),
                "ReLU": (relu_column(parts[0]) or _column(0, 0), lambda a, b: max(a, 0)),
            }
            for name, (column, compute) in found.items():
                for a in range(ends[0][0], ends[0][1] + 1):
                    for b in range(ends[1][0], ends[1][1] + 1):
                        if not _holds(column.low[0, 0], column.high[0, 0], Fraction(compute(a, b))):
                            return [f"{name}: {a} and {b} of {ends}"]
        third = np.array([[flint.arb(1) / 3 * sign for sign in (1, -1)]], dtype=object)
        low, high = outward(third, third)
        for at, sign in enumerate((1, -1)):
            if not Fraction(float(low[0, at])) < Fraction(sign, 3) < Fraction(float(high[0, at])):
                return ["a third is not between its bounds"]
        wide = relu_column(known_column(np.array([[flint.arb(1, 3)]], dtype=object))) or _column(0, 0)
        for value in (0, 4):
            if not _holds(wide.low[0, 0], wide.high[0, 0], Fraction(value)):
                return [f"ReLU: {value} of a number from -2 to 4"]
        rows = _embedded()
        if rows:
            return rows
    return []


def _column(low: int, high: int) -> Column:
    least = np.array([[flint.arb(low)]], dtype=object)
    return known_column(least) if low == high else Column(least, np.array([[flint.arb(high)]], dtype=object))


def _multiple(factor: int, a: int, b: int) -> int:
    return a * factor


def _embedded() -> list[str]:
    """Look at embeddings of tokens between two."""
    from constructions.exact_matrix import ExactMatrix, Leaf

    arithmetic = BallArithmetic()
    table = [3, -1, 2, 5]
    leaves = {(0, token): Leaf("identity", Fraction(value)) for token, value in enumerate(table)}
    matrix = ExactMatrix((1,), (1,) * len(table), leaves)
    rows: BallRows = arithmetic.embed_between(arithmetic.weight(matrix), np.array([[0], [1]]), np.array([[2], [1]]))
    column = rows.columns[0]
    assert column is not None
    for token in range(3):
        if not _holds(column.low[0, 0], column.high[0, 0], Fraction(table[token])):
            return [f"the embedding of token {token} of 0 to 2"]
    tokens = [0, 2, 0]
    (known,) = arithmetic.embed(arithmetic.weight(matrix), np.array(tokens)[:, None]).columns
    assert known is not None
    for member, token in enumerate(tokens):
        low, high = (np.broadcast_to(end, (len(tokens), 1))[member, 0] for end in (known.low, known.high))
        if not _holds(low, high, Fraction(table[token])):
            return [f"the embedding of token {token} of member {member}"]
    return []


def attended_boxes(*, hard: bool) -> Callable[[], list[str]]:
    """Return the oracle of attention in floats on scores between bounds."""

    def run() -> list[str]:
        rng = np.random.default_rng(21)
        for at in range(60):
            fmt = ["bfloat16", "float16", "float32", "float64"][at % 4]
            arithmetic = rounded(fmt)
            keys = int(rng.integers(2, 5))
            low = rng.integers(-3, 4, (30, 1, keys)).astype(float)
            high = low + rng.integers(0, 3, low.shape) * (rng.random(low.shape) < 0.5)
            visible = np.ones((1, keys), dtype=bool)
            visible[0, -1] = at % 3 != 0
            temperature: Any = Hardmax() if hard else Softmax(float(rng.choice([0.5, 1.0, 3.0, 40.0])))
            bounds = arithmetic.attention(box(low, high, arithmetic), visible, temperature, key_size=1)
            for _ in range(12):
                scores = np.where(rng.random(low.shape) < 0.5, low, high)
                values = DrawnKernel(fmt, rng).attention(scores, visible, temperature, 1)
                wrong = outside(bounds.low, bounds.high, values)
                if wrong.any():
                    row = int(np.nonzero(wrong)[0][0])
                    return [f"{fmt}, {temperature}: {values[row]} at scores {scores[row]} of {low[row]} to {high[row]}"]
        return []

    return run


def wrong_in_floats() -> list[str]:
    """Return which constructions that fail in floats are certified."""
    found = []
    failing: Any = test_never_contradicted.test_a_construction_that_fails_in_floats
    marks = failing.pytestmark
    for parameters in marks[0].args[1]:
        construction, dtype = parameters.values
        try:
            verdict = certify(construction, rounded(dtype))
        except InvalidArgument:
            continue
        if verdict.holds is not None:
            found.append(f"certified in {dtype}: {parameters.id}")
    for test in (
        test_never_contradicted.test_a_partial_sum_may_overflow_in_some_order,
        test_never_contradicted.test_layers_scaled_by_a_length_that_grows,
        test_never_contradicted.test_a_virtual_token_below_the_smallest_number_is_not_exact,
    ):
        try:
            test()
        except AssertionError:
            found.append(test.__name__)
    return found
