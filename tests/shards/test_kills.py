"""``kill -9`` at random instants: of the driver, of workers and of whoever writes the ledger; nothing counts twice."""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from tests.shards.examples import Counting, Slow
from verify.shards.checking import check_whole
from verify.shards.driver import gather
from verify.shards.executors import Answer, Processes
from verify.shards.ledger import Ledger
from verify.shards.recipe import Recipe

#: Instants, and those of a release: seconds each.
FEW, MANY = pytest.param(12, marks=pytest.mark.heavy), pytest.param(50, marks=pytest.mark.long)

#: Both run in this process, so that a kill finds the ledger in the middle of anything.
DRIVER = """
import sys
from pathlib import Path
from tests.shards.examples import Slow
from verify.shards.driver import gather
verdict = gather(Slow(4000, 0.0005), ledger=Path(sys.argv[1]))
print(verdict.holds, verdict.cases, verdict.margin, verdict.resumed is not None, flush=True)
"""
WRITER = """
import sys
from pathlib import Path
from tests.shards.examples import Counting
from verify.shards.ledger import Ledger
work = Counting(100_000)
ledger = Ledger(Path(sys.argv[1]), work.run)
while (shard := ledger.claim(lambda start, remaining: start + 5)) is not None:
    if shard.id % 7 == 0:
        ledger.release(shard)
    elif ledger.complete(shard, work.shard(shard.start, shard.stop)):
        print(shard.start, shard.stop, flush=True)
"""


def started(script: str, file: Path) -> subprocess.Popen[str]:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen(
        [sys.executable, "-c", script, str(file)], stdout=subprocess.PIPE, text=True, env=environment
    )


def done(file: Path) -> int:
    """Return how many units are done, 0 before there is a ledger."""
    if not file.exists():
        return 0
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=10)) as sql:
        try:
            return int(sql.execute("SELECT coalesce(sum(stop - start), 0) FROM done").fetchone()[0])
        except sqlite3.OperationalError:
            return 0


def killed(process: subprocess.Popen[str], file: Path, draw: random.Random) -> None:
    """Kill a process at a random instant after it has begun to write."""
    before, deadline = done(file), time.monotonic() + 60
    while process.poll() is None and done(file) == before and time.monotonic() < deadline:
        time.sleep(0.005)
    time.sleep(draw.uniform(0, 0.1))
    process.kill()
    process.wait()  # a process that nobody waits for seems to be there


@pytest.mark.parametrize("instants", [2, FEW, MANY])
def test_a_killed_writer_leaves_a_whole_ledger(tmp_path: Path, instants: int) -> None:
    file, draw, work = tmp_path / "ledger", random.Random(0), Counting(100_000)
    told: set[int] = set()
    for _ in range(instants):
        with started(WRITER, file) as writer:
            killed(writer, file, draw)
            lines = (writer.stdout.read() if writer.stdout else "").splitlines()
        shards = [range(*map(int, line.split())) for line in lines if len(line.split()) == 2]
        units = [unit for shard in shards for unit in shard]
        assert len(set(units)) == len(units)
        assert not told & set(units)  # what was written down is never claimed again
        told |= set(units)
        with closing(Ledger(file, work.run)) as ledger:
            check_whole(ledger._connection, work.run.digest, file)
            standing, state = ledger.standing(), ledger.state()
            assert state.findings.tally.cases == standing.units
            held = {unit for start, stop in state.ranges for unit in range(start, stop)}
            assert told <= held
            assert len(held - told) <= 5 * instants  # killed between writing down and telling
            told = held
            assert state.findings.tally.margin == min(map(work.margin, held))


@pytest.mark.parametrize("instants", [1, FEW, MANY])
def test_a_killed_driver_is_gone_on_from(tmp_path: Path, instants: int) -> None:
    draw = random.Random(1)
    file, kills, round_ = tmp_path / "ledger0", 0, 0
    while kills < instants:
        with started(DRIVER, file) as driver:
            killed(driver, file, draw)
        kills += 1
        if done(file) >= 4000:  # on to another run
            round_ += 1
            file = tmp_path / f"ledger{round_}"
    for place in range(round_ + 1):
        path = tmp_path / f"ledger{place}"
        before = done(path)
        verdict = gather(Slow(4000, 0.0), ledger=path)
        assert (verdict.holds, verdict.cases) == (True, 4000)
        assert verdict.margin == min(map(Counting.margin, range(4000)))
        assert (verdict.resumed is not None) == (before > 0)
        assert verdict.resumed is None or int(verdict.resumed["cases"]) == before


class Hunted(Processes):
    """Kills a worker at random instants, but no shard's twice, as three such deaths end the run."""

    def __init__(self, jobs: int, kills: int, seed: int) -> None:
        super().__init__(jobs)
        self.kills, self._draw = kills, random.Random(seed)
        self._killed: Counter[int] = Counter()

    def wait(self, seconds: float) -> list[Answer]:
        busy = [(worker, worker.shard.start) for worker in self._pool if worker.shard is not None]
        busy = [(worker, start) for worker, start in busy if not self._killed[start]]
        if self.kills and busy and self._answered:
            time.sleep(self._draw.uniform(0, 0.02))
            worker, start = self._draw.choice(busy)
            worker.process.kill()  # it may have been killed when it was idle, and nobody has met that yet
            self._killed[start] += 1
            self.kills -= 1
        return super().wait(seconds)


@pytest.mark.parametrize("instants", [FEW, MANY])
def test_killed_workers_lose_their_shards_alone(tmp_path: Path, instants: int) -> None:
    given, left, runs = (3000, 0.001), instants, 0
    while left:
        executor, runs = Hunted(2, left, seed=runs), runs + 1
        verdict = gather(Slow(*given), Recipe.of_python(Slow, *given), executor, ledger=tmp_path / f"ledger {runs}")
        assert executor.kills < left
        left = executor.kills
        assert (verdict.holds, verdict.cases) == (True, 3000)
        assert verdict.margin == min(map(Counting.margin, range(3000)))
        assert verdict.resumed is None


@pytest.mark.heavy
def test_two_drivers_of_which_one_is_killed(tmp_path: Path) -> None:
    file, draw = tmp_path / "ledger", random.Random(3)
    with started(DRIVER, file) as first, started(DRIVER, file) as second:
        killed(first, file, draw)
        said = (second.communicate()[0] or "").split()
    assert said[:2] == ["True", "4000"]
    assert float(said[2]) == min(map(Counting.margin, range(4000)))
