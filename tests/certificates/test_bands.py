"""Margins by bands and by digits: those of all pairs, and nothing that a kernel contradicts."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from constructions import DigitGeneration, RationalSoftmax, UnconditionalGeneration
from constructions.exact_matrix import ExactMatrix
from constructions.formats import FORMATS
from tests.certificates.drawn_readouts import drawn
from tests.certificates.own import rounded
from tests.certificates.readout_oracles import above_all_pairs, contradicted, groups_above_pairs, undecided_by
from tests.certificates.readouts import Readout, bands, digits, permuted
from verify.certificates import certificate_arithmetic, certify
from verify.certificates.floats.few_entries import margins_of_few_entries
from verify.certificates.floats.sparse_weight import LARGEST_HELD, SparseWeight


@pytest.mark.parametrize(("vocab", "size"), [(2, 1), (3, 2), (64, 8), (65, 8), (97, 8), (101, 16), (128, 128)])
def test_the_margin_of_bands_is_that_of_all_pairs(vocab: int, size: int) -> None:
    readout = bands(vocab, size)
    assert readout.banded().min() == readout.pairs().min() > 0


def test_the_order_of_tokens_changes_no_margin() -> None:
    rng = np.random.default_rng(1)
    for readout in (bands(101, 8), digits(60, 4, 3)):
        other = permuted(readout, rng)
        assert other.banded().min() == readout.banded().min() == readout.pairs().min() > 0


def test_readouts_without_bands_have_the_margins_of_all_pairs() -> None:
    """Rows alike, slopes of both signs, in no order: nothing that pairs decide is left undecided.

    A bound may be larger than that of pairs of whole rows, which charges a rounding of the checker for every column and
    tries floats of columns that neither row reads; it is never larger than that of pairs at the columns they read.
    """
    rng = np.random.default_rng(2)
    certain = 0
    for _ in range(6):
        readout = drawn(rng)
        found, pairs = readout.banded(), readout.pairs()
        assert (found[pairs > 0] >= pairs[pairs > 0]).all()
        above = np.flatnonzero((found > 0) & (found > pairs))
        assert (found[above] <= readout.narrow_pairs()[above]).all()
        certain += int((pairs > 0).sum())
    assert certain > 10


def test_tokens_with_equal_logits_are_never_certain() -> None:
    for readout in (bands(64, 8), digits(64, 4, 3)):
        weight, bias = readout.weight.copy(), readout.bias.copy()
        weight[41], bias[41] = weight[23], bias[23]
        tied = replace(readout, weight=weight, bias=bias)
        assert not (tied.banded()[23] > 0)
        assert not (tied.additive()[23] > 0)


def test_a_bias_that_rounds_to_that_of_a_neighbour_is_a_tie() -> None:
    """Two numbers of float32 between which the exact biases lie are one number there."""
    readout = bands(64, 8)
    bias = readout.bias.copy()
    weight = readout.weight.copy()
    weight[10] = weight[9]
    bias[10] = np.float32(bias[9] * (1 + 2.0**-30))
    assert not (replace(readout, weight=weight, bias=bias).banded()[9] > 0)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf, 1e39])
def test_what_is_not_finite_is_not_certain(wrong: float) -> None:
    readout = bands(20, 4)
    low, high = readout.low.copy(), readout.high.copy()
    low[7, 3] = high[7, 3] = wrong
    inputs = low, high, np.full(low.shape[1], -1000)
    arguments = rounded("float32"), inputs, readout.sparse, readout.shift(), readout.expected
    with np.errstate(all="ignore"):
        found = margins_of_few_entries(*arguments, points=4)
    assert not (found[7] > 0)
    assert (np.delete(found, 7) > 0).all()


@pytest.mark.parametrize(("vocab", "base", "count"), [(27, 3, 3), (20, 3, 3), (64, 8, 2), (250, 16, 2), (17, 17, 1)])
def test_the_margin_of_digits_is_that_of_all_pairs(vocab: int, base: int, count: int) -> None:
    readout = digits(vocab, base, count)
    found = readout.additive()
    if count == 1:
        assert (found == -np.inf).all()
    else:
        assert found.min() == readout.pairs().min() == 1


def test_a_bias_that_is_no_sum_over_digits_is_left_to_bands() -> None:
    readout = digits(27, 3, 3)
    bias = readout.bias.copy()
    bias[14] += 0.5
    other = replace(readout, bias=bias)
    assert (other.additive() == -np.inf).all()
    assert other.banded().min() == other.pairs().min() == 0.5


def test_digits_beyond_what_a_format_holds_are_not_certain() -> None:
    readout = digits(300, 300, 1)
    two = replace(digits(600, 300, 2), expected=np.arange(600))
    assert not (readout.banded("bfloat16") > 0).all()
    assert not (two.additive("bfloat16") > 0).all()


def test_no_kernel_contradicts_bands() -> None:
    assert contradicted(Readout.banded, "float32", "bfloat16", rounds=1) == []


def test_no_kernel_contradicts_digits() -> None:
    assert contradicted(Readout.additive, "float32", "bfloat16", rounds=1) == []


@pytest.mark.parametrize("hasty", [False, True])
def test_no_margin_of_bands_is_above_that_of_a_pair(*, hasty: bool) -> None:
    assert above_all_pairs(partial(Readout.banded, points=0), "float32", rounds=1, hasty=hasty) == []


def test_no_margin_of_digits_is_above_that_of_a_pair() -> None:
    assert above_all_pairs(Readout.additive, "float32", "bfloat16", rounds=1) == []


def test_no_bound_of_a_group_is_above_that_of_a_pair() -> None:
    assert groups_above_pairs("float32", "bfloat16", rounds=1) == []


def test_nothing_that_pairs_decide_is_left_undecided() -> None:
    assert undecided_by(Readout.banded, "bfloat16", rounds=1) == []


def test_a_large_readout_is_held_by_its_entries() -> None:
    matrix = UnconditionalGeneration(6000, 1, readout="banded", encoding="integer", lift="mask").transformer.lowered
    weight = SparseWeight.of(matrix.readout.weight, FORMATS["float32"], np.dtype(np.float64))
    assert weight is not None
    assert weight.shape[0] * weight.shape[1] > LARGEST_HELD
    assert weight.most_in_a_row == 3
    assert (weight.values == matrix.readout.weight.to_numpy(FORMATS["float32"])).all()
    assert weight.exact
    first, last = weight.between(3, 200)
    assert (first == weight.values[:, 3:201].min(axis=1)).all()
    assert (last == weight.values[:, 3:201].max(axis=1)).all()
    small = ExactMatrix((2,), (2,), {})
    assert SparseWeight.of(small, FORMATS["float32"], np.dtype(np.float64)) is None


def test_a_vocabulary_beyond_the_old_limit_is_certified_with_the_margin_of_neighbours() -> None:
    construction = UnconditionalGeneration(6000, 1, readout="banded", encoding="integer", lift="mask")
    verdict = certify(construction, certificate_arithmetic("rounded", "float32"))
    assert verdict.holds
    assert verdict.margin == 1 / (2 * 64**2)


def test_a_token_that_is_off_ties_in_wide_bands_on_a_fused_kernel() -> None:
    """What two positions at the default temperature make of 49,150 after 0: no certificate could hold there."""
    wide = UnconditionalGeneration(50257, 2, readout="banded", encoding="integer", lift="mask", band_size=4096)
    temperature = wide.temperature_for(None)
    assert isinstance(temperature, RationalSoftmax)
    x = np.float32(49150 * (1 - 1 / (temperature.q + 1)))
    read = float(x - np.float32(49150 // 4096 * 4096))  # in its band, exactly
    places = np.array([4093, 4094])  # of 49,149 and 49,150
    bias = -(places**2) / (2 * 4096**2)
    logits = (bias + places / 4096**2 * read).astype(np.float32)  # float64 holds each product and sum: rounded once
    assert logits[0] == logits[1]


@pytest.mark.heavy
def test_digits_are_certified_where_every_number_is_exact_and_nowhere_beyond() -> None:
    for count, holds in ((5, True), (4, None)):
        construction = DigitGeneration(50257, 1, count, "split")
        verdict = certify(construction, certificate_arithmetic("rounded", "bfloat16"))
        assert verdict.holds is holds
