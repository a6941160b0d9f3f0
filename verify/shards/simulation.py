"""The scheduler on paper: the ledger and the sizes of shards as they are, with workers that only take time.

Events follow each other in the order of their times, and every number that is drawn comes from one seed: the same
arguments give the same plan. The ledger is the one that runs use, in memory.
"""

from __future__ import annotations

import heapq
import random
from dataclasses import dataclass

from verify.running.ranks import RankTally
from verify.shards.findings import Findings
from verify.shards.ledger import Ledger
from verify.shards.records import Run, Shard
from verify.shards.sizes import Sizes


@dataclass(frozen=True)
class Costs:
    """What a cluster costs, in seconds.

    Attributes:
        rate: units that one worker runs in a second.
        spread: workers are faster or slower than that by up to this share of it.
        transaction: what a claim, or writing down findings, takes the driver.
        way: what a shard takes to its worker and back.
        lifetime: how long a worker lives on average before it is killed; the scheduler then runs its shard again.

    """

    rate: float
    spread: float = 0.2
    transaction: float = 0.005
    way: float = 0.02
    lifetime: float = 7 * 86400.0


@dataclass(frozen=True)
class Plan:
    """What a run took.

    Attributes:
        workers: how many there were.
        units: how many were done.
        seconds: from the first claim to the last findings.
        shards: how many shards were handed out.
        lost: how many were run again, as their worker was killed.
        busy: the share of the workers' time in which they ran shards that counted.
        driver: the share of its time that the driver was at work.
        rows: the most rows that the ledger had at once.

    """

    workers: int
    units: int
    seconds: float
    shards: int
    lost: int
    busy: float
    driver: float
    rows: int


def simulate(units: int, workers: int, costs: Costs, *, unit: int = 1, seed: int = 0) -> Plan:
    """Return what a run takes.

    The driver does one thing after the other: a worker that is done waits until it has written down the findings and
    claimed another shard.

    Args:
        units: how many there are.
        workers: how many run at once.
        costs: what everything takes.
        unit: the fewest units of a shard, a batch.
        seed: of what is drawn.

    Example:
        >>> plan = simulate(10**9, 10, Costs(rate=1e6))
        >>> plan.units, plan.busy > 0.9
        (1000000000, True)

    """
    draw = random.Random(seed)  # noqa: S311 # no secret
    ledger = Ledger(None, Run({}, "simulated", "a run on paper", units), driver="simulated")
    sizes = Sizes(workers, unit)
    rates = [costs.rate * draw.uniform(1 - costs.spread, 1 + costs.spread) for _ in range(workers)]
    events: list[tuple[float, int, Shard | None, float, bool]] = [
        (0.0, place, None, 0.0, False) for place in range(workers)
    ]
    free, ended, useful, lost, count, rows, spent = 0.0, 0.0, 0.0, 0, 0, 0, 0.0
    while events:
        now, place, shard, seconds, killed = heapq.heappop(events)
        if killed and shard is not None:
            lost += 1
            heapq.heappush(events, _ran(now, place, shard, rates[place], costs=costs, draw=draw))
            continue
        start = max(now, free)  # the driver may be at something else
        if shard is not None:
            size = shard.stop - shard.start
            assert ledger.complete(shard, Findings(RankTally(size, 1.0, shard.start), (shard.start, shard.stop)))
            useful, spent, start = useful + seconds, spent + costs.transaction, start + costs.transaction
            sizes.measured(size, seconds=seconds, way=costs.way, driver=2 * costs.transaction)
            ended = max(ended, start)
        following = ledger.claim(lambda first, remaining: first + sizes.units(remaining))
        spent, free = spent + costs.transaction, start + costs.transaction
        if following is not None:
            count += 1
            heapq.heappush(events, _ran(free, place, following, rates[place], costs=costs, draw=draw))
        if count % 64 == 0:
            rows = max(rows, ledger.rows())
    done = ledger.standing().units
    ledger.close()
    return Plan(workers, done, ended, count, lost, useful / (ended * workers), spent / ended, rows)


def _ran(
    now: float, place: int, shard: Shard, rate: float, *, costs: Costs, draw: random.Random
) -> tuple[float, int, Shard, float, bool]:
    """Return the end of a shard that is handed out: its findings, or the death of its worker."""
    seconds = (shard.stop - shard.start) / rate
    death = draw.expovariate(1 / costs.lifetime)
    if death < seconds:
        return now + death + costs.way, place, shard, 0.0, True
    return now + seconds + costs.way, place, shard, seconds, False
