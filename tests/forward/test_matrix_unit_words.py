"""The arithmetic of a matrix unit from outside: its names, words and assumptions, the commands, and bad input."""

from __future__ import annotations

import json

import pytest

import verify
from constructions import InvalidArgument
from constructions.formats import get_format
from tests.forward.test_matrix_unit import ARITHMETICS, DTYPES
from verify import MatrixUnitArithmetic, get_arithmetic
from verify.arithmetic.families import MATRIX_UNIT, numbers_of
from verify.cli.app import run
from verify.evidence.verdict import Verdict


@pytest.mark.parametrize("arithmetic", ARITHMETICS, ids=lambda arithmetic: str(arithmetic.name))
def test_it_is_made_again_from_its_words_and_its_expression(
    arithmetic: MatrixUnitArithmetic, capsys: pytest.CaptureFixture[str]
) -> None:
    again = eval(arithmetic.expression(), {"verify": verify})
    assert (again.name, again.spec) == (arithmetic.name, arithmetic.spec)
    words = arithmetic.words()
    assert words is not None
    assert run(["exhaust", "theorem-1", "--vocab", "2", "--context", "2", *words, "--json"]) == 0
    verdict = Verdict.from_json(json.loads(capsys.readouterr().out))
    assert (verdict.arithmetic, verdict.assumptions) == (arithmetic.name, arithmetic.assumptions())


def test_names_words_and_json() -> None:
    found = MatrixUnitArithmetic("bf16", "cdna2", slice_size=8, reduced=True)
    assert found.name == "matrix unit cdna2 bf16 slice size 8 reduced"
    assert found.expression() == "verify.MatrixUnitArithmetic('bf16', unit='cdna2', slice_size=8, reduced=True)"
    assert " ".join(found.words() or ()) == (
        "--arithmetic matrix-unit --dtype bf16 --unit cdna2 --slice-size 8 --reduced"
    )
    assert found.spec is not None
    assert found.spec.to_json() == {
        "family": "matrix-unit",
        "format": "bf16",
        "device": "cpu",
        "unit": "cdna2",
        "slice_size": 8,
        "reduced": True,
    }
    assert numbers_of(found.name) == found.spec.numbers == found.name
    assert get_arithmetic("matrix-unit", dtype="fp16").name == "matrix unit hopper fp16"  # the unit is always named
    names = [spec.name for spec in MATRIX_UNIT.specs()]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(("word", "dtype"), DTYPES.items())
def test_a_format_has_the_name_of_its_dtype_too(word: str, dtype: str) -> None:
    one, other = MatrixUnitArithmetic(word), MatrixUnitArithmetic(dtype)
    assert (one.name, one.spec, one.fmt) == (other.name, other.spec, get_format(dtype))


def test_a_verdict_states_its_assumptions(capsys: pytest.CaptureFixture[str]) -> None:
    words = "exhaust theorem-1 --vocab 2 --context 2 --arithmetic matrix-unit --unit ampere --dtype"
    assert run([*words.split(), "tf32"]) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    said = next(line for line in lines if line.startswith("theorem-1, matrix unit ampere tf32: "))
    for part in (
        "multiply tf32 as verify.MatrixUnit does (",
        "factors rounded to TF32 by the library, ties to even",
        "K in ascending blocks of 4, in one chain, then a bias in float32",
        "computed in float32, by numpy, and rounded once",
    ):
        assert part in said
    assert "one chain" not in MatrixUnitArithmetic("bf16", split=3, reduced=True).assumptions()
    assert "3 parts of whole blocks, whose sums are rounded to bfloat16 and added up in float32" in (
        MatrixUnitArithmetic("bf16", split=3, reduced=True).assumptions()
    )
    assert get_arithmetic("torch").assumptions() is None


@pytest.mark.share(3)
@pytest.mark.parametrize(
    "command",
    [
        "fuzz theorem-1 --vocab 3 --context 2 --examples 5",
        "fuzz attention-rescaling --examples 5",
        "exhaust theorem-2 --vocab 2",
        "pairs theorem-1 --vocab 3 --context 2",
        "check theorem-1 --vocab 2 --context 2 --rank 1 --trace",
        "counterexample theorem-1 --size vocab=1..3 --size context=2",
        "completions theorem-1 --vocab 2 --context 2",
        "attention --drawn 0:1",
    ],
)
def test_every_command_that_runs_takes_it(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = "--arithmetic matrix-unit --unit blackwell --dtype bf16 --split 2"
    assert run([*command.split(), *words.split()]) == 0
    assert "matrix unit blackwell bf16 split 2" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--arithmetic matrix-unit --unit pascal", "unit: expected one of volta, turing, ampere, ada, hopper,"),
        ("--arithmetic matrix-unit --unit turing --dtype bf16", "dtype on turing: expected one of fp16 but got 'bf16'"),
        ("--arithmetic matrix-unit --dtype float64", "dtype: expected one of fp16, bf16, tf32 but got 'float64'"),
        ("--arithmetic matrix-unit --dtype fp8-e4m3", "dtype: expected one of fp16, bf16, tf32 but got 'fp8-e4m3'"),
        ("--arithmetic matrix-unit --split 0", "split: expected an integer >= 1 but got 0 (type int)"),
        ("--arithmetic matrix-unit --slice-size 0", "slice_size: expected an integer >= 1 but got 0 (type int)"),
        ("--arithmetic matrix-unit --dtype bf16 --reduced", "but got bf16 with one chain"),
        ("--arithmetic matrix-unit --dtype bf16 --factors away", "factors: expected tf32, whose factors are float32"),
        ("--arithmetic matrix-unit --device cuda", "device: expected one of cpu but got 'cuda'"),
        ("--arithmetic matrix-unit --tf32", "tf32: expected torch in float32"),
        ("--unit hopper", "arithmetic: expected matrix-unit with --unit and with how its products are added up, but"),
        ("--arithmetic torch --unit ampere", "with how its products are added up, but got torch float32"),
        ("--arithmetic rational --split 2", "but got rational"),
        ("--arithmetic numpy --reduced", "but got numpy float32"),
    ],
)
def test_bad_input_is_refused_in_one_line(words: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["exhaust", "theorem-1", "--vocab", "2", "--context", "2", *words.split()]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert len(captured.err.splitlines()) == 1
    assert message in captured.err


def test_the_bounds_of_identities_are_not_for_tf32(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["attention", "--drawn", "0:1", "--arithmetic", "matrix-unit", "--dtype", "tf32"]) == 2
    assert "dtype: expected fp16 or bf16, whose products are exact, but got matrix unit" in capsys.readouterr().err
    with pytest.raises(InvalidArgument):
        MatrixUnitArithmetic("tf32").ieee()
