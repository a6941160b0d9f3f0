"""Drawn attention layers, in shards: a unit is a seed, see :mod:`verify.shards.works.seeds`.

Each seed draws what ``fuzz`` draws with this seed and its share of the examples alone. A layer whose bound says nothing
in its format does not count, and a seed of which none counts shows nothing and refutes nothing.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

from constructions.validation import InvalidArgument
from verify.evidence.fingerprint import surroundings
from verify.evidence.verdict import Verdict
from verify.prefixes.layer_verdicts import draw_layers, drawn_verdict
from verify.prefixes.tally import Tally
from verify.running.ranks import RankTally
from verify.shards.findings import Findings
from verify.shards.records import State
from verify.shards.works.seeds import Seeds, cut_off, digest_of

if TYPE_CHECKING:
    from verify.requests import Request

#: Marks the digest of a layer that does not count.
_VACUOUS = "vacuous "


class FuzzingLayers(Seeds):
    """A run of :func:`verify.prefixes.fuzz_layers`, in shards."""

    word = "fuzz layers"

    def __init__(self, request: Request, *, examples: int, seed: int) -> None:
        """Take a request; its claim is about attention layers.

        Args:
            request: the claim and the arithmetic.
            examples: how many layers to draw.
            seed: the first seed.

        """
        claim, arithmetic = request.claim.id, request.arithmetic.ieee()
        words = request.arithmetic.words()
        key = {
            "construction": claim,
            "arithmetic": arithmetic.name,
            "options": None if words is None else list(words),
            "device": arithmetic.device,
            **surroundings(),
        }
        super().__init__(request, examples=examples, seed=seed, key=key, title=f"{claim} in {arithmetic.name}")

    @classmethod
    def of(cls, request: Request, settings: Mapping[str, Any]) -> Self:
        """Return the run of a request; its settings are ``examples`` and ``seed``."""
        return cls(request, **settings)

    def _drawn(self, unit: int) -> tuple[Tally, frozenset[str]]:
        """Draw with one seed; return what was found, and digests of the layers."""
        drawn: dict[str, bool] = {}
        tally = draw_layers(
            self.request.claim.id,
            self.request.arithmetic,
            examples=self.share(unit),
            seed=self.seed + unit,
            drawn=drawn,
        )
        named = ((digest_of(identity.encode()), counts) for identity, counts in drawn.items())
        return tally, frozenset(digest if counts else f"{_VACUOUS}{digest}" for digest, counts in named)

    def _margin(self, tally: Tally) -> float | None:
        """Return what every bound leaves unused, ``None`` in exact arithmetic and where no layer counts."""
        return None if self.request.arithmetic.fmt is None or not tally.cases else 1 - tally.used

    def shard(self, start: int, stop: int) -> Findings:
        """Draw with some seeds, up to the first with a layer that is not shown right."""
        findings = Findings()
        for unit in range(start, stop):
            tally, drawn = self._drawn(unit)
            if not _shown(tally):
                return findings + Findings(RankTally(failure=unit))
            margin = self._margin(tally)
            closest, shard = (None, None) if margin is None else (unit, (start, stop))
            findings += Findings(RankTally(1, margin, closest), shard, identities=drawn)
        return findings

    def replay(self, state: State, where: str) -> int:
        """Draw again with one of the seeds that are done; which one, nobody knows beforehand."""
        units, held = state.right(), state.findings
        if not units:
            return 0
        unit = random.SystemRandom().choice(units)
        tally, drawn = self._drawn(unit)
        margin = self._margin(tally)
        lower = margin is not None and not (held.tally.margin is not None and margin >= held.tally.margin)
        if not _shown(tally) or lower or not drawn <= held.identities:
            raise InvalidArgument(
                f"ledger: expected seed {self.seed + unit} to draw layers that are right as {where} has them, but it"
                " does not when run again; take another file to start afresh"
            )
        return len(drawn)

    def conclude(self, state: State, *, started: float, resumed: Mapping[str, Any] | None) -> Verdict:
        """Draw again with the first seed that is not shown right, or with that of the smallest margin."""
        findings, total = state.findings, self.run.total
        found = findings.tally
        unit = found.failure if found.failure is not None else found.closest or 0
        again, drawn = self._drawn(unit)
        held = findings.identities | drawn
        skipped = sum(identity.startswith(_VACUOUS) for identity in held)
        merged = replace(again, cases=len(held) - skipped, skipped=skipped)
        if found.failure is not None and _shown(again):
            merged.broken = f"seed {self.seed + unit} was not shown right in a worker, and is when run again"
        elif found.failure is None and found.cases < total:
            merged.broken = cut_off(state, total)
        elif found.failure is None and self._margin(again) != found.margin:
            merged.broken = f"seed {self.seed + unit} has another smallest margin when it is run again"
        verdict = drawn_verdict(
            merged,
            self.request.claim.id,
            self.request.arithmetic,
            started=started,
            seed=self.seed,
            parameters=self.drawn_with(state),
        )
        return replace(verdict, resumed=resumed)


def _shown(tally: Tally) -> bool:
    """Return whether nothing speaks against the layers of a seed; none of them may count."""
    return tally.found is None and tally.broken is None and tally.used < 1
