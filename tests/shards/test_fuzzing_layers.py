"""Drawn attention layers in shards: each seed draws what it draws alone, and nothing that is not shown verifies."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from constructions.validation import InvalidArgument
from proofs import CLAIMS
from tests.shards.test_certifying import forged
from tests.shards.test_driver import Shuffled
from verify import NumpyArithmetic, RationalArithmetic, Verdict
from verify.cli.app import run
from verify.prefixes import layer_verdicts
from verify.prefixes.layer_verdicts import draw_layers, fuzz_layers
from verify.prefixes.measured import IDENTITIES, Deviation
from verify.requests import Request
from verify.shards.driver import gather
from verify.shards.works.fuzzing_layers import FuzzingLayers

FLOATS = NumpyArithmetic("float32")


def made(claim: str = "attention-bias", arithmetic: Any = FLOATS, examples: int = 20, seed: int = 3) -> FuzzingLayers:
    return FuzzingLayers(Request(CLAIMS[claim], {}, {}, arithmetic), examples=examples, seed=seed)


@pytest.mark.parametrize("arithmetic", [FLOATS, RationalArithmetic()], ids=lambda each: each.name)
@pytest.mark.parametrize("claim", IDENTITIES)
def test_merges_what_each_seed_draws_alone(claim: str, arithmetic: Any) -> None:
    work = made(claim, arithmetic)
    alone = [draw_layers(claim, arithmetic, examples=work.share(unit), seed=3 + unit) for unit in range(4)]
    assert [work.share(unit) for unit in range(4)] == [5] * 4
    drawn: dict[str, bool] = {}
    for unit in range(4):
        each: dict[str, bool] = {}
        draw_layers(claim, arithmetic, examples=work.share(unit), seed=3 + unit, drawn=each)
        drawn |= each
    verdict = gather(work, executor=Shuffled(0))
    assert verdict.holds
    assert verdict.cases == sum(drawn.values())
    assert verdict.margin == (None if arithmetic.fmt is None else 1 - max(tally.used for tally in alone))
    assert (verdict.seed, verdict.parameters["seeds"], verdict.parameters["shards"]) == (3, "3..6", 4)


def changed(monkeypatch: pytest.MonkeyPatch, change: Callable[[int, int, Deviation], Deviation]) -> None:
    """Change the deviations of drawn layers, by their seed and index."""
    deviations, draw_case = (vars(layer_verdicts)[name] for name in ("deviations", "draw_case"))
    drawn = [(0, 0)]

    def remembered(seed: int, index: int, **options: Any) -> Any:
        drawn[0] = (seed, index)
        return draw_case(seed, index, **options)

    def off(claim: str, passes: Any, next_head: Any = None) -> Any:
        return [change(*drawn[0], each) for each in deviations(claim, passes, next_head)]

    monkeypatch.setattr(layer_verdicts, "draw_case", remembered)
    monkeypatch.setattr(layer_verdicts, "deviations", off)


@pytest.mark.parametrize(("vacuous", "cases"), [((4,), 15), ((3, 4), 10), ((3, 4, 5, 6), 0)])
def test_layers_whose_bound_says_nothing_do_not_count(
    vacuous: tuple[int, ...], cases: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed(monkeypatch, lambda seed, _, each: replace(each, most=0.0) if seed in vacuous else each)
    verdict = gather(made(), executor=Shuffled(1))
    assert (verdict.holds, verdict.cases) == (True if cases else None, cases)
    said = f"{20 - cases} more layers do not count" if cases else "drawn 3:0, "
    assert said in str(verdict.reason)


@pytest.mark.parametrize("seed", range(2))
def test_a_layer_that_violates_it_is_found(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    changed(monkeypatch, lambda seed, at, each: replace(each, left=each.left + 1) if (seed, at) == (5, 2) else each)
    verdict = gather(made(), executor=Shuffled(seed))
    alone = fuzz_layers("attention-bias", FLOATS, examples=5, seed=5)
    assert verdict.holds is alone.holds is False
    assert verdict.refutation == alone.refutation
    assert verdict.refutation is not None
    assert "--drawn 5:2" in verdict.refutation.reproduce


def test_goes_on_and_meets_a_forger(tmp_path: Path) -> None:
    file = tmp_path / "ledger"
    first = gather(made(), ledger=file, limit=2)
    assert (first.holds, first.reason) == (None, "cut off after 2 of 4 seeds")
    second = gather(made(), ledger=file)
    assert second.holds
    assert second.resumed is not None
    assert (second.resumed["seeds"], second.resumed["replayed"]) == ("2", 5)
    alone = gather(made())
    assert (second.cases, second.margin) == (alone.cases, alone.margin)

    def larger(record: dict[str, Any]) -> None:
        record["margin"] = 0.999999

    forged(file, larger)
    with pytest.raises(InvalidArgument, match="ledger: expected"):
        gather(made(), ledger=file)


def test_a_ledger_of_another_draw_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "ledger"
    gather(made(), ledger=file, limit=1)
    for other, said in (
        (made(examples=21), "differs in examples"),
        (made(seed=4), "differs in seed"),
        (made("attention-rescaling"), "expected one of attention-rescaling in numpy float32 but"),
        (made(arithmetic=NumpyArithmetic("float64")), "expected one of attention-bias in numpy float64 but"),
    ):
        with pytest.raises(InvalidArgument, match=said):
            gather(other, ledger=file)
    with closing(sqlite3.connect(file)) as sql:
        assert sql.execute("SELECT work FROM run").fetchone() == ("fuzz layers",)


@pytest.mark.heavy
def test_runs_in_processes(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["fuzz", "attention-bias", "--arithmetic", "rational", "--examples", "30", "--json"]
    assert run([*words, "--jobs", "2"]) == 0
    assert run([*words, "--engine", "in-process"]) == 0
    one, other = (
        Verdict.from_json(json.loads(part)) for part in capsys.readouterr().out.replace("}\n{", "}\0{").split("\0")
    )
    assert (one.holds, one.cases, one.parameters["seeds"]) == (True, other.cases, "0..4")
