"""Aimed killers of what is wrong with sums, norms and attention on rows with factors: one error decides.

Computed numbers are those of kernels that the certificate allows: sums one after another in bfloat16, products that
are rounded or fused. Bounds are taken before they are rounded outward to the format, which hides the last rounding.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from fractions import Fraction

import numpy as np

from tests.certificates.emulated import Array, add, fused, multiply, spacing, to_format
from tests.mutation import certifier_aimed_lengths as lengths
from tests.mutation import certifier_aimed_values as values
from tests.mutation.certifier_aimed import BELOW_HALF, COARSE, Aimed, chain, killer

# sums -----------------------------------------------------------------------------------------------------------------


def last_rounding() -> Iterator[str]:
    """Two terms without rounded products: the sum is the only operation, and the smaller term is lost."""
    aimed = Aimed()
    rows, lost = aimed.rows([[1, BELOW_HALF]]), float(chain([1.0, float(BELOW_HALF)]))
    yield from aimed.outside("linear", aimed.linear(rows, [[1, 1]]), [[lost]])
    yield from aimed.outside("bias", aimed.linear(aimed.rows([[1]]), [[1]], [BELOW_HALF]), [[lost]])
    yield from aimed.outside("total", aimed.over.total([aimed.rows([[1]]), aimed.rows([[BELOW_HALF]])]), [[lost]])
    # a single product is rounded, too: 3 (1 + 2^-7) = 3 + 3/128 is next to 3 + 2/128, 3 + 4/128
    tripled = multiply(np.asarray(3.0), np.asarray(1 + 2.0**-7), COARSE)
    yield from aimed.outside("product", aimed.linear(aimed.rows([[1 + Fraction(1, 2**7)]]), [[3]]), [[tripled]])


def before_last() -> Iterator[str]:
    """Partial sums and products are rounded before the last operation, which cancels them or is exact."""
    aimed, sums = Aimed(), float(chain([256.0, 1.0, 1.0]))  # 256 + 1 is a tie, to even
    rows = aimed.rows([[256, 1, 1, -256]])
    yield from aimed.outside("linear", aimed.linear(rows, [[1, 1, 1, 1]]), [[sums - 256]])
    single = [aimed.rows([[value]]) for value in (256, 1, 1, -256)]
    yield from aimed.outside("total", aimed.over.total(single), [[sums - 256]])
    odd = 1 + 2.0**-7
    tripled = float(multiply(np.asarray(3.0), np.asarray(odd), COARSE))
    yield from aimed.outside("product", aimed.linear(aimed.rows([[odd, tripled]]), [[3, -1]]), [[0]])


def tiny_sums() -> Iterator[str]:
    """Products below the normal range: three quarters of the smallest number are that number."""
    aimed, least = Aimed(), Fraction(1, 2**133)
    yield from aimed.outside("tiny", aimed.linear(aimed.rows([[least]]), [[Fraction(3, 4)]]), [[float(least)]])
    rows = aimed.rows([[Fraction(1, 2**68)]])
    yield from aimed.outside("tiny product", aimed.over.multiply(rows, rows), [[0.0]])


def affine() -> Iterator[str]:
    """A product and a sum, each rounded."""
    aimed, odd = Aimed(), 1 + 2.0**-7
    tripled = float(multiply(np.asarray(3.0), np.asarray(odd), COARSE))
    rows, weight = aimed.rows([[odd]]), aimed.weight([[3]])
    yield from aimed.outside("affine", aimed.over.affine(rows, weight, None), [[tripled]])
    moved = aimed.over.affine(rows, weight, aimed.weight([[-tripled]]))
    yield from aimed.outside("affine, bias", moved, [[0.0]])
    one, small = aimed.rows([[1]]), aimed.weight([[BELOW_HALF]])
    yield from aimed.outside("affine, sum", aimed.over.affine(one, None, small), [[1.0]])


# norms ----------------------------------------------------------------------------------------------------------------

_EPS = Fraction(1, 8)


def _layer_norm(x: Array, eps: Fraction) -> Array:
    """Return the layer norm of rows as a kernel of bfloat16 does it, one after another."""
    width = np.asarray(1 / x.shape[1])
    middle = multiply(chain(list(x.T)), width, COARSE)
    away = add(x, -middle[:, None], COARSE)
    squares = multiply(chain([multiply(one, one, COARSE) for one in away.T]), width, COARSE)
    factor = to_format(1 / np.sqrt(add(squares, np.asarray(float(eps)), COARSE)), COARSE)
    return multiply(away, factor[:, None], COARSE)


def computed_mean() -> Iterator[str]:
    """Equal numbers, all of the mean and no deviation: a long sum of them in bfloat16 is far off.

    The identity after the norm puts the number and the mean together, which share the factor. Where two numbers differ
    by little, the mean's error is most of the squares, and the factor is smaller than it should be.
    """
    width, value = 64, 1 + 2.0**-2 - 2.0**-6
    x = np.full((1, width), value)
    aimed = Aimed()
    normed = aimed.over.normalise(aimed.rows(x.tolist()), centred=True, mean=True, eps=_EPS)
    first = _layer_norm(x, _EPS)[:, :1]
    yield from aimed.outside("mean", aimed.linear(normed, [[1] + [0] * (width - 1)]), first)
    x[0, 0], x[0, 1], eps = value + 2.0**-2, value - 2.0**-2, Fraction(1, 2**10)
    y = _layer_norm(x, eps)
    found = add(y[:, :1], -y[:, 1:2], COARSE)
    normed = aimed.over.normalise(aimed.rows(x.tolist()), centred=True, mean=True, eps=eps)
    yield from aimed.outside("squares", aimed.linear(normed, [[1, -1] + [0] * (width - 2)]), found)


def rounded_coordinates() -> Iterator[str]:
    """Coordinates of one factor and different roundings, in a sum that cancels them.

    ``3 round(x F) - round(3 x F)``, fused, is what their roundings leave of 0. Next to a mean of 1, ``t`` is lost, and
    ``(0 - 1) F`` is no different from ``(t - 1) F``.
    """
    values = np.arange(128, 256) / 128.0
    half = multiply(chain([values * values, multiply(3 * values, 3 * values, COARSE)]), np.asarray(0.5), COARSE)
    held = to_format(3 * values, COARSE) == 3 * values
    factor = to_format(1 / np.sqrt(add(half, np.asarray(float(_EPS)), COARSE)), COARSE)
    first, second = multiply(values, factor, COARSE), multiply(3 * values, factor, COARSE)
    found = fused(np.full(128, 3.0), first, -second, COARSE)[held, None]
    aimed = Aimed()
    rows = aimed.rows([[value, 3 * value] for value in values[held].tolist()])
    normed = aimed.over.normalise(rows, centred=False, mean=True, eps=_EPS)
    yield from aimed.outside("coordinates", aimed.linear(normed, [[3, -1]]), found)
    small = Fraction(1, 2**11)
    # the mean of (t, 0, 4 - t...) is computed as 1, whatever is lost
    near = aimed.over.normalise(aimed.rows([[small, 0, 1, 3]]), centred=True, mean=True, eps=_EPS)
    lost = add(np.asarray(float(small)), np.asarray(-1.0), COARSE) + 1
    yield from aimed.outside("beside the mean", aimed.linear(near, [[1, -1, 0, 0]]), [[lost]])


def two_roundings() -> Iterator[str]:
    """The difference of a coordinate and the mean is rounded, and so is its product with the factor."""
    rng, aimed, count = np.random.default_rng(5), Aimed(), 4000
    x = to_format(np.stack([-rng.random(count), -rng.random(count), *(4 * rng.random((2, count)))], axis=1), COARSE)
    x[:, 1] = x[:, 0] + spacing(x[:, 0], COARSE)
    found = _layer_norm(x, _EPS)
    normed = aimed.over.normalise(aimed.rows(x.tolist()), centred=True, mean=True, eps=_EPS)
    difference = add(found[:, 0], -found[:, 1], COARSE)[:, None]
    yield from aimed.outside("two roundings", aimed.linear(normed, [[1, -1, 0, 0]]), difference)


def share() -> Iterator[str]:
    """``(a, 0)`` less its mean is ``(a, -a)/2``, and ``F a = 2`` is longer than the normed row, by a share of 1/2."""
    aimed, eps = Aimed(None), Fraction(1, 2**40)
    normed = aimed.over.normalise(aimed.rows([[64, 0]]), centred=True, mean=True, eps=eps)
    again = aimed.over.normalise(aimed.linear(normed, [[1, -1], [0, 0]]), centred=False, mean=True, eps=eps)
    yield from aimed.outside("share", again, [[2 / math.sqrt(2 + float(eps)), 0]])


def pieces() -> Iterator[str]:
    """``x F`` of ``(x, 1)`` rises with ``|x|``: the largest is that of the last piece, in any cell, on either side."""
    for sign in (1, -1):
        aimed, eps = Aimed(None), Fraction(1, 2**20)
        ends = [[[0, 1], [0, 1]], [[1, 1], [2, 1]]]
        low, high = [[[sign * x, one] for x, one in end] for end in ends][::sign]
        normed = aimed.over.normalise(aimed.rows(low, high), centred=False, mean=True, eps=eps)
        under = np.sqrt((np.array([1.0, 4.0]) + 1) / 2 + float(eps))
        found = np.stack([sign * np.array([1.0, 2.0]) / under, 1 / under], axis=1)
        yield from aimed.outside("pieces", normed, found)


def overflowing_norm() -> Iterator[str]:
    """The square of 300 is infinite in float16, and the row over it is 0."""
    aimed = Aimed("float16")
    normed = aimed.over.normalise(aimed.rows([[300, 300]]), centred=False, mean=True, eps=_EPS)
    yield from aimed.outside("overflow", normed, [[0.0, 0.0]])


# attention ------------------------------------------------------------------------------------------------------------


def mixed() -> Iterator[str]:
    """Weighted rows that cancel one another: their errors are relative to each of them, not to what is left."""
    aimed = Aimed()
    rows = [aimed.rows([[value]]) for value in (1024, 4, 4, -1024)]
    sums = float(chain([256.0, 1.0, 1.0, -256.0]))
    yield from aimed.outside("mix", aimed.mix([0.25] * 4, [0.25] * 4, rows), [[sums]])
    odd, weight = 1 + 2.0**-7, 0.75
    product = float(multiply(np.asarray(odd), np.asarray(weight), COARSE))
    single = [aimed.rows([[value]]) for value in (odd, -product / weight)]
    pair = [aimed.rows([[odd]]), aimed.rows([[-product]])]
    yield from aimed.outside("product of a weight", aimed.mix([weight, 1.0], [weight, 1.0], pair), [[0.0]])
    yield from aimed.outside("one weight", aimed.mix([weight], [weight], single[:1]), [[product]])
    # F a and -F a: the weights of two positions are factors by themselves
    off = aimed.mix([0.5, 0.5], [0.75, 0.75], [aimed.rows([[1]]), aimed.rows([[-1]])])
    yield from aimed.outside("weights", off, [[-0.25]])
    yield from aimed.outside("weights", off, [[0.25]])
    for low, high in ((0.0, 0.5), (0.5, 0.5 + 2.0**-14)):
        real = Aimed("float32")
        single = real.mix([low], [high], [real.rows([[1, 3]])])
        for end in (low, high):
            yield from real.outside("a weight between", single, [[end, 3 * end]])


def overflowing_mix() -> Iterator[str]:
    """Equal numbers next to the largest of float16, with weights that are rounded up: their sum is infinite."""
    fmt, value = "float16", 65472.0
    for count in range(3, 30):
        weight = float(to_format(np.asarray(1 / count), fmt))
        total = chain([multiply(np.asarray(value), np.asarray(weight), fmt)] * count, fmt)
        if np.isinf(total):
            aimed = Aimed(fmt)
            rows = aimed.mix([weight] * count, [weight] * count, [aimed.rows([[value]])] * count)
            yield from aimed.above(f"overflow of {count}", rows, [[Fraction(1, 64)], [0]], [0, 1], -np.inf)
            return
    yield "overflow: no number of terms is infinite"


def killers() -> dict[str, Callable[[], list[str]]]:
    """Return all aimed killers of rows with factors by name."""
    return {
        "factors, aimed sums": killer(last_rounding, before_last, tiny_sums, affine),
        "factors, aimed norms": killer(
            computed_mean, rounded_coordinates, two_roundings, share, pieces, overflowing_norm
        ),
        "factors, aimed mixing": killer(mixed, overflowing_mix),
        **values.killers(),
        **lengths.killers(),
    }
