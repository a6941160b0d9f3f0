"""Attention by powers of 2 in blocks: what emulated kernels compute lies in the boxes, and just beyond it does not."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

from constructions import InvalidArgument, UnconditionalGeneration
from constructions.formats import get_format
from constructions.temperature import Softmax
from tests.certificates.emulated import Array, to_format
from tests.certificates.flash import FORMS, Flash
from verify.certificates import certificate_arithmetic, certify
from verify.certificates.floats import arithmetic as rounded
from verify.certificates.floats.boxes import Box
from verify.certificates.floats.exponentials import EXPONENTIALS, ex2, exp_summaries
from verify.certificates.floats.kernel import Kernel

DTYPES = ["float32", "bfloat16", "float16"]


def _bounds(dtype: str, scores: Array, values: Array, gap: float, *, exact: bool = False) -> tuple[Array, Array]:
    """Return bounds of the output of one query over all keys, whose scores are scaled by the gap."""
    fmt = get_format(dtype)
    arithmetic = rounded.RoundedArithmetic(Kernel(fmt, exp="ex2"))
    visible = np.ones((1, len(scores)), dtype=bool)
    with np.errstate(all="ignore"):
        weights = arithmetic.attention(
            Box.point(scores[None, None], fmt, exact=exact), visible, Softmax(gap), key_size=1
        )
        found = arithmetic.mix(weights, Box.point(values[None], fmt))
    return found.low[0, 0], found.high[0, 0]


def _drawn(rng: np.random.Generator, dtype: str) -> tuple[Array, Array, float]:
    count = int(rng.integers(1, 9))
    gap = float(2.0 ** rng.uniform(-4, 7))
    spread = 2.0 ** rng.uniform(-3, 3)
    scores = to_format(rng.uniform(-spread, spread, count) + rng.choice([0.0, 40.0]), dtype)
    kind = rng.integers(4)
    values = rng.integers(-30, 30, (count, 4)).astype(float)
    if kind == 1:
        values = np.eye(count)
    elif kind == 2:
        values = rng.uniform(-1, 1, (count, 3)) * 2.0 ** rng.uniform(-100 if dtype != "float16" else -10, 5, (count, 1))
    return scores, to_format(values, dtype), gap


def _outside(dtype: str, form: str, cases: int, *, most: float = 2.0, seed: int = 11, **options: Any) -> int:
    """Return in how many cases an emulated kernel leaves the box."""
    rng, found = np.random.default_rng(seed), 0
    for _ in range(cases):
        scores, values, gap = _drawn(rng, dtype)
        held = scores
        if dtype != "float32":  # the score that the matrix unit held, which rounds to this one
            width = (
                0.49
                * np.spacing(np.abs(scores).astype(np.float32)).astype(float)
                * 2.0 ** (24 - get_format(dtype).precision)
            )
            held = to_format(scores + rng.uniform(-1, 1, len(scores)) * width, "float32")
        low, high = _bounds(dtype, scores, values, gap)
        for _ in range(2):
            flash = Flash(rng, dtype, form, flush=bool(rng.integers(2)), most=most, **options)
            out = flash.row(held, values, gap)
            found += bool((out < low).any() or (out > high).any() or np.isnan(out).any())
    return found


@pytest.mark.share(4)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_emulated_kernels_stay_in_the_boxes(dtype: str, form: str) -> None:
    assert _outside(dtype, form, 20) == 0


@pytest.mark.parametrize(
    "count", [pytest.param(200, marks=pytest.mark.heavy), pytest.param(3000, marks=pytest.mark.long)]
)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_many_emulated_kernels_stay_in_the_boxes(dtype: str, form: str, count: int) -> None:
    assert _outside(dtype, form, count, seed=12) == 0


def test_an_ex2_that_is_much_worse_leaves_the_boxes() -> None:
    assert _outside("float32", "fused", 60, most=2000.0) > 0


@pytest.mark.parametrize("assumed", [2, 1000])
def test_an_ex2_at_its_bound_stays_and_one_beyond_leaves(monkeypatch: pytest.MonkeyPatch, assumed: int) -> None:
    """With a large allowance the roundings, which take their part of a small one, hide nothing."""
    monkeypatch.setattr(ex2, "EX2_ULPS", assumed)
    assert _outside("float32", "fused", 30, most=assumed) == 0
    assert assumed == 2 or _outside("float32", "fused", 30, most=6.0 * assumed) > 0


def _leaving(scores: Array, values: Array, form: str = "fused", gap: float = 1.0) -> int:
    """Return how many of the kernels that have a right ``ex2`` leave the box of a row."""
    low, high = _bounds("float32", scores, values, gap)
    rows = [Flash(np.random.default_rng(seed), form=form, most=0.5).row(scores, values, gap) for seed in range(100)]
    return sum(bool((row < low).any() or (row > high).any()) for row in rows)


#: For each allowance, its source line, one that takes it away, and a row whose kernels need it.
WITHOUT = {
    "roundings": ("share = count * unit", "share = 0 * count", np.zeros(7)),
    "products": ("4 * _U * largest", "0 * largest", 4096 + np.array([1 / 3, 0, -2 / 3])),
}


@pytest.mark.parametrize("name", WITHOUT)
def test_each_allowance_is_needed(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    line, without, row = WITHOUT[name]
    scores, values = to_format(row, "float32"), np.diag(np.arange(3.0, 3.0 + len(row)))
    assert _leaving(scores, values) == 0
    source = inspect.getsource(ex2)
    assert source.count(line) == 1
    mutant: dict[str, Any] = {"__name__": ex2.__name__}
    exec(compile(source.replace(line, without), "mutant", "exec"), mutant)
    for method in ("attention", "_shares"):
        monkeypatch.setattr(ex2.Ex2, method, vars(mutant["Ex2"])[method])
    assert _leaving(scores, values) > 0


def test_scores_far_from_zero_cost_what_the_fused_product_loses() -> None:
    """``m c`` is rounded by itself: keys of different blocks are off by ``u R`` against each other."""
    gap = 1.0
    widths = []
    for shift in (0.0, 4096.0):
        low, high = _bounds("float32", np.array([shift, shift - 1.0]), np.eye(2), gap)
        widths.append(float(high[1] - low[1]))
    assert widths[1] > 20 * widths[0]
    scores, values = np.array([4096.0, 4095.0]) + 1 / 3, np.eye(2)
    scores = to_format(scores, "float32")
    low, high = _bounds("float32", scores, values, gap)
    plain_low, plain_high = _bounds("float32", scores - scores[0], values, gap)
    out = [Flash(np.random.default_rng(seed), most=0.0).row(scores, values, gap) for seed in range(200)]
    assert all((row >= low).all() and (row <= high).all() for row in out)
    assert any((row < plain_low).any() or (row > plain_high).any() for row in out)


@pytest.mark.parametrize("gap", [2.0**-101, 2.0**101, 2.0**20])
def test_nothing_is_shown_beyond_the_scales_of_the_proof(gap: float) -> None:
    low, high = _bounds("float32", np.array([1.0, 0.5]), np.eye(2), gap)
    assert np.isinf(low).all()
    assert np.isinf(high).all()
    inside, _ = _bounds("float32", np.array([1.0, 0.5]), np.eye(2), 2.0**19)
    assert np.isfinite(inside).all()


@pytest.mark.parametrize(("keys", "shown"), [(2**18, True), (2**19, False)])
def test_nothing_is_shown_of_more_keys_than_the_proof_allows(keys: int, shown: bool) -> None:  # noqa: FBT001 # a parameter of the test
    """Partial products stay below 3 where ``(1 + 4u)^n`` is below ``3/e``: up to 413,000 keys."""
    fmt = get_format("float32")
    arithmetic = rounded.RoundedArithmetic(Kernel(fmt, exp="ex2"))
    found = arithmetic.attention(
        Box.point(np.zeros((1, 1, keys)), fmt), np.ones((1, keys), dtype=bool), Softmax(1.0), key_size=1
    )
    assert bool(np.isfinite(found.high).all()) is shown


def test_values_whose_partial_sums_may_overflow_show_nothing() -> None:
    scores = np.array([0.0, -50.0])
    low, _ = _bounds("float32", scores, np.array([[1.0, 1.0], [2.0**126, 2.0**100]]), 1.0)
    assert np.isinf(low[0])
    assert np.isfinite(low[1])


def test_values_that_may_be_flushed_are_widened() -> None:
    """Partial sums below ``2^-126`` may be 0; the weights alone do not say so."""
    scores, values = np.array([0.0, -1.0]), np.array([[2.0**-126], [2.0**-126]])
    low, high = _bounds("float32", scores, values, 1.0)
    assert low[0] <= 0 < high[0]
    for seed in range(50):
        out = Flash(np.random.default_rng(seed)).row(scores, values, 1.0)
        assert low[0] <= out[0] <= high[0]


def test_weights_are_never_called_exact() -> None:
    fmt = get_format("float32")
    arithmetic = rounded.RoundedArithmetic(Kernel(fmt, exp="ex2"))
    scores = Box.point(np.array([[[1000.0, 0.0]]]), fmt)
    found = arithmetic.attention(scores, np.ones((1, 2), dtype=bool), Softmax(1.0), key_size=1)
    assert not found.exact
    assert found.grid.max() < -1000
    assert found.low[0, 0, 0] < 1 < found.high[0, 0, 0]


def test_hidden_keys_have_no_weight() -> None:
    fmt = get_format("float32")
    arithmetic = rounded.RoundedArithmetic(Kernel(fmt, exp="ex2"))
    scores = Box.point(np.array([[[0.0, 500.0]]]), fmt)
    found = arithmetic.attention(scores, np.array([[True, False]]), Softmax(1.0), key_size=1)
    assert found.high[0, 0, 1] == 0
    assert found.low[0, 0, 0] > 1 - 10 * 2.0**-24  # of one key: 9 roundings, and far less


def test_a_certificate_of_the_theorem_holds_and_says_what_it_assumes() -> None:
    verdict = certify(
        UnconditionalGeneration(10, 4, temperature=Softmax(1000.0)),
        certificate_arithmetic("rounded", "float32", exp="ex2"),
    )
    assert verdict.holds
    assert "ex2 right within 2 units" in str(verdict.reason)
    assert "exp right within" not in str(verdict.reason)
    plain = certify(
        UnconditionalGeneration(10, 4, temperature=Softmax(1000.0)), certificate_arithmetic("rounded", "float32")
    )
    assert plain.margin is not None
    assert verdict.margin is not None
    assert verdict.margin < plain.margin


def test_what_ex2_has_no_rules_for_is_refused() -> None:
    with pytest.raises(InvalidArgument, match=r"^exp: expected library in float64, as ex2 is of float32"):
        Kernel(get_format("float64"), exp="ex2")
    with pytest.raises(InvalidArgument, match=r"^exp: expected one of library, ex2 but got 'exp3'"):
        certificate_arithmetic("rounded", "float32", exp="exp3")
    with pytest.raises(InvalidArgument, match=r"^arithmetic: expected rounded with exp"):
        certificate_arithmetic("ball", "float32", exp="ex2")
    fmt = get_format("float32")
    arithmetic = rounded.RoundedArithmetic(Kernel(fmt, exp="ex2"))
    box = Box.point(np.zeros((1, 1, 1)), fmt)
    with pytest.raises(InvalidArgument, match=r"^exp: expected library, with a bias added after scaling"):
        arithmetic.shifted_attention(box, box, np.ones((1, 1), dtype=bool), Softmax(1.0), key_size=1)


def test_a_kind_is_an_option_for_as_long_as_it_is_registered() -> None:
    Other = type("Other", (EXPONENTIALS["library"],), {"word": "other", "summary": "another one"})
    with EXPONENTIALS.having(Other):
        assert "other (another one)" in exp_summaries()
        assert Kernel(get_format("float32"), exp="other").exponential.word == "other"
        assert Kernel(get_format("bfloat16"), exp="other", matrix_unit="hopper").attending.exponential.word == "other"
    assert "other" not in EXPONENTIALS
