"""Drawn cases of a run of the engine, held against the dense arithmetic and the certified bounds of any kernel."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import numpy as np
from jaxtyping import Float

from constructions.construction import Construction
from constructions.formats import Format
from verify.arithmetic import torch_arithmetic
from verify.conformance.bounds import Bounds, Cases, allowed_bounds
from verify.running.again import in_words
from verify.running.batches import enumerated, together
from verify.running.cases import Outcome, Runner, batch_size

#: Cases that are drawn from a run, or all of a shorter one, each case with the same chance. If one case in ``k`` were
#: off by more than the bounds allow, none of them would be drawn with a chance of at most ``(1 - 1/k)^64``.
DRAWN = 64


class Drawn:
    """Ranks drawn from all those that ran, with their margins, and what a comparison says of them.

    A margin is equal to that of the dense arithmetic (both rounded to the format); or both lie within the bounds that a
    certificate allows any kernel; or no certificate bounds it, and the dense arithmetic is right there as well.
    """

    def __init__(self, construction: Construction, fmt: Format) -> None:
        """Hold no rank yet."""
        self._construction, self._fmt = construction, fmt
        self._held: list[tuple[int, float]] = []
        self._seen = 0
        self._random = random.Random(0)  # noqa: S311 # no secret
        self._said: dict[tuple[int, float], str] = {}

    def add(self, start: int, margins: Float[np.ndarray, " cases"]) -> None:
        """Look at neighbouring ranks that ran: all that ran so far are drawn with the same chance, each at most once.

        Args:
            start: the first of them.
            margins: the smallest margin of each.

        """
        count = len(margins)
        self._seen += count
        size, new = min(DRAWN, self._seen), 0
        for drawn in range(size):  # one after the other from all, none of them twice: is it one of the new ones?
            new += self._random.randrange(self._seen - drawn) < count - new
        chosen = self._random.sample(range(count), new)
        self._held = self._random.sample(self._held, size - new)
        self._held += [(start + place, float(margins[place])) for place in chosen]

    def wrong(self, start: int = 0, stop: int | None = None) -> tuple[int, str] | None:
        """Compare those of some ranks; return the first that is off, and how.

        Args:
            start: the first rank.
            stop: the rank after the last one, by default of all.

        """
        chosen = sorted({one for one in self._held if start <= one[0] and (stop is None or one[0] < stop)})
        new = [one for one in chosen if one not in self._said]
        size = batch_size(self._construction)
        for first in range(0, len(new), size):
            part = new[first : first + size]
            self._said |= dict(zip(part, self._compared(part), strict=True))
        return next(((one[0], self._said[one]) for one in chosen if self._said[one] not in _AGREE), None)

    def account(self) -> str:
        """Return in words how many were compared, and how they agreed."""
        counts = Counter(self._said.values())
        said = [f"{counts[kind]} {words}" for kind, words in _AGREE.items() if counts[kind]]
        off = [words for words in self._said.values() if words not in _AGREE]
        said += [f"{len(off)} off, such as: {off[0]}"] if off else []
        compared = f"{sum(counts.values())} drawn cases compared with torch's dense arithmetic"
        return ": ".join([compared, *([", ".join(said)] if said else [])])

    def _compared(self, part: list[tuple[int, float]]) -> list[str]:
        construction, fmt = self._construction, self._fmt
        batch = together([enumerated(construction, rank, rank + 1) for rank, _ in part])
        outcome = Runner(construction, torch_arithmetic(fmt.name, "cpu")).run(batch.targets, batch.inputs)
        dense = outcome.margins.min(axis=1)
        mine = np.array([margin for _, margin in part])
        with np.errstate(over="ignore"):  # a difference of two finite logits may be beyond the format
            equal = np.asarray(dense.astype(fmt.name) == mine.astype(fmt.name))
        found = ["equal" if same else "" for same in equal.tolist()]
        if equal.all():
            return found
        off = np.flatnonzero(~equal)
        cases = Cases(batch.targets[off], batch.inputs[off], outcome.expected[off])
        bounds, _ = allowed_bounds(construction, fmt, cases, lambda _: None)
        right = ~np.asarray(outcome.failures().any(axis=1))[off]
        if bounds is None:
            inside = right
        else:
            low, high = (end.astype(fmt.name) for end in margin_bounds(bounds, outcome, off))
            # bounds of any kernel are those of the dense one too, unless a layer is another function of its tensors
            ends = [each[off].astype(fmt.name) for each in (mine, dense)]
            inside = np.logical_and.reduce([(low <= each) & (each <= high) for each in ends])
        for place, within in zip(off.tolist(), inside.tolist(), strict=True):
            agreed = "unbounded" if bounds is None else "bounded"
            found[place] = agreed if within else self._told(part[place], float(dense[place]))
        return found

    def _told(self, one: tuple[int, float], dense: float) -> str:
        rank, margin = one
        batch = enumerated(self._construction, rank, rank + 1)
        case = in_words(batch.targets[0], batch.inputs[0])
        return f"{case} has a margin of {margin} in the engine and of {dense} in torch's dense arithmetic"


#: How a margin may agree, and in which words.
_AGREE = {
    "equal": "equal bit by bit",
    "bounded": "within the certified bounds of any kernel",
    "unbounded": "right in both, where no certificate has bounds",
}


def margin_bounds(bounds: Bounds, outcome: Outcome, chosen: np.ndarray[Any, Any]) -> tuple[Any, Any]:
    """Return bounds of the smallest margin of each case, one float64 further out for the rounding of the difference.

    Args:
        bounds: of the logits of the chosen cases.
        outcome: of all of them.
        chosen: their places.

    """
    low, high = (bounds.low, bounds.high) if outcome.decoding.takes_largest else (-bounds.high, -bounds.low)
    own = outcome.expected[chosen][..., None]
    lowest, highest = (np.take_along_axis(end, own, axis=-1)[..., 0] for end in (low, high))
    others = [end.copy() for end in (low, high)]
    for end in others:
        np.put_along_axis(end, own, -np.inf, axis=-1)
    most = [end.max(axis=-1) for end in others]
    smallest, largest = (lowest - most[1]).min(axis=1), (highest - most[0]).min(axis=1)
    return np.nextafter(smallest, -np.inf), np.nextafter(largest, np.inf)
