"""How large a shard is made: its cost is measured, and what handing it out costs too."""

from __future__ import annotations

from dataclasses import dataclass

#: The most that handing out and writing down may cost, as a share of the time of the workers and of the driver. A
#: larger share wastes work; a smaller one makes shards longer, and a killed worker lose more.
SHARE = 1 / 100
#: A shard has at most one part in so many of what is left for each worker, so that near the end shards get smaller and
#: all workers end together ("guided self-scheduling", C. Polychronopoulos and D. Kuck, 1987, with a factor of safety of
#: 2 for shards whose cost is not yet known).
TAIL = 2
#: A shard has at most so many times the units of the one before: the first are slow, as code is compiled and weights
#: are bound, and what is measured on a short one says little.
GROWTH = 4


@dataclass
class Sizes:
    """Measures shards, and says how many units the next one is to have.

    With ``w`` workers, a shard of ``s`` seconds and ``c`` seconds of the driver for each, the driver is busy for ``w c
    / s`` of the time, and a worker waits for ``o / s`` of it, with ``o`` seconds on the way there and back: ``s`` is
    the smallest for which both are at most :data:`SHARE`.

    Attributes:
        workers: how many shards run at once.
        unit: the fewest units of a shard.
        driver_seconds: what a shard costs the driver, the last time that it was measured.
        way_seconds: the shortest time that a shard was on the way; longer ones waited for something.
        rate: units that one worker runs in a second, ``None`` before the first shard.
        last: units of the largest shard so far.

    Example:
        >>> sizes = Sizes(workers=10, unit=64)
        >>> sizes.units(10**9)
        64
        >>> sizes.measured(64, seconds=0.064, way=0.01, driver=0.001)
        >>> sizes.seconds, sizes.units(10**9)
        (1.0, 256)

    """

    workers: int
    unit: int
    driver_seconds: float = 0.0
    way_seconds: float | None = None
    rate: float | None = None
    last: int = 0

    @property
    def seconds(self) -> float:
        """How long a shard is to take."""
        return max(self.workers * self.driver_seconds, self.way_seconds or 0.0) / SHARE

    def measured(self, units: int, *, seconds: float, way: float, driver: float) -> None:
        """Take the measurements of a shard.

        Args:
            units: that it had.
            seconds: that it ran.
            way: seconds from handing it out to its findings, beyond those.
            driver: seconds that the driver spent on it.

        """
        self.rate = units / max(seconds, 1e-9)  # a clock may not have moved: it counts in nanoseconds
        self.way_seconds = way if self.way_seconds is None else min(self.way_seconds, way)
        self.driver_seconds, self.last = driver, max(self.last, units)

    def units(self, remaining: int) -> int:
        """Return how many units the next shard is to have, of those that nobody has claimed."""
        if self.rate is None:
            return self.unit
        wanted = min(self.rate * self.seconds, GROWTH * self.last)
        # near the end, not shorter than what it takes to hand one to every worker
        share = max(-(-remaining // (TAIL * self.workers)), self.rate * self.seconds * SHARE)
        return max(self.unit, int(min(wanted, share)))
