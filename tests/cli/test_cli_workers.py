"""Runs that the command line splits over processes: workers make the same run from its words, whatever was chosen."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Self

import pytest

from tests.cli.own import written
from tests.shares import drawn
from verify.cli.app import run
from verify.shards.executors import InProcess, Processes
from verify.shards.recipe import Recipe
from verify.shards.works import WORKS
from verify.shards.works.base import Work

#: Of every kind of run, in every arithmetic, with options that a worker must be told.
CASES = [
    "fuzz attention-bias --arithmetic numpy --dtype float16 --examples 4",
    "fuzz attention-rescaling --arithmetic torch --dtype bfloat16 --examples 4",
    "fuzz attention-bias --arithmetic torch --tf32 --examples 4",
    "fuzz attention-bias --arithmetic matrix-unit --dtype bf16 --unit ampere --examples 4",
    "fuzz second-layer-attention --arithmetic rational --examples 4",
    "fuzz theorem-2 --vocab 3 --arithmetic torch --tf32 --examples 4",
    "fuzz theorem-1 --vocab 3 --context 3 --arithmetic rational --q self=7000,first=9000 --examples 4",
    "fuzz OWN --size vocab=3,shift=0 --arithmetic numpy --examples 4",
    "certify theorem-1 --vocab 5 --context 4 --any-embedding 3/2",
    "certify theorem-1 --vocab 5 --context 4 --tf32 --encoding integer",
    "certify theorem-1 --vocab 5 --context 4 --dtype bf16 --unit ampere --full-reduction",
    "certify theorem-1 --vocab 5 --context 4 --exp ex2",
    "certify theorem-2 --vocab 4 --arithmetic ball --q self=700,first=9000 --points 7",
    "certify residual-theorem-1 --vocab 3 --context 3 --architecture llama",
    "sweep theorem-1 --vocab 3 --context 3 --arithmetic torch --tf32",
    "sweep theorem-2 --vocab 3 --arithmetic structured --dtype bfloat16",
    "sweep theorem-1 --vocab 3 --context 3 --arithmetic matrix-unit --dtype tf32 --unit ampere",
    "sweep OWN --size vocab=3,shift=0 --arithmetic rational",
    "exhaust theorem-1 --vocab 3 --context 3 --arithmetic torch --tf32",
    "exhaust theorem-1 --vocab 3 --context 3 --arithmetic rational --q self=7000,first=9/2",
    "exhaust theorem-1 --vocab 3 --context 3 --arithmetic matrix-unit --dtype fp16 --unit ampere",
    "exhaust theorem-2 --vocab 3 --mask none --arithmetic numpy --dtype float16",
    "exhaust theorem-1 --vocab 3 --context 3 --temperature 8 --scaled-by length --arithmetic numpy",
    "exhaust theorem-1 --vocab 2 --context 2 --temperature inf --arithmetic symbolic",
    "exhaust theorem-1 --vocab 3 --context 3 --arithmetic engine",
    "exhaust OWN --size vocab=3,shift=1 --arithmetic numpy",
]


class Remade(InProcess):
    """A worker in this process, which makes the run from its recipe as one in another process does."""

    elsewhere = True
    made = 0

    @classmethod
    def of(cls, *, jobs: int | None, scheduler: str | None) -> Self:
        assert (jobs, scheduler) == (2, None)
        return cls()

    def start(self, work: Work, recipe: Recipe | None) -> None:
        assert recipe is not None
        again = recipe.work()
        assert dict(again.run.key) == dict(work.run.key)
        assert again.run == work.run
        super().start(again, recipe)
        Remade.made += 1


def document(words: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, Any]:
    """Run a command; return its status and what it prints, but for what differs from run to run."""
    status = run([*words, "--json"])
    found = json.loads(capsys.readouterr().out)
    found["parameters"].pop("shards", None)
    return status, found | {"seconds": 0}


def agrees(words: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Hold the verdict of workers against that of this process."""
    split = words.replace("OWN", f"{written(folder)}:Shifted").split()
    one_process = ["--engine", "in-process"] if split[0] == "fuzz" else []  # not split, it draws with one seed
    assert document([*split, "--jobs", "2"], capsys) == document([*split, *one_process], capsys)


@pytest.mark.parametrize("words", CASES)
def test_a_worker_makes_the_same_run(
    words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Processes, "of", Remade.of)
    monkeypatch.setattr(Remade, "made", 0)
    agrees(words, tmp_path, capsys)
    assert Remade.made == 1


def test_every_kind_of_run_is_among_them() -> None:
    assert {words.split()[0] for words in CASES} == {word.split()[0] for word in WORKS}


@pytest.mark.heavy
@pytest.mark.parametrize("words", drawn(CASES, 9))
def test_workers_in_other_processes_agree(words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    agrees(words, tmp_path, capsys)
