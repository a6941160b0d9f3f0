"""Workers in processes: the verdict of one process, and what is lost when one is killed."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from constructions import RationalSoftmax, UnconditionalGeneration
from constructions.validation import InvalidArgument
from tests.shards.examples import Counting, Failing, Slow, generation
from verify import RationalArithmetic, exhaust, shards
from verify.shards.driver import gather
from verify.shards.executors import Answer, Processes, WorkerError
from verify.shards.executors.base import ATTEMPTS
from verify.shards.recipe import Recipe
from verify.shards.records import Shard

EXACT = RationalArithmetic()


def split(make: Any, *given: Any, jobs: int = 2, **options: Any) -> Any:
    return gather(make(*given), Recipe.of_python(make, *given), Processes(jobs), **options)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_gives_the_verdict_of_one_process(tmp_path: Path) -> None:
    right = generation()
    found = shards.exhaust(generation, EXACT, jobs=2, ledger=tmp_path / "ledger")
    assert (found.holds, found.cases, found.margin) == (True, 256, exhaust(right, EXACT).margin)


@pytest.mark.heavy
def test_refutes_as_one_process_does() -> None:
    wrong = UnconditionalGeneration(4, 4, temperature=RationalSoftmax(Fraction(30)))
    refuted = shards.exhaust(wrong, EXACT, jobs=2)
    assert refuted.counterexample == exhaust(wrong, EXACT).counterexample


class Watched(Processes):
    """Kills a worker as soon as it has a shard, a few times."""

    def __init__(self, jobs: int, kills: int) -> None:
        super().__init__(jobs)
        self.kills, self.seen = kills, set[int]()

    def wait(self, seconds: float) -> list[Answer]:
        self.seen |= {worker.process.pid or 0 for worker in self._pool}
        busy = [worker for worker in self._pool if worker.shard is not None]
        if self.kills and busy and self._answered:
            self.kills -= 1
            busy[0].process.kill()
        return super().wait(seconds)


def test_a_killed_worker_loses_its_shard_alone(tmp_path: Path) -> None:
    executor, given = Watched(2, kills=ATTEMPTS - 1), (200, 0.01)
    verdict = gather(Slow(*given), Recipe.of_python(Slow, *given), executor, ledger=tmp_path / "ledger")
    assert (verdict.holds, verdict.cases) == (True, 200)
    assert executor.kills == 0
    assert not [pid for pid in executor.seen if alive(pid)]


class Emptied(Processes):
    """Kills the process that a shard is handed to, before it can begin; so often, once it is at work."""

    def __init__(self, jobs: int, kills: int) -> None:
        super().__init__(jobs)
        self.kills = kills

    def _hand(self, worker: Any, shard: Shard) -> None:
        if self.kills and self._answered:
            self.kills -= 1
            worker.process.kill()
            worker.process.join()
        super()._hand(worker, shard)


def test_a_shard_that_no_process_began_is_not_told_to_have_ended_it() -> None:
    executor, given = Emptied(2, kills=2 * ATTEMPTS - 1), (200, 0.01)  # one of two shards meets three of them
    assert gather(Slow(*given), Recipe.of_python(Slow, *given), executor).holds
    assert executor.kills == 0


@pytest.mark.heavy
def test_processes_that_never_begin_are_not_started_for_ever() -> None:
    given = 200, 0.01
    with pytest.raises(WorkerError, match=r"^3 workers ended before any of them began, the last with signal 9$"):
        gather(Slow(*given), Recipe.of_python(Slow, *given), Emptied(1, kills=ATTEMPTS))


@pytest.mark.heavy
def test_tells_what_ends_or_goes_wrong_in_workers(tmp_path: Path) -> None:
    assert split(Failing, 20, 7, "killed once", str(tmp_path / "mark"), jobs=1).holds
    with pytest.raises(WorkerError, match=r"units \d+..\d+ ended their worker 3 times, the last with signal 9"):
        split(Failing, 20, 7, "killed", jobs=1)
    with pytest.raises(WorkerError, match=r"in units \d+..\d+, ZeroDivisionError: unlucky"):
        split(Failing, 20, 7, "raises", jobs=1)


@pytest.mark.heavy
def test_starts_no_more_processes_than_there_can_be_shards() -> None:
    executor = Processes(8)
    assert gather(Counting(10, unit=10), Recipe.of_python(Counting, 10, (), 10), executor).holds
    assert executor.workers == 1


def made_here() -> Counting:
    """Return another run in each process."""
    return Counting(10, key=str(os.getpid()))


@pytest.mark.heavy
def test_a_worker_that_runs_something_else_is_refused() -> None:
    with pytest.raises(InvalidArgument, match=r"worker: expected the same run as the driver's but one differs in of$"):
        split(made_here, jobs=1)


@pytest.mark.parametrize("jobs", [0, -1, True, 1.5, "2"])
def test_refuses_a_number_of_jobs_that_is_none(jobs: Any) -> None:
    with pytest.raises(InvalidArgument, match="jobs: expected an integer >= 1 but got"):
        Processes(jobs)


DRIVER = """
import signal
import sys
from pathlib import Path
from tests.shards.examples import Slow
from verify.shards.driver import gather
from verify.shards.executors import Processes
from verify.shards.recipe import Recipe
if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # one that starts in the background ignores it
    given = (int(sys.argv[2]), float(sys.argv[3]))
    print("started", flush=True)
    verdict = gather(Slow(*given), Recipe.of_python(Slow, *given), Processes(2), ledger=Path(sys.argv[1]))
    print(verdict.holds, verdict.cases, verdict.resumed, flush=True)
"""


def started(script: Path, file: Path, *given: Any) -> subprocess.Popen[str]:
    script.write_text(DRIVER, encoding="utf-8")
    words = [sys.executable, str(script), str(file), *map(str, given)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environment)


def workers_of(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8").split()
    return [int(child) for child in children]


def units(file: Path) -> int:
    if not file.exists():
        return 0
    with closing(sqlite3.connect(file, timeout=10)) as sql:
        try:
            return int(sql.execute("SELECT coalesce(sum(stop - start), 0) FROM done").fetchone()[0])
        except sqlite3.OperationalError:  # not made yet
            return 0


def until(condition: Any, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.heavy
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc to find workers")
def test_a_killed_driver_leaves_its_work_and_no_workers(tmp_path: Path) -> None:
    file = tmp_path / "ledger"
    with started(tmp_path / "drive.py", file, 150, 0.05) as driver:
        until(lambda: units(file) > 3)
        workers = workers_of(driver.pid)
        driver.kill()
    until(lambda: not any(map(alive, workers)))
    done = units(file)
    assert 3 < done < 150
    with started(tmp_path / "drive.py", file, 150, 0.0) as again:
        said = again.communicate()[0].splitlines()
    assert said[1].startswith(f"True 150 {{'cases': '{done}'")


@pytest.mark.heavy
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc to find workers")
def test_an_interrupted_driver_ends_its_workers(tmp_path: Path) -> None:
    file = tmp_path / "ledger"
    with started(tmp_path / "drive.py", file, 150, 0.05) as driver:
        until(lambda: units(file) > 3)
        workers = workers_of(driver.pid)
        driver.send_signal(signal.SIGINT)
        assert driver.wait(20) != 0
    until(lambda: not any(map(alive, workers)))
    with closing(sqlite3.connect(file)) as sql:
        assert sql.execute("SELECT count(*) FROM claims").fetchone() == (0,)  # given back
