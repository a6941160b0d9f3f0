"""Drawn cases of constructions, in shards: a unit is a seed, see :mod:`verify.shards.works.seeds`.

A failure is shrunk where it was found, and the driver draws with the first seed that has one again.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from verify.backends import as_backend
from verify.evidence.checkpoint import changed_since, run_key
from verify.evidence.fuzzing import Drawn
from verify.evidence.verdict import Verdict
from verify.requests import Request
from verify.running.cases import Runner
from verify.shards.records import State
from verify.shards.works.seeds import Draw, Seeds, digest_of
from verify.suite.steps import Gathering, fuzzer_of


class Fuzzing(Seeds[Verdict]):
    """A run of :func:`verify.evidence.fuzzing.fuzz`, in shards."""

    word = "fuzz"

    def __init__(self, request: Request, *, examples: int, seed: int) -> None:
        """Take a request.

        Args:
            request: the claim, its sizes and the arithmetic.
            examples: how many cases to draw.
            seed: the first seed.

        """
        backend = as_backend(request.arithmetic)
        largest = request.build(request.last)
        title = f"{request.claim.id}, up to {largest!r}, in {backend.name}"
        key = run_key(Runner(largest, backend))
        super().__init__(request, examples=examples, seed=seed, key=key, title=title)
        self.exact, self._largest = backend.exact, largest

    def draw(self, unit: int) -> Draw[Verdict]:
        """Draw with one seed."""
        cases: Drawn = set()
        verdict = fuzzer_of(self.request.claim).gather(
            self.request, Gathering(self.share(unit), self.seed + unit, drawn=cases)
        )
        identities = frozenset(digest_of(case[0].encode(), *case[1:]) for case in cases)
        return Draw(verdict, verdict.holds is True, verdict.margin, identities)

    def conclude(self, state: State, *, started: float, resumed: Mapping[str, Any] | None) -> Verdict:
        """Return the verdict of the seed that decides, on the cases of all of them."""
        drawn, doubt = self.decisive(state)
        verdict, tally = drawn.found, state.findings.tally
        cases = len(state.findings.identities | drawn.identities)
        if tally.failure is not None:
            cases += verdict.cases - len(drawn.identities)  # the case that fails
        if drawn.right and doubt is None:
            doubt = changed_since(self._largest, self.run.key["run"])
        return replace(
            verdict,
            holds=verdict.holds if doubt is None else None,
            cases=cases,
            margin=tally.margin if verdict.holds is not False else verdict.margin,
            reason=verdict.reason if doubt is None else doubt,
            parameters={**verdict.parameters, **self.drawn_with(state)},
            seed=self.seed,
            seconds=time.perf_counter() - started,
            resumed=resumed,
        )
