"""Settings that hold with room to spare, and that bounds which are looser than need be would leave open."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from constructions import ConditionalGeneration, Construction, LongerInputs, RationalSoftmax
from constructions.formats import FORMATS
from constructions.temperature import Softmax
from tests.certificates.own import rounded
from verify.arithmetic.tensors import TorchArithmetic
from verify.certificates import certify
from verify.certificates.floats.boxes import Box
from verify.certificates.floats.directed import from_ordinal, grid_of, grids_between, ordinal
from verify.running.cases import Runner

_BLUNT = ConditionalGeneration(7, encoding="integer", temperature=RationalSoftmax(Fraction(2)))


@pytest.mark.share(2)
@pytest.mark.parametrize(
    ("construction", "dtype"),
    [
        # at positions that matter all numbers are small multiples of 1/16; others hold what is no such multiple
        pytest.param(LongerInputs(2, 3), "float16", id="longer inputs, float16"),
        pytest.param(LongerInputs(2, 3), "bfloat16", id="longer inputs, bfloat16"),
        # two keys of weights 2/3 and 1/3, whose sum is one addition
        pytest.param(_BLUNT, "bfloat16", id="attention at q = 2, bfloat16"),
        pytest.param(_BLUNT, "float16", id="attention at q = 2, float16"),
    ],
)
def test_a_margin_that_runs_have_is_certified(construction: Construction, dtype: str) -> None:
    verdict = certify(construction, rounded(dtype))
    assert verdict.holds is True
    rng, shape = np.random.default_rng(7), construction.targets.shape
    targets = rng.integers(construction.vocab_size, size=(200, *shape))
    users = rng.integers(construction.vocab_size, size=(200, construction.layout.user))
    for bias in ("linear", "separate", "fma"):
        seen = Runner(construction, TorchArithmetic(dtype, bias=bias)).run(targets, users)
        assert np.array_equal(seen.produced, seen.expected)
        assert verdict.margin is not None
        assert verdict.margin <= seen.margins.min()


@pytest.mark.parametrize("dtype", FORMATS)
def test_a_grid_between_two_floats_holds_every_float_between_them(dtype: str) -> None:
    fmt = FORMATS[dtype]
    rng = np.random.default_rng(3)
    top = int(ordinal(np.array([float(fmt.largest)]), fmt)[0])
    middle = np.concatenate([rng.integers(-top, top, 4_000), rng.integers(-40, 40, 400)])
    reach = rng.integers(0, 20, len(middle)) * rng.integers(0, 2, len(middle))
    first, last = (np.clip(middle + sign * reach, -top, top) for sign in (-1, 1))
    low, high = from_ordinal(first, fmt), from_ordinal(last, fmt)
    grids = grids_between(low, high, fmt)
    for step in range(0, 41, 4):
        inside = np.minimum(first + step, last)
        assert (grid_of(from_ordinal(inside, fmt)) >= grids).all()
    points = grids_between(low, low, fmt)
    assert np.array_equal(points, grid_of(low))
    wide = grids_between(np.array([-np.inf, 0.0]), np.array([np.inf, float(fmt.largest)]), fmt)
    assert wide.tolist() == [fmt.min_exponent - fmt.precision + 1] * 2


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_two_weights_of_attention_lie_within_a_unit_or_two(dtype: str) -> None:
    # exp is right within 3 units by assumption; the sum of two, and the quotient, add a rounding each
    arithmetic, unit = rounded(dtype), float(FORMATS[dtype].unit_roundoff)
    scores = np.array([[[1.0, 0.0]]])
    box = Box(scores, scores, np.zeros(2, dtype=np.int64))
    with np.errstate(all="ignore"):
        found = arithmetic.attention(box, np.ones((1, 2), dtype=np.bool_), Softmax(float(np.log(2))), key_size=1)
    exact = np.array([2 / 3, 1 / 3])
    assert (found.low[0, 0] <= exact).all()
    assert (exact <= found.high[0, 0]).all()
    # exp: 6 u of 1/2, a third of that in the sum and two thirds of it in its own weight; the other roundings u each,
    # twice where the reciprocal is rounded too
    assert (found.high[0, 0] - found.low[0, 0] <= 2 * (6 + 4) * unit * exact).all()
