"""Workers of a dask scheduler: two of them on this machine, of which one is killed in mid-run."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from constructions.validation import InvalidArgument
from tests.shards.examples import Counting, Slow
from verify.cli.app import run
from verify.requests import record  # noqa: F401 # the tests' import hook fails beside dask's threads, on Python 3.11
from verify.shards.driver import gather
from verify.shards.executors import Answer, Cluster
from verify.shards.recipe import Recipe
from verify.shards.works import enumerating  # noqa: F401 # the same

# what dask's own threads leave to the end of a process is not ours
pytestmark = [
    pytest.mark.filterwarnings("default::ResourceWarning"),
    pytest.mark.filterwarnings("default::DeprecationWarning"),
    pytest.mark.filterwarnings("default::pytest.PytestUnraisableExceptionWarning"),
]
distributed: Any = pytest.importorskip("distributed")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    made = distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, host="127.0.0.1", silence_logs=50
    )
    try:
        yield made
    finally:
        made.close()


class Watched(Cluster):
    """Kills a worker of the cluster as soon as a shard has come back."""

    def __init__(self, scheduler: str, cluster: Any) -> None:
        super().__init__(scheduler)
        self.cluster, self.killed = cluster, 0

    def wait(self, seconds: float) -> list[Answer]:
        answers = super().wait(seconds)
        if answers and not self.killed:
            self.killed = next(iter(self.cluster.workers.values())).process.process.pid
            os.kill(self.killed, signal.SIGKILL)
        return answers


def test_a_killed_worker_changes_nothing(cluster: Any, tmp_path: Path) -> None:
    given = (300, 0.02)
    executor = Watched(cluster.scheduler_address, cluster)
    verdict = gather(Slow(*given), Recipe.of_python(Slow, *given), executor, ledger=tmp_path / "ledger")
    assert executor.killed
    assert (verdict.holds, verdict.cases, verdict.margin) == (True, 300, min(map(Counting.margin, range(300))))
    assert verdict.resumed is None


def test_the_command_runs_on_a_cluster(cluster: Any, capsys: pytest.CaptureFixture[str]) -> None:
    words = "exhaust theorem-1 --vocab 3 --context 3 --q 18 --arithmetic rational --engine dask --scheduler"
    assert run([*words.split(), cluster.scheduler_address]) == 1
    assert "target [0, 0, 2] must give 2" in capsys.readouterr().out.replace("\n", " ")


@pytest.fixture
def lost(cluster: Any, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Kill a worker that has a shard in hand, as soon as another shard has come back; return what it had."""
    cluster.wait_for_workers(2)
    wait, held = Cluster.wait, list[str]()

    def watched(self: Cluster, seconds: float) -> list[Answer]:
        answers = wait(self, seconds)
        busy = self._client.processing() if answers and not held else {}
        for worker in cluster.workers.values():
            if not held and busy.get(worker.worker_address):
                held.extend(map(str, busy[worker.worker_address]))
                os.kill(worker.process.process.pid, signal.SIGKILL)
        return answers

    monkeypatch.setattr(Cluster, "wait", watched)
    return held


#: Kinds of runs, of seconds each: pieces, ranks, seeds and vocabularies.
RUNS = (
    "certify theorem-1 --vocab 16 --context 56 --arithmetic ball",
    "exhaust theorem-1 --vocab 7 --context 6 --arithmetic rational",
    "fuzz theorem-1 --vocab 6 --context 4 --examples 144",
    "sweep theorem-1 --vocab 40 --context 6 --arithmetic rational",
)


@pytest.mark.heavy
@pytest.mark.parametrize("words", RUNS, ids=lambda words: words.split()[0])
def test_every_kind_of_run_loses_a_shard_alone(
    words: str, cluster: Any, lost: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The verdict is that of this process alone, and the ledger counts every unit once."""
    facts = []
    for where in ("in-process", f"dask --scheduler {cluster.scheduler_address} --ledger {tmp_path / 'ledger'}"):
        assert run([*f"{words} --json --engine {where}".split()]) == 0
        verdict = json.loads(capsys.readouterr().out)
        verdict["parameters"].pop("shards", None)  # how many there were
        facts.append({**verdict, "seconds": 0})
    assert facts[0] == facts[1]
    assert facts[0]["holds"] is True
    assert lost
    with closing(sqlite3.connect(tmp_path / "ledger")) as sql:
        ((total, done, counted),) = sql.execute(
            "SELECT total, (SELECT sum(stop - start) FROM done), (SELECT sum(units) FROM drivers) FROM run"
        )
    assert int(total) == done == counted


@pytest.mark.parametrize("kind", ["closed", "silent", "no address"])
def test_a_scheduler_that_cannot_be_reached_is_one_line(kind: str) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        if kind == "silent":
            silent.listen()
        address = "nowhere at all" if kind == "no address" else f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        started = time.monotonic()
        with pytest.raises(InvalidArgument, match="scheduler: expected a scheduler with workers") as raised:
            gather(Counting(5), Recipe.of_python(Counting, 5), Cluster(address, patience=1.0))
        assert time.monotonic() - started < 20
        assert len(str(raised.value).splitlines()) == 1
