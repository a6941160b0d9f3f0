"""An end to code that takes too long, wherever in it that is."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Never


class _Alarm(BaseException):
    """Time is up. No exception of Python's, as those are caught by code that goes on in another way."""


def can_end() -> bool:
    """Return whether code that runs here can be ended: in the main thread, on a system with alarms."""
    return hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()


@contextmanager
def at_most(seconds: float | None) -> Iterator[None]:
    """End what runs inside after some seconds; ask :func:`can_end` before.

    It ends between two steps of Python, also where it waits for other programs, and the programs that it started end
    with it (on Linux). Code of another language that never comes back is not ended. An alarm that was set before goes
    off when it would have, or as soon as this is over.

    Args:
        seconds: how many, ``None`` for any number.

    Raises:
        TimeoutError: it took longer.

    Example:
        >>> with at_most(60.0):
        ...     print("done")
        done

    """
    if seconds is None:
        yield
        return
    if seconds <= 0:
        raise TimeoutError
    limit, started, before = min(seconds, threading.TIMEOUT_MAX), time.monotonic(), _programs()

    def ring(number: int, frame: FrameType | None) -> Never:
        del number, frame
        for program in _programs() - before:  # while those that wait for others still do: nobody finds orphans
            with suppress(OSError):
                os.kill(program, signal.SIGKILL)
        raise _Alarm

    handler = signal.signal(signal.SIGALRM, ring)
    # again and again, as code that catches everything could catch the first
    left, interval = signal.setitimer(signal.ITIMER_REAL, limit, limit)
    try:
        yield
    except _Alarm:
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
