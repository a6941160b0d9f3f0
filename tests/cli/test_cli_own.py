"""A construction of the user's own works in every command that takes a claim, and its mistakes are told as such."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from tests.cli.own import written
from verify import Verdict
from verify.cli.app import run
from verify.suite.default_plan import largest_enumerated

pytestmark = pytest.mark.usefixtures("own_folder")


def _json(words: list[str], capsys: pytest.CaptureFixture[str], status: int) -> Any:
    assert run([*words, "--json"]) == status
    return json.loads(capsys.readouterr().out)


def _refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert run(words) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("error: ")
    assert told.err.count("\n") == 1
    return told.err


@pytest.mark.parametrize("claim", ["own_shifted:Shifted", "own_shifted.py:Shifted", "{folder}/own_shifted.py:Shifted"])
@pytest.mark.parametrize("size", [["--vocab", "4"], ["--size", "vocab=4"], ["--size", "vocab_size=4,shift=0"]])
def test_it_is_named_by_module_or_by_file(
    claim: str, size: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written(tmp_path)
    claim = claim.format(folder=tmp_path)
    verdict = Verdict.from_json(_json(["exhaust", claim, *size, "--arithmetic", "rational"], capsys, 0))
    assert (verdict.claim, verdict.cases, verdict.holds) == (claim, 16, True)
    assert verdict.parameters["vocab_size"] == 4


SHIFTED = ["own_shifted:Shifted", "--vocab", "3", "--size", "shift=1"]


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (["exhaust", *SHIFTED], 1),
        (["fuzz", *SHIFTED, "--examples", "20", "--arithmetic", "rational"], 1),
        (["check", *SHIFTED, "--rank", "0", "--user", "0", "--mask", "none"], 1),
        (["counterexample", *SHIFTED[:3], "--size", "shift=0..2", "--arithmetic", "numpy"], 1),
    ],
    ids=lambda words: words[0] if isinstance(words, list) else None,
)
def test_what_is_found_is_reproduced_by_the_printed_command(
    words: list[str], status: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written(tmp_path)
    case = Verdict.from_json(_json(words, capsys, status)).counterexample
    assert case is not None
    program, *again = shlex.split(case.reproduce)
    assert (program, *again[:2]) == ("prefixproof", "check", "own_shifted:Shifted")
    assert Verdict.from_json(_json(again, capsys, 1)).counterexample == case


def test_certify_frontier_and_show(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written(tmp_path)
    verdict = Verdict.from_json(_json(["certify", "own_shifted:Shifted", "--vocab", "4"], capsys, 0))
    assert (verdict.method, verdict.holds, verdict.cases) == ("certified", True, 16)
    words = ["frontier", "own_shifted.py:Shifted", "--limit", "2", "--dtype", "bfloat16", "--bias", "separate"]
    found = _json([*words, "--size", "shift=0"], capsys, 1)["frontiers"][0]
    assert found["setting"]["claim"] == "own_shifted.py:Shifted"
    assert found["certified"]["separate"]["up_to"] == 2
    document = _json(["show", "own_shifted:Shifted", "--vocab", "2"], capsys, 0)
    assert document["parameters"] == {"vocab_size": 2, "shift": 0}
    assert document["statement"] == "The token plus the target, and plus a shift that is promised but not made."
    assert document["weights"]["wrap.bias"] == [["0"], ["-1"], ["-2"]]
    assert run(["show", "own_shifted:Shifted", "--vocab", "2"]) == 0
    assert "Shifted(vocab_size=2)" in capsys.readouterr().out


def test_fuzzing_draws_only_sizes_that_the_construction_accepts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written(tmp_path)
    words = ["fuzz", "own_shifted:Needy", "--vocab", "5", "--size", "extra=2..4,shift=0..0", "--arithmetic", "rational"]
    verdict = Verdict.from_json(_json([*words, "--examples", "40"], capsys, 0))
    assert verdict.holds is True
    assert verdict.parameters == {
        "vocab_size": "1..5",
        "shift": "0..0",
        "extra": "2..4",
        "temperature": "default of each size",
    }


def test_what_it_prints_stays_out_of_the_document(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path)
    path.write_text(path.read_text(encoding="utf-8") + "print('hello')\n", encoding="utf-8")
    assert _json(["exhaust", "own_shifted:Shifted", "--vocab", "2"], capsys, 0)["holds"] is True


@pytest.mark.parametrize(
    ("claim", "message"),
    [
        ("nowhere:Shifted", "that can be imported but nowhere:Shifted: there is no module"),
        ("not_there.nowhere:Shifted", "there is no module 'not_there'"),
        ("nowhere.py:Shifted", "claim: expected path/to/file.py:Class but there is no file nowhere.py"),
        ("own_shifted:Nothing", "claim: expected a Construction of own_shifted, which has Shifted, Needy, Raising"),
        ("own_shifted:NOT_A_CONSTRUCTION", "but got 'NOT_A_CONSTRUCTION' (type int)"),
        ("own_shifted:dataclass", "but got 'dataclass' (type function)"),
        ("own_shifted:Unfinished", "but Unfinished lacks answer, encode, targets, transformer"),
        ("own_shifted:", "claim: expected a Construction of own_shifted"),
        (":Shifted", "claim: expected module:Class or path/to/file.py:Class"),
        ("../own shifted:Shifted", "claim: expected module:Class or path/to/file.py:Class"),
    ],
)
@pytest.mark.parametrize("command", ["exhaust", "show", "counterexample"])
def test_a_class_that_is_not_there(
    command: str, claim: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written(tmp_path)
    assert message in _refused([command, claim, "--vocab", "3"], capsys)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("\nraise ValueError('two\\nlines')\n", "own_broken.py, line 2: ValueError: two lines"),
        ("import sys\nsys.exit(0)\n", "own_broken.py, line 2: SystemExit: 0"),
        ("\n\nimport not_there\n", "own_broken.py, line 3: ModuleNotFoundError: No module named 'not_there'"),
        ("def f(:\n", "own_broken.py, line 1: invalid syntax"),
        ("x = 1\nint('x')\n", "own_broken.py, line 2: ValueError: invalid literal for int()"),
        ("def f():\n    return f()\n\nf()\n", "own_broken.py, line 2: RecursionError"),
    ],
)
@pytest.mark.parametrize("claim", ["own_broken:Shifted", "own_broken.py:Shifted"])
def test_a_module_that_raises_is_told_by_file_and_line(
    claim: str, source: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "own_broken.py").write_text(source, encoding="utf-8")
    told = _refused(["exhaust", claim, "--vocab", "3"], capsys)
    assert message in told
    assert str(tmp_path) in told


def test_a_mistake_that_runs_later_is_told_by_file_and_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written(tmp_path)
    told = _refused(["exhaust", "own_shifted:Raising", "--vocab", "3"], capsys)
    assert "own_shifted.py, line 5" in told
    assert "ZeroDivisionError: integer division or modulo by zero" in told


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "vocab: expected a value, as own_shifted:Shifted needs vocab, shift"),
        (
            ["--vocab", "3", "--context", "2"],
            "context: expected one of the sizes of own_shifted:Shifted (vocab, shift)",
        ),
        (
            ["--vocab", "3", "--size", "width=2"],
            "width: expected one of the sizes of own_shifted:Shifted (vocab, shift)",
        ),
        (["--vocab", "3", "--size", "vocab=3"], "vocab: expected it once but got it twice"),
        (["--size", "vocab=3", "--size", "vocab_size=3"], "vocab: expected it once but got it twice"),
        (["--vocab", "3", "--size", "shift=1,shift=2"], "shift: expected it once but got it twice"),
        (["--vocab", "3", "--size", "shift"], "size: expected NAME=B or NAME=A..B"),
        (["--vocab", "3", "--size", "shift=x"], "size: expected NAME=B or NAME=A..B"),
        (["--vocab", "3", "--size", "shift=0..2"], "shift: expected one value but got the range 0..2"),
        (["--vocab", "0"], "vocab_size: expected an integer >= 1 but got 0"),
        (["--vocab", "3", "--lift", "add"], "lift: expected no --lift for Shifted"),
    ],
)
def test_sizes_that_do_not_fit(
    words: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written(tmp_path)
    assert message in _refused(["exhaust", "own_shifted:Shifted", *words], capsys)


@pytest.mark.parametrize("command", ["exhaust", "certify", "fuzz"])
def test_a_transformer_that_does_not_fit_its_construction(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written(tmp_path)
    told = _refused([command, "own_shifted:SmallEmbedding", "--vocab", "4"], capsys)
    assert "tokens, the vocab_size of SmallEmbedding, but it has" in told
    assert "(the embedding is 1 x" in told
    told = _refused([command, "own_shifted:LongLayout", "--vocab", "4"], capsys)
    assert "transformer of LongLayout: expected a context_size of at least 3, the positions that" in told


def test_the_class_decides_the_mask_unless_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An option that is not given must not replace what the class says."""
    path = written(tmp_path)
    more = (
        "\n\n@dataclass(frozen=True, repr=False)\nclass Unmasked(Shifted):\n    mask: str = 'none'\n"
        "    temperature: float = 2.0\n"
    )
    path.write_text(path.read_text(encoding="utf-8") + more, encoding="utf-8")
    words = ["exhaust", "own_shifted:Unmasked", "--vocab", "2"]
    document = _json(words, capsys, 0)
    assert document["parameters"]["mask"] == "none"
    assert document["parameters"]["temperature"].startswith("T = 2")
    assert _json([*words, "--mask", "causal"], capsys, 0)["parameters"]["mask"] == "causal"


@pytest.mark.parametrize(("shift", "status"), [("0", 0), ("1", 1)])
def test_verify_gathers_every_kind_of_evidence_for_it(
    shift: str, status: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written(tmp_path)
    words = ["verify", "own_shifted:Shifted", "--vocab", "3", "--size", f"shift={shift}", "--dtype", "float32"]
    assert run([*words, "--json"]) == status
    found = json.loads(capsys.readouterr().out)["verdicts"]
    verdicts = [Verdict.from_json(verdict) for verdict in found]
    assert [(verdict.method, verdict.arithmetic) for verdict in verdicts] == [
        ("certified", "ball"),
        ("exhausted", "rational"),
        ("certified", "rounded float32"),
        ("exhausted", "torch float32"),
    ]
    assert all(verdict.claim == "own_shifted:Shifted" for verdict in verdicts)
    if status == 0:
        assert all(verdict.holds is True and verdict.cases == 9 for verdict in verdicts)
    else:
        assert [verdict.holds for verdict in verdicts] == [None, False, None, False]


def test_verify_fuzzes_more_cases_than_the_main_job_enumerates(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written(tmp_path)
    most = largest_enumerated("rational")
    assert most == max(4**4, 4**4 * 4, 3**6 * 3, 2**4 * 4, 2**8 * 8)
    for vocab in (46, 47):  # V^2 cases, just within and just beyond
        words = ["verify", "own_shifted:Shifted", "--vocab", str(vocab), "--dtype", "float32", "--examples", "5"]
        assert run([*words, "--json"]) == 0
        methods = [verdict["method"] for verdict in json.loads(capsys.readouterr().out)["verdicts"]]
        assert methods[1] == ("exhausted" if vocab**2 <= most else "fuzzed")


def test_verify_refuses_sizes_that_are_for_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written(tmp_path)
    told = _refused(["verify", "theorem-2", "--vocab", "3"], capsys)
    assert told == "error: size: expected none, as the claims have sizes of their own in this command\n"
    assert "vocab: expected a value" in _refused(["verify", "own_shifted:Shifted"], capsys)
    assert "tf32: expected a claim" in _refused(["verify", *SHIFTED, "--tf32"], capsys)


def test_a_mistake_in_another_process_is_told_by_its_line_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written(tmp_path)
    words = ["verify", "own_shifted:Raising", "--vocab", "3", "--dtype", "float32"]
    told = []
    for jobs in ("1", "2"):
        assert run([*words, "--jobs", jobs]) == 2
        told.append(capsys.readouterr().err)
    assert told[0] == told[1]
    assert "own_shifted.py, line " in told[0]
    assert "ZeroDivisionError" in told[0]
