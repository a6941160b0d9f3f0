"""Sweeps say where a format stops; one case can be evaluated on its own."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from constructions import (
    ConditionalGeneration,
    Construction,
    Domain,
    Hardmax,
    InvalidArgument,
    LongerInputs,
    LongerResponses,
    RationalSoftmax,
    UnconditionalGeneration,
    specify,
)
from verify import CallableBackend, Trace, Verdict, check, get_arithmetic, sweep
from verify.evidence.sweeping import constant_targets, stopped_at
from verify.requests import command_for


def _sweep(build: Any, dtype: str, last: int, **options: Any) -> Verdict:
    arithmetic = get_arithmetic("torch", dtype=dtype)
    return sweep(build, arithmetic, max_vocab_size=last, **{"claim": "a claim", **options})


@pytest.mark.parametrize(
    "construction", [UnconditionalGeneration(4, 3), LongerResponses(4, 2), LongerInputs(4, 2)], ids=repr
)
def test_constant_targets_name_every_token_once(construction: Construction) -> None:
    targets, inputs = constant_targets(construction)
    assert targets.shape == (4, *construction.targets.shape)
    assert inputs.shape == (4, construction.layout.user)
    responses = construction.response(targets, inputs)
    assert responses.tolist() == [[token] * construction.layout.response for token in range(4)]


def test_user_inputs_of_a_sweep_walk_through_the_vocabulary() -> None:
    _, inputs = constant_targets(ConditionalGeneration(7))
    assert sorted(inputs[:, 0].tolist()) == list(range(7))


def test_float32_holds_at_every_vocabulary() -> None:
    verdict = _sweep(ConditionalGeneration, "float32", 48)
    assert verdict.holds is True
    assert verdict.method == "swept"
    assert verdict.cases == 48 * 49 // 2  # V cases for every V
    assert verdict.parameters == {"vocab_size": "1..48", "targets": "constant"}
    assert verdict.reason is None


@pytest.mark.parametrize("dtype", ["bfloat16", pytest.param("float16", marks=pytest.mark.heavy)])
@pytest.mark.parametrize("build", [ConditionalGeneration, lambda vocab_size: UnconditionalGeneration(vocab_size, 3)])
def test_a_small_format_stops_and_says_where(dtype: str, build: Any) -> None:
    # in [1/2, 1) a format has 2^(p-1) numbers, so from V = 2^p + 2 on two tokens there share one virtual token
    arithmetic = get_arithmetic("torch", dtype=dtype)
    assert arithmetic.fmt is not None
    verdict = _sweep(build, dtype, 2**arithmetic.fmt.precision + 2)
    case = verdict.counterexample
    assert verdict.holds is False
    assert case is not None
    assert verdict.reason is not None
    stopped = len(np.asarray(case.target)) if build is ConditionalGeneration else _vocab_size(case.construction)
    expected = f"holds up to vocab_size {stopped - 1}, stops at {stopped} (token {case.expected})"
    assert verdict.reason == expected
    # the verdict's two halves, each on its own: all is well below, and this very case is wrong
    assert _sweep(build, dtype, stopped - 1).holds is True
    again = check(build(stopped), target=case.target, user_input=case.user_input, arithmetic="torch", dtype=dtype)
    assert again.holds is False
    assert again.counterexample is not None
    assert (again.counterexample.position, again.counterexample.margin) == (case.position, case.margin)
    # and the format is to blame, not the construction
    assert check(build(stopped), target=case.target, user_input=case.user_input).holds is True


def _vocab_size(construction: str) -> int:
    return int(construction.partition("vocab_size=")[2].partition(",")[0].rstrip(")"))


def test_a_format_that_is_refused_leaves_the_rest_unknown() -> None:
    verdict = _sweep(lambda vocab_size: LongerInputs(vocab_size, 2), "float32", 9)
    assert verdict.holds is None
    assert verdict.cases == 7 * 8 // 2
    assert verdict.counterexample is None
    assert verdict.reason is not None
    assert verdict.reason.startswith("holds up to vocab_size 7; refused at 8: dtype")


def test_a_sweep_finds_a_wrong_temperature() -> None:
    # at q = 20 and N = 3 the threshold 2(4V - 3) is passed by V = 3 and no longer by V = 4
    def build(vocab_size: int) -> Construction:
        return UnconditionalGeneration(vocab_size, 3, temperature=RationalSoftmax(Fraction(20)))

    verdict = sweep(
        build,
        get_arithmetic("rational"),
        max_vocab_size=9,
        claim="theorem-1",
        command=lambda construction: command_for("theorem-1", construction),
    )
    assert verdict.holds is False
    assert verdict.reason == "holds up to vocab_size 3, stops at 4 (token 2)"  # 2 (2 (4 + y) - 1) >= 20 from y = 2
    assert verdict.counterexample is not None
    assert verdict.counterexample.reproduce.startswith("prefixproof check theorem-1 --vocab 4 --context 3 --q 20/1")


@pytest.mark.parametrize("last", [0, -1, 2.5])
def test_a_sweep_needs_a_last_size(last: Any) -> None:
    with pytest.raises(InvalidArgument, match="max_vocab_size"):
        _sweep(ConditionalGeneration, "float32", last)


def test_progress_of_a_sweep_counts_sizes() -> None:
    seen: list[tuple[int, int]] = []
    _sweep(ConditionalGeneration, "float32", 4, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]


# one case ------------------------------------------------------------------------------------------------------------


def test_a_case_by_its_target_and_by_its_rank_is_the_same() -> None:
    construction = ConditionalGeneration(3)
    by_target = check(construction, target=[2, 0, 1], user_input=[0])
    by_rank = check(construction, rank=2 * 9 + 0 * 3 + 1, user_input=[0])
    assert replace(by_target, seconds=0.0) == replace(by_rank, seconds=0.0)
    assert by_target.holds is True
    assert (by_target.method, by_target.cases, by_target.space) == ("evaluated", 1, 27 * 3)


@pytest.mark.parametrize("arithmetic", ["rational", "symbolic", "numpy", "torch"])
def test_every_arithmetic_evaluates_a_case(arithmetic: str) -> None:
    construction = LongerResponses(2, 2, temperature=Hardmax())
    verdict = check(construction, target=[[1, 0], [0, 1]], user_input=[1], arithmetic=arithmetic)
    assert verdict.holds is True
    assert verdict.arithmetic.split()[0] == arithmetic
    assert verdict.margin is not None
    assert Fraction(str(verdict.margin)) == Fraction(1, 4)
    assert verdict.parameters["temperature"] == "hardmax"


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ({}, "either a target or its rank"),
        ({"target": [0, 0], "rank": 0}, "either a target or its rank"),
        ({"rank": 4, "user_input": [0]}, "rank"),
        ({"rank": -1, "user_input": [0]}, "rank"),
        ({"rank": True, "user_input": [0]}, "rank"),
        ({"target": [0, 2], "user_input": [0]}, "target"),
        ({"target": [0, 0, 0], "user_input": [0]}, "target"),
        ({"target": [0.0, 1.0], "user_input": [0]}, "target"),
        ({"target": [float("nan"), 1.0], "user_input": [0]}, "target"),
        ({"target": "01", "user_input": [0]}, "target"),
        ({"target": [[0, 1]], "user_input": [[0]]}, "single case"),
        ({"target": [0, 1]}, "user_input"),
        ({"target": [0, 1], "user_input": [0, 1]}, "user_input"),
        ({"target": [0, 1], "user_input": [2]}, "user_input"),
        ({"rank": 0, "user_input": [0], "arithmetic": "abacus"}, "arithmetic"),
        ({"rank": 0, "user_input": [0], "arithmetic": "torch", "dtype": "float8"}, "dtype"),
        ({"rank": 0, "user_input": [0], "arithmetic": "torch", "device": "abacus"}, "device"),
        ({"rank": 0, "user_input": [0], "arithmetic": "rational", "device": "cuda"}, "device"),
    ],
    ids=str,
)
def test_what_is_no_case_is_refused_in_one_line(case: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidArgument, match=message) as caught:
        check(ConditionalGeneration(2), **case)
    assert len(str(caught.value).splitlines()) == 1


def test_a_trace_of_a_case_ends_in_the_logits_of_the_verdict() -> None:
    trace = Trace()
    verdict = check(UnconditionalGeneration(3, 2, temperature=Hardmax()), target=[1, 2], trace=trace)
    logits = trace.steps["readout"][-1].tolist()
    assert logits.index(max(logits)) == 2
    assert verdict.margin == sorted(logits)[-1] - sorted(logits)[-2] == Fraction(1, 9)


@pytest.mark.parametrize("arithmetic", ["rational", "torch"])
def test_a_counterexample_whose_rank_python_cannot_print_is_told(arithmetic: str) -> None:
    # 60^(60 * 64) targets: the rank has 6,829 digits, and Python prints and reads 4,300
    construction = LongerResponses(60, 64, temperature=RationalSoftmax(Fraction(1, 7)))
    target = [[59] * 60] * 64
    verdict = check(construction, target=target, user_input=[1], arithmetic=arithmetic)
    assert verdict.holds is False
    assert verdict.counterexample is not None
    assert verdict.counterexample.rank == 60 ** (60 * 64) - 1
    assert Verdict.from_json(verdict.to_json()) == verdict
    import constructions
    import verify

    names: dict[str, Any] = {**vars(constructions), "verify": verify, "Fraction": Fraction}
    again = eval(verdict.counterexample.reproduce, names)
    assert again.counterexample == verdict.counterexample


def test_a_rank_beyond_a_huge_space_is_refused() -> None:
    construction = ConditionalGeneration(2_000)
    with pytest.raises(InvalidArgument, match="rank"):
        construction.targets.unrank(construction.targets.size)


def test_where_a_sweep_of_functions_stopped_is_not_read_off_their_names() -> None:
    backend = CallableBackend(lambda _, tokens: np.eye(4)[np.minimum(tokens[:, -1], 1)])
    verdict = sweep(
        lambda size: specify(Domain.of(size, 1), lambda x: x, output_vocab_size=4),
        backend,
        max_vocab_size=4,
        claim="copy",
    )
    assert verdict.reason == "holds up to vocab_size 2, stops at 3 (token 2)"
    with pytest.raises(InvalidArgument, match=r"expected a counterexample that shows its vocab_size but got specify"):
        stopped_at(verdict)
