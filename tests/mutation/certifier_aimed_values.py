"""Aimed killers of what is wrong with activations, products and margins of rows with factors.

Activations are off by their whole allowance, products and logits are rounded as in bfloat16.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import numpy as np

from constructions.activations import GELU, SILU, TANH_GELU
from tests.certificates.emulated import multiply, spacing
from tests.mutation.certifier_aimed import BELOW_HALF, COARSE, Aimed, chain, killer

# activations ----------------------------------------------------------------------------------------------------------

_ABOUT = (-8, -3, -1.5, -0.75, -0.7, -0.5, -0.25, 0, 0.25, 0.5, 0.7, 0.75, 1.5, 3, 8)


def _silu(x: float) -> float:
    return x / (1 + math.exp(-x))


def _gelu(x: float) -> float:
    return x * math.erfc(-x / math.sqrt(2)) / 2


def _tanh_gelu(x: float) -> float:
    return x / (1 + math.exp(-2 * math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


_SMOOTH = ((SILU, _silu), (GELU, _gelu), (TANH_GELU, _tanh_gelu))


def near_relu() -> Iterator[str]:
    """Numbers where an activation is farthest from ReLU (about 3/4 of gelu), on either side of that and of 0."""
    for activation, true in _SMOOTH:
        for x in _ABOUT:
            aimed = Aimed(None)
            made = aimed.over.pointwise(aimed.rows([[x]]), activation)
            yield from aimed.outside(f"{activation.name} of {x}", made, [[true(x)]])
        aimed = Aimed(None)
        made = aimed.over.pointwise(aimed.rows([[-2], [-0.5]], [[2], [3]]), activation)
        for point in ([[-2.0], [-0.5]], [[2.0], [3.0]], [[-1.0], [0.0]]):
            yield from aimed.outside(f"{activation.name} between", made, np.vectorize(true)(point))


def shared_ratio() -> Iterator[str]:
    """Coordinates that are all but the same number, and ones that are the same and unknown."""
    for activation, true in _SMOOTH:
        aimed = Aimed(None)
        made = aimed.over.pointwise(aimed.rows([[1, 1 + 2.0**-10]]), activation)
        yield from aimed.outside(f"{activation.name}, apart", made, [[true(1.0), true(1 + 2.0**-10)]])
        same = aimed.over.pointwise(aimed.linear(aimed.rows([[0.5]], [[1]]), [[1], [1]]), activation)
        for x in (0.5, 1.0):
            yield from aimed.outside(f"{activation.name}, equal", same, [[true(x)] * 2])


def off_activations() -> Iterator[str]:
    """Activations that are off by their whole allowance, relative to a value and beside that."""
    for activation, true in _SMOOTH:
        for fmt in (COARSE, "float32"):
            aimed = Aimed(fmt)
            allowed = activation.error(aimed.over.base.fmt)
            made = aimed.over.pointwise(aimed.rows([[6, -80]]), activation)
            unit = float(spacing(np.asarray(true(6.0)), fmt))
            for side in (-1, 1):
                found = [[true(6.0) + side * float(allowed.ulps) * unit, side * float(allowed.absolute)]]
                yield from aimed.outside(f"{activation.name} on a kernel", made, found)
        # a kernel may double its argument first, see ``Activations.near_relu``
        aimed = Aimed("float16")
        made = aimed.over.pointwise(aimed.rows([[40000]]), activation)
        yield from aimed.above("doubled", made, [[Fraction(1, 64)], [0]], [0, 1], -np.inf)


def relus() -> Iterator[str]:
    """Numbers on either side of 0, and cells on different sides."""
    aimed = Aimed(None)
    made = aimed.over.relu(aimed.rows([[-1, 1], [1, -2], [-2, -1]], [[2, 3], [2, -1], [4, 1]]))
    for found in ([[0, 1], [1, 0], [0, 0]], [[2, 3], [2, 0], [4, 1]], [[1, 2], [1.5, 0], [2, 0]]):
        yield from aimed.outside("relu", made, found)


# products and margins -------------------------------------------------------------------------------------------------


def products() -> Iterator[str]:
    """Products at the ends of unknown numbers: shared ones, many, ones beside errors, and ones of some cells alone."""
    for left, right in itertools.product(((1, 2), (-2, 3), (-3, -1)), repeat=2):
        aimed = Aimed(None)
        both = aimed.rows([[left[0], right[0]]], [[left[1], right[1]]])
        one, other = aimed.linear(both, [[1, 0]]), aimed.linear(both, [[0, 1]])
        many = [aimed.linear(aimed.rows([[end[0]] * 6], [[end[1]] * 6]), [[1] * 6]) for end in (left, right)]
        errors = [aimed.over.relu(one), aimed.over.relu(other)]
        shifted = aimed.linear(both, [[1, 0]], [5]), aimed.linear(both, [[0, 1]], [7])
        made: list[tuple[Any, Callable[[float, float], float]]] = [
            (aimed.over.multiply(one, other), lambda x, y: x * y),
            (aimed.over.multiply(*many), lambda x, y: 36 * x * y),
            (aimed.over.multiply(*errors), lambda x, y: max(x, 0) * max(y, 0)),
            (aimed.over.multiply(errors[0], other), lambda x, y: max(x, 0) * y),
            (aimed.over.multiply(one, errors[1]), lambda x, y: x * max(y, 0)),
            (aimed.over.multiply(*shifted), lambda x, y: (x + 5) * (y + 7)),
        ]
        for rows, true in made:
            for x, y in itertools.product(left, right):
                yield from aimed.outside("product", rows, [[true(x, y)]])
        square = aimed.over.multiply(one, one)
        for x in left:
            yield from aimed.outside("square", square, [[x * x]])
    aimed = Aimed(None)
    some = aimed.over.relu(aimed.rows([[1], [-2]], [[2], [-1]]))
    for made in (
        aimed.over.multiply(some, aimed.rows([[3]], [[4]])),
        aimed.over.multiply(aimed.rows([[3]], [[4]]), some),
    ):
        yield from aimed.outside("cells", made, [[3], [0]])
        yield from aimed.outside("cells", made, [[8], [0]])
    coarse, odd = Aimed(), 1 + 2.0**-7
    squared = multiply(np.asarray(odd), np.asarray(odd), COARSE)
    yield from coarse.outside("rounded", coarse.over.multiply(coarse.rows([[odd]]), coarse.rows([[odd]])), [[squared]])
    large = Aimed("float16")
    made = large.over.multiply(large.rows([[300]]), large.rows([[300]]))
    yield from large.above("overflow", made, [[Fraction(1, 2**10)], [0]], [0, 1], -np.inf)


def margins() -> Iterator[str]:
    """Either logit off by what it loses in its partial sums, or by its last rounding; a factor at either end."""
    aimed = Aimed()
    terms = [256, *[1] * 6, -256]  # six are lost, which is more than a rounding of all magnitudes
    rows, lost, width = aimed.rows([terms]), float(chain(terms)), len(terms)
    yield from aimed.above("promised", rows, [[1] * width, [0] * width], [0, 1], lost - 1)
    yield from aimed.above("another", rows, [[0] * width, [-1] * width], [-1, 0], -1 + lost)
    yield from aimed.above("last", aimed.rows([[1, BELOW_HALF]]), [[1, 1], [0, 0]], [0, 1], 0.0)
    yield from aimed.above("last, bias", aimed.rows([[1, BELOW_HALF]]), [[1, 0], [1, 0]], [BELOW_HALF, 0], 0.0)
    for sign in (1, -1):
        real, eps = Aimed(None), Fraction(1, 8)
        yield from real.above("unknown", real.rows([[-1]], [[1]]), [[sign], [-sign]], [0, 0], -2.0)
        errors = real.over.relu(real.rows([[-1]], [[1]]))
        yield from real.above("errors", errors, [[sign], [0]], [0, 0], min(sign, 0))
        normed = real.over.normalise(real.rows([[0, 1]], [[3, 1]]), centred=False, mean=True, eps=eps)
        least = 1 / math.sqrt(5 + 1 / 8) if sign > 0 else -1 / math.sqrt(1 / 2 + 1 / 8)
        yield from real.above("factor", normed, [[0, sign], [0, 0]], [0, 0], least)


def killers() -> dict[str, Callable[[], list[str]]]:
    """Return the killers by name."""
    return {
        "factors, aimed activations": killer(near_relu, shared_ratio, off_activations, relus),
        "factors, aimed products": killer(products),
        "factors, aimed margins": killer(margins),
    }
