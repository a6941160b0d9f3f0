"""The scheduler on paper, sizes of shards, and what a row of the ledger takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from docs.figures import shard_plan
from tests.shards.examples import Counting
from verify.running.ranks import RankTally
from verify.shards.findings import Findings
from verify.shards.ledger import Ledger
from verify.shards.simulation import Costs, simulate
from verify.shards.sizes import GROWTH, SHARE, TAIL, Sizes

COSTS = Costs(rate=1e6)


def test_the_same_arguments_give_the_same_plan() -> None:
    plan = simulate(10**9, 20, COSTS, unit=1000)
    assert plan == simulate(10**9, 20, COSTS, unit=1000)
    assert plan != simulate(10**9, 20, COSTS, unit=1000, seed=1)
    assert plan.units == 10**9


def test_workers_are_busy_and_the_ledger_is_short() -> None:
    plan = simulate(10**11, 20, COSTS, unit=1000)
    assert plan.busy > 0.9
    assert plan.driver < 0.1
    assert plan.rows <= 3 * 20  # a claim and a gap for each worker


def test_workers_that_die_cost_their_shards_alone() -> None:
    plan = simulate(10**10, 20, Costs(rate=1e6, lifetime=100.0), unit=1000)
    assert plan.lost > 0
    assert plan.units == 10**10


@pytest.mark.heavy
def test_a_thousand_workers() -> None:
    plan = simulate(2 * 10**13, 1000, Costs(rate=2.5e6), unit=2**12)
    assert plan.units == 2 * 10**13
    assert plan.busy > 0.9
    assert plan.rows <= 3 * 1000


def test_a_shard_is_as_long_as_handing_it_out_asks_for() -> None:
    sizes = Sizes(workers=8, unit=10)
    assert sizes.units(10**6) == 10  # before anything is known
    sizes.measured(10, seconds=0.001, way=0.0, driver=0.001)
    assert sizes.seconds == 8 * 0.001 / SHARE
    assert sizes.units(10**9) == 10 * GROWTH
    sizes.measured(10**6, seconds=100.0, way=0.0, driver=0.001)
    assert sizes.units(10**9) == int(10**4 * sizes.seconds)
    assert sizes.units(10**5) == -(-(10**5) // (TAIL * 8))
    assert sizes.units(10) == int(10**4 * sizes.seconds * SHARE)  # not shorter than handing one to every worker
    sizes.measured(10, seconds=0.0, way=50.0, driver=0.0)  # a clock that did not move
    assert sizes.units(10**9) >= 10


def test_a_row_takes_no_more_than_the_plan_says(tmp_path: Path) -> None:
    """Rows with numbers as long as those of 10^15 units, each beside a gap."""
    ledger = Ledger(tmp_path / "ledger", Counting(10**18).run)
    held = [ledger.claim(lambda start, _: start + 10**13) for _ in range(400)]
    for shard in held[::2]:
        assert shard is not None
        count = shard.stop - shard.start
        ledger.complete(
            shard, Findings(RankTally(count, 0.0012345678901234567, shard.stop - 1), (shard.start, shard.stop))
        )
    rows = ledger.rows()
    assert rows == 400
    ledger.close()
    assert (tmp_path / "ledger").stat().st_size <= rows * shard_plan.ROW_BYTES
