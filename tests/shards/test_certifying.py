"""Certificates in shards: the verdict of one process, and nothing that is undecided, forged or of another run."""

from __future__ import annotations

import json
import os
import random
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from constructions import (
    ConditionalGeneration,
    Construction,
    DigitGeneration,
    LongerInputs,
    LongerResponses,
    Softmax,
    UnconditionalGeneration,
)
from constructions.residual import ResidualConditional, ResidualGeneration
from constructions.validation import InvalidArgument
from proofs import CLAIMS
from tests.shards.test_driver import Shuffled, facts
from tests.shards.test_kills import Hunted, done
from verify import shards
from verify.certificates import certificate_arithmetic, certify, sharing
from verify.certificates.found import Found
from verify.cli.app import run
from verify.shards.driver import gather
from verify.shards.executors import Processes
from verify.shards.findings import Findings
from verify.shards.records import sealed
from verify.shards.works.certifying import Certifying

#: One of every class, and some of which cells share, or are undecided.
SMALL: list[Construction] = [
    UnconditionalGeneration(4, 3),
    ConditionalGeneration(4),
    LongerResponses(3, 2),
    LongerInputs(2, 2),
    DigitGeneration(10, 3, digits=2),
    ResidualGeneration(3, 2),
    ResidualConditional(3),
    UnconditionalGeneration(1, 3),
    UnconditionalGeneration(24, 16),
    ConditionalGeneration(24),
    UnconditionalGeneration(40, 12, temperature=Softmax(1.0)),
    UnconditionalGeneration(40, 12, temperature=Softmax(4.0)),
    ConditionalGeneration(30, temperature=Softmax(0.001)),
]
ROUNDED, BALL = certificate_arithmetic("rounded"), certificate_arithmetic("ball")
#: Of many pieces, each a few milliseconds.
LONG = UnconditionalGeneration(16, 56), BALL


def test_every_claim_is_among_them() -> None:
    built = {claim.construction for claim in CLAIMS.values() if claim.construction is not None}
    assert built == {type(construction) for construction in SMALL}


@pytest.mark.share(10)
@pytest.mark.parametrize("arithmetic", [ROUNDED, BALL], ids=lambda each: each.name)
@pytest.mark.parametrize("construction", SMALL, ids=repr)
def test_gives_the_verdict_of_one_process(construction: Construction, arithmetic: Any) -> None:
    assert facts(shards.certify(construction, arithmetic, executor=Shuffled(0))) == facts(
        certify(construction, arithmetic)
    )


@pytest.mark.parametrize("spoiled", [(), (3,), (2, 5), range(12)])
def test_user_inputs_of_several_passes(spoiled: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pass takes a few of them; those that a pass does not decide are looked at cell by cell."""
    monkeypatch.setattr(sharing, "_NUMBERS", 1)
    construction, tally = ConditionalGeneration(24), sharing.tally_part

    def some(bound: Any, part: Any, *, points: int) -> float | None:
        return None if part.steps[0][0].user[0] in spoiled else tally(bound, part, points=points)

    monkeypatch.setattr("verify.certificates.pieces.tally_part", some)
    alone, work = certify(construction, ROUNDED), Certifying(construction, ROUNDED)
    assert (work.run.total, work.settings, work.undivided) == (24, {"apart": False}, False)
    assert alone.holds
    assert facts(shards.certify(construction, ROUNDED, executor=Shuffled(1))) == facts(alone)


@pytest.mark.parametrize("temperature", [1.0, 0.001, 1e-9])
def test_one_user_input_that_stands_for_all_is_one_piece(temperature: float, tmp_path: Path) -> None:
    construction, file = ConditionalGeneration(24, temperature=Softmax(temperature)), tmp_path / "ledger"
    alone = certify(construction, ROUNDED, budget=100)
    assert "stands for all" in str(alone.reason)
    for resumed in (False, True):
        found = shards.certify(construction, ROUNDED, budget=100, jobs=2, ledger=file)
        assert (found.resumed is not None) is resumed
        assert facts(replace(found, resumed=None)) == facts(alone)


def test_more_cells_than_the_budget_are_refused_alike() -> None:
    for construction in (ConditionalGeneration(24), UnconditionalGeneration(4, 3)):
        found = shards.certify(construction, ROUNDED, budget=5)
        assert facts(found) == facts(certify(construction, ROUNDED, budget=5))
        assert found.holds is None


class Undecided(Certifying):
    """Some pieces are not decided, or their code gives a member other numbers."""

    def __init__(self, *given: Any, spoiled: tuple[int, ...], how: str = "undecided", **options: Any) -> None:
        super().__init__(*given, **options)
        self.spoiled, self.how = spoiled, how

    def _judged(self, unit: int) -> Found:
        found = super()._judged(unit)
        if unit in self.spoiled:
            found.margin = {"undecided": -1.0, "nan": float("nan"), "none": 0.0}[self.how]
            found.reason = f"not decided: piece {unit}"
        return found


@pytest.mark.parametrize("how", ["undecided", "nan", "none"])
@pytest.mark.parametrize("spoiled", [(0,), (2, 7), (9,)])
def test_a_piece_that_is_undecided_never_verifies(spoiled: tuple[int, ...], how: str) -> None:
    work = Undecided(UnconditionalGeneration(5, 10), BALL, spoiled=spoiled, how=how)
    verdict = gather(work, executor=Shuffled(sum(spoiled)))
    assert (verdict.holds, verdict.reason) == (None, f"not decided: piece {spoiled[0]}")
    assert verdict.cases == 5 * (spoiled[0] + 1)  # cells up to the first, as in one process


def test_a_piece_that_only_a_worker_finds_undecided_shows_nothing() -> None:
    class Once(Undecided):
        def shard(self, start: int, stop: int) -> Findings:
            findings = super().shard(start, stop)
            self.spoiled = ()
            return findings

    verdict = gather(Once(UnconditionalGeneration(5, 10), BALL, spoiled=(0,)))
    assert (verdict.holds, verdict.reason) == (None, "piece 0 was not decided in a worker, and is when judged again")


def test_one_that_is_decided_at_once_is_not_split(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Processes, "start", None)  # no worker is asked
    assert shards.certify(ConditionalGeneration(24), ROUNDED, jobs=2).holds


def test_stops_at_a_limit_and_goes_on(tmp_path: Path) -> None:
    construction, file = UnconditionalGeneration(5, 10), tmp_path / "ledger"
    first = shards.certify(construction, BALL, ledger=file, limit=4)
    assert (first.holds, first.cases, first.reason) == (None, 20, "cut off after 4 of 10 pieces")
    second = shards.certify(construction, BALL, ledger=file)
    assert second.resumed is not None
    assert (second.resumed["pieces"], second.resumed["replayed"]) == ("4", 5)
    assert facts(replace(second, resumed=None)) == facts(certify(construction, BALL))


def forged(file: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the findings of a ledger, and seal them again as a forger may."""
    with closing(sqlite3.connect(file)) as sql, sql:
        ((digest,),) = sql.execute("SELECT digest FROM run")
        for start, stop, held in sql.execute("SELECT start, stop, findings FROM done").fetchall():
            record = json.loads(held)
            change(record)
            text = json.dumps(record)
            sql.execute(
                "UPDATE done SET findings = ?, seal = ? WHERE start = ?",
                (text, sealed(digest, start, stop, text), start),
            )
        sql.execute("UPDATE run SET bound = NULL, verdict = NULL")


def _larger(record: dict[str, Any]) -> None:
    record["margin"] *= 2


def _elsewhere(record: dict[str, Any]) -> None:
    record |= {"closest": "0", "shard": ["0", "1"]}


def _few(record: dict[str, Any]) -> None:
    record["members"] = "10"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_larger, "ledger: expected"),  # by the shard of the smallest margin, or by a piece that was drawn
        (_elsewhere, "ledger: expected a smallest margin of"),
        (_few, "10 members were looked at, of 50 cells"),
    ],
)
def test_a_forged_ledger_is_met(change: Any, said: str, tmp_path: Path) -> None:
    construction, file = UnconditionalGeneration(5, 10), tmp_path / "ledger"
    assert shards.certify(construction, BALL, ledger=file).holds
    forged(file, change)
    with pytest.raises(InvalidArgument, match=r"^ledger: expected") as raised:
        shards.certify(construction, BALL, ledger=file)
    assert said in str(raised.value)


def test_a_forged_piece_that_is_undecided_is_met(tmp_path: Path) -> None:
    """The forger says that all are decided, with the smallest margin at the first that is not."""
    construction, file = UnconditionalGeneration(40, 12, temperature=Softmax(1.0)), tmp_path / "ledger"
    first = shards.certify(construction, BALL, ledger=file)
    work = Certifying(construction, BALL)
    assert first.holds is None
    with closing(sqlite3.connect(file)) as sql, sql:
        ((digest,),) = sql.execute("SELECT digest FROM run")
        (failure,) = sql.execute("SELECT bound FROM run").fetchone()
        total, tally = work.run.total, replace(Findings().tally, cases=work.run.total, margin=1e-9, closest=failure)
        text = json.dumps(Findings(tally, (failure, failure + 1), members=10**6).to_json())
        for table in ("done", "claims", "open"):
            sql.execute(f"DELETE FROM {table}")
        row = (0, total, text, sealed(digest, 0, total, text), 1.0)
        sql.execute("INSERT INTO done VALUES (?, ?, ?, ?, ?)", row)
        sql.execute("UPDATE run SET bound = NULL, verdict = NULL, cursor = ?", (total,))
    with pytest.raises(InvalidArgument, match="ledger: expected"):
        shards.certify(construction, BALL, ledger=file)
    assert gather(work).holds is None


CERTIFY = "certify theorem-1 --vocab 5 --context 4"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (f"{CERTIFY} --jobs 0", "jobs: expected an integer >= 1 but got 0 (type int)"),
        (f"{CERTIFY} --engine dask", "scheduler: expected --scheduler ADDRESS with --engine dask"),
        (f"{CERTIFY} --bit-exact --jobs 2", "bit_exact: expected a run that is not split into shards"),
        (f"{CERTIFY} --ledger nowhere/ledger", "nowhere/ledger: unable to open database file"),
        (f"{CERTIFY} --budget 0 --jobs 2", "budget: expected an integer >= 1 but got 0 (type int)"),
        (
            f"{CERTIFY} --ledger certified --dtype bfloat16",
            "is of UnconditionalGeneration(vocab_size=5, context_size=4)",
        ),
        (
            f"{CERTIFY} --ledger certified --temperature 9",
            "is of UnconditionalGeneration(vocab_size=5, context_size=4)",
        ),
        ("certify theorem-1 --vocab 5 --context 5 --ledger certified", "is of UnconditionalGeneration(vocab_size=5,"),
        (
            "certify theorem-2 --vocab 5 --ledger certified",
            "is of UnconditionalGeneration(vocab_size=5, context_size=4)",
        ),
        (f"{CERTIFY} --ledger certified --products any", "expected one of"),
        (f"{CERTIFY} --ledger certified --points 7", "expected one of this very run but certified differs in points"),
        (f"{CERTIFY} --ledger certified --budget 99", "expected one of this very run but certified differs in budget"),
        (f"{CERTIFY} --ledger certified --any-embedding 1", "certified differs in any_embedding; take another file"),
        (f"{CERTIFY} --ledger exhausted", "ledger: expected one of certify but exhausted is of exhaust"),
        (
            "exhaust theorem-1 --vocab 2 --context 2 --arithmetic rational --ledger certified",
            "ledger: expected one of exhaust but certified is of certify",
        ),
    ],
)
def test_bad_input_is_one_line(
    words: str, said: str, ledgers: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ledgers)
    assert run(words.split()) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line


@pytest.fixture(scope="module")
def ledgers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a ledger of a certificate and one of an enumeration."""
    folder = tmp_path_factory.mktemp("ledgers")
    assert run([*CERTIFY.split(), "--ledger", str(folder / "certified")]) == 0
    other = ["exhaust", "theorem-1", "--vocab", "2", "--context", "2", "--arithmetic", "rational"]
    assert run([*other, "--ledger", str(folder / "exhausted")]) == 0
    return folder


def test_says_that_it_went_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [*CERTIFY.split(), "--ledger", str(tmp_path / "ledger")]
    assert run(words) == run(words) == 0
    assert ": went on from 4 pieces of " in capsys.readouterr().out
    assert run(["runs", "--ledger", str(tmp_path / "ledger")]) == 0
    assert "certify UnconditionalGeneration(vocab_size=5, context_size=4) in rounded float32: done" in (
        capsys.readouterr().out
    )


@pytest.mark.parametrize("chosen", ["--dtype bfloat16 --products fused", "--arithmetic ball"])
def test_the_command_line_names_the_arithmetic_to_workers(chosen: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Workers are other processes, which make the request from its words."""
    words = f"certify theorem-2 --vocab 3 {chosen} --json"
    assert run(words.split()) == 0
    alone = json.loads(capsys.readouterr().out)
    assert run([*words.split(), "--jobs", "2"]) == 0
    split = json.loads(capsys.readouterr().out)
    assert {**split, "seconds": 0} == {**alone, "seconds": 0}
    assert split["holds"] is True


DRIVER = """
import sys
from pathlib import Path
from tests.shards.test_certifying import LONG
from verify import shards
found = shards.certify(*LONG, ledger=Path(sys.argv[1]))
print(found.holds, found.cases == found.space, found.margin, flush=True)
"""


def _started(file: Path) -> subprocess.Popen[str]:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", DRIVER, str(file)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


@pytest.mark.heavy
def test_a_killed_driver_is_gone_on_from(tmp_path: Path) -> None:
    file, draw, alone = tmp_path / "ledger", random.Random(0), certify(*LONG)
    for _ in range(4):
        with _started(file) as driver:
            before = done(file)
            while driver.poll() is None and done(file) == before:
                time.sleep(0.002)
            time.sleep(draw.uniform(0, 0.05))
            driver.kill()
    held = done(file)
    found = shards.certify(*LONG, ledger=file)
    assert found.resumed is not None
    assert int(found.resumed["pieces"]) == held > 0
    assert facts(replace(found, resumed=None)) == facts(alone)


@pytest.mark.heavy
def test_two_drivers_of_which_one_is_killed(tmp_path: Path) -> None:
    file, alone = tmp_path / "ledger", certify(*LONG)
    with _started(file) as first, _started(file) as second:
        while first.poll() is None and not done(file):
            time.sleep(0.002)
        first.kill()
        said = (second.communicate()[0] or "").split()
    assert said == ["True", "True", str(alone.margin)]
    assert done(file) == Certifying(*LONG).run.total


@pytest.mark.heavy
def test_killed_workers_lose_their_shards_alone(tmp_path: Path) -> None:
    executor = Hunted(2, 6, seed=0)
    found = shards.certify(*LONG, executor=executor, ledger=tmp_path / "ledger")
    assert executor.kills < 6
    assert facts(found) == facts(certify(*LONG))
