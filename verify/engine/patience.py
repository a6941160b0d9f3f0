"""An end to code that takes too long, wherever in it that is."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import TypeVar

_Found = TypeVar("_Found")

#: Seconds between two alarms at least. Handling one means to look at every program of the machine, which takes some
#: milliseconds for a thousand of them; with alarms that came faster nothing else would run. It decides how soon code
#: ends that caught the first.
_AGAIN = 1.0


class _Alarm(BaseException):
    """Time is up. No exception of Python's, as those are caught by code that goes on in another way."""


def can_end() -> bool:
    """Return whether code that runs here can be ended: in the main thread, on a system with alarms.

    A handler of alarms that was not set from Python could not be set again afterwards.
    """
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        return False
    return signal.getsignal(signal.SIGALRM) is not None


def at_most(seconds: float | None, call: Callable[[], _Found]) -> _Found:
    """Return what a call gives, or end it after some seconds; ask :func:`can_end` before.

    It ends between two steps of Python, also where it waits for other programs. The programs that were started
    meanwhile end with it (on Linux), those that other threads started too. Code of another language that never comes
    back is not ended. An alarm that was set before goes off when it would have, or as soon as this is over.

    Args:
        seconds: how many, ``None`` for any number.
        call: takes nothing.

    Raises:
        TimeoutError: it took longer.

    Example:
        >>> at_most(60.0, lambda: 1 + 1)
        2

    """
    if seconds is None:
        return call()
    if not seconds > 0:
        raise TimeoutError
    limit, started, before = min(seconds, threading.TIMEOUT_MAX), time.monotonic(), _programs()
    over = False

    def ring(number: int, frame: FrameType | None) -> None:
        del number, frame
        if over:
            return
        for program in _programs() - before:  # while those that wait for others still do: nobody finds orphans
            with suppress(OSError):
                os.kill(program, signal.SIGKILL)
        raise _Alarm

    left, interval = signal.setitimer(signal.ITIMER_REAL, 0)  # nothing rings before it is caught below
    handler = signal.signal(signal.SIGALRM, ring)
    try:
        try:
            # again and again, as code that catches everything could catch the first
            signal.setitimer(signal.ITIMER_REAL, limit, max(limit, _AGAIN))
            return call()
        finally:
            over = True
    except _Alarm:  # also where it rang right before that line
        over = True
        raise TimeoutError from None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        if left:
            # 0 would set none
            signal.setitimer(signal.ITIMER_REAL, max(left - (time.monotonic() - started), 1e-6), interval)


def _programs() -> set[int]:
    """Return the programs that this one started, those that they started, and so on; none where there is no /proc."""
    started_by: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has ended
            said = path.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            started_by.setdefault(int(said[1]), []).append(int(path.parent.name))
    found, open_ends = set[int](), [os.getpid()]
    while open_ends:
        new = started_by.get(open_ends.pop(), [])
        found.update(new)
        open_ends += new
    return found
