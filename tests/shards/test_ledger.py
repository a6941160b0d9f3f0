"""The ledger: every unit in one row, counted once, whatever clocks, drivers, disks and forgers do."""

from __future__ import annotations

import itertools
import json
import os
import random
import sqlite3
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constructions import RationalSoftmax, UnconditionalGeneration
from constructions.validation import InvalidArgument
from tests.shards.examples import Counting
from verify import NumpyArithmetic, RationalArithmetic, shards
from verify.running.ranks import RankTally
from verify.shards import ledger_file
from verify.shards.driver import gather
from verify.shards.findings import Findings
from verify.shards.ledger import Ledger
from verify.shards.ledger_file import LEASE, SCHEMA
from verify.shards.records import Run, Shard, check_whole, sealed
from verify.shards.works.enumerating import Enumerating

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


def ten(start: int, remaining: int) -> int:
    return start + 10


def take(ledger: Ledger, **options: Any) -> Shard:
    shard = ledger.claim(ten, **options)
    assert shard is not None
    return shard


def done(ledger: Ledger, shard: Shard) -> bool:
    return ledger.complete(shard, WORK.shard(shard.start, shard.stop))


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


def refused(path: Path, run: Run = WORK.run) -> str:
    before = path.read_bytes() if path.is_file() else b""
    with pytest.raises(InvalidArgument, match="ledger: expected") as raised:
        Ledger(path, run)
    assert (path.read_bytes() if path.is_file() else b"") == before
    assert len(str(raised.value).splitlines()) == 1
    return str(raised.value)


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    """Return a ledger of which half is done, a shard is claimed, and one is open."""
    path = tmp_path / "ledger"
    ledger = Ledger(path, WORK.run)
    held = [take(ledger) for _ in range(6)]
    for shard in held[:3]:
        assert done(ledger, shard)
    assert done(ledger, held[4])
    ledger.release(held[3])
    ledger._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    ledger._connection.close()
    return path


def edit(path: Path, statement: str, *values: Any) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(statement, values)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def test_another_run_is_refused(filled: Path) -> None:
    assert "differs in of; take another file" in refused(filled, Counting(100, key="other").run)
    run = WORK.run
    assert "is of numbers" in refused(filled, Run({**run.key, "arithmetic": "torch"}, run.work, "others", run.total))
    assert "expected one of fuzz but" in refused(filled, Run(run.key, "fuzz", "others", run.total))
    assert "differs in its digest" in refused(filled, Counting(101).run)


def test_another_format_or_code_is_another_run(tmp_path: Path) -> None:
    file = tmp_path / "ledger"
    construction = UnconditionalGeneration(3, 3)
    assert shards.exhaust(construction, NumpyArithmetic("float32"), ledger=file).holds
    for other in (NumpyArithmetic("float64"), RationalArithmetic()):
        assert "numpy float32" in refused(file, Enumerating(construction, other).run)
    run = Enumerating(construction, NumpyArithmetic("float32")).run
    changed = Run({**run.key, "code": "0" * 64}, run.work, run.title, run.total)
    assert "differs in code; take another file to start afresh" in refused(file, changed)


def test_what_is_no_ledger_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes(b"not a database" * 100)
    assert "file is not a database" in refused(tmp_path / "text")
    for size in (1, 511):
        (tmp_path / "short").write_bytes(b"x" * size)
        assert "is too short to be one" in refused(tmp_path / "short")
    assert "expected a regular file" in refused(tmp_path)
    other = tmp_path / "other"
    edit(other, "CREATE TABLE something (else_ TEXT)")
    assert "a database of another program" in refused(other)
    assert "unable to open database file" in refused(tmp_path / "nowhere" / "ledger")
    (tmp_path / "empty").touch()  # what a driver leaves that is killed before it writes
    Ledger(tmp_path / "empty", WORK.run).close()


@pytest.mark.parametrize("schema", [SCHEMA - 1, SCHEMA + 1])
def test_another_schema_is_refused(filled: Path, schema: int) -> None:
    edit(filled, f"PRAGMA user_version = {schema}")
    assert f"expected one of schema {SCHEMA} but {filled} has schema {schema}" in refused(filled)


@pytest.mark.parametrize("seed", range(8))
def test_a_damaged_file_is_refused_or_right(filled: Path, seed: int) -> None:
    """Bytes are changed at random: the ledger is refused in one line, or says what it said."""
    draw = random.Random(seed)
    content = bytearray(filled.read_bytes())
    for _ in range(draw.choice([1, 20, 300])):
        content[draw.randrange(len(content))] = draw.randrange(256)
    if draw.random() < 0.3:
        del content[draw.randrange(len(content)) :]
    filled.write_bytes(content)
    try:
        ledger = Ledger(filled, WORK.run)
    except InvalidArgument as error:
        told = str(error)
    else:
        told = "one line"
        with closing(ledger):
            state = ledger.state()
        for start, stop in state.ranges:
            assert set(range(start, stop)) <= {*range(30), *range(40, 50)}
    assert len(told.splitlines()) == 1


FORGERIES = {
    "a row that is wider": "UPDATE done SET stop = 40 WHERE start = 0",
    "findings that are others": "UPDATE done SET findings = replace(findings, '30', '31') WHERE start = 0",
    "a row that is gone": "DELETE FROM done WHERE start = 0",
    "an open row that is gone": "DELETE FROM open",
    "a claim that is gone": "DELETE FROM claims",
    "a row of the open twice": "INSERT INTO open VALUES (5, 10)",
    "a cursor that is further": "UPDATE run SET cursor = 100",
    "a cursor beyond the end": "UPDATE run SET cursor = 1000",
    "a first failure that nobody found": "UPDATE run SET bound = 0",
    "another number of units": "UPDATE run SET total = '30'",
    "findings that are no JSON": "UPDATE done SET findings = '{' WHERE start = 0",
}


@pytest.mark.parametrize("statement", FORGERIES.values(), ids=FORGERIES)
def test_an_edited_ledger_is_refused(filled: Path, statement: str) -> None:
    edit(filled, statement)
    assert "damaged or edited" in refused(filled)


def forge(path: Path, run: Run, findings: Findings, stop: int) -> None:
    """Write findings with a seal that fits: what a forger does, who knows how it is made."""
    Ledger(path, run).close()
    text = json.dumps(findings.to_json())
    edit(path, "INSERT INTO done VALUES (0, ?, ?, ?, 0)", stop, text, sealed(run.digest, 0, stop, text))
    edit(path, "UPDATE run SET cursor = ?", stop)


def test_a_forged_ledger_is_met_by_cases_that_are_run_again(tmp_path: Path) -> None:
    """It calls all of a wrong construction right; four in five cases are."""
    wrong = UnconditionalGeneration(3, 3, temperature=RationalSoftmax(Fraction(2)))
    run = Enumerating(wrong, RationalArithmetic()).run
    forge(tmp_path / "ledger", run, Findings(RankTally(27)), 27)
    with pytest.raises(InvalidArgument, match=r"ledger: expected case \d+ to be right as .* but it is not when run"):
        shards.exhaust(wrong, RationalArithmetic(), ledger=tmp_path / "ledger")


@pytest.mark.parametrize(("margin", "closest"), [("1/2", 11), ("1/189", 3), ("1/1000", 11)])
def test_a_forged_margin_is_met(tmp_path: Path, margin: str, closest: int) -> None:
    right = UnconditionalGeneration(3, 3)
    assert shards.exhaust(right, RationalArithmetic()).margin == Fraction(1, 189)
    run = Enumerating(right, RationalArithmetic()).run
    forge(tmp_path / "ledger", run, Findings(RankTally(27, Fraction(margin), closest), (0, 27)), 27)
    with pytest.raises(InvalidArgument, match="ledger: expected"):
        shards.exhaust(right, RationalArithmetic(), ledger=tmp_path / "ledger")


def test_a_full_disk_is_one_line_and_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "ledger"
    ledger = Ledger(path, WORK.run)
    shard = take(ledger)
    assert done(ledger, shard)
    (pages,) = ledger._connection.execute("PRAGMA page_count").fetchone()
    ledger._connection.execute(f"PRAGMA max_page_count = {pages}")
    held = [take(ledger)]
    message = "x" * 5_000_000
    with pytest.raises(InvalidArgument, match=rf"ledger: expected .* but {path}: database or disk is full"):
        ledger.complete(held[0], Findings(RankTally(10, 0.5, 10), (10, 20), (10, message)))
    assert ledger.standing().units == 10
    ledger._connection.close()
    with closing(Ledger(path, WORK.run)) as again:
        whole(again)
        assert again.standing().units == 10


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_one_line(tmp_path: Path, filled: Path) -> None:
    filled.chmod(0o400)
    tmp_path.chmod(0o500)
    try:
        refused(filled)
        refused(tmp_path / "new")
    finally:
        tmp_path.chmod(0o700)


def test_a_locked_ledger_is_one_line(filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_file, "BUSY", 0.05)
    with closing(sqlite3.connect(filled, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert "it has been locked for" in refused(filled)
        other.execute("ROLLBACK")
    Ledger(filled, WORK.run).close()


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
