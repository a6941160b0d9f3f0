"""Killers of what is wrong with rows that passes have in common: a pass gets a row, or a number, of another one."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np

from constructions.activations import GELU, SILU
from tests.certificates.emulated import add, multiply, to_format
from tests.mutation.certifier_aimed import COARSE, Aimed, Numbers, chain, killer

_EPS = Fraction(1, 8)


def _token(aimed: Aimed, low: Numbers, high: Numbers) -> Any:
    """Return the row of a token fed back, which may be either of two."""
    ends = aimed.weight([list(pair) for pair in zip(low, high, strict=True)])
    return aimed.over.embed_between(ends, np.array([[0]]), np.array([[1]]))


def _difference(aimed: Aimed, one: Any, other: Any) -> Any:
    """Return the first coordinate of a row without that of another one."""
    rest = [0] * (one.rows[0].width - 1)
    return aimed.linear(aimed.over.beside(one, other), [[1, *rest, -1, *rest]])


def other_tokens() -> Iterator[str]:
    """Tokens of the next pass may be others at either end, and at another place."""
    for first, (low, high), found in (((-8, 2), (-8, 5), 5), ((-2, 8), (-5, 8), -5), ((1, 2), (7, 8), 7)):
        aimed = Aimed()
        for ends, computed in ((first, first[0]), ((low, high), found)):
            aimed.over.begin()
            yield from aimed.outside("token", _token(aimed, *([end] for end in ends)), [[computed]])
    aimed = Aimed()
    for at in (0, 1):
        aimed.over.begin()
        yield from aimed.outside("position", aimed.over.positions(2, at, at + 1), np.eye(2)[at : at + 1])


def equal_tokens() -> Iterator[str]:
    """Two tokens that may be the same ones need not be: not in the first pass, nor in a later one."""
    aimed = Aimed(None)
    for count in (2, 2, 1, 3):
        aimed.over.begin()
        tokens = [_token(aimed, [0], [1]) for _ in range(count)]
        tokens.append(_token(aimed, [0], [Fraction(count, 2)]))
        for one, other in pairwise(tokens):
            yield from aimed.outside("equal tokens", _difference(aimed, one, other), [[-0.5]])


def other_operations() -> Iterator[str]:
    """An operation of the next pass may have another name, other rows or other weights."""
    aimed, once, thrice = Aimed(), [[1]], [[3]]
    weights, biases = [aimed.weight(values) for values in (once, thrice)], [aimed.weight([[at]]) for at in (1, 2)]
    over = aimed.over
    operations: dict[str, tuple[Callable[[Any, Any], Any], float]] = {
        "sum": (lambda low, _: over.total([low]), -2),
        "sum of two": (lambda low, high: over.total([low, high]), 4),
        "relu": (lambda low, _: over.relu(low), 0),
        "relu of another": (lambda _, high: over.relu(high), 6),
        "one": (lambda _, high: over.linear(high, weights[0]), 6),
        "three": (lambda _, high: over.linear(high, weights[1]), 18),
        "biased": (lambda _, high: over.linear(high, weights[0], biases[0]), 7),
        "otherwise biased": (lambda _, high: over.linear(high, weights[0], biases[1]), 8),
        "scaled": (lambda _, high: over.affine(high, weights[1], biases[0]), 19),
        "product": (over.multiply, -12),
    }
    for order in (list(operations), list(operations)[::-1]):
        over.begin()
        low, high = _token(aimed, [-2], [-1]), _token(aimed, [5], [6])
        for name in order:
            compute, found = operations[name]
            yield from aimed.outside(name, compute(low, high), [[found]])


def other_activations() -> Iterator[str]:
    """An activation of the next pass may be another one."""
    aimed = Aimed("float32")
    for name, activation, found in (
        ("gelu", GELU, (1 + math.erf(0.5**0.5)) / 2),
        ("silu", SILU, 1 / (1 + np.exp(-1.0))),
    ):
        aimed.over.begin()
        yield from aimed.outside(name, aimed.over.pointwise(_token(aimed, [1], [1]), activation), [[found]])


def other_norms() -> Iterator[str]:
    """A norm of the next pass may have another epsilon, and may leave the mean, or the division, out."""
    aimed = Aimed()
    kinds = [(centred, mean, eps) for centred in (False, True) for mean in (False, True) for eps in (_EPS, 64 * _EPS)]
    values = np.array([1.0, 1.0, 1.0, 3.0])
    for order in (kinds, kinds[::-1]):
        aimed.over.begin()
        row = _token(aimed, values.tolist(), values.tolist())
        for centred, mean, eps in order:
            away = values - values.mean() * centred
            square = (away * away).sum() / (len(values) if mean else 1)
            normed = aimed.over.normalise(row, centred=centred, mean=mean, eps=eps)
            yield from aimed.outside(f"norm {centred, mean, eps}", normed, (away / np.sqrt(square + float(eps)))[None])


def two_kernels() -> Iterator[str]:
    """A norm runs twice in a pass, and adds up its squares in two orders: one after another, and in pairs."""
    width, value = 256, 1 + 2.0**-2
    numbers = np.full(width, value)
    squares = multiply(numbers, numbers, COARSE)
    computed = []
    for total in (chain(list(squares)), np.asarray(width * squares[0])):  # of equal numbers pairs are exact
        mean = multiply(total, np.asarray(1 / width), COARSE)
        factor = to_format(1 / np.sqrt(add(mean, np.asarray(float(_EPS)), COARSE)), COARSE)
        computed.append(multiply(np.asarray(value), factor, COARSE))
    found = float(add(computed[0], -computed[1], COARSE))
    aimed = Aimed()
    for _ in range(3):
        aimed.over.begin()
        row = _token(aimed, numbers.tolist(), numbers.tolist())
        one, other = (aimed.over.normalise(row, centred=False, mean=True, eps=_EPS) for _ in range(2))
        yield from aimed.outside("two kernels", _difference(aimed, one, other), [[found]])


def overflowing() -> Iterator[str]:
    """A number that may be infinite is so in every pass: before a small one, and without any computation of it."""
    aimed = Aimed()
    grow, shrink = aimed.weight([[2.0**100], [2.0**-100]]), aimed.weight([[0, 1], [0, 0]])
    for _ in range(3):
        aimed.over.begin()
        large = aimed.over.linear(_token(aimed, [2.0**100], [2.0**101]), grow)
        small = aimed.over.linear(large, shrink)
        yield from aimed.above("overflowing", small, [[1, 0], [0, 0]], [1, 0], -np.inf)


def killers() -> dict[str, Callable[[], list[str]]]:
    """Return the killers by name."""
    return {
        "factors, other passes": killer(other_tokens, other_operations, other_activations, other_norms),
        "factors, one pass": killer(equal_tokens, two_kernels),
        "factors, noted": killer(overflowing),
    }
