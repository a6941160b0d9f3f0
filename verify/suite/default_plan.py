"""The plan that follows from the sizes of a construction: certificates, and every case where there are few enough."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from constructions.construction import Construction
from proofs import CLAIMS, Step
from proofs.claims import Plan


def plan_for(construction: Construction, sizes: Mapping[str, int]) -> Plan:
    """Return the plan of a construction without one of its own.

    Its cases are enumerated if there are no more than the registered claims have where theirs are, and drawn otherwise.

    Args:
        construction: of the given sizes.
        sizes: by its fields.

    """
    steps = []
    for exact, numbers in (("real", "rational"), ("floats", "floats")):
        few = _space(construction) <= largest_enumerated(numbers)
        steps += [Step("certified", exact, sizes), Step("exhausted" if few else "fuzzed", numbers, sizes)]
    return tuple(steps)


@lru_cache
def largest_enumerated(numbers: str) -> int:
    """Return the most cases that the plan of a registered claim enumerates in a kind of numbers."""
    return max(
        _space(claim.build(step.sizes, step.options))
        for claim in CLAIMS.values()
        for step in claim.plan or ()
        if (step.evidence, step.numbers) == ("exhausted", numbers)
    )


def _space(construction: Construction) -> int:
    return construction.target_space.size * construction.user_inputs.size
