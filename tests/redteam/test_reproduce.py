"""A counterexample of every arithmetic prints a line that shows it, in Python and on the command line."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import pytest
import torch

import constructions
import verify
from constructions import (
    ConditionalGeneration,
    Construction,
    Hardmax,
    InvalidArgument,
    LongerInputs,
    LongerResponses,
    RationalSoftmax,
    UnconditionalGeneration,
)
from verify import Counterexample, Verdict, exhaust, get_arithmetic, sweep
from verify.arithmetic import KINDS, Arithmetic, torch_arithmetic
from verify.cli.app import run
from verify.evidence.finder import find_counterexample
from verify.requests import command_for

NAMES: dict[str, Any] = {**vars(constructions), "verify": verify, "Fraction": Fraction}


def arithmetics() -> Iterator[Arithmetic[Any, Any, Any]]:
    yield get_arithmetic("rational")
    yield get_arithmetic("symbolic")
    for dtype in ("float16", "float32", "float64"):
        yield get_arithmetic("numpy", dtype=dtype)
    for dtype in ("bfloat16", "float16", "float32", "float64"):
        yield get_arithmetic("structured", dtype=dtype)
        for bias in ("linear", "separate", "fma"):
            if (dtype, bias) != ("float64", "fma"):
                yield torch_arithmetic(dtype, "cpu", bias=bias)
    for bias in ("linear", "separate", "fma"):
        yield torch_arithmetic("float32", "cpu", bias=bias, tf32_factors=True)


ARITHMETICS = list(arithmetics())

#: Far from right, so that they fail in every arithmetic; those of the symbolic one are wrong at hardmax.
WRONG: list[tuple[str, Construction]] = [
    ("longer-responses", LongerResponses(3, 2, temperature=RationalSoftmax(Fraction(3)))),
    ("theorem-1", UnconditionalGeneration(3, 3, temperature=RationalSoftmax(Fraction(18)))),
    ("theorem-1", UnconditionalGeneration(5, 3, temperature=RationalSoftmax(Fraction(7, 2)), mask="none")),
    ("theorem-1", UnconditionalGeneration(4, 3, temperature=1.5)),
    (
        "theorem-1",
        UnconditionalGeneration(6, 4, encoding="integer", readout="hat", temperature=RationalSoftmax(Fraction(2))),
    ),
    ("longer-responses", LongerResponses(3, 2, temperature=RationalSoftmax(Fraction(3)))),
    ("longer-inputs", LongerInputs(2, 2, temperature=RationalSoftmax(Fraction(3)), mask="none")),
    ("longer-inputs", LongerInputs(2, 2, temperature=RationalSoftmax(Fraction(3)), mask="none", lift="mask")),
]


def from_python(line: str) -> Verdict:
    verdict = eval(line, dict(NAMES))
    assert isinstance(verdict, Verdict)
    return verdict


def from_command(line: str, capsys: pytest.CaptureFixture[str]) -> Verdict:
    program, *arguments = shlex.split(line)
    assert program == "prefixproof"
    assert run([*arguments, "--json"]) == 1
    return Verdict.from_json(json.loads(capsys.readouterr().out))


def shown(found: Counterexample, again: Verdict) -> None:
    """Check that a line shows the case, in the same arithmetic, with the margin that was recorded."""
    assert again.holds is False
    assert again.counterexample == found
    assert again.margin == found.margin


def check_lines(
    arithmetic: Arithmetic[Any, Any, Any], claim: str, construction: Construction, capsys: pytest.CaptureFixture[str]
) -> int:
    """Check the line for Python and that for the command line; return how many there were."""
    command = command_for(claim, construction)
    assert command is not None
    tried = 0
    for words in (None, command):
        try:
            verdict = exhaust(construction, arithmetic, command=words)
        except InvalidArgument:
            assert arithmetic.fmt is None  # a temperature that is not exact
            return 0
        found = verdict.counterexample
        if found is None:  # a small format rounds this one right
            assert arithmetic.fmt is not None
            return 0
        again = from_python(found.reproduce) if words is None else from_command(found.reproduce, capsys)
        shown(found, again)
        assert again.arithmetic == verdict.arithmetic == arithmetic.name
        assert verdict.margin == found.margin
        tried += 1
    return tried


#: Each arithmetic with one of the constructions here, and with all of them in the heavy tier.
ONE_EACH = [(arithmetic, WRONG[place % 4]) for place, arithmetic in enumerate(ARITHMETICS)]


def test_every_counterexample_is_shown_by_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    lines = [check_lines(arithmetic, *wrong, capsys) for arithmetic, wrong in ONE_EACH]
    assert sum(lines) >= 40


@pytest.mark.heavy
@pytest.mark.parametrize("arithmetic", ARITHMETICS, ids=lambda arithmetic: str(arithmetic.expression()))
def test_every_counterexample_of_every_construction_is_shown_by_its_line(
    arithmetic: Arithmetic[Any, Any, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    tried = sum(check_lines(arithmetic, *wrong, capsys) for wrong in WRONG)
    assert tried >= (0 if arithmetic.name == "symbolic" else 8)


@pytest.mark.parametrize("kind", ["numpy", "torch", "structured"])
def test_what_a_sweep_and_a_search_find_is_shown_by_their_lines(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    arithmetic = get_arithmetic(kind, dtype="float16")
    blunt = RationalSoftmax(Fraction(60))

    def build(vocab_size: int) -> Construction:
        return UnconditionalGeneration(vocab_size, 4, temperature=blunt)

    def command(construction: Construction) -> Any:
        return command_for("theorem-1", construction)

    swept = sweep(build, arithmetic, max_vocab_size=9, claim="theorem-1", command=command)
    ranges = {"vocab_size": range(1, 9)}
    for limit in (1, 5000):
        searched = find_counterexample(build, ranges, arithmetic, claim="theorem-1", command=command, limit=limit)
        for verdict in (swept, searched):
            assert verdict.counterexample is not None
            shown(verdict.counterexample, from_command(verdict.counterexample.reproduce, capsys))


def test_symbols_at_hardmax_are_shown_by_their_line(capsys: pytest.CaptureFixture[str]) -> None:
    from tests.mutation.mutated import Mutated, with_matrix

    right = ConditionalGeneration(2, temperature=Hardmax())
    wrong = Mutated(right, "it", with_matrix("readout.bias", lambda rows: rows[::-1]))
    found = exhaust(wrong, get_arithmetic("symbolic")).counterexample
    assert found is not None
    line = found.reproduce.replace(repr(wrong), "wrong")
    assert line.endswith("arithmetic=verify.SymbolicArithmetic())")
    shown(found, eval(line, {**NAMES, "wrong": wrong}))


@pytest.mark.parametrize("kind", KINDS)
def test_every_arithmetic_of_the_command_line_names_itself(kind: str) -> None:
    arithmetic = get_arithmetic(kind, dtype="float32")
    words = arithmetic.words()
    assert words is not None
    assert words[:2] == ("--arithmetic", kind)
    again = eval(arithmetic.expression(), dict(NAMES))
    assert (type(again), again.name) == (type(arithmetic), arithmetic.name)
    assert (
        run(["check", "theorem-1", "--vocab", "3", "--context", "2", "--rank", "5", *words, "--temperature", "inf"])
        == 0
    )


def test_tf32_is_refused_where_nothing_is_reduced() -> None:
    """A verdict that says "with TF32" must be of an arithmetic that has it."""
    right = UnconditionalGeneration(2, 2)
    for kind, dtype in (
        ("rational", "float32"),
        ("numpy", "float32"),
        ("torch", "float64"),
        ("structured", "bfloat16"),
    ):
        with pytest.raises(InvalidArgument, match="tf32: expected torch in float32"):
            exhaust(right, get_arithmetic(kind, dtype=dtype, tf32=True))


@pytest.mark.parametrize("kind", ["torch", "structured"])
def test_float32_is_float32_whatever_another_library_allowed(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    right = UnconditionalGeneration(2, 2)
    arithmetic = (
        torch_arithmetic("float32", "cpu", bias="separate")
        if kind == "torch"
        else get_arithmetic(kind, dtype="float32")
    )
    relu = type(arithmetic).relu

    def spying(self: Any, rows: Any) -> Any:
        seen.append(torch.get_float32_matmul_precision())
        return relu(self, rows)

    monkeypatch.setattr(type(arithmetic), "relu", spying)
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        assert exhaust(right, arithmetic).holds is True
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)
    assert set(seen) == {"highest"}


@pytest.mark.gpu
@pytest.mark.parametrize("kind", ["torch", "structured"])
@pytest.mark.parametrize("reduced", ["", "tf32"])
def test_on_cuda_every_line_shows_its_case(kind: str, reduced: str, capsys: pytest.CaptureFixture[str]) -> None:
    arithmetic = get_arithmetic(kind, dtype="float32", device="cuda", tf32=bool(reduced))
    for claim, construction in WRONG:
        command = command_for(claim, construction)
        for words in (None, command):
            found = exhaust(construction, arithmetic, command=words).counterexample
            assert found is not None
            again = from_python(found.reproduce) if words is None else from_command(found.reproduce, capsys)
            shown(found, again)
