"""A certificate in pieces: each is judged by itself, in whatever order and process, and together they are all cells.

A piece is the input of one pass: the user inputs whose cells share, or a batch of cells. Pieces repeat only the work
that each process does once: it binds weights, runs code on unknown tokens, and holds members against their cells.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from constructions.construction import Construction
from verify.certificates.cells import PlannedCells, batches_of, check_reading, cuts
from verify.certificates.found import Found
from verify.certificates.shared_cells import Part
from verify.certificates.sharing import parts_that_share, tally_part
from verify.certificates.sheets import UnsharedError
from verify.evidence.tally import Progress, no_progress

if TYPE_CHECKING:
    from verify.certificates.all_targets import Bound, Ways


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
    def steps(self) -> frozenset[int]:
        """The steps of the response that they are of."""

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
    def steps(self) -> frozenset[int]:
        """The step of the batch."""
        return frozenset({self.batch.step})

    @property
    def apart(self) -> Iterator[Piece]:
        """This piece."""
        yield self

    def judge(self, by: Judge, found: Found) -> None:
        """Bound their margins; see :meth:`Piece.judge`."""
        batch = self.batch.cells()
        found.members += batch.members
        found.add(by.ways.margins(batch), batch.expected, batch.user_low, batch.step)
        by.progress(batch.step, self.batch.construction.layout.response)


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
    def steps(self) -> frozenset[int]:
        """Those that have cells."""
        return frozenset(step for step, places in enumerate(self.part.steps) if places)

    @property
    def apart(self) -> Iterator[Piece]:
        """The same cells in batches that share nothing."""
        return map(OwnCells, batches_of(self.construction, self.part.steps))

    def at_once(self, by: Judge) -> Found | None:
        """Return the findings of one pass; see :meth:`Piece.at_once`."""
        margin = tally_part(by.bound, self.part, points=by.points)
        return None if margin is None else Found(self.count, margin=margin, together=self.together, steps=self.steps)

    def judge(self, by: Judge, found: Found) -> None:
        """Bound their margins; see :meth:`Piece.judge`."""
        found.together = self.together
        shown = self.at_once(by)
        if shown is not None:
            found.count += shown.count
            found.steps |= shown.steps
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
