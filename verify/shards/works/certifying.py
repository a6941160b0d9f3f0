"""A certificate in shards: a unit is a piece of it, see :mod:`verify.certificates.pieces`.

The driver cuts the certificate as one process does. Where one user input stands for all, or the cells of all share and
one pass decides them, it makes that pass itself, as one process does before all else: nothing is split, and no worker
repeats it. Where this pass leaves a cell undecided, pieces are batches of cells. With more user inputs than one pass
takes, pieces are those of one pass each. What a process does once, such as binding weights, is repeated in every
worker, and nothing else is.

A piece is judged as if it were the first one, whoever judged which others: the same bits on every machine of one kind.
One process tries the factors of norms first from the piece on that they decide, so that where layers have norms, its
smallest margin may be another lower bound of the same margins.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from constructions.construction import Construction
from constructions.validation import InvalidArgument
from verify.certificates import BUDGET, POINTS
from verify.certificates.all_targets import Bound, Ways, bind_for_certificate, check_limits
from verify.certificates.cells import batches_of, check_reading, cuts
from verify.certificates.code_on_bounds import CellsError
from verify.certificates.concluding import certificate
from verify.certificates.enclosing import EnclosingArithmetic
from verify.certificates.found import Found
from verify.certificates.passes import check_parts
from verify.certificates.pieces import Judge, OwnCells, Piece, pieces
from verify.certificates.symmetry import tally_symmetric
from verify.evidence.checkpoint import run_sha256
from verify.evidence.fingerprint import code_sha256, surroundings
from verify.evidence.tally import no_progress
from verify.evidence.verdict import Verdict
from verify.running.ranks import RankTally
from verify.shards.findings import Findings
from verify.shards.records import Run, State
from verify.shards.works.base import Work

if TYPE_CHECKING:
    from verify.requests import Request

#: Members of a cell, at least: its two ends, and one that is drawn.
_MEMBERS = 3


class Certifying(Work):
    """A run of :func:`verify.certificates.certify`, in shards."""

    word = "certify"
    units = "pieces"

    def __init__(
        self,
        construction: Construction,
        arithmetic: EnclosingArithmetic[Any, Any, Any],
        *,
        claim: str | None = None,
        budget: int = BUDGET,
        points: int = POINTS,
        any_embedding: Fraction | None = None,
        apart: bool | None = None,
    ) -> None:
        """Cut the certificate.

        Args:
            construction: as of :func:`verify.certificates.certify`, and so are the others but the last.
            arithmetic: the same.
            claim: the same.
            budget: the same.
            points: the same.
            any_embedding: the same.
            apart: whether no cells share, which the driver tells its workers; ``None`` in the driver, which finds out.

        """
        check_limits(construction, budget=budget, points=points, any_embedding=any_embedding)
        self.construction, self.arithmetic, self.claim = construction, arithmetic, claim
        self._budget, self._points = budget, points
        self._refused: CellsError | None = None
        self._whole: Found | None = None
        self._together = 0
        run = _run_of(construction)  # before anything else asks, so that a change shows
        with self._bounding():
            bound = bind_for_certificate(construction, arithmetic.for_cells())
            self._bound: Bound[Any, Any, Any] = replace(bound, any_embedding=any_embedding)
            try:
                self._pieces = self._cut(apart=apart)
            except CellsError as error:
                self._pieces, self._refused = (), error
        shared = any(piece.together for piece in self._pieces)
        self.undivided, self.settings = len(self._pieces) <= 1, {"apart": not shared}
        spec = getattr(arithmetic, "spec", None)  # of one that is registered
        key = {
            "construction": repr(construction),
            "run": run,
            "code": code_sha256(construction, whole=(type(arithmetic),)),  # its fields change as it runs
            "arithmetic": arithmetic.name,
            "options": None if spec is None else spec.to_json(),
            "device": arithmetic.device,
            "temperature": repr(construction.temperature_for(arithmetic.fmt)),
            "budget": budget,
            "points": points,
            "any_embedding": str(any_embedding),
            **self.settings,
            **surroundings(),
        }
        self.run = Run(key, self.word, f"{construction!r} in {arithmetic.name}", max(1, len(self._pieces)))

    @classmethod
    def of(cls, request: Request, settings: Mapping[str, Any]) -> Self:
        """Return the run of a request; its settings are the options of ``certify``, and what the driver tells."""
        given = dict(settings)
        bound = given.pop("any_embedding", None)
        embedding = None if bound is None else Fraction(bound)
        return cls(request.construction, request.arithmetic, claim=request.claim.id, any_embedding=embedding, **given)

    @contextmanager
    def _bounding(self) -> Iterator[None]:
        with self.arithmetic.bounding(), np.errstate(all="ignore"):  # what is not finite is never certain
            yield

    def _cut(self, *, apart: bool | None) -> Sequence[Piece]:
        """Return the pieces; keep what one pass finds of all cells, where it decides them."""
        construction = self.construction
        check_parts(self._bound.model.transformer, self._bound.readout)
        if apart:
            check_reading(construction)
            return [*map(OwnCells, batches_of(construction, cuts(construction, self._budget)))]
        if apart is None:
            self._whole = tally_symmetric(
                self._bound, construction, no_progress, budget=self._budget, points=self._points
            )
            if self._whole is not None:
                return ()
        found = [*pieces(self._bound, construction, budget=self._budget)]
        self._together = found[0].together
        if len(found) > 1 or apart is False:
            return found
        self._whole = found[0].at_once(self._judge())
        return found if self._whole is not None else [*found[0].apart]

    def _judge(self) -> Judge:
        return Judge(self._bound, Ways(self._bound, self._points), self._points)

    def _judged(self, unit: int) -> Found:
        """Judge a piece as if it were the first."""
        found = Found()
        try:
            if self._refused is not None:
                raise self._refused
            if self._whole is not None:
                return replace(self._whole)
            with self._bounding():
                self._pieces[unit].judge(self._judge(), found)
        except CellsError as error:
            found.reason = str(error)
        if found.reason is None and not (found.count == self._pieces[unit].count and found.margin > 0):
            found.reason = f"{found.count} cells of {self._pieces[unit].count} have a margin of {found.margin} at least"
        return found

    def _changed(self) -> str | None:
        """Return in words that code gives drawn cases other numbers than before the run."""
        same = _run_of(self.construction) == self.run.key["run"]
        return None if same else "encode or answer is no pure function: drawn cases are others than before the run"

    def shard(self, start: int, stop: int) -> Findings:
        """Judge some pieces, up to the first that is not decided."""
        findings = Findings()
        for unit in range(start, stop):
            found = self._judged(unit)
            if found.reason is not None:
                return findings + Findings(RankTally(failure=unit))
            findings += Findings(RankTally(1, found.margin, unit), (start, stop), members=found.members)
        return findings

    def objection(self, findings: Findings, start: int, stop: int) -> str | None:
        """Return why these cannot be the findings of a shard of this run, ``None`` where they can."""
        right = range(start, stop if findings.tally.failure is None else findings.tally.failure)
        if not 0 <= start < stop <= self.run.total:
            return f"there are {self.run.total} pieces"
        if right and findings.tally.margin is None:
            return "there is no smallest margin"
        cells = sum(self._pieces[unit].count for unit in right) if self.settings["apart"] and self._pieces else 0
        if findings.members < _MEMBERS * cells:
            return f"{findings.members} members were looked at, of {cells} cells"
        return super().objection(findings, start, stop)

    def replay(self, state: State, where: str) -> int:
        """Judge one of the pieces that are done again; which one, nobody knows beforehand."""
        units, margin = state.right(), state.findings.tally.margin
        if not units:
            return 0
        unit = random.SystemRandom().choice(units)
        found = self._judged(unit)
        if found.reason is not None or margin is None or not found.margin >= margin:
            raise InvalidArgument(
                f"ledger: expected piece {unit} to have a margin of {margin} at least as {where} has it, but it has not"
                " when it is judged again; take another file to start afresh"
            )
        return found.count

    def conclude(self, state: State, *, started: float, resumed: Mapping[str, Any] | None) -> Verdict:
        """Judge the first piece that is not decided again, or that of the smallest margin."""
        tally, total = state.findings.tally, self.run.total
        if self._whole is not None:  # all of it is one piece
            return self._verdict(replace(self._whole), started=started, resumed=resumed)
        steps = frozenset[int]().union(*(piece.steps for piece in self._pieces))
        found = Found(members=state.findings.members, together=self._together, steps=steps)
        found.count = sum(self._pieces[unit].count for unit in state.right())
        found.lower(np.inf if tally.margin is None else float(tally.margin))
        if tally.failure is not None:
            again = self._judged(tally.failure)
            found.count, found.members = found.count + again.count, found.members + again.members
            found.lower(again.margin)
            found.reason = (
                again.reason or f"piece {tally.failure} was not decided in a worker, and is when judged again"
            )
        elif tally.cases < total or tally.closest is None:
            found.reason = f"cut off after {tally.cases} of {total} pieces"
        else:
            again = self._judged(tally.closest)
            found.reason = again.reason
            found.lower(again.margin)
        return self._verdict(found, started=started, resumed=resumed)

    def _verdict(self, found: Found, *, started: float, resumed: Mapping[str, Any] | None) -> Verdict:
        bound, made = self._bound, self.construction
        found.reason = found.reason or self._changed()
        return certificate(bound, made, self.arithmetic, found, claim=self.claim, started=started, resumed=resumed)


def _run_of(construction: Construction) -> str:
    """Return the digest of what is run, or the error where code fails: what a certificate says of it is a verdict."""
    try:
        return run_sha256(construction)
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 # whatever a construction's own code raises
        return f"{type(error).__name__}: {error}"
