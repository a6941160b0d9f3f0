"""Fuzzing a claim up to given sizes, with the seed of the counts that the project states."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from proofs import get_claim
from proofs.claims.plan import up_to
from verify import Verdict
from verify.requests import Request
from verify.suite.steps import Gathering, fuzzed

SEED = 2024


def fuzz_up_to(claim: str, arithmetic: Any, bounds: Mapping[str, int], *, examples: int) -> Verdict:
    """Return the verdict on drawn cases of all sizes up to the given ones, by their short names."""
    made = get_claim(claim)
    sizes = {name: up_to(last) for name, last in made.sizes.complete(bounds).items()}
    return fuzzed(Request(made, sizes, arithmetic=arithmetic), Gathering(examples, SEED))
