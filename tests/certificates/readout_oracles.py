"""What drawn kernels, and all pairs of tokens formed one by one, say against the margins of large readouts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import product
from unittest.mock import patch

import numpy as np

from tests.certificates.drawn_readouts import made
from tests.certificates.emulated import Array
from tests.certificates.own import rounded
from tests.certificates.readouts import Readout
from verify.certificates.floats import bands as by_bands
from verify.certificates.floats import groups_of_cells
from verify.certificates.floats.readout_rows import Rows


@contextmanager
def compared(numbers: int, *, hasty: bool) -> Iterator[None]:
    """Compare few numbers at once, or settle groups of cells as soon as they are certain.

    Args:
        numbers: that are held at once: few of them, and what is compared comes in many batches.
        hasty: whether groups are settled however near their bounds are; else most margins are those of pairs.

    """
    estimate = (lambda _, centre: np.zeros(len(centre))) if hasty else by_bands.Near._wanted
    with (
        patch.object(by_bands, "NUMBERS", numbers),
        patch.object(by_bands.Near, "_wanted", estimate),
        patch.object(groups_of_cells, "NUMBERS", numbers),
    ):
        yield


def contradicted(
    margins: Callable[[Readout, str], Array],
    *formats: str,
    rounds: int = 40,
    numbers: int = groups_of_cells.NUMBERS,
    hasty: bool = False,
) -> list[str]:
    """Return what drawn kernels say against margins that are called certain; see :func:`compared` for the last two."""
    rng = np.random.default_rng(5)
    with compared(numbers, hasty=hasty):
        for at, fmt in product(range(rounds), formats):
            for readout in made(rng, fmt, at):
                lower = margins(readout, fmt)
                for _ in range(4):
                    below = (lower > 0) & ~(lower <= readout.computed(rng, fmt))
                    if below.any():
                        return [f"{fmt}: margin {lower[below][0]} of token {readout.expected[below][0]} is not kept"]
    return []


def above_all_pairs(
    margins: Callable[[Readout, str], Array],
    *formats: str,
    rounds: int = 40,
    numbers: int = groups_of_cells.NUMBERS,
    hasty: bool = True,
) -> list[str]:
    """Return margins that are larger than the smallest of all pairs of tokens, formed one by one.

    No float of a box is tried, neither in the margins nor in the pairs, so that no bound of a group can be better than
    that of a pair: its boxes, magnitudes and counts of terms are at least as large, and its grids at least as fine. A
    pair of whole rows is charged more of the checker's own roundings, at most :func:`_charged`.
    """
    rng = np.random.default_rng(6)
    with compared(numbers, hasty=hasty), np.errstate(all="ignore"):
        for at, fmt in product(range(rounds), formats):
            for readout in made(rng, fmt, at):
                found, pairs = margins(readout, fmt), readout.pairs(fmt, points=0)
                above = np.flatnonzero((found > 0) & ~(found <= pairs + _charged(readout)))
                if len(above):
                    margin, pair, token = (part[above[0]] for part in (found, pairs, readout.expected))
                    return [f"{fmt}: margin {margin} of token {token} is above that of a pair, {pair}"]
    return []


def _charged(readout: Readout) -> Array:
    """Return for each cell the checker's roundings in a pair: one unit for each term of two logits and what adds them.

    Twice that is between two such bounds.
    """
    size = np.maximum(np.abs(readout.low), np.abs(readout.high)) @ np.abs(readout.weight).T + np.abs(readout.bias)
    unit, smallest = 2 * np.finfo(np.float64).eps, np.finfo(np.float64).smallest_subnormal
    return np.asarray(2 * (readout.weight.shape[1] + 6) * (2 * unit * size.max(axis=1) + smallest))


def undecided_by(
    margins: Callable[[Readout, str], Array], *formats: str, rounds: int = 40, numbers: int = groups_of_cells.NUMBERS
) -> list[str]:
    """Return cells that all pairs decide and margins do not."""
    rng = np.random.default_rng(7)
    with compared(numbers, hasty=False), np.errstate(all="ignore"):
        for at, fmt in product(range(rounds), formats):
            for readout in made(rng, fmt, at):
                lost = (readout.pairs(fmt) > 0) & ~(margins(readout, fmt) > 0)
                if lost.any():
                    return [f"{fmt}: token {readout.expected[lost][0]} is certain by pairs, and not here"]
    return []


def groups_above_pairs(*formats: str, rounds: int) -> list[str]:
    """Return bounds of groups of cells, and of runs of cells and tokens, that are above one of their pairs.

    Each bound is looked at by itself, positive or not, whatever other bounds make up for.
    """
    rng = np.random.default_rng(8)
    with np.errstate(all="ignore"):
        for at, fmt in product(range(rounds), formats):
            for readout in made(rng, fmt, at):
                near, pairs = _near_and_pairs(readout, fmt)
                for name, bounds, cells, tokens in _bounds_of_groups(near, rng):
                    for group, other in np.ndindex(bounds.shape):
                        least = pairs[np.ix_(cells[group], tokens[other])].min()
                        if bounds[group, other] > least:
                            return [f"{fmt}: {name}: {bounds[group, other]} is above {least}"]
    return []


def _near_and_pairs(readout: Readout, fmt: str) -> tuple[by_bands.Near, Array]:
    """Return cells in the order of bands, and for each the margin over each place; at most 0 at its own."""
    rows = Rows.of(readout.sparse, readout.shift())
    places = rows.place[readout.expected]
    order = np.argsort(places, kind="stable")
    inputs = readout.low[order], readout.high[order], readout.grid
    margins = readout.margins(fmt, points=0)[order] + _charged(readout)[order, None]
    pairs = np.empty_like(margins)
    pairs[:, rows.place] = margins
    return by_bands.Near(rounded(fmt), inputs, rows, places[order], 0), pairs


_Bounds = tuple[str, Array, list[Array], list[Array]]


def _bounds_of_groups(near: by_bands.Near, rng: np.random.Generator) -> Iterator[_Bounds]:
    """Yield bounds of margins, the cells that each row of them is about, and the tokens of each column."""
    gaps, _ = near._of_runs(np.arange(len(near.starts)))
    cells = [np.arange(start, stop) for start, stop in zip(near.starts, near.ends, strict=True)]
    runs = near.runs
    yield "runs", gaps, cells, [runs.tokens(np.array([run])) for run in range(len(runs.starts) - 1)]
    tokens = np.arange(len(near.rows.bias))
    inside = cells[rng.integers(len(cells))]
    groups = groups_of_cells.Groups(near, inside, tokens, np.arange(near.low.shape[1]))
    size = int(rng.integers(1, len(inside) + 1))
    firsts = np.arange(0, len(inside), size)
    hulls = groups_of_cells._Hulls(groups, firsts, size)
    at, token = (part.reshape(-1) for part in np.meshgrid(np.arange(len(firsts)), tokens, indexing="ij"))
    bounds = hulls.gaps(at, token).reshape(len(firsts), len(tokens))
    yield "groups", bounds, np.split(inside, firsts[1:]), [np.array([place]) for place in tokens]
