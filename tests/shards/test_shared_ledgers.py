"""The ledger: every unit in one row, counted once, whatever clocks and drivers do."""

from __future__ import annotations

import itertools
import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.shards.examples import Counting, done, take, ten
from verify.running.ranks import RankTally
from verify.shards.checking import check_whole
from verify.shards.driver import gather
from verify.shards.findings import Findings
from verify.shards.ledger import Ledger
from verify.shards.ledger_file import LEASE
from verify.shards.records import Run, Shard

WORK = Counting(100)


class Clock:
    """A clock that anyone may put forward or back."""

    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Ledger]]:
    """Open ledgers on one file, as drivers of machines that do not know each other's processes."""
    monkeypatch.setattr("verify.shards.ledger.is_gone", lambda host, pid: False)
    made: list[Ledger] = []

    def opens(run: Run = WORK.run, clock: Any = None, **options: Any) -> Ledger:
        made.append(Ledger(tmp_path / "ledger", run, clock=clock or Clock(), **options))
        return made[-1]

    yield opens
    for ledger in made:
        ledger._connection.close()


def whole(ledger: Ledger) -> None:
    check_whole(ledger._connection, ledger.run.digest, ledger.path)


def rows(ledger: Ledger, table: str) -> list[tuple[int, int]]:
    return sorted(ledger._connection.execute(f"SELECT start, stop FROM {table}").fetchall())


def test_neighbours_become_one_row(opened: Callable[..., Ledger]) -> None:
    ledger = opened()
    held = [take(ledger) for _ in range(10)]
    assert ledger.claim(ten) is None
    for place in (3, 7, 5, 0, 9, 8, 1, 2, 6):
        assert done(ledger, held[place])
        whole(ledger)
    assert rows(ledger, "done") == [(0, 40), (50, 100)]
    assert not ledger.standing().complete
    done(ledger, held[4])
    assert rows(ledger, "done") == [(0, 100)]
    assert ledger.standing().complete
    assert ledger.state().findings == WORK.shard(0, 100) or ledger.state().findings.tally == WORK.shard(0, 100).tally


steps = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 2), st.integers(1, 40)), max_size=60)


@given(steps)
def test_counts_every_unit_once(steps: list[tuple[int, int, int]]) -> None:
    """Three drivers on one ledger claim, finish, give back, fall silent and come back, in any order."""
    clock, work = Clock(), Counting(137)
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr("verify.shards.ledger.is_gone", lambda host, pid: False)
        drivers = [Ledger(Path(folder) / "ledger", work.run, clock=clock) for _ in range(3)]
        held: list[list[Shard]] = [[] for _ in drivers]
        counted = 0
        for step, who, size in steps:
            ledger, mine = drivers[who], held[who]
            if step == 0:
                shard = ledger.claim(lambda start, _, size=size: start + size)  # type: ignore[misc] # bound here
                mine += [] if shard is None else [shard]
            elif step in {1, 2} and mine:
                shard = mine.pop(size % len(mine))
                if ledger.complete(shard, work.shard(shard.start, shard.stop)):
                    counted += shard.stop - shard.start
                assert not ledger.complete(shard, work.shard(shard.start, shard.stop))
            elif step == 3 and mine:
                ledger.release(mine.pop())
            else:
                clock.now += size * LEASE / 10
            whole(ledger)
            assert ledger.standing().units == counted
        for ledger in drivers:
            ledger.close()


def test_a_silent_drivers_shards_are_given_away_and_count_once(opened: Callable[..., Ledger]) -> None:
    clock = Clock()
    first, second = opened(clock=clock), opened(clock=clock)
    shard = take(first)
    assert take(second).start == 10
    clock.now += LEASE  # at the bound it is still its own
    assert take(second).start == 20
    clock.now += 0.001
    again = take(second)
    assert (again.start, again.stop) == (0, 10)
    assert again.id != shard.id
    assert not done(first, shard)  # it comes back, and has lost it
    assert second.standing().units == 0
    assert done(second, again)
    assert not done(first, shard)
    assert second.standing().units == 10
    whole(second)


def test_signs_of_life_keep_a_shard(opened: Callable[..., Ledger]) -> None:
    clock = Clock()
    first, second = opened(clock=clock), opened(clock=clock)
    shard = take(first)
    for _ in range(10):
        clock.now += LEASE
        first.beat()
    assert take(second).start == 10
    assert done(first, shard)


def test_a_driver_that_finishes_late_counts_where_nobody_took_over(opened: Callable[..., Ledger]) -> None:
    clock = Clock()
    ledger = opened(clock=clock)
    shard = take(ledger)
    clock.now += 100 * LEASE
    assert done(ledger, shard)


@pytest.mark.parametrize("jump", [-1e9, -LEASE, LEASE + 1, 1e9])
def test_clocks_that_jump_cost_time_alone(opened: Callable[..., Ledger], jump: float) -> None:
    clock = Clock()
    first, second = opened(clock=clock), opened(clock=clock)
    mine, others = take(first), take(second)
    clock.now += jump
    taken = [take(second)]
    assert [shard.start for shard in taken] == [0]  # whoever owned it, it is not held for ever
    assert not done(first, mine)
    assert done(second, others)
    assert done(second, taken[0])
    whole(second)
    assert second.standing().units == 20


def test_a_driver_of_this_machine_that_is_gone_is_not_waited_for(tmp_path: Path) -> None:
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    path = tmp_path / "ledger"
    with closing(Ledger(path, WORK.run)) as first, closing(Ledger(path, WORK.run)) as other:
        assert take(first).start == 0
        assert take(other).start == 10
        first._connection.execute("UPDATE drivers SET pid = ? WHERE name = ?", (child, first.driver))
        assert take(other).start == 0


def test_closing_gives_back(opened: Callable[..., Ledger]) -> None:
    first, second = opened(), opened()
    assert take(first).start == 0
    first.close()
    assert take(second).start == 0


def test_nothing_above_a_failure_is_claimed(opened: Callable[..., Ledger]) -> None:
    ledger = opened()
    held = [take(ledger) for _ in range(5)]
    wrong = Counting(100, wrong=(33,))
    assert ledger.complete(held[3], wrong.shard(30, 40))
    assert ledger.claim(ten) is None
    ledger.release(held[1])
    again = take(ledger)
    assert (again.start, again.stop) == (10, 20)
    for shard in (held[0], again, held[2]):
        assert done(ledger, shard)
    standing = ledger.standing()
    assert standing.complete  # with a shard above still out
    state = ledger.state()
    assert (state.findings.tally.cases, state.findings.tally.failure) == (33, 33)
    assert done(ledger, held[4])
    assert ledger.state().findings == state.findings  # what lies above is not asked for
    whole(ledger)
    earlier = opened()
    assert earlier.state().findings == state.findings


def test_two_drivers_share_the_work(tmp_path: Path) -> None:
    file, verdicts = tmp_path / "ledger", []
    works = [Counting(400, unit=5) for _ in range(2)]

    def drive(work: Counting) -> None:
        verdicts.append(gather(work, ledger=file))

    threads = [threading.Thread(target=drive, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [(verdict.holds, verdict.cases) for verdict in verdicts] == [(True, 400)] * 2
    # the shard of the smallest margin may be run again by one that came later; every other ran once
    ran = [unit for work in works for start, stop in work.ran for unit in range(start, stop)]
    assert set(ran) == set(range(400))
    with closing(Ledger(file, works[0].run)) as ledger:
        assert ledger.standing().units == 400


def test_is_as_long_as_what_is_under_way_is_scattered() -> None:
    """A billion shards would make a table of a billion rows; neighbours become one."""
    work = Counting(10**15)
    ledger = Ledger(None, work.run)
    for _ in range(200):
        shard = ledger.claim(lambda start, _: start + 10**9)
        assert shard is not None
        count = shard.stop - shard.start
        assert ledger.complete(shard, Findings(RankTally(count, 1.0, shard.start), (shard.start, shard.stop)))
    assert len(rows(ledger, "done")) == 1
    assert ledger._connection.execute("SELECT count(*) FROM open").fetchone() == (0,)
    ledger.close()


def test_many_drivers_at_once(tmp_path: Path) -> None:
    """Threads claim and finish as fast as they can; no unit is done twice."""
    file, counted = tmp_path / "ledger", itertools.count()

    def drive() -> None:
        with closing(Ledger(file, Counting(300).run)) as ledger:
            while (shard := ledger.claim(lambda start, _: start + 3)) is not None:
                if ledger.complete(shard, WORK.shard(shard.start, shard.stop)):
                    next(counted)

    threads = [threading.Thread(target=drive) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert next(counted) == 100
    with closing(Ledger(file, Counting(300).run)) as ledger:
        assert ledger.standing().units == 300
