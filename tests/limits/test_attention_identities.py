"""The identities of sections 4 and 6 on drawn layers and on given ones, and layers that break them."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import flint
import numpy as np
import pytest
import sympy as sp
import torch

from constructions import FORMATS, Hardmax, Head, InvalidArgument, PerHeadSoftmax, RationalSoftmax, Softmax
from constructions.layers import Rotary
from constructions.lowering import lower
from proofs.attention import BIAS, RESCALING, SECOND_LAYER
from verify.arithmetic import NumpyArithmetic, RationalArithmetic, get_arithmetic
from verify.prefixes import (
    IDENTITIES,
    AttentionLayer,
    attend,
    check_layer,
    draw_case,
    fuzz_layers,
    layer_verdicts,
    plain_head,
)
from verify.prefixes import measured as measured_module
from verify.prefixes import passes as passes_module
from verify.prefixes.layer import float_gap
from verify.prefixes.layer_verdicts import describe
from verify.prefixes.measured import Deviation, deviations
from verify.prefixes.rounding import OperationError, attended, linear, scored
from verify.prefixes.tally import Tally

EXACT = RationalArithmetic()
EACH_CLAIM = pytest.mark.parametrize("claim", IDENTITIES)
FLOATS = [("numpy", "float64"), ("numpy", "float32"), ("torch", "float64"), ("torch", "float32")]
HALVES = [("torch", "bfloat16"), ("torch", "float16")]
#: Far below what a comparison with a usual tolerance would see, and far above the roundings of float64.
SMALL = 2.0**-40


def small_layer(mask: Any = "causal", temperature: Any = None) -> AttentionLayer:
    one = [[1, 0], [0, 1]]
    heads = (plain_head(one, one, [[1, 2]]), plain_head([[1, 1]], [[0, 1]], [["1/3", -1]]))
    return AttentionLayer(heads, temperature or RationalSoftmax(Fraction(3, 2)), mask)


OF32 = OperationError.of(FORMATS["float32"])
CONTENT = [[1, 0], [0, 1], [1, 1]]
PREFIX = [[2, -1], [0, 3]]


@EACH_CLAIM
def test_exact_on_drawn_layers(claim: str) -> None:
    verdict = fuzz_layers(claim, EXACT, examples=60)
    assert verdict.holds is True
    assert (verdict.cases, verdict.margin, verdict.arithmetic) == (60, None, "rational")


@pytest.mark.share(4)
@EACH_CLAIM
@pytest.mark.parametrize(("kind", "dtype"), FLOATS)
def test_within_the_bound_and_the_bound_says_something(claim: str, kind: str, dtype: str) -> None:
    verdict = fuzz_layers(claim, get_arithmetic(kind, dtype=dtype), examples=60)
    assert verdict.holds is True
    assert verdict.cases == 60
    assert isinstance(verdict.margin, float)
    assert 0 < verdict.margin < 1 - 1 / 100  # the worst deviation uses a hundredth of its bound at least


@pytest.mark.share(2)
@EACH_CLAIM
@pytest.mark.parametrize(("kind", "dtype"), HALVES)
def test_half_precision_counts_only_what_its_bound_says_something_about(claim: str, kind: str, dtype: str) -> None:
    verdict = fuzz_layers(claim, get_arithmetic(kind, dtype=dtype), examples=60)
    assert verdict.holds is True
    assert 54 <= verdict.cases <= 60
    assert ("do not count" in str(verdict.reason)) == (verdict.cases < 60)


#: The first layers of the ten thousand are those that the heavy tier draws.
COUNTS = pytest.mark.parametrize(
    "count", [pytest.param(400, marks=pytest.mark.heavy), pytest.param(10_000, marks=pytest.mark.long)]
)


@COUNTS
@EACH_CLAIM
def test_ten_thousand_exact_layers(claim: str, count: int) -> None:
    verdict = fuzz_layers(claim, EXACT, examples=count, seed=1)
    assert (verdict.holds, verdict.cases) == (True, count)


@COUNTS
@EACH_CLAIM
@pytest.mark.parametrize(("kind", "dtype"), FLOATS)
def test_ten_thousand_float_layers(claim: str, kind: str, dtype: str, count: int) -> None:
    verdict = fuzz_layers(claim, get_arithmetic(kind, dtype=dtype), examples=count, seed=1)
    assert (verdict.holds, verdict.cases) == (True, count)
    assert isinstance(verdict.margin, float)
    assert 0 < verdict.margin < 1 - 1 / 100


@pytest.mark.gpu
@EACH_CLAIM
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_on_a_gpu(claim: str, dtype: str) -> None:
    verdict = fuzz_layers(claim, get_arithmetic("torch", dtype=dtype, device="cuda"), examples=500)
    assert verdict.holds is True


def test_the_largest_sizes_are_drawn() -> None:
    cases = [draw_case(1, index, fmt=None) for index in range(1_500)]
    assert {len(case.layer.heads) for case in cases} == {1, 2, 3, 4}
    assert {len(case.prefix) for case in cases} == set(range(1, 9))
    assert {len(case.content) for case in cases} == set(range(1, 33))


@pytest.mark.parametrize("mask", ["causal", "none", np.eye(3, dtype=np.bool_)], ids=["causal", "none", "given"])
@pytest.mark.parametrize("temperature", [Hardmax(), RationalSoftmax(Fraction(1)), RationalSoftmax(Fraction(1, 7))])
@EACH_CLAIM
def test_given_layers_exactly(claim: str, mask: Any, temperature: Any) -> None:
    next_head = plain_head([[2]], [[3]], [[1]])
    layer = small_layer(mask, temperature)
    assert check_layer(claim, layer, CONTENT, PREFIX, EXACT, next_head=next_head).holds is True
    assert f"mask {mask if isinstance(mask, str) else 'given'}, " in describe(layer, 3, 1)


def test_against_numbers_worked_out_by_hand() -> None:
    """Two positions of scores 1 and 0 at q = 2, one prefix vector of score 2: weights 2 : 1, and 4 : 2 : 1."""
    head = plain_head([[1]], [[1]], [[1]])
    layer = AttentionLayer((head,), RationalSoftmax(Fraction(2)), "none")
    passes = attend(layer, [[1], [0]], [[2]], EXACT)
    third = flint.fmpq(1, 3)
    assert passes.heads[0].attention[0].tolist() == [2 * third, third]
    assert passes.heads[0].with_prefix[0].tolist() == [flint.fmpq(part, 7) for part in (4, 2, 1)]
    assert passes.strengths()[0].tolist() == [flint.fmpq(4, 7), third]
    assert passes.output[0, 0] == flint.fmpq(4 * 2 + 2 * 1, 7)


def test_a_torch_module_gives_its_weights() -> None:
    generator = torch.Generator().manual_seed(0)
    query, key, value = (torch.randn(4, 4, generator=generator, dtype=torch.bfloat16) for _ in range(3))
    linear = torch.nn.Linear(4, 4, bias=False)
    layer = AttentionLayer((plain_head(query, key, value), plain_head(query, linear.weight, value)), Softmax(1.0))
    rows = torch.randn(7, 4, generator=generator)
    for claim in (RESCALING, BIAS):
        for dtype in ("float64", "float32"):
            verdict = check_layer(claim, layer, rows[2:], rows[:2], get_arithmetic("torch", dtype=dtype))
            assert verdict.holds is True


def _patched(monkeypatch: pytest.MonkeyPatch, change: Any) -> NumpyArithmetic:
    original = NumpyArithmetic.attention

    def attention(self: Any, scores: Any, visible: Any, temperature: Any, *, key_size: int) -> Any:
        weights = original(self, scores, visible, temperature, key_size=key_size)
        return change(weights, visible) if visible.shape[1] > visible.shape[0] else weights

    monkeypatch.setattr(NumpyArithmetic, "attention", attention)
    return NumpyArithmetic("float64")


def _no_prefix_in_the_normaliser(weights: Any, visible: Any) -> Any:
    count = visible.shape[1] - visible.shape[0]
    return weights / weights[..., count:].sum(axis=-1, keepdims=True)


def _slightly_more_on_the_last(weights: Any, visible: Any) -> Any:
    changed = weights.copy()
    changed[..., -1] *= 1 + SMALL
    return changed


@pytest.mark.parametrize("change", [_no_prefix_in_the_normaliser, _slightly_more_on_the_last])
@pytest.mark.parametrize("claim", [RESCALING])
def test_attention_that_changes_ratios_is_refuted(monkeypatch: pytest.MonkeyPatch, claim: str, change: Any) -> None:
    verdict = fuzz_layers(claim, _patched(monkeypatch, change), examples=60)
    assert verdict.holds is False
    assert verdict.case is not None
    assert verdict.case.reproduce.startswith("prefixproof attention --claim attention-rescaling --drawn 0:")


def test_an_output_that_forgets_part_of_the_prefix_is_refuted(monkeypatch: pytest.MonkeyPatch) -> None:
    original = NumpyArithmetic.mix

    def mix(self: Any, attention: Any, values: Any) -> Any:
        made = original(self, attention, values)
        return made + SMALL if attention.shape[-1] > attention.shape[-2] else made

    monkeypatch.setattr(NumpyArithmetic, "mix", mix)
    assert fuzz_layers(BIAS, NumpyArithmetic("float64"), examples=100).holds is False
    assert fuzz_layers(RESCALING, NumpyArithmetic("float64"), examples=20).holds is True


def test_a_next_layer_with_another_channel_is_refuted(monkeypatch: pytest.MonkeyPatch) -> None:
    original = passes_module.second_layer_sides

    def sides(passes: Any, head: Any) -> Any:
        computed, expansion = original(passes, head)
        return computed + SMALL * abs(computed).max(), expansion

    monkeypatch.setattr(measured_module, "second_layer_sides", sides)
    assert fuzz_layers(SECOND_LAYER, NumpyArithmetic("float64"), examples=50).holds is False


def test_exact_arithmetic_sees_any_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    original = RationalArithmetic.attention

    def attention(self: Any, scores: Any, visible: Any, temperature: Any, *, key_size: int) -> Any:
        length = Fraction(visible.shape[1], 10**12)  # a scale by the length, which a prefix changes
        sharper = replace(temperature, q=temperature.q + length)
        return original(self, scores, visible, sharper, key_size=key_size)

    monkeypatch.setattr(RationalArithmetic, "attention", attention)
    verdict = fuzz_layers(RESCALING, EXACT, examples=60)
    assert verdict.holds is False
    assert verdict.margin is not None
    assert verdict.margin < 0


def test_a_result_that_is_not_finite_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    arithmetic = _patched(monkeypatch, lambda weights, visible: weights * np.nan)
    verdict = fuzz_layers(RESCALING, arithmetic, examples=3)
    assert verdict.holds is None
    assert "not finite" in str(verdict.reason)


def test_a_bound_that_says_nothing_is_not_a_pass() -> None:
    head = plain_head([[1000.0]], [[1000.0]], [[1.0]])
    layer = AttentionLayer((head,), Softmax(1.0), "none")
    rows = np.linspace(0, 1, 5)[:, None]
    verdict = check_layer(RESCALING, layer, rows, [[0.5]], get_arithmetic("torch", dtype="bfloat16"))
    assert verdict.holds is None
    assert verdict.cases == 0
    assert "says nothing" in str(verdict.reason)


def test_at_the_bound_and_just_beyond() -> None:
    right, bound = np.array([[1.0]]), np.array([[0.25]])
    assert Deviation("here", right + bound, right, bound).used().tolist() == [[1.0]]
    assert (Deviation("here", np.nextafter(right + bound, 2), right, bound).used() > 1).all()
    exact = np.array([[flint.fmpq(1)]], dtype=object)
    assert Deviation("here", exact, exact, None).used().tolist() == [[0.0]]
    assert Deviation("here", exact + flint.fmpq(1, 10**30), exact, None).used().tolist() == [[np.inf]]


def test_a_deviation_as_large_as_its_bound_shows_nothing() -> None:
    """There is no unused part of the bound left, and a margin of 0 is no evidence."""
    right, bound = np.array([[0.5]]), np.array([[0.25]])
    for left, holds in ((np.nextafter(0.75, 0), True), (0.75, None), (np.nextafter(0.75, 1), False)):
        tally = Tally()
        tally.add([Deviation("here", np.array([[left]]), right, bound)], "layer", "command")
        verdict = tally.verdict(RESCALING, NumpyArithmetic(), parameters={}, method="evaluated", started=0.0)
        assert verdict.holds is holds
        # beyond the bound the counterexample says it
        assert (verdict.reason == "a deviation is as large as its bound") is (holds is None)


def test_hidden_keys_have_no_allowance() -> None:
    layer = AttentionLayer(small_layer().heads, Softmax(1.0))
    (first, _) = deviations(RESCALING, attend(layer, CONTENT, PREFIX, NumpyArithmetic("float64")))
    assert first.bound is not None
    assert (first.bound[np.triu_indices(3, 1)] == 0).all()
    assert (first.bound[np.tril_indices(3)] > 0).all()


def _softmax_in_balls(scores: list[flint.arb], visible: list[bool]) -> list[flint.arb]:
    factors = [score.exp() if seen else flint.arb(0) for score, seen in zip(scores, visible, strict=True)]
    total = sum(factors, flint.arb(0))
    return [factor / total for factor in factors]


def test_float32_weights_are_within_their_part_of_the_bound() -> None:
    """The kernel's weights against softmax in balls of 200 bits, on the very numbers that the kernel held."""
    arithmetic = get_arithmetic("torch", dtype="float32")
    worst = 0.0
    with flint.ctx.workprec(200):
        for index in range(12):
            case = draw_case(2, index, fmt=arithmetic.fmt)
            passes = attend(case.layer, case.content, case.prefix, arithmetic)
            rows = np.concatenate([passes.prefix, passes.content])
            visible = case.layer.visible(len(passes.content), len(passes.prefix))
            for made, head in zip(passes.heads, case.layer.heads, strict=True):
                gap = float_gap(case.layer, head)
                scores = scored(linear(passes.content, made.query, OF32), linear(rows, made.key, OF32), OF32)
                allowed = attended(scores, gap, visible, OF32).error
                exact = [flint.arb_mat(matrix.tolist()) for matrix in (passes.content, made.query, rows, made.key)]
                table = (exact[0] * exact[1].transpose() * (exact[2] * exact[3].transpose()).transpose()).tolist()
                for i, row in enumerate(table):
                    weights = _softmax_in_balls([gap * score for score in row], visible[i].tolist())
                    for j, weight in enumerate(weights):
                        off = float(abs(weight - made.with_prefix[i, j]))
                        assert off <= allowed[i, j]
                        worst = max(worst, off / allowed[i, j] if off else 0.0)
    assert 1 / 100 < worst < 1


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: plain_head([[1, 2]], [[1]], [[1, 2]]), "expected query and key of one shape"),
        (lambda: plain_head([[1, 2]], [[1, 2]], [[1]]), "a value that reads the same width"),
        (lambda: plain_head([[float("nan")]], [[1]], [[1]]), "query: expected finite numbers but got nan"),
        (lambda: plain_head([[1.0]], np.array([[np.inf]]), [[1]]), "key: expected finite numbers but got inf"),
        (lambda: plain_head([[1], [1, 2]], [[1]], [[1]]), "query: expected a matrix of finite numbers"),
        (lambda: plain_head([[True]], [[1]], [[1]]), "query: expected finite numbers but got True"),
        (lambda: plain_head([["x"]], [[1]], [[1]]), "query: expected finite numbers but got 'x'"),
        (
            lambda: plain_head(torch.tensor([[torch.nan]]), [[1]], [[1]]),
            "query: expected finite numbers but got nan",
        ),
        (lambda: AttentionLayer((), Softmax(1.0)), "heads: expected at least one"),
        (
            lambda: small_layer(np.zeros((3, 3), dtype=np.bool_)),
            "mask: expected every position to see some content but",
        ),
        (lambda: small_layer(np.ones((2, 3))), "mask: expected causal, none or a square array"),
        (lambda: small_layer("acausal"), "mask: expected causal, none or a square array"),
        (lambda: small_layer(temperature=Softmax(1.0, scaled_by="length")), "a scale that a prefix does not change"),
        (lambda: small_layer(temperature=PerHeadSoftmax({"0": 3})), "temperature: expected one for all heads but got"),
        (lambda: attend(small_layer(), CONTENT, [], EXACT), "prefix: expected at least one row but got none"),
        (lambda: attend(small_layer(), CONTENT, np.zeros((0, 2)), EXACT), "prefix: expected at least one row but got"),
        (lambda: attend(small_layer(), CONTENT, [[1, 2, 3]], EXACT), "prefix: expected rows of width 2 but got 3"),
        (lambda: attend(small_layer(np.eye(2)), CONTENT, PREFIX, EXACT), "mask: expected one for 3 positions but got"),
        (lambda: attend(small_layer(), [["1/2", 0]], [[1, "1/3"]], EXACT), "integer score differences"),
        (
            lambda: check_layer(RESCALING, small_layer(temperature=Hardmax()), CONTENT, PREFIX, NumpyArithmetic()),
            "temperature: expected a finite one in floats",
        ),
        (lambda: check_layer(SECOND_LAYER, small_layer(), CONTENT, PREFIX, EXACT), "next_head: expected a head of the"),
        (
            lambda: check_layer(
                SECOND_LAYER,
                small_layer(),
                CONTENT,
                PREFIX,
                EXACT,
                next_head=plain_head([[1, 1]], [[1, 1]], [[1, 1]]),
            ),
            "head: expected one that reads width 1 but got 2",
        ),
        (lambda: check_layer("theorem-1", small_layer(), CONTENT, PREFIX, EXACT), "claim: expected one of attention-"),
        (lambda: fuzz_layers(RESCALING, EXACT, examples=0), "examples: expected an integer >= 1"),
        (
            lambda: check_layer(
                RESCALING,
                AttentionLayer((plain_head([[1e30]], [[1.0]], [[1.0]]),), Softmax(1.0)),
                [[1.0]],
                [[1.0]],
                get_arithmetic("torch", dtype="float16"),
            ),
            "weights: expected numbers that float16 holds",
        ),
    ],
)
def test_bad_input_is_one_line(build: Any, message: str) -> None:
    with pytest.raises(InvalidArgument) as raised:
        build()
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


_ONE: Any = {"query": [[1]], "key": [[1]], "value": [[1]]}


class _Variant(Head[Any]):
    """A head that could do anything."""


@pytest.mark.parametrize(
    "head",
    [
        Head("h", **_ONE, query_bias=[[1]]),
        Head("h", **_ONE, key_bias=[[1]]),
        Head("h", **_ONE, value_bias=[[1]]),
        Head("h", **_ONE, score_bias=[[0, 1], [1, 0]]),
        Head("h", **_ONE, rotary=Rotary([[1, 1]], [[0, 0]], [[0]])),
        Head("h", [[1]], shares="g"),
        _Variant("h", **_ONE),
    ],
    ids=["query_bias", "key_bias", "value_bias", "score_bias", "rotary", "shares", "variant"],
)
def test_a_head_of_more_than_query_key_and_value_is_refused(head: Head[Any]) -> None:
    with pytest.raises(InvalidArgument, match=r"^head h: expected a query, key and value alone.*but it has more"):
        AttentionLayer((head,), RationalSoftmax(Fraction(2)))
    layer = AttentionLayer((Head("plain", **_ONE),), RationalSoftmax(Fraction(2)))
    with pytest.raises(InvalidArgument, match=r"^head h: expected a query, key and value alone.*but it has more"):
        check_layer(SECOND_LAYER, layer, [[1]], [[1]], EXACT, next_head=head)


def test_a_head_whose_weights_are_no_numbers_is_refused_in_one_line() -> None:
    size = sp.Symbol("n", integer=True, positive=True)
    for weight in (sp.Identity(size), sp.ImmutableDenseMatrix([[size]]), sp.ImmutableDenseMatrix([[sp.sqrt(2)]])):
        with pytest.raises(InvalidArgument, match=r"^h\.query: expected .*finite numbers"):
            AttentionLayer((Head("h", weight, weight, weight),), RationalSoftmax(Fraction(2)))
    with pytest.raises(InvalidArgument, match=r"^heads: expected a tuple of Head"):
        AttentionLayer(([[1]],), RationalSoftmax(Fraction(2)))  # type: ignore[arg-type] # the point
    with pytest.raises(InvalidArgument, match=r"^head: expected a Head"):
        check_layer(SECOND_LAYER, small_layer(), CONTENT, PREFIX, EXACT, next_head=[[1]])  # type: ignore[arg-type] # too


@EACH_CLAIM
@pytest.mark.parametrize("arithmetic", [EXACT, NumpyArithmetic("float32")], ids=["exact", "float32"])
def test_whatever_holds_the_weights_of_a_head(claim: str, arithmetic: Any) -> None:
    """Numbers as given, a sympy matrix and an exact one are one layer, and two heads may have one name."""
    given = [plain_head([[1, 0.5]], [[0, 2]], [[0.25, -1]]), plain_head([[1, 1]], [[1, 1]], [[1, 1]])]
    written = [Head("same", *(head.query, head.own_key, head.own_value)) for head in given]
    lowered = [head.map(lambda place, weight: lower(weight, place.bindings)) for head in written]
    next_head = plain_head([[2]], [[3]], [[1]])
    temperature = RationalSoftmax(Fraction(2)) if arithmetic is EXACT else Softmax(0.5)
    content, prefix = [[2, 0], [0, 2], [2, 2]], [[4, -2]]
    found = []
    heads: Any
    for heads in (given, written, lowered):
        layer = AttentionLayer(tuple(heads), temperature)
        verdict = check_layer(claim, layer, content, prefix, arithmetic, next_head=next_head)
        assert verdict.holds is True
        found.append((verdict.margin, attend(layer, content, prefix, arithmetic).output.tolist()))
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("mask", ["causal", "none", np.array([[1, 0], [1, 1]])], ids=["causal", "none", "given"])
def test_the_pass_with_a_prefix_is_the_pass_over_prefix_and_content(mask: Any) -> None:
    """One long content of which the prefix is the beginning, under a mask that shows all of it."""
    layer = AttentionLayer(small_layer().heads, RationalSoftmax(Fraction(2)), mask)
    passes = attend(layer, CONTENT[:2], PREFIX, EXACT)
    whole = np.ones((4, 4), dtype=np.bool_)
    whole[2:] = layer.visible(2, prefix=2)
    joined = attend(AttentionLayer(layer.heads, layer.temperature, whole), [*PREFIX, *CONTENT[:2]], [[9, 9]], EXACT)
    for one, other in zip(passes.heads, joined.heads, strict=True):
        assert one.with_prefix.tolist() == other.attention[2:].tolist()
        assert one.values.tolist() == other.values[1:].tolist()
    total = sum((head.output[2:] for head in joined.heads), np.zeros_like(passes.output))
    assert passes.output.tolist() == total.tolist()


def test_a_layer_that_is_drawn_again_does_not_count_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every layer is drawn three times in a row."""
    indices: list[int] = []

    def again(seed: int, index: int, *, fmt: Any) -> Any:
        indices.append(index)
        return draw_case(seed, index // 3, fmt=fmt)

    monkeypatch.setattr(layer_verdicts, "draw_case", again)
    verdict = fuzz_layers(RESCALING, EXACT, examples=20)
    assert verdict.cases == 20
    assert len(indices) >= 3 * 19 + 1
