"""The findings of shards: they merge in any order, and travel as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import flint

from verify.evidence.verdict import margin_from_json, margin_to_json
from verify.numbers import decimal
from verify.running.ranks import RankTally


@dataclass(frozen=True)
class Findings:
    """The findings of some units of a run.

    Attributes:
        tally: how many units are shown right, the smallest margin with its unit, and the first unit that is not.
        shard: first and last (exclusive) unit of the shard that has the smallest margin, to run it again.
        changed: the first unit of a shard in which something was another when it was asked again, and what.
        identities: digests of the cases, where the same case may come in several shards.
        members: how many targets a certificate ran as a forward pass runs them.

    Example:
        >>> one, other = Findings(RankTally(5, 0.5, 3), (0, 5)), Findings(RankTally(5, 0.25, 8), (5, 10))
        >>> (other + one).tally, (one + other).shard
        (RankTally(cases=10, margin=0.25, closest=8, failure=None), (5, 10))

    """

    tally: RankTally = field(default_factory=RankTally)
    shard: tuple[int, int] | None = None
    changed: tuple[int, str] | None = None
    identities: frozenset[str] = frozenset()
    members: int = 0

    def __add__(self, other: Findings) -> Findings:
        """Return the findings of both, which have no unit in common."""
        tally = self.tally + other.tally
        closest = next((one for one in (self, other) if tally.closest is not None and _has(one, tally)), None)
        return Findings(
            tally,
            None if closest is None else closest.shard,
            min((one.changed for one in (self, other) if one.changed is not None), default=None),
            self.identities | other.identities,
            self.members + other.members,
        )

    def objection(self, start: int, stop: int) -> str | None:
        """Return why these cannot be the findings of units ``start..stop-1``, ``None`` where they can."""
        tally = self.tally
        if tally.failure is not None and not start <= tally.failure < stop:
            return f"unit {tally.failure} is not among them"
        right = (stop if tally.failure is None else tally.failure) - start
        if tally.cases != right:
            return f"{right} units are to be right, and it counts {tally.cases}"
        if (tally.closest is None) is not (tally.margin is None) or (self.shard is None) is not (tally.margin is None):
            return "a smallest margin needs its unit and its shard"
        if tally.closest is not None and self.shard is not None:
            first, last = self.shard
            if not start <= first <= tally.closest < last <= stop or tally.closest >= start + right:
                return f"the smallest margin is at unit {tally.closest} of {first}..{last - 1}"
        if self.changed is not None and not start <= self.changed[0] < stop:
            return f"unit {self.changed[0]} is not among them"
        return None

    def to_json(self) -> dict[str, Any]:
        """Return JSON values, units as decimal strings."""
        tally = self.tally
        return {
            "cases": decimal(tally.cases),
            "margin": margin_to_json(tally.margin),
            "closest": None if tally.closest is None else decimal(tally.closest),
            "failure": None if tally.failure is None else decimal(tally.failure),
            "shard": None if self.shard is None else [decimal(end) for end in self.shard],
            "changed": None if self.changed is None else [decimal(self.changed[0]), self.changed[1]],
            "identities": sorted(self.identities),
            "members": decimal(self.members),
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Findings:
        """Return the findings that :meth:`to_json` wrote; raises ValueError and its like for anything else."""
        if set(record) != {"cases", "margin", "closest", "failure", "shard", "changed", "identities", "members"}:
            raise ValueError("findings have other keys")
        margin, shard, changed = margin_from_json(record["margin"]), record["shard"], record["changed"]
        tally = RankTally(_unit(record["cases"]), margin, _unit_or_none(record["closest"]))
        identities = record["identities"]
        if not all(isinstance(each, str) for each in identities):
            raise TypeError("identities are no texts")
        if changed is not None and not isinstance(changed[1], str):
            raise TypeError("a change is not a text")
        return cls(
            replace(tally, failure=_unit_or_none(record["failure"])),
            None if shard is None else (_unit(shard[0]), _unit(shard[1])),
            None if changed is None else (_unit(changed[0]), changed[1]),
            frozenset(identities),
            _unit(record["members"]),
        )


def _has(findings: Findings, merged: RankTally) -> bool:
    return (findings.tally.margin, findings.tally.closest) == (merged.margin, merged.closest)


def _unit(text: Any) -> int:
    if not isinstance(text, str) or not text.isascii() or not text.isdigit():
        raise ValueError(f"no unit: {str(text)[:20]!r}")
    return int(flint.fmpz(text))


def _unit_or_none(text: Any) -> int | None:
    return None if text is None else _unit(text)
