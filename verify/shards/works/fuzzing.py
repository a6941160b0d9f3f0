"""Drawn cases of constructions, in shards: a unit is a seed, see :mod:`verify.shards.works.seeds`.

A failure is shrunk where it was found, and the driver draws with the first seed that has one again.
"""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Self

from constructions.validation import InvalidArgument
from verify.backends import as_backend
from verify.evidence.checkpoint import changed_since, run_key
from verify.evidence.verdict import Verdict
from verify.requests import Request
from verify.running.cases import Runner
from verify.running.ranks import RankTally
from verify.shards.findings import Findings
from verify.shards.records import State
from verify.shards.works.seeds import Seeds, cut_off, digest_of
from verify.suite.steps import Gathering, fuzzer_of


class Fuzzing(Seeds):
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

    @classmethod
    def of(cls, request: Request, settings: Mapping[str, Any]) -> Self:
        """Return the run of a request; its settings are ``examples`` and ``seed``."""
        return cls(request, **settings)

    def _fuzzed(self, unit: int) -> tuple[Verdict, frozenset[str]]:
        """Draw with one seed; return the verdict, and digests of the distinct cases that are right."""
        drawn: set[tuple[str, bytes, bytes]] = set()
        gathering = Gathering(self.share(unit), self.seed + unit, drawn=drawn)
        verdict = fuzzer_of(self.request.claim).gather(self.request, gathering)
        return verdict, frozenset(digest_of(case[0].encode(), *case[1:]) for case in drawn)

    def shard(self, start: int, stop: int) -> Findings:
        """Draw with some seeds, up to the first that is not shown right."""
        findings = Findings()
        for unit in range(start, stop):
            verdict, drawn = self._fuzzed(unit)
            if verdict.holds is not True:
                return findings + Findings(RankTally(failure=unit))
            closest = None if verdict.margin is None else unit
            shard = None if closest is None else (start, stop)
            findings += Findings(RankTally(1, verdict.margin, closest), shard, identities=drawn)
        return findings

    def replay(self, state: State, where: str) -> int:
        """Draw again with one of the seeds that are done; which one, nobody knows beforehand."""
        units = state.right()
        if not units:
            return 0
        unit = random.SystemRandom().choice(units)
        verdict, drawn = self._fuzzed(unit)
        if verdict.holds is not True or not drawn <= state.findings.identities:
            raise InvalidArgument(
                f"ledger: expected seed {self.seed + unit} to draw right cases that {where} has, but it does not when"
                " run again; take another file to start afresh"
            )
        return len(drawn)

    def conclude(self, state: State, *, started: float, resumed: Mapping[str, Any] | None) -> Verdict:
        """Draw again with the first seed that is not shown right, or with that of the smallest margin."""
        findings, total = state.findings, self.run.total
        found = findings.tally
        unit = found.failure if found.failure is not None else _closest(state)
        verdict, drawn = self._fuzzed(unit)
        cases, reason, holds = len(findings.identities | drawn), verdict.reason, verdict.holds
        if found.failure is not None:
            cases += verdict.cases - len(drawn)  # the case that fails
            if holds is True:
                holds, reason = None, f"seed {self.seed + unit} was not shown right in a worker, and is when run again"
        elif holds is True and verdict.margin != found.margin:
            holds, reason = None, f"seed {self.seed + unit} has another smallest margin when it is run again"
        elif found.cases < total:
            holds, reason = None, cut_off(state, total)
        elif holds is True:
            changed = changed_since(self._largest, self.run.key["run"])
            holds, reason = (True, reason) if changed is None else (None, changed)
        return replace(
            verdict,
            holds=holds,
            cases=cases,
            margin=found.margin if holds is not False else verdict.margin,
            reason=reason,
            parameters={**verdict.parameters, **self.drawn_with(state)},
            seed=self.seed,
            seconds=time.perf_counter() - started,
            resumed=resumed,
        )


def _closest(state: State) -> int:
    return state.findings.tally.closest or 0
