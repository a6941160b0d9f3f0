"""A certificate in pieces: each is judged by itself, in whatever order and process, and together they are all cells.

A piece is what one pass takes: the user inputs whose cells share, or a batch of cells. So no two pieces repeat work but
what a process does once: weights are bound, code is run on unknown tokens, and members are held against their cells.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from constructions.construction import Construction
from verify.certificates.cells import Cells, PlannedCells, batches_of, check_reading, cuts
from verify.certificates.enclosing import Margins
from verify.certificates.shared_cells import Part
from verify.certificates.sharing import parts_that_share, tally_part
from verify.certificates.sheets import UnsharedError
from verify.evidence.tally import Progress, no_progress

if TYPE_CHECKING:
    from verify.certificates.all_targets import Bound, Ways


@dataclass
class Found:
    """The findings of some pieces.

    Attributes:
        count: how many cells were looked at.
        own: how many members of them were run as a forward pass runs them.
        together: how many were run for all cells at once, before any of these.
        margin: the smallest margin, NaN where one is.
        reason: the first cell that is undecided, in words, or why nothing can be shown.

    """

    count: int = 0
    own: int = 0
    together: int = 0
    margin: float = np.inf
    reason: str | None = None

    @property
    def members(self) -> int:
        """How many targets were run as a forward pass runs them."""
        return self.own + self.together

    def lower(self, margin: float) -> None:
        """Take the smallest margin of further cells."""
        self.margin = float(np.minimum(self.margin, margin))  # NaN stays NaN

    def add(self, construction: Construction, margins: Margins, batch: Cells) -> None:
        """Count a batch of cells."""
        self.count += len(batch.expected)
        self.own += batch.members
        self.lower(float(margins.lower.min()))
        undecided = np.flatnonzero(~margins.certain)
        if len(undecided):
            # the one of the smallest margin, which is the verdict's
            first = undecided[int(np.argmin(margins.lower[undecided]))]
            given = f" with user input {batch.user_low[first].tolist()}" if construction.layout.user else ""
            self.reason = f"not decided: token {batch.expected[first]} at response position {batch.step}{given}"


@dataclass(frozen=True)
class Judge:
    """Bounds margins of cells.

    Attributes:
        bound: the construction in the arithmetic of a certificate.
        ways: to bound cells that do not share.
        points: the most floats of a box to try one by one.
        progress: called with response steps done and in all.

    """

    bound: Bound[Any, Any, Any]
    ways: Ways
    points: int
    progress: Progress = no_progress


class Piece(ABC):
    """Some cells of a certificate."""

    @property
    def together(self) -> int:
        """How many members were run for these and all other cells, where they share."""
        return 0

    @property
    @abstractmethod
    def count(self) -> int:
        """How many cells there are."""

    @property
    @abstractmethod
    def apart(self) -> Iterator[Piece]:
        """The same cells in batches that share nothing."""

    def at_once(self, by: Judge) -> Found | None:
        """Return the findings of all cells by what they share; ``None`` where that does not decide all of them."""
        return None

    @abstractmethod
    def judge(self, by: Judge, found: Found) -> None:
        """Bound the margins of these cells, up to the first batch that is undecided.

        Args:
            by: bounds them.
            found: is added to.

        Raises:
            CellsError: code that gives a member other numbers than its cells have.

        """


@dataclass(frozen=True, eq=False)
class OwnCells(Piece):
    """A batch of cells that share nothing."""

    batch: PlannedCells

    @property
    def count(self) -> int:
        """How many cells there are."""
        return sum(self.batch.counts)

    @property
    def apart(self) -> Iterator[Piece]:
        """This piece."""
        yield self

    def judge(self, by: Judge, found: Found) -> None:
        """Bound their margins; see :meth:`Piece.judge`."""
        batch, construction = self.batch.cells(), self.batch.construction
        found.add(construction, by.ways.margins(batch), batch)
        by.progress(batch.step, construction.layout.response)


@dataclass(frozen=True, eq=False)
class CellsThatShare(Piece):
    """The cells of some user inputs: by what they share, or each by itself where that does not decide all of them."""

    construction: Construction
    part: Part

    @property
    def together(self) -> int:
        """How many members were run for these and all other cells."""
        return self.part.members

    @property
    def count(self) -> int:
        """How many cells there are."""
        return self.part.count

    @property
    def apart(self) -> Iterator[Piece]:
        """The same cells in batches that share nothing."""
        return map(OwnCells, batches_of(self.construction, self.part.steps))

    def at_once(self, by: Judge) -> Found | None:
        """Return the findings of one pass; see :meth:`Piece.at_once`."""
        margin = tally_part(by.bound, self.part, points=by.points)
        return None if margin is None else Found(self.count, 0, self.together, margin)

    def judge(self, by: Judge, found: Found) -> None:
        """Bound their margins; see :meth:`Piece.judge`."""
        found.together = self.together
        shown = self.at_once(by)
        if shown is not None:
            found.count += shown.count
            found.lower(shown.margin)
            by.progress(len(self.part.steps) - 1, self.construction.layout.response)
            return
        for batch in self.apart:
            batch.judge(by, found)
            if found.reason is not None:
                return


def pieces(bound: Bound[Any, Any, Any], construction: Construction, *, budget: int) -> Iterator[Piece]:
    """Yield the pieces of a certificate.

    Args:
        bound: the construction in the arithmetic of a certificate.
        construction: the construction.
        budget: the most cells to look at.

    Raises:
        CellsError: as of :func:`~verify.certificates.cells.cells`.

    """
    try:
        parts = parts_that_share(bound, construction, budget=budget)
    except UnsharedError:
        check_reading(construction)
        yield from map(OwnCells, batches_of(construction, cuts(construction, budget)))
        return
    for part in parts:
        yield CellsThatShare(construction, part)
