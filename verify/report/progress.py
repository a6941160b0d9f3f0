"""The progress of long work: an estimate measured on its own beginning, then a bar, or a line every ten seconds."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator

from rich import progress as bars
from rich.console import Console
from rich.text import Text

from verify.report.tables import number

#: Seconds between two lines where standard error is no terminal; work that takes less is not announced.
EVERY = 10.0
#: Seconds of the work itself on which the estimate is measured: a tenth of that, so that it stands before the first
#: line.
PROBE = EVERY / 10

#: Names of spans of time, each used from one and a half of it on, so that "1 minutes" is never read.
_SPANS = (("years", 365.25 * 86400), ("days", 86400), ("hours", 3600), ("minutes", 60))
#: Years from which on a power of ten says enough: as long as there have been people.
_MANY_YEARS = 300_000


class Meter:
    """Measures how far the work is, and says it in time.

    The first report is where the measurement starts (a run that is gone on with starts late). As soon as :data:`PROBE`
    seconds of work are done, the time that the rest takes is estimated, and said if it is longer than :data:`EVERY`.
    """

    def __init__(
        self,
        label: str,
        say: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
        *,
        rate: bool = False,
        alike: bool = True,
    ) -> None:
        """Start the clock.

        Args:
            label: what the work is.
            say: takes a line.
            clock: seconds that only grow.
            rate: whether lines say how much is done in a second.
            alike: whether the pieces take much the same time, so that those that are done tell how long the rest takes.

        """
        self._label, self._say, self._clock, self._rate, self._alike = label, say, clock, rate, alike
        self._started = clock()
        self._first: tuple[int, float] | None = None
        self._done, self._total = 0, 0
        self._announced = False

    def report(self, done: int, total: int) -> None:
        """Take a report: ``done`` of ``total``."""
        now = self._clock()
        self._done, self._total = done, total
        if self._first is None:
            self._first = (done, now)
        if not self._announced and now - self._first[1] >= PROBE:
            left = self._left(now)
            if left is not None:
                self._announced = True
                if left > EVERY:
                    rest = number(total - done)
                    self._say(f"{self._label}: about {duration(left)} for the {rest} that are left")

    def tick(self) -> None:
        """Say how far the work is."""
        now = self._clock()
        if not self._total:
            self._say(f"{self._label}: {duration(now - self._started)} so far")
            return
        left = self._left(now)
        percent = f"{100 * self._done // self._total} %"
        rest = "" if left is None else f"{self._speed(now)}, about {duration(left)} left"
        self._say(f"{self._label}: {number(self._done)} of {number(self._total)} ({percent}){rest}")

    def _speed(self, now: float) -> str:
        """Return how much was done in a second since the first report, in words, where that is asked for."""
        if not self._rate or self._first is None or now <= self._first[1]:
            return ""
        return f", {speed((self._done - self._first[0]) / (now - self._first[1]))}"

    def _left(self, now: float) -> float | None:
        if self._first is None or self._done <= self._first[0] or not self._alike:
            return None
        try:
            return (now - self._first[1]) * ((self._total - self._done) / (self._done - self._first[0]))
        except OverflowError:
            return float("inf")


def duration(seconds: float) -> str:
    """Return a span of time in words, in one unit."""
    for name, length in _SPANS:
        count = seconds / length
        if count >= 1.5:  # see _SPANS
            if name == "years" and count > _MANY_YEARS:
                return f"{count:.0e} years" if count < float("inf") else "more than 1e300 years"
            return f"{count:,.0f} {name}"
    return f"{seconds:.0f} s"


def speed(each_second: float) -> str:
    """Return a rate in words: ``12.3 a second``, or ``5.10 a minute`` where it is below one a second."""
    count, span = (each_second, "second") if each_second >= 1 else (60 * each_second, "minute")
    return f"{count:.3g} a {span}" if count < 1000 else f"{count:,.0f} a {span}"


class _Speed(bars.ProgressColumn):
    """The rate of the work, as the bar measures it."""

    def render(self, task: bars.Task) -> Text:
        """Return it in words, nothing before it is known."""
        return Text("" if not task.speed else speed(task.speed))


@contextlib.contextmanager
def shown_progress(
    label: str, clock: Callable[[], float] = time.monotonic, *, rate: bool = False, alike: bool = True
) -> Iterator[Callable[[int, int], None]]:
    """Show on standard error how far the work is; yield what reports done and total.

    A terminal gets a bar, anything else a line every :data:`EVERY` seconds, from a thread, as one step may take longer.

    Args:
        label: what the work is.
        clock: seconds that only grow.
        rate: whether to say how much is done in a second.
        alike: whether the pieces take much the same time; otherwise no time is foretold.

    """
    if sys.stderr.isatty():
        columns = (
            bars.TextColumn("{task.description}"),
            bars.BarColumn(),
            bars.MofNCompleteColumn(),
            *([_Speed()] if rate else []),
            *([bars.TimeRemainingColumn()] if alike else []),
        )
        with bars.Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(label, total=None)
            meter = Meter(
                label, lambda line: bar.console.print(line, markup=False, highlight=False), clock, alike=alike
            )

            def report(done: int, total: int) -> None:
                bar.update(task, completed=done, total=total)
                meter.report(done, total)

            yield report
        return
    meter, finished = Meter(label, _to_stderr, clock, rate=rate, alike=alike), threading.Event()

    def repeat() -> None:
        while not finished.wait(EVERY):
            meter.tick()

    thread = threading.Thread(target=repeat, daemon=True)
    thread.start()
    try:
        yield meter.report
    finally:
        finished.set()
        thread.join()


def _to_stderr(line: str) -> None:
    with contextlib.suppress(OSError, ValueError):
        print(line, file=sys.stderr, flush=True)  # noqa: T201 # the command line's own output
