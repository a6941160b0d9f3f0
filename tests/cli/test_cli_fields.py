"""The fields of a construction are options of the command line, those of a user's own construction too."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from constructions import DigitGeneration, Hardmax, PerHeadSoftmax, RationalSoftmax, Softmax, UnconditionalGeneration
from constructions.fields import Sizes, letter, options_of_class, short, words
from proofs import CLAIMS
from tests.cli.own import written
from verify.cli.app import run
from verify.cli.options import TemperatureOptions
from verify.requests import claim_of, command_for
from verify.requests.words import field_named, field_options


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(sys, "path", [*sys.path])
    modules = set(sys.modules)
    yield f"{written(tmp_path, 'own_fields')}:Shifted"
    for name in set(sys.modules) - modules:
        if str(getattr(sys.modules[name], "__file__", None)).startswith(str(tmp_path)):
            del sys.modules[name]


def _json(words: list[str], capsys: pytest.CaptureFixture[str], status: int) -> Any:
    assert run([*words, "--json"]) == status
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("size", [["--shift", "1"], ["--shift=1"], ["--size", "shift=1"]], ids=" ".join)
@pytest.mark.parametrize("first", ["claim", "sizes"])
def test_the_sizes_of_a_users_construction_are_options(
    own: str, size: list[str], first: str, capsys: pytest.CaptureFixture[str]
) -> None:
    sizes = ["--vocab-size", "3", *size]
    words = ["exhaust", *([own, *sizes] if first == "claim" else [*sizes, own]), "--arithmetic", "rational"]
    found = _json(words, capsys, 1)
    assert found["parameters"]["vocab_size"] == 3
    assert found["parameters"]["shift"] == 1
    assert found["counterexample"]["reproduce"].split()[4:7] == ["3", "--size", "shift=1"]


def test_a_range_of_a_users_size_is_one(own: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["counterexample", own, "--vocab", "3", "--shift", "0..2", "--arithmetic", "rational"]
    assert "shift=1" in _json(words, capsys, 1)["counterexample"]["construction"]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--shift", "1", "--shift", "2"], "shift: expected it once but got it twice"),
        (["--height", "1"], "height: expected one of the sizes of"),
        (["--width", "1"], "width: expected no --width for Shifted"),
        (["--shift", "many"], "No such option: --shift"),
        (["--nonsense"], "No such option: --nonsense"),
        (["--", "--shift", "1"], "unexpected extra argument"),
    ],
)
def test_what_is_no_size_of_it_is_refused(
    own: str, more: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["exhaust", own, "--vocab", "2", *more]) == 2
    assert said in capsys.readouterr().err


def test_a_registered_claim_keeps_its_own_options(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["exhaust", "theorem-2", "--vocab", "3", "--shift", "1"]) == 2
    assert "No such option: --shift" in capsys.readouterr().err
    assert run(["exhaust", "theorem-2", "--vocab", "3", "--exmples", "1"]) == 2
    assert "--examples" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "cases"),
    [
        (["exhaust", "digits", "--vocab", "5", "--context", "2", "--digits", "2"], "25"),
        (
            ["exhaust", "digits", "--vocab-size", "5", "--context-size", "2", "--digits=3", "--readout", "split"],
            "25",
        ),
        (["certify", "digits", "--vocab", "9", "--context", "3", "--digits", "2", "--dtype", "bfloat16"], "729"),
    ],
    ids=" ".join,
)
def test_several_digits_are_a_claim(words: list[str], cases: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = _json(words, capsys, 0)
    assert (found["claim"], found["cases"], found["holds"]) == ("digits", cases, True)


def test_a_blunt_temperature_of_several_digits_is_refuted_and_reproduced(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["exhaust", "digits", "--vocab", "5", "--context", "2", "--digits", "2", "--arithmetic", "rational"]
    found = _json([*words, "--q", "1/2"], capsys, 1)["counterexample"]
    again = _json(found["reproduce"].split()[1:], capsys, 1)["counterexample"]
    assert again == found
    assert "--digits 2" in found["reproduce"]


def test_the_help_says_whose_each_option_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["exhaust", "--help"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "--vocab, --vocab-size V the number of tokens --context" in shown  # every claim has it
    assert "--digits m the number of digits per token, at least 1 (digits)" in shown
    assert "--lift <str> add (the paper) or mask" in shown
    assert "(all but digits, residual-theorem-1, residual-theorem-2)" in shown
    assert "--start-token whether a user's token comes before the response" in shown


def test_every_field_that_is_an_option_is_described() -> None:
    for claim in CLAIMS.values():
        if claim.construction is None:
            continue
        for name in (*claim.sizes.defaults, *options_of_class(claim.construction)):
            assert words(claim.construction, name)
            assert "``" not in words(claim.construction, name)
            assert field_named(field_options()[name].name) == name
        assert all(letter(claim.construction, name) for name in claim.sizes.defaults)


def test_fields_of_a_class() -> None:
    assert options_of_class(DigitGeneration) == {"mask": str, "readout": str}
    assert options_of_class(UnconditionalGeneration)["band_size"] is int
    assert "embedding" not in options_of_class(UnconditionalGeneration)
    assert list(Sizes.of("it", DigitGeneration).defaults) == ["vocab_size", "context_size", "digits"]
    assert (short("vocab_size"), short("digits")) == ("vocab", "digits")
    assert letter(UnconditionalGeneration, "mask") is None  # ``causal`` is a choice


def test_a_claim_about_layers_is_none_of_a_construction() -> None:
    assert claim_of("attention-bias").construction is None
    with pytest.raises(
        ValueError, match=r"claim: expected one of theorem-1, .*, residual-theorem-2 but got 'attention-bias'"
    ):
        claim_of("attention-bias", built=True)


@pytest.mark.parametrize(
    "temperature",
    [
        Hardmax(),
        Softmax(2.5),
        Softmax(3, "length"),
        RationalSoftmax(Fraction(7)),
        RationalSoftmax(Fraction(10**5000)),
        PerHeadSoftmax({"self": 7, "first": 2}),
    ],
    ids=lambda temperature: type(temperature).__name__,
)
def test_a_temperature_is_read_as_it_is_written(temperature: Any) -> None:
    words = command_for("theorem-1", UnconditionalGeneration(2, 2, temperature=temperature))
    assert words is not None
    given = {name.removeprefix("--").replace("-", "_"): value for name, value in words.items() if name != "claim"}
    read = {name: given[name] for name in ("temperature", "scaled_by", "q") if name in given}
    if len(read.get("q", "")) < 4300:
        assert TemperatureOptions(**read).given == temperature
    else:
        assert read["q"] == f"1{'0' * 5000}/1"
