"""A program as a backend: it is held to its promise, and one that fails in any way never verifies."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

import verify
from constructions import ConditionalGeneration, Domain, InvalidArgument, specify
from verify.backends import ProgramBackend

PROMISE = specify(Domain.of(3, 2), lambda x: x[:, -1:])
RIGHT = "say(logits=[[float(v == row[-1]) for v in range(3)] for row in asked['tokens']])"

PROGRAM = """
import json, os, sys, time
count = 0
for line in sys.stdin:
    asked, count = json.loads(line), count + 1
    def say(**answer):
        print(json.dumps({{"id": asked["id"], **answer}}), flush=True)
    {body}
"""


def program(body: str, **options: Any) -> ProgramBackend:
    return ProgramBackend([sys.executable, "-c", PROGRAM.format(body=body)], **{"timeout": 60, "name": "it", **options})


def test_a_right_program_holds() -> None:
    with program(RIGHT) as backend:
        verdict = verify.exhaust(PROMISE, backend)
    assert (verdict.holds, verdict.cases, verdict.margin, verdict.arithmetic) == (True, 9, 1.0, "program it")
    assert verdict.assumptions == "a program: what it computes is not inspected"


def test_one_that_gives_tokens_holds_without_margins() -> None:
    with program("say(tokens=[[row[-1]] for row in asked['tokens']])", gives="tokens") as backend:
        verdict = verify.exhaust(PROMISE, backend)
    assert (verdict.holds, verdict.margin) == (True, None)
    assert "margins are not known" in str(verdict.assumptions)


def test_virtual_tokens_are_the_floats_next_to_them() -> None:
    body = (
        "say(logits=[[-abs(virtual[0][row[0]] - v / 3) for v in range(3)]"
        " for virtual, row in zip(asked['virtual'], asked['tokens'])])"
    )
    with program(body) as backend:
        assert verify.exhaust(ConditionalGeneration(3), backend).holds


def test_a_wrong_program_is_falsified_with_the_command_that_shows_it() -> None:
    with program("say(logits=[[float(v == row[0]) for v in range(3)] for row in asked['tokens']])") as backend:
        verdict = verify.exhaust(PROMISE, backend)
    assert verdict.holds is False
    assert verdict.counterexample is not None
    assert verdict.counterexample.user_input == [0, 1]
    assert "backend=verify.backends.ProgramBackend(['" in verdict.counterexample.reproduce
    (shown,) = backend.arguments()
    again = eval(shown.removeprefix("backend="))
    assert (again.command, again.timeout, again.name) == (backend.command, backend.timeout, backend.name)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("sys.exit(3)", "it ended, with status 3, before it had answered"),
        ("os.kill(os.getpid(), 9)", "it ended, by signal 9, before it had answered"),
        ("raise ValueError('no such kernel')", "its last words: 'ValueError: no such kernel'"),
        ("sys.stdout.write('{\"id\": 1'); sys.exit(0)", "it ended, with status 0, before it had answered"),
        ("print('ready', flush=True)", "expected a line of JSON but got 'ready"),
        ("print('[1]', flush=True)", "expected a JSON object but got \\[1\\]"),
        ("print(json.dumps({'logits': [[1, 0, 0]]}), flush=True)", "answer to question 1 but got id None"),
        ("asked['id'] = True; say(logits=[[1.0]])", "answer to question 1 but got id True"),
        ("asked['id'] = 7; say(logits=[[1.0]])", "answer to question 1 but got id 7"),
        ("say(tokens=[[0]])", "expected an answer with the keys id and logits but got id, tokens"),
        ("say(logits=[[1.0, True, 0.0]])", "expected numbers in logits but got True"),
        ("say(logits=[['1', 0, 0]])", "expected numbers in logits but got '1'"),
        (
            "say(logits=[[2**53 + 1, 0, 0]])",
            r"expected whole numbers in logits of at most 2\^53 but got 9007199254740993",
        ),
        ("say(logits=[[1, 0, 0], [1]])", "expected rows of one length in logits"),
        ("say(logits=None)", "expected numbers in logits but got None"),
        ("say(logits=[[1.0, 0.0, 0.0]])", "of shape 9 x 2 x 3 or 9 x 3 but got an array of float64 of shape 1 x 3"),
        ("say(logits=[])", "of shape 9 x 2 x 3 or 9 x 3 but got"),
    ],
)
def test_anything_but_an_answer_is_told_and_never_verifies(body: str, message: str) -> None:
    with program(body) as backend, pytest.raises(InvalidArgument, match=message):
        verify.exhaust(PROMISE, backend)


def test_tokens_are_whole_numbers() -> None:
    with (
        program("say(tokens=[[1.0]] * 9)", gives="tokens") as backend,
        pytest.raises(InvalidArgument, match=r"expected whole numbers in tokens but got 1\.0"),
    ):
        verify.exhaust(PROMISE, backend)


def test_nan_is_no_margin() -> None:
    with program("say(logits=[[float('nan')] * 3] * len(asked['tokens']))") as backend:
        assert verify.exhaust(PROMISE, backend).holds is False


def test_a_late_program_is_stopped_and_never_asked_again() -> None:
    with program("time.sleep(60)", timeout=0.2) as backend:
        started = time.perf_counter()
        with pytest.raises(InvalidArgument, match=r"no answer within 0\.2 seconds"):
            verify.exhaust(PROMISE, backend)
        with pytest.raises(InvalidArgument, match=r"it failed before and is not asked again: no answer within 0\.2"):
            verify.exhaust(PROMISE, backend)
        assert time.perf_counter() - started < 30


def test_one_that_does_not_read_is_late_too() -> None:
    big = specify(Domain.of(30, 4), lambda x: x[:, -1:])  # a question longer than a pipe
    with (
        ProgramBackend([sys.executable, "-c", "import time; time.sleep(60)"], timeout=0.2) as backend,
        pytest.raises(InvalidArgument, match="no answer within"),
    ):
        verify.exhaust(big, backend)


@pytest.mark.parametrize("failure", ["sys.exit(0)", "say(logits=[])", "print(line)"])
def test_a_failure_while_it_is_asked_again_is_no_verdict_that_holds(failure: str) -> None:
    with program(f"{RIGHT} if count == 1 else {failure}") as backend:
        verdict = verify.exhaust(PROMISE, backend)
    assert verdict.holds is None
    assert "program it, asked again: backend: expected" in str(verdict.reason)


def test_fuzzing_does_not_take_a_crash_for_chance() -> None:
    with program(f"{RIGHT} if count < 4 else sys.exit(1)") as backend:
        verdict = verify.fuzz(st.just(PROMISE), backend, examples=20, claim="it")
    assert verdict.holds is None
    assert "the same case gave different results" in str(verdict.reason)


def test_one_that_says_more_than_it_is_asked_is_found_out() -> None:
    with program(f"{RIGHT}; say(logits=[])") as backend:
        assert verify.exhaust(PROMISE, backend).holds is None


def test_a_program_that_is_not_there() -> None:
    with pytest.raises(InvalidArgument, match=r"program nothing to give an answer but .* it cannot be started"):
        verify.exhaust(PROMISE, ProgramBackend(["/no/such/nothing"], timeout=1))


@pytest.mark.parametrize(
    ("command", "timeout", "message"),
    [
        ("python kernel.py", 1, "command: expected the words of a command"),
        ([], 1, "command: expected the words of a command"),
        (["python", 3], 1, "command: expected words that are not empty but got 3"),
        (["python", ""], 1, "command: expected words that are not empty but got ''"),
        (["python"], 0, "timeout: expected seconds, above 0"),
        (["python"], float("nan"), "timeout: expected seconds, above 0"),
        (["python"], float("inf"), "timeout: expected seconds, above 0"),
        (["python"], True, "timeout: expected seconds, above 0"),
    ],
)
def test_bad_arguments_are_refused(command: Any, timeout: Any, message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        ProgramBackend(command, timeout=timeout)


def test_another_file_is_another_program(tmp_path: Path) -> None:
    """A checkpoint belongs to the program that wrote it."""
    kernel = tmp_path / "kernel.py"
    kernel.write_text(PROGRAM.format(body=RIGHT), encoding="utf-8")
    backend = ProgramBackend([sys.executable, str(kernel)], timeout=60)
    assert backend.name == f"program {Path(sys.executable).name}"
    before = backend.code()
    kernel.write_text(PROGRAM.format(body="pass"), encoding="utf-8")
    assert backend.code() != before


def test_a_closed_program_is_started_again() -> None:
    backend = program(RIGHT)
    assert verify.exhaust(PROMISE, backend).holds
    backend.close()
    backend.close()
    assert verify.exhaust(PROMISE, backend).holds
    backend.close()
