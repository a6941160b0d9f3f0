"""The main job on several processes: the same verdicts, in the order of the tasks, whatever process gathers them."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from typing import Self

from constructions.validation import InvalidArgument, check_integer
from verify.cores import free_cores
from verify.evidence.tally import no_progress
from verify.evidence.verdict import Verdict
from verify.suite.main_job import Task

#: What the processes work on. They are forks, so that they have it, and all that is imported and registered, as it is.
_held: Sequence[Task] = ()


def chosen_jobs(jobs: int | None, device: str) -> int:
    """Return how many processes work at once.

    Args:
        jobs: as asked for; ``None``: as many as there are cores, where they can be forks, and one on a device, which
            all of them would wait for.
        device: where torch runs.

    Raises:
        InvalidArgument: none, or several where there can be but one.

    """
    single = None
    if device != "cpu":
        single = f"with --device {device}"
    elif sys.platform != "linux":  # elsewhere libraries do not survive a fork
        single = f"on {sys.platform}"
    if jobs is None:
        return 1 if single else free_cores()
    check_integer("jobs", jobs, 1)
    if jobs > 1 and single:
        raise InvalidArgument(f"jobs: expected 1 {single} but got {jobs}")
    return jobs


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch compute with one thread, so that the numbers of a verdict do not depend on how many processes run."""
    import torch  # noqa: PLC0415 # torch takes seconds to import

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _nothing_is_garbage() -> Iterator[None]:
    """Let processes that start here leave alone what is held by now, in their searches for garbage.

    Most of it is libraries, of which nothing is ever garbage; a search takes time, and copies every page that it sees.
    """
    before = gc.get_freeze_count()
    gc.freeze()
    try:
        yield
    finally:
        if not before:  # what somebody else had left out stays out
            gc.unfreeze()


class SideBySide:
    """Processes that gather the evidence of tasks; use it as a context.

    Tasks of one series run in one process, one after the other: what a sweep finds is used by those after it. A series
    in which one raises, or whose process is lost, runs again here: an error is raised with its traceback, by the first
    task that has one, and a verdict is lost to nothing but its own failure.
    """

    def __init__(self, tasks: Sequence[Task], jobs: int) -> None:
        """Start the processes, before this one starts a thread.

        Args:
            tasks: what to gather.
            jobs: how many processes.

        """
        global _held  # noqa: PLW0603 # forks take it over; there is no other way to give them what cannot be pickled
        self.tasks = tasks
        series: dict[int, list[int]] = {}
        for place, task in enumerate(tasks):
            series.setdefault(task.series, []).append(place)
        _held = tasks
        self._pool = ProcessPoolExecutor(
            min(jobs, len(series)), multiprocessing.get_context("fork"), initializer=_alone
        )
        with warnings.catch_warnings(), _nothing_is_garbage():
            # of Python 3.12 and later, about the threads of libraries, which have none that computes by now
            warnings.simplefilter("ignore", DeprecationWarning)
            self._runs = {self._pool.submit(_gather, places): places for places in series.values()}

    def __enter__(self) -> Self:
        """Return the processes."""
        return self

    def __exit__(self, *error: object) -> None:
        """End them."""
        global _held  # noqa: PLW0603 # as above
        _held = ()
        self._pool.shutdown(wait=error[0] is None, cancel_futures=True)

    def verdicts(self) -> Iterator[tuple[int, Verdict]]:
        """Yield the place of each task and its verdict, as they come.

        Raises:
            Exception: what a task raises.

        """
        left = set(range(len(self.tasks)))
        for run in as_completed(self._runs):
            for place, verdict in _found(run):
                left.discard(place)
                yield place, verdict
        for place in sorted(left):
            yield place, self.tasks[place].run(no_progress)


def _found(run: Future[list[tuple[int, Verdict]]]) -> list[tuple[int, Verdict]]:
    """Return what a process gathered; nothing where it was lost, or its verdicts cannot be sent."""
    return run.result() if run.exception() is None else []


def _gather(places: list[int]) -> list[tuple[int, Verdict]]:
    """Return the verdicts of a series; none of them where one raises, as the whole series runs again then."""
    try:
        with one_thread():
            return [(place, _held[place].run(no_progress)) for place in places]
    except Exception:  # noqa: BLE001 # it is raised where the series runs again, with its traceback
        return []


def _alone() -> None:
    """Set up a process: Ctrl-C is for the one that started it, and it ends with that one, however that ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None, "this runs in a process that was started here"

    def end() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=end, daemon=True).start()
