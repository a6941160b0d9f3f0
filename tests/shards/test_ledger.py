"""Ledgers that are refused: damaged, edited, forged, of another run, or of no run."""

from __future__ import annotations

import json
import os
import random
import sqlite3
from contextlib import closing
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from constructions import RationalSoftmax, UnconditionalGeneration
from constructions.validation import InvalidArgument
from proofs import get_claim
from tests.shards.examples import Counting, done, take
from verify import NumpyArithmetic, RationalArithmetic, shards
from verify.requests import Request
from verify.running.ranks import RankTally
from verify.shards import ledger_file
from verify.shards.checking import check_whole
from verify.shards.driver import gather
from verify.shards.findings import Findings
from verify.shards.ledger import Ledger
from verify.shards.ledger_file import SCHEMA
from verify.shards.records import Run, sealed
from verify.shards.runs import summary
from verify.shards.works.enumerating import Enumerating
from verify.shards.works.fuzzing import Fuzzing
from verify.shards.works.sweeping import Sweeping

WORK = Counting(100)


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
    "a lease that is a text": "UPDATE claims SET until = 'soon'",
    "a host of bytes": "UPDATE drivers SET host = x'ff'",
    "a process with a name": "UPDATE drivers SET pid = 'one'",
    "a time beyond all calendars": "UPDATE drivers SET seen = 1e300",
    "a verdict that is not JSON": "UPDATE run SET verdict = '{'",
    "a trigger": "CREATE TRIGGER more AFTER INSERT ON done BEGIN UPDATE run SET bound = NULL; END",
    "another table": "CREATE TABLE more (one TEXT)",
    "another column": "ALTER TABLE done ADD COLUMN more TEXT",
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
    forge(tmp_path / "ledger", run, Findings(RankTally(27, Fraction(1, 9), 26), (26, 27)), 27)
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


def test_a_verdict_of_a_run_that_is_not_done_is_refused(filled: Path) -> None:
    edit(filled, "UPDATE run SET verdict = ?", json.dumps(gather(WORK).to_json()))
    assert "it has a verdict, and is not done" in refused(filled)
    with pytest.raises(InvalidArgument, match="it has a verdict, and is not done"):
        summary(filled)


@pytest.mark.parametrize("margin", [1e9, None])
def test_a_verdict_with_another_margin_than_its_findings_is_refused(tmp_path: Path, margin: float | None) -> None:
    path = tmp_path / "ledger"
    found = gather(Counting(100), ledger=path)
    assert found.holds
    assert summary(path)["state"] == "done"
    edit(path, "UPDATE run SET verdict = ?", json.dumps(replace(found, margin=margin).to_json()))
    with pytest.raises(
        InvalidArgument, match=rf"its verdict has a margin of {margin}, and the smallest is {found.margin}"
    ):
        summary(path)


def test_a_verdict_that_holds_although_code_changed_is_refused(tmp_path: Path) -> None:
    path, work = tmp_path / "ledger", Counting(100)
    changed = replace(work.shard(0, 100), changed=(3, "encode gave other numbers"))
    forge(path, work.run, changed, 100)
    edit(path, "UPDATE run SET verdict = ?", json.dumps(gather(work).to_json()))
    with pytest.raises(InvalidArgument, match="its verdict holds, and encode gave other numbers"):
        summary(path)


@pytest.mark.parametrize("statement", ["UPDATE drivers SET units = 0", "DELETE FROM drivers"])
def test_what_was_taken_over_is_said_whatever_drivers_are_listed(tmp_path: Path, statement: str) -> None:
    gather(WORK, ledger=tmp_path / "ledger", limit=50)
    edit(tmp_path / "ledger", statement)
    resumed = gather(WORK, ledger=tmp_path / "ledger").resumed
    assert resumed is not None
    assert (resumed["cases"], resumed["replayed"]) == ("50", 3)


def test_findings_without_a_margin_are_refused(tmp_path: Path) -> None:
    right, arithmetic = UnconditionalGeneration(3, 3), RationalArithmetic()
    forge(tmp_path / "ledger", Enumerating(right, arithmetic).run, Findings(RankTally(27)), 27)
    with pytest.raises(InvalidArgument, match=r"damaged or edited: units 0\.\.26: there is no smallest margin"):
        shards.exhaust(right, arithmetic, ledger=tmp_path / "ledger")


def test_an_exact_margin_of_a_run_in_floats_is_refused(tmp_path: Path) -> None:
    right, arithmetic = UnconditionalGeneration(3, 3), NumpyArithmetic("float64")
    forged = Findings(RankTally(27, Fraction(1, 2), 11), (0, 27))
    forge(tmp_path / "ledger", Enumerating(right, arithmetic).run, forged, 27)
    with pytest.raises(InvalidArgument, match="is none of this arithmetic"):
        shards.exhaust(right, arithmetic, ledger=tmp_path / "ledger")


def test_a_forged_ledger_of_drawn_cases_is_met(tmp_path: Path) -> None:
    """It calls all seeds right, with more cases than they draw, with none that they draw, or with a larger margin."""
    exact = RationalArithmetic()
    request = Request(get_claim("theorem-1"), {"vocab_size": range(3, 4), "context_size": range(3, 4)}, {}, exact)
    work = Fuzzing(request, examples=9, seed=0)
    forge(tmp_path / "more", work.run, Findings(RankTally(3), identities=frozenset(map(str, range(10)))), 3)
    with pytest.raises(InvalidArgument, match="10 distinct cases are right, of 9 that are drawn"):
        gather(work, ledger=tmp_path / "more")
    forge(tmp_path / "none", work.run, Findings(RankTally(3)), 3)
    with pytest.raises(InvalidArgument, match=r"ledger: expected seed \d to draw right cases that .* but it does not"):
        gather(work, ledger=tmp_path / "none")
    right = work.shard(0, 3).identities
    forge(tmp_path / "larger", work.run, Findings(RankTally(3, Fraction(1), 0), (0, 3), identities=right), 3)
    with pytest.raises(InvalidArgument, match="with no margin below its smallest, but it does not when run again"):
        gather(work, ledger=tmp_path / "larger")


def test_a_forged_ledger_of_a_sweep_is_met(tmp_path: Path) -> None:
    """It knows no margin, or that of a vocabulary alone whose margin is not the smallest."""
    exact = RationalArithmetic()
    sizes = {"vocab_size": range(4, 5), "context_size": range(3, 4)}
    work = Sweeping.of(Request(get_claim("theorem-1"), sizes, {}, exact), {})
    forge(tmp_path / "none", work.run, Findings(RankTally(4)), 4)
    with pytest.raises(InvalidArgument, match=r"damaged or edited: units 0\.\.3: there is no smallest margin"):
        gather(work, ledger=tmp_path / "none")
    second = work.shard(1, 2)
    assert second.tally.margin != work.shard(0, 4).tally.margin
    forge(tmp_path / "larger", work.run, replace(second, tally=replace(second.tally, cases=4)), 4)
    with pytest.raises(InvalidArgument, match=r"to be right as .* has them, but one is not when run again"):
        gather(work, ledger=tmp_path / "larger")
    assert gather(work, ledger=tmp_path / "true").holds


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
        check_whole(again._connection, again.run.digest, again.path)
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


@pytest.mark.parametrize(
    ("wrong", "better", "said"),
    [
        ((3,), RankTally(10, 1.0, 0), "unit 3 is not shown right"),
        ((), RankTally(10, 2.0, 5), "unit 0 has a margin of 1.0"),
    ],
)
def test_a_ledger_that_is_edited_while_its_driver_runs_is_met(
    wrong: tuple[int, ...], better: RankTally, said: str, tmp_path: Path
) -> None:
    """The driver did all of it itself, so that nothing is taken over and nothing would run again."""
    file, work = tmp_path / "ledger", Counting(10, wrong, unit=10)
    text = json.dumps(Findings(better, (0, 10)).to_json())

    def forge(units: int, total: int) -> None:
        if units:
            edit(file, "UPDATE done SET findings = ?, seal = ?", text, sealed(work.run.digest, 0, 10, text))
            edit(file, "UPDATE run SET bound = NULL")

    with pytest.raises(InvalidArgument, match=f"was edited in the meantime, and no longer says that {said}; take"):
        gather(work, ledger=file, progress=forge)


def test_a_failure_of_another_driver_is_not_edited_away_while_this_one_runs(tmp_path: Path) -> None:
    file, work = tmp_path / "ledger", Counting(10, (3,), unit=10)
    text = json.dumps(Findings(RankTally(10, 1.0, 0), (0, 10)).to_json())
    assert gather(work, ledger=file).holds is None

    def forge(units: int, total: int) -> None:
        edit(file, "UPDATE done SET findings = ?, seal = ?", text, sealed(work.run.digest, 0, 10, text))
        edit(file, "UPDATE run SET bound = NULL, verdict = NULL")

    with pytest.raises(
        InvalidArgument, match="was edited in the meantime, and no longer says that unit 3 is not shown"
    ):
        gather(work, ledger=file, progress=forge)


def test_a_ledger_that_is_edited_while_its_driver_runs_hides_no_change(tmp_path: Path) -> None:
    class Changing(Counting):
        def shard(self, start: int, stop: int) -> Findings:
            return replace(super().shard(start, stop), changed=(start, "answer is no function"))

    file, work = tmp_path / "ledger", Changing(10, unit=10)
    text = json.dumps(Counting(10).shard(0, 10).to_json())

    def forge(units: int, total: int) -> None:
        if units:
            edit(file, "UPDATE done SET findings = ?, seal = ?", text, sealed(work.run.digest, 0, 10, text))

    with pytest.raises(InvalidArgument, match="and no longer says that answer is no function; take another file"):
        gather(work, ledger=file, progress=forge)


@pytest.mark.parametrize(
    ("wrong", "changed", "said"),
    [((3,), None, "unit 3 is not shown right"), ((), (3, "answer is no function"), "answer is no function")],
)
def test_a_failure_is_not_forgotten_where_its_claim_is_edited_away(
    wrong: tuple[int, ...], changed: tuple[int, str] | None, said: str, tmp_path: Path
) -> None:
    """The ledger says that another driver did the shard, and found nothing wrong in it."""
    file = tmp_path / "ledger"

    class Edited(Counting):
        def shard(self, start: int, stop: int) -> Findings:
            text = json.dumps(Counting(10).shard(start, stop).to_json())
            seal = sealed(self.run.digest, start, stop, text)
            edit(file, "DELETE FROM claims")
            edit(file, "INSERT INTO done VALUES (?, ?, ?, ?, 1.0)", start, stop, text, seal)
            return replace(super().shard(start, stop), changed=changed)

    with pytest.raises(InvalidArgument, match=f"was edited in the meantime, and no longer says that {said}; take"):
        gather(Edited(10, wrong, unit=10), ledger=file)


def test_a_failure_that_another_driver_finds_as_well_is_told_once(tmp_path: Path) -> None:
    """A driver that was taken for dead comes back with the failure, after the other has written it down."""
    file = tmp_path / "ledger"

    class Overtaken(Counting):
        def shard(self, start: int, stop: int) -> Findings:
            edit(file, "UPDATE claims SET until = 0")
            assert gather(Counting(10, (3,), unit=10), ledger=file).cases == 3
            return super().shard(start, stop)

    verdict = gather(Overtaken(10, (3,), unit=10), ledger=file)
    assert (verdict.holds, verdict.cases) == (None, 3)
