"""Exhaustive enumeration: every case, in order, resumable, and a counterexample that can be reproduced."""

from __future__ import annotations

import importlib
import itertools
import json
import shlex
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import constructions
import verify
from constructions import (
    ConditionalGeneration,
    Construction,
    InvalidArgument,
    LongerInputs,
    LongerResponses,
    RationalSoftmax,
    UnconditionalGeneration,
)
from constructions.thresholds import unconditional_generation_threshold
from verify import Verdict, exhaust, get_arithmetic
from verify.requests import command_for
from verify.running.batches import enumerated

EXACT = get_arithmetic("rational")
FLOAT64 = get_arithmetic("torch", dtype="float64")
ALL = [UnconditionalGeneration(3, 3), ConditionalGeneration(3), LongerResponses(2, 2), LongerInputs(2, 2)]


def _untimed(verdict: Verdict) -> Verdict:
    return replace(verdict, seconds=0.0, resumed=None)


def _threshold(vocab_size: int, context_size: int) -> UnconditionalGeneration:
    """Return Theorem 1 exactly at its threshold, where the last token at the last position ties."""
    q = Fraction(unconditional_generation_threshold(vocab_size, context_size))
    return UnconditionalGeneration(vocab_size, context_size, temperature=RationalSoftmax(q))


@pytest.mark.parametrize("construction", ALL, ids=repr)
@pytest.mark.parametrize("arithmetic", [EXACT, FLOAT64], ids=lambda arithmetic: str(arithmetic.name))
def test_every_case_holds(construction: Construction, arithmetic: Any) -> None:
    verdict = exhaust(construction, arithmetic)
    assert verdict.holds is True
    assert verdict.method == "exhausted"
    assert verdict.cases == verdict.space == construction.targets.size * construction.user_inputs.size
    assert verdict.counterexample is None
    assert verdict.reason is None
    assert verdict.claim == type(construction).__name__
    assert verdict.arithmetic == arithmetic.name


def test_the_smallest_margin_is_the_smallest_of_all_cases() -> None:
    # hardmax decodes every y/V exactly, so the smallest margin is that of a neighbour, 1/V^2
    verdict = exhaust(UnconditionalGeneration(5, 2, temperature=constructions.Hardmax()), EXACT)
    assert verdict.margin == Fraction(1, 25)


@pytest.mark.parametrize("construction", ALL, ids=repr)
def test_the_cases_are_all_pairs_each_once(construction: Construction) -> None:
    space = construction.targets.size * construction.user_inputs.size
    digits, user = construction.targets.digits, construction.layout.user
    tokens = range(construction.vocab_size)
    wanted = [*itertools.product(itertools.product(tokens, repeat=digits), itertools.product(tokens, repeat=user))]
    for size in (1, 7, space):  # batches that do and do not end where a target ends
        found = []
        for start in range(0, space, size):
            batch = enumerated(construction, start, min(space, start + size))
            pairs = zip(batch.targets, batch.inputs, strict=True)
            found += [(tuple(t.reshape(-1).tolist()), tuple(x.tolist())) for t, x in pairs]
        assert found == wanted


def test_batches_do_not_change_the_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    # V = 2: all numbers are quarters, attention absorbs what leaks, and nothing is rounded, whatever the kernel
    construction = LongerResponses(2, 2)
    whole = exhaust(construction, FLOAT64)
    # "verify.evidence.enumeration" as an attribute is the function of that name
    monkeypatch.setattr(importlib.import_module("verify.evidence.search"), "batch_size", lambda _: 5)
    done: list[int] = []
    parts = exhaust(construction, FLOAT64, progress=lambda cases, _: done.append(cases))
    assert _untimed(parts) == _untimed(whole)
    assert done == [*range(0, 32, 5), 32]


def test_progress_ends_at_the_whole_space() -> None:
    seen: list[tuple[int, int]] = []
    exhaust(UnconditionalGeneration(3, 4), EXACT, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(0, 81), (64, 81), (81, 81)]


# what is wrong is falsified ------------------------------------------------------------------------------------------


def test_the_first_wrong_case_is_named() -> None:
    verdict = exhaust(_threshold(3, 3), EXACT)
    case = verdict.counterexample
    assert verdict.holds is False
    assert case is not None
    # the first target with a 2 at the last position; tokens 1 and 2 tie there, and the first of them is produced
    assert (case.rank, case.target, case.user_input, case.position) == (2, [0, 0, 2], [], 2)
    assert (case.expected, case.produced, case.margin) == (2, 1, 0)
    assert verdict.margin == 0
    assert verdict.cases == 3
    assert verdict.space == 27


def test_just_below_the_threshold_is_falsified_and_just_above_holds() -> None:
    q = Fraction(unconditional_generation_threshold(4, 3))
    below = UnconditionalGeneration(4, 3, temperature=RationalSoftmax(q - Fraction(1, 10**6)))
    above = UnconditionalGeneration(4, 3, temperature=RationalSoftmax(q + Fraction(1, 10**6)))
    falsified = exhaust(below, EXACT)
    assert falsified.holds is False
    assert falsified.counterexample is not None
    assert falsified.counterexample.target == [0, 0, 3]
    assert falsified.counterexample.margin is not None
    assert falsified.counterexample.margin < 0
    assert exhaust(above, EXACT).holds is True


def test_a_wrong_case_in_a_later_batch_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    # batches of 5 cases; 2 (2 (9 + y) - 1) >= 65 first at y = 8, and q > 2 (9 + 8) - 1 = 33 is enough before
    monkeypatch.setattr(importlib.import_module("verify.evidence.search"), "_UNBATCHED", 5)
    wrong = UnconditionalGeneration(9, 3, temperature=RationalSoftmax(Fraction(65)))
    assert exhaust(wrong, EXACT, limit=8).holds is None
    verdict = exhaust(wrong, EXACT)
    case = verdict.counterexample
    assert case is not None
    assert (case.rank, case.position, case.expected, verdict.cases) == (8, 2, 8, 9)


def _run_python(command: str) -> Verdict:
    names: dict[str, Any] = {**vars(constructions), "verify": verify, "Fraction": Fraction}
    verdict = eval(command, names)
    assert isinstance(verdict, Verdict)
    return verdict


def _run_command(command: str, capsys: pytest.CaptureFixture[str]) -> Verdict:
    from verify.cli.app import run

    program, *arguments = shlex.split(command)
    assert program == "prefixproof"
    assert run([*arguments, "--json"]) == 1
    return Verdict.from_json(json.loads(capsys.readouterr().out))


WRONG: list[tuple[str, Construction]] = [
    ("theorem-1", _threshold(3, 3)),
    ("theorem-1", UnconditionalGeneration(3, 3, temperature=1.5)),
    ("theorem-1", UnconditionalGeneration(3, 4, temperature=constructions.Softmax(1.5, "length"), mask="none")),
    ("longer-responses", LongerResponses(3, 2, temperature=RationalSoftmax(Fraction(16)))),
    ("longer-inputs", LongerInputs(2, 2, temperature=RationalSoftmax(Fraction(15)), mask="none")),
    ("longer-inputs", LongerInputs(2, 2, temperature=RationalSoftmax(Fraction(31, 2)), mask="none", lift="mask")),
]


@pytest.mark.share(3)
@pytest.mark.parametrize(("claim", "construction"), WRONG, ids=str)
@pytest.mark.parametrize("arithmetic", [EXACT, FLOAT64], ids=lambda arithmetic: str(arithmetic.name))
def test_a_counterexample_is_reproduced_from_python_and_the_command_line(
    claim: str, construction: Construction, arithmetic: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    if arithmetic is EXACT and not isinstance(construction.temperature, RationalSoftmax):
        with pytest.raises(InvalidArgument, match="rational arithmetic"):
            exhaust(construction, arithmetic)  # exp of a rational T is not rational
        return
    from_python = exhaust(construction, arithmetic).counterexample
    from_command = exhaust(
        construction, arithmetic, claim=claim, command=command_for(claim, construction)
    ).counterexample
    assert from_python is not None
    assert from_command is not None
    for found, again in (
        (from_python, _run_python(from_python.reproduce)),
        (from_command, _run_command(from_command.reproduce, capsys)),
    ):
        assert again.holds is False
        assert again.cases == 1
        assert again.counterexample is not None
        assert again.counterexample == found
        assert found.expected == _promised(construction, found)


def _promised(construction: Construction, case: Any) -> int:
    return int(construction.response(case.target, np.array(case.user_input, dtype=np.int64))[case.position])


def test_tf32_is_part_of_the_reproduction() -> None:
    construction = UnconditionalGeneration(3, 3, temperature=1.5)
    arithmetic = get_arithmetic("torch", dtype="float32", tf32=True)
    plain = exhaust(construction, arithmetic)
    assert plain.arithmetic == "torch float32 with TF32"
    assert plain.counterexample is not None
    assert "tf32=True" in plain.counterexample.reproduce
    command = command_for("theorem-1", construction)
    shell = exhaust(construction, arithmetic, claim="theorem-1", command=command)
    assert shell.counterexample is not None
    assert "--tf32" in shlex.split(shell.counterexample.reproduce)


# cut off, interrupted, resumed ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [1, 64, 80])
def test_what_is_cut_off_is_not_shown(limit: int) -> None:
    verdict = exhaust(UnconditionalGeneration(3, 4), EXACT, limit=limit)
    assert verdict.holds is None
    assert verdict.cases == limit
    assert verdict.space == 81
    assert verdict.reason == f"cut off after {limit} of 81 cases"


@pytest.mark.parametrize("limit", [81, 82, 10**30])
def test_a_limit_that_is_not_reached_changes_nothing(limit: int) -> None:
    construction = UnconditionalGeneration(3, 4)
    assert _untimed(exhaust(construction, EXACT, limit=limit)) == _untimed(exhaust(construction, EXACT))


@pytest.mark.parametrize("limit", [0, -1, 2.5, True, "7"])
def test_a_limit_that_is_not_a_count_is_refused(limit: Any) -> None:
    with pytest.raises(InvalidArgument, match="limit"):
        exhaust(UnconditionalGeneration(2, 2), EXACT, limit=limit)


def test_a_huge_space_is_cut_off_with_its_exact_size_in_the_reason() -> None:
    verdict = exhaust(ConditionalGeneration(1_500), get_arithmetic("torch", dtype="float32"), limit=1)
    assert verdict.holds is None
    assert verdict.space == 1_500**1_501
    assert verdict.reason is not None
    assert verdict.reason.startswith("cut off after 1 of ")


def _interrupt_at(cases: int) -> Callable[[int, int], None]:
    def progress(done: int, _: int) -> None:
        if done >= cases:
            raise KeyboardInterrupt

    return progress


def test_an_interrupted_run_goes_on_where_it_was(tmp_path: Path) -> None:
    construction = UnconditionalGeneration(3, 5)
    checkpoint = tmp_path / "run.json"
    with pytest.raises(KeyboardInterrupt):
        exhaust(construction, EXACT, checkpoint=checkpoint, progress=_interrupt_at(128))
    assert checkpoint.exists()
    done: list[int] = []
    resumed = exhaust(construction, EXACT, checkpoint=checkpoint, progress=lambda cases, _: done.append(cases))
    assert done == [192, 243]  # 64 cases, then twice as many at once, as they take less than a second
    assert resumed.holds is True
    assert _untimed(resumed) == _untimed(exhaust(construction, EXACT))
    assert list(tmp_path.iterdir()) == []  # a finished run leaves nothing behind


def test_a_run_in_pieces_equals_a_run_in_one(tmp_path: Path) -> None:
    # in floats that round nothing, as above: the margins do not depend on the batches
    construction = LongerResponses(2, 2)
    checkpoint = tmp_path / "run.json"
    for piece in range(1, 4):
        verdict = exhaust(construction, FLOAT64, checkpoint=checkpoint, limit=10)
        assert verdict.holds is None
        assert verdict.cases == 10 * piece
    last = exhaust(construction, FLOAT64, checkpoint=checkpoint, limit=10)
    assert _untimed(last) == _untimed(exhaust(construction, FLOAT64))
    assert not checkpoint.exists()


def test_a_resumed_run_finds_what_an_uninterrupted_one_finds(tmp_path: Path) -> None:
    construction = UnconditionalGeneration(9, 3, temperature=RationalSoftmax(Fraction(65)))
    first = exhaust(construction, EXACT)
    assert first.counterexample is not None
    checkpoint = tmp_path / "run.json"
    for _ in range(first.cases - 1):
        assert exhaust(construction, EXACT, checkpoint=checkpoint, limit=1).holds is None
    found = exhaust(construction, EXACT, checkpoint=checkpoint, limit=1)
    assert _untimed(found) == _untimed(first)
    assert not checkpoint.exists()


def _checkpoint_of(construction: Construction, arithmetic: Any, path: Path, **options: Any) -> None:
    assert exhaust(construction, arithmetic, checkpoint=path, limit=2, **options).holds is None


@pytest.mark.parametrize(
    "other",
    [UnconditionalGeneration(3, 3), UnconditionalGeneration(2, 3, temperature=9.0), LongerResponses(2, 3)],
    ids=repr,
)
def test_a_checkpoint_of_another_construction_is_refused(tmp_path: Path, other: Construction) -> None:
    path = tmp_path / "run.json"
    _checkpoint_of(UnconditionalGeneration(2, 3), FLOAT64, path)
    before = path.read_text(encoding="utf-8")
    with pytest.raises(InvalidArgument, match="checkpoint: expected one of"):
        exhaust(other, FLOAT64, checkpoint=path)
    assert path.read_text(encoding="utf-8") == before


def test_a_checkpoint_of_another_arithmetic_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    float32 = get_arithmetic("torch", dtype="float32")
    _checkpoint_of(UnconditionalGeneration(2, 3), float32, path)
    for arithmetic in (EXACT, FLOAT64, get_arithmetic("torch", dtype="float32", tf32=True)):
        with pytest.raises(InvalidArgument, match="checkpoint"):
            exhaust(UnconditionalGeneration(2, 3), arithmetic, checkpoint=path)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '"a"',
        "\ud83d".encode("utf-8", "surrogatepass"),
        '{"cases": "1", "margin": null}',
        '{"key": KEY, "cases": "1"}',
        '{"key": KEY, "margin": null}',
        '{"key": "x", "cases": "1", "margin": null}',
        '{"key": KEY, "cases": "x", "margin": null}',
        '{"key": KEY, "cases": null, "margin": null}',
        '{"key": KEY, "cases": "-3", "margin": null}',
        '{"key": KEY, "cases": "1", "margin": "1/0"}',
        '{"key": KEY, "cases": "1", "margin": "x"}',
        '{"key": KEY, "cases": "1", "margin": []}',
    ],
)
def test_a_corrupt_checkpoint_is_refused_in_one_line(tmp_path: Path, text: str | bytes) -> None:
    path = tmp_path / "run.json"
    construction = UnconditionalGeneration(2, 3)
    _checkpoint_of(construction, EXACT, path)
    key = json.dumps(json.loads(path.read_text(encoding="utf-8"))["key"])
    path.write_bytes(text if isinstance(text, bytes) else text.replace("KEY", key).encode())
    with pytest.raises(InvalidArgument) as caught:
        exhaust(construction, EXACT, checkpoint=path)
    assert len(str(caught.value).splitlines()) == 1


def test_a_folder_is_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="checkpoint"):
        exhaust(UnconditionalGeneration(2, 2), EXACT, checkpoint=tmp_path)


def test_a_checkpoint_beyond_the_space_shows_nothing(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    construction = UnconditionalGeneration(2, 3)
    _checkpoint_of(construction, EXACT, path)
    record = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**record, "cases": "9"}), encoding="utf-8")
    try:
        verdict = exhaust(construction, EXACT, checkpoint=path)
    except InvalidArgument:
        return  # a refusal is as good
    assert verdict.holds is not True


def test_a_format_that_cannot_carry_the_weights_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="dtype"):
        exhaust(LongerInputs(9, 2), get_arithmetic("torch", dtype="float32"))
