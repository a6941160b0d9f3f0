"""Drawn attention layers, in shards: a unit is a seed, see :mod:`verify.shards.works.seeds`.

Each seed draws what ``fuzz`` draws with this seed and its share of the examples alone. A layer whose bound says nothing
in its format does not count, and a seed of which none counts shows nothing and refutes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from verify.evidence.fingerprint import surroundings
from verify.evidence.verdict import Verdict
from verify.prefixes.layer_verdicts import draw_layers, drawn_verdict
from verify.prefixes.tally import Tally
from verify.shards.records import State
from verify.shards.works.seeds import Draw, Seeds, digest_of

if TYPE_CHECKING:
    from verify.requests import Request

#: Marks the digest of a layer that does not count.
_VACUOUS = "vacuous "


class FuzzingLayers(Seeds[Tally]):
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

    def draw(self, unit: int) -> Draw[Tally]:
        """Draw with one seed; the margin is what every bound leaves unused, in floats and where a layer counts."""
        counts: dict[str, bool] = {}
        tally = draw_layers(
            self.request.claim.id,
            self.request.arithmetic,
            examples=self.share(unit),
            seed=self.seed + unit,
            drawn=counts,
        )
        right = tally.found is None and tally.broken is None and tally.used < 1  # none of them may count
        margin = None if self.request.arithmetic.fmt is None or not tally.cases else 1 - tally.used
        named = ((digest_of(identity.encode()), count) for identity, count in counts.items())
        return Draw(
            tally, right, margin, frozenset(digest if count else f"{_VACUOUS}{digest}" for digest, count in named)
        )

    def conclude(self, state: State, *, started: float, resumed: Mapping[str, Any] | None) -> Verdict:
        """Return the verdict of the seed that decides, on the layers of all of them."""
        drawn, doubt = self.decisive(state)
        held = state.findings.identities | drawn.identities
        skipped = sum(identity.startswith(_VACUOUS) for identity in held)
        verdict = drawn_verdict(
            replace(drawn.found, cases=len(held) - skipped, skipped=skipped, broken=doubt or drawn.found.broken),
            self.request.claim.id,
            self.request.arithmetic,
            started=started,
            seed=self.seed,
            parameters=self.drawn_with(state),
        )
        return replace(verdict, resumed=resumed)
