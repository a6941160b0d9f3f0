"""Cases that are drawn, in shards: a unit is a seed, and draws its share of the examples.

The examples are drawn with as many seeds as each of them draws examples, whoever runs them and with how many workers:
the first seed is the one that was given, and each draws what ``fuzz`` draws with this seed and so many examples alone.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from constructions.validation import check_integer
from verify.shards.findings import Findings
from verify.shards.records import Run, State
from verify.shards.works.base import Work

if TYPE_CHECKING:
    from verify.requests import Request


class Seeds(Work):
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

    def share(self, unit: int) -> int:
        """Return how many cases one seed draws."""
        share, more = divmod(self.examples, self.run.total)
        return share + (unit < more)

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


def cut_off(state: State, total: int) -> str:
    """Return in words that not every seed was run."""
    return f"cut off after {state.findings.tally.cases} of {total} seeds"
