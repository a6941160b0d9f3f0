"""Cases that are drawn, in shards: a unit is a seed, and draws its share of the examples.

The examples are drawn with as many seeds as each of them draws examples, whoever runs them and with how many workers:
the first seed is the one that was given, and each draws what ``fuzz`` draws with this seed and so many examples alone.
"""

from __future__ import annotations

import hashlib
import math
import random
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from constructions.validation import InvalidArgument, check_integer
from verify.numbers import Margin
from verify.running.ranks import RankTally
from verify.shards.findings import Findings
from verify.shards.records import Run, State
from verify.shards.works.base import Work

if TYPE_CHECKING:
    from verify.requests import Request

FoundT = TypeVar("FoundT")


@dataclass(frozen=True)
class Draw(Generic[FoundT]):
    """What one seed draws.

    Attributes:
        found: what was found of it.
        right: whether every case is shown right.
        margin: the smallest margin, ``None`` where there is none to speak of.
        identities: digests of the distinct cases that are right.

    """

    found: FoundT
    right: bool
    margin: Margin | None
    identities: frozenset[str]


class Seeds(Work, Generic[FoundT]):
    """A run that draws cases."""

    units = "seeds"

    def __init__(self, request: Request, *, examples: int, seed: int, key: Mapping[str, Any], title: str) -> None:
        """Take a request.

        Args:
            request: the claim, its sizes and the arithmetic.
            examples: how many cases to draw.
            seed: the first seed.
            key: what decides what is computed, beside these.
            title: the claim and its sizes, for readers.

        """
        self.request, self.seed = request, check_integer("seed", seed, 0)
        self.examples = check_integer("examples", examples, 1)
        drawn = {"sizes": repr(dict(request.sizes)), "examples": examples, "seed": seed}
        self.run = Run({**key, **drawn}, self.word, title, math.isqrt(examples))

    @classmethod
    def of(cls, request: Request, settings: Mapping[str, Any]) -> Self:
        """Return the run of a request; its settings are ``examples`` and ``seed``."""
        return cls(request, **settings)

    @abstractmethod
    def draw(self, unit: int) -> Draw[FoundT]:
        """Draw with one seed."""

    def share(self, unit: int) -> int:
        """Return how many cases one seed draws."""
        share, more = divmod(self.examples, self.run.total)
        return share + (unit < more)

    def shard(self, start: int, stop: int) -> Findings:
        """Draw with some seeds, up to the first that is not shown right."""
        findings = Findings()
        for unit in range(start, stop):
            drawn = self.draw(unit)
            if not drawn.right:
                return findings + Findings(RankTally(failure=unit))
            closest, shard = (None, None) if drawn.margin is None else (unit, (start, stop))
            findings += Findings(RankTally(1, drawn.margin, closest), shard, identities=drawn.identities)
        return findings

    def replay(self, state: State, where: str) -> int:
        """Draw again with one of the seeds that are done; which one, nobody knows beforehand."""
        units, smallest = state.right(), state.findings.tally.margin
        if not units:
            return 0
        unit = random.SystemRandom().choice(units)
        drawn = self.draw(unit)
        lower = drawn.margin is not None and (smallest is None or not drawn.margin >= smallest)
        if not drawn.right or lower or not drawn.identities <= state.findings.identities:
            raise InvalidArgument(
                f"ledger: expected seed {self.seed + unit} to draw right cases that {where} has, with no margin below"
                " its smallest, but it does not when run again; take another file to start afresh"
            )
        return len(drawn.identities)

    def decisive(self, state: State) -> tuple[Draw[FoundT], str | None]:
        """Draw again with the first seed that is not shown right, or with that of the smallest margin.

        Returns:
            What it draws; and why nothing is shown although it draws right cases, ``None`` where that shows everything.

        """
        found = state.findings.tally
        unit = found.failure if found.failure is not None else found.closest or 0
        drawn, doubt = self.draw(unit), None
        if not drawn.right:
            return drawn, None
        if found.failure is not None:
            doubt = f"seed {self.seed + unit} was not shown right in a worker, and is when run again"
        elif found.cases < self.run.total:
            doubt = f"cut off after {found.cases} of {self.run.total} seeds"
        elif drawn.margin != found.margin:
            doubt = f"seed {self.seed + unit} has another smallest margin when it is run again"
        return drawn, doubt

    def objection(self, findings: Findings, start: int, stop: int) -> str | None:
        """Return why these cannot be the findings of a shard of this run, ``None`` where they can."""
        most = sum(map(self.share, range(start, stop)))
        if len(findings.identities) > most:
            return f"{len(findings.identities)} distinct cases are right, of {most} that are drawn"
        return super().objection(findings, start, stop)

    def drawn_with(self, state: State) -> dict[str, Any]:
        """Return what a verdict says of its parts: the seeds, and in how many shards they were run."""
        return {"seeds": f"{self.seed}..{self.seed + self.run.total - 1}", "shards": state.shards}


def digest_of(*parts: bytes) -> str:
    """Return a digest of a case of 128 bits: of a million cases two would have the same once in 10^26 runs."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8))
        digest.update(part)
    return digest.hexdigest()[:32]
