"""How long work takes is measured on its own beginning, and said in lines that a clock of the test's decides."""

from __future__ import annotations

import io
import sys
import threading
from collections.abc import Callable

import pytest

from verify.report import progress
from verify.report.progress import EVERY, PROBE, Meter, duration, shown_progress


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def _meter() -> tuple[Meter, Clock, list[str]]:
    clock, lines = Clock(), list[str]()
    return Meter("work", lines.append, clock), clock, lines


def test_the_rest_is_estimated_once_from_what_is_measured() -> None:
    meter, clock, lines = _meter()
    meter.report(0, 1_000_000)
    clock.now += PROBE - 0.1
    meter.report(900, 1_000_000)
    assert lines == []  # too early to tell
    clock.now += 0.1
    meter.report(1_000, 1_000_000)
    assert lines == ["work: about 17 minutes for the 999,000 that are left"]
    clock.now += 50
    meter.report(2_000, 1_000_000)
    assert len(lines) == 1


def test_a_run_that_is_gone_on_with_is_measured_from_where_it_starts() -> None:
    meter, clock, lines = _meter()
    meter.report(900_000, 1_000_000)
    clock.now += 2
    meter.report(900_010, 1_000_000)
    assert lines == ["work: about 6 hours for the 99,990 that are left"]


@pytest.mark.parametrize(("left", "said"), [(EVERY, 0), (EVERY + 1, 1)])
def test_work_that_ends_before_the_first_line_is_not_announced(left: float, said: int) -> None:
    meter, clock, lines = _meter()
    meter.report(0, 1)
    clock.now += 1
    meter.report(1, int(left) + 1)  # one a second
    assert len(lines) == said


def test_the_lines() -> None:
    meter, clock, lines = _meter()
    clock.now += 10
    meter.tick()
    meter.report(0, 400)
    clock.now += 10
    meter.tick()
    meter.report(100, 400)
    meter.tick()
    assert lines[0] == "work: 10 s so far"
    assert lines[1] == "work: 0 of 400 (0 %)"
    assert lines[-1] == "work: 100 of 400 (25 %), about 30 s left"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (89.4, "89 s"),
        (90, "2 minutes"),
        (89 * 60, "89 minutes"),
        (5400, "2 hours"),
        (36 * 3600, "2 days"),
        (4e7, "463 days"),
        (6e7, "2 years"),
        (1e12, "31,688 years"),
        (1e40, "3e+32 years"),
        (float("inf"), "more than 1e300 years"),
    ],
)
def test_spans_of_time(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_a_space_beyond_every_float_is_estimated_too() -> None:
    meter, clock, lines = _meter()
    meter.report(0, 10**400)
    clock.now += 2
    meter.report(1, 10**400)
    assert lines == ["work: about more than 1e300 years for the ~9.99e399 that are left"]
    meter.tick()
    assert lines[-1].startswith("work: 1 of ~1.00e400 (0 %)")


def test_lines_come_while_one_step_takes_long(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """From a thread: a step that reports nothing for minutes must not look like a hang."""
    monkeypatch.setattr(progress, "EVERY", 0.01)
    said = threading.Event()
    write: Callable[[str], None] = progress._to_stderr

    def tell(line: str) -> None:
        write(line)
        said.set()

    monkeypatch.setattr(progress, "_to_stderr", tell)
    with shown_progress("work") as report:
        report(0, 5)
        assert said.wait(30)
    told = capsys.readouterr()
    assert told.out == ""
    assert "work: 0 of 5 (0 %)\n" in told.err


def test_a_standard_error_that_fails_does_not_end_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = io.StringIO()
    closed.close()
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", closed)
        progress._to_stderr("work: 1 of 2")


def test_a_terminal_gets_a_bar_and_the_estimate(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    stream, clock = Terminal(), Clock()
    monkeypatch.setattr(sys, "stderr", stream)
    with shown_progress("work", clock) as report:
        report(0, 1000)
        clock.now += 2
        report(10, 1000)
    assert "work: about 3 minutes for the 990 that are left" in stream.getvalue()


def test_the_rate_is_told_where_it_is_asked_for() -> None:
    clock, lines = Clock(), list[str]()
    meter = Meter("work", lines.append, clock, rate=True)
    meter.report(100, 1000)
    meter.tick()
    clock.now += 0.5
    meter.report(120, 1000)
    lines.clear()
    meter.tick()
    assert lines == ["work: 120 of 1,000 (12 %), 40 a second, about 22 s left"]
    clock.now += 199.5
    meter.report(220, 1000)
    meter.tick()
    assert lines[-1] == "work: 220 of 1,000 (22 %), 36 a minute, about 22 minutes left"


@pytest.mark.parametrize(
    ("each_second", "said"),
    [(12.345, "12.3 a second"), (123456.0, "123,456 a second"), (1.0, "1 a second"), (0.25, "15 a minute")],
)
def test_a_rate_in_words(each_second: float, said: str) -> None:
    assert progress.speed(each_second) == said


def test_a_terminal_shows_the_rate_too(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    shown = Terminal()
    monkeypatch.setattr(sys, "stderr", shown)
    monkeypatch.setenv("TERM", "xterm")
    with shown_progress("work", rate=True) as report:
        report(0, 10)
        report(5, 10)
    assert "work" in shown.getvalue()


def test_nothing_is_foretold_of_pieces_that_are_not_alike() -> None:
    clock, lines = Clock(), list[str]()
    meter = Meter("work", lines.append, clock, alike=False)
    meter.report(0, 100)
    clock.now += 30
    meter.report(1, 100)
    assert lines == []
    meter.tick()
    assert lines == ["work: 1 of 100 (1 %)"]
