"""The claims: a graph, a table of the same, and each claim with all that is known of it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from constructions.formats import FORMATS
from proofs import CLAIMS
from verify.evidence.kinds import KINDS, Drawn, Evidence, kind_of
from verify.report.page import graph
from verify.report.page.found import Derived, Found
from verify.report.page.sections.base import Count, Level, Link, Section
from verify.report.page.sections.devices import on_devices
from verify.report.page.sections.theorems import of_claim
from verify.report.page.states import CURRENT, FALSE, HOLDS, NOT_SHOWN, State, Told, by_claim, worst
from verify.suite.main_job import methods_of
from verify.suite.strongest import arithmetic_family

#: How a part of a box is drawn that no evidence speaks for: a border of its own, and no fill.
NOTHING = Drawn("1 7", "none", "none")


@dataclass(frozen=True)
class Shown:
    """The strongest that is shown of a claim in some numbers.

    Attributes:
        told: the strongest verdicts, one for each word that their kind has for them, such as one for each prover; none
            where nothing is shown.
        state: what the page calls it.

    """

    told: Sequence[Told]
    state: State

    @property
    def kind(self) -> Evidence | None:
        """The kind of its evidence."""
        return kind_of(self.told[0].verdict.method) if self.told else None


@dataclass(frozen=True)
class Card:
    """A claim on the page.

    Attributes:
        id: of the claim.
        claim: what the registry says of it; ``None`` for one that is not registered.
        verdicts: all of them.
        real: the strongest over the real numbers.
        floats: the weakest of the strongest in each float format.
        families: the strongest in each kind of numbers.
        devices: the verdicts of devices.
        theorems: the rows of Coq's theorems about it.

    """

    id: str
    claim: Found | None
    verdicts: Sequence[Told]
    real: Shown
    floats: Shown
    families: Mapping[str, Shown]
    devices: Sequence[Any]
    theorems: Sequence[Mapping[str, Found]]

    @property
    def state(self) -> State:
        """The state of all its verdicts together; not shown where a kind of evidence that it must have is absent."""
        state = worst([told.state for told in self.verdicts])
        return NOT_SHOWN if state is HOLDS and self.absent else state

    @property
    def absent(self) -> list[str]:
        """The kinds of evidence that the main job gathers for the claim, and of which it has no verdict."""
        here = {told.verdict.method for told in self.verdicts}
        return [] if self.claim is None else [name for name in self.claim["evidence"].value if name not in here]

    @property
    def on_device(self) -> State | None:
        """The state of the evidence of devices: current where that of one device is; ``None`` without any."""
        states = [each.state for each in self.devices]
        return CURRENT if CURRENT in states else next(iter(states), None)

    @property
    def kinds(self) -> list[Evidence]:
        """The kinds of evidence that hold for it, the strongest first."""
        held = {told.verdict.method for told in self.verdicts if told.state is HOLDS}
        return [kind for name, kind in KINDS.items() if name in held]

    @property
    def command(self) -> Found:
        """The command that gathers all its verdicts again."""
        formats = [name for name in FORMATS if name in self.families]
        usual = set(formats) <= {"float64", "float32"}
        words = [] if usual else [word for name in formats for word in ("--dtype", name)]
        return Found("prefixproof verify", f"/{self.id}", shlex.join(["prefixproof", "verify", self.id, *words]))


def claims_json() -> dict[str, Any]:
    """Return what the registry says of every claim, as JSON values."""
    return {
        claim.id: {
            "id": claim.id,
            "title": claim.title,
            "statement": claim.statement,
            "source": claim.source,
            "caveat": claim.caveat,
            "extends": list(claim.extends),
            "evidence": methods_of(claim),
            "obligations": [{"id": item.id, "statement": item.statement} for item in claim.obligations],
        }
        for claim in CLAIMS.values()
    }


class Claims(Section):
    """Each claim's border is what is proved of it for all sizes, its fill what is shown in floats."""

    name = "claims"
    title = "The claims"

    @cached_property
    def cards(self) -> list[Card]:
        """The claims that are registered, and behind them any others that have verdicts."""
        registry = self.material.library.made("proofs.CLAIMS", claims_json)
        told = by_claim(self.material.verdicts)
        names = [*registry.value, *(name for name in told if name not in registry)]
        return [self._card(name, registry.get(name), told.get(name, [])) for name in names]

    def _card(self, name: str, claim: Found | None, verdicts: Sequence[Told]) -> Card:
        families = _families(verdicts)
        formats = [shown for family, shown in families.items() if family in FORMATS]
        floats = min(formats, key=_rank, default=Shown((), NOT_SHOWN))
        library = self.material.library
        real = families.get("real", Shown((), NOT_SHOWN))
        return Card(name, claim, verdicts, real, floats, families, on_devices(library, name), of_claim(library, name))

    def values(self) -> Mapping[str, Any]:
        """Return the cards and the graph."""
        extends = {card.id: () if card.claim is None else card.claim["extends"].value for card in self.cards}
        boxes, edges, height = graph.placed(extends)
        return {
            "cards": self.cards,
            "card": {card.id: card for card in self.cards},
            "boxes": boxes,
            "edges": edges,
            "size": (graph.WIDTH, height),
            "box": graph,
            "kinds": [kind for kind in KINDS.values() if any(kind in card.kinds for card in self.cards)],
            "nothing": NOTHING,
            "states": (HOLDS, FALSE, NOT_SHOWN),
            "families": list(dict.fromkeys(family for card in self.cards for family in card.families)),
            "family_of": arithmetic_family,
        }

    def links(self) -> Iterator[Link]:
        """Yield the certificates and the runs of the main job."""
        listed = self.material.document["verdicts"]
        for level, proof, title, says in (
            (
                Level.CERTIFICATES,
                True,
                "Certificates",
                "bound the forward pass in floats over all cases of a size at once.",
            ),
            (Level.RUNS, False, "Runs", "show what this machine did, case by case."),
        ):
            words = [name for name, kind in KINDS.items() if kind.strength.by_proof is proof and kind.measures_margin]
            counts = [
                Count(Derived(listed, "count", where={"/method": word, "/holds": True}), f" {word}")
                for word in words
                if any(told.verdict.method == word for told in self.material.verdicts)
            ]
            of_kind = [told.state for told in self.material.verdicts if told.verdict.method in words]
            yield Link(level, title, counts, says, worst(of_kind))


def _families(verdicts: Sequence[Told]) -> dict[str, Shown]:
    """Return the strongest that is shown in each kind of numbers; false where one verdict is."""
    parts: dict[str, list[Told]] = {}
    for told in verdicts:
        parts.setdefault(arithmetic_family(told.verdict), []).append(told)
    return {family: _strongest(part) for family, part in parts.items()}


def _strongest(verdicts: Sequence[Told]) -> Shown:
    if any(told.state is FALSE for told in verdicts):
        return Shown((), FALSE)
    held = [told for told in verdicts if told.state is HOLDS]
    if not held:
        return Shown((), NOT_SHOWN)
    best = max(kind_of(told.verdict.method).strength for told in held)
    kinds = [(kind_of(told.verdict.method), told) for told in held]
    by_word = {kind.word(told.verdict): told for kind, told in kinds if kind.strength == best}
    return Shown(tuple(by_word.values()), HOLDS)


def _rank(shown: Shown) -> tuple[bool, Any]:
    kind = shown.kind
    return (False, ()) if kind is None else (True, kind.strength)
