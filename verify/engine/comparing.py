"""Drawn cases of a run of the engine, held against the dense arithmetic and the certified bounds of any kernel."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from constructions.construction import Construction
from constructions.formats import Format
from verify.arithmetic import torch_arithmetic
from verify.conformance.agreement import account, agreement, agrees
from verify.running.again import Sample
from verify.running.batches import enumerated, together
from verify.running.cases import batch_size


class Drawn:
    """Ranks drawn from all those that ran, with their margins, and what a comparison says of them.

    If one case in ``k`` were off by more than the bounds allow, none of them would be drawn with a chance of at most
    ``(1 - 1/k)^64``: see :data:`verify.running.again.WITNESSES`.
    """

    def __init__(self, construction: Construction, fmt: Format) -> None:
        """Hold no rank yet."""
        self._construction, self._dense = construction, torch_arithmetic(fmt.name, "cpu")
        self._sample = Sample[tuple[int, float]]()
        self._said: dict[tuple[int, float], str] = {}

    def add(self, start: int, margins: Float[np.ndarray, " cases"]) -> None:
        """Look at neighbouring ranks that ran.

        Args:
            start: the first of them.
            margins: the smallest margin of each.

        """
        self._sample.add(len(margins), lambda place: (start + place, float(margins[place])))

    def wrong(self, start: int = 0, stop: int | None = None) -> tuple[int, str] | None:
        """Compare those of some ranks; return the first that is off, and how.

        Args:
            start: the first rank.
            stop: the rank after the last one, by default of all.

        """
        held = self._sample.held
        chosen = sorted({one for one in held if start <= one[0] and (stop is None or one[0] < stop)})
        new = [one for one in chosen if one not in self._said]
        size = batch_size(self._construction)
        for first in range(0, len(new), size):
            part = new[first : first + size]
            self._said |= dict(zip(part, self._compared(part), strict=True))
        return next(((one[0], self._said[one]) for one in chosen if not agrees(self._said[one])), None)

    def account(self) -> str:
        """Return in words how many were compared, and how they agreed."""
        return account(list(self._said.values()))

    def _compared(self, part: list[tuple[int, float]]) -> list[str]:
        batch = together([enumerated(self._construction, rank, rank + 1) for rank, _ in part])
        margins = np.array([margin for _, margin in part])
        return agreement(self._construction, self._dense, batch, margins, "the engine")
