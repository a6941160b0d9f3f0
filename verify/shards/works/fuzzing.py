"""Drawn cases, in shards: a unit is a seed, and draws its share of the examples.

The examples are drawn with as many seeds as each of them draws examples, whoever runs them and with how many workers:
the first seed is the one that was given, and each draws what ``fuzz`` draws with this seed and so many examples alone.
A failure is shrunk where it was found, and the driver draws with the first seed that has one again.
"""

from __future__ import annotations

import hashlib
import math
import random
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Self

from constructions.validation import InvalidArgument, check_integer
from verify.backends import as_backend
from verify.evidence.checkpoint import run_key
from verify.evidence.verdict import Verdict
from verify.requests import Request
from verify.running.cases import Runner
from verify.running.ranks import RankTally
from verify.shards.findings import Findings
from verify.shards.records import Run, State
from verify.shards.works.base import Work
from verify.suite.steps import Gathering, fuzzer_of


class Fuzzing(Work):
    """A run of :func:`verify.evidence.fuzzing.fuzz`, in shards."""

    word = "fuzz"
    units = "seeds"

    def __init__(self, request: Request, *, examples: int, seed: int) -> None:
        """Take a request.

        Args:
            request: the claim, its sizes and the arithmetic.
            examples: how many cases to draw.
            seed: the first seed.

        """
        check_integer("examples", examples, 1)
        check_integer("seed", seed, 0)
        if request.claim.construction is None:
            raise InvalidArgument(f"jobs: expected a claim with a construction but {request.claim.id} draws its layers")
        self.request, self.examples, self.seed = request, examples, seed
        backend = as_backend(request.arithmetic)
        self.exact = backend.exact
        largest = request.build(request.last)
        seeds = math.isqrt(examples)
        drawn = {"sizes": repr(dict(request.sizes)), "examples": examples, "seed": seed}
        title = f"{request.claim.id}, up to {largest!r}, in {backend.name}"
        self.run = Run({**run_key(Runner(largest, backend)), **drawn}, self.word, title, seeds)

    @classmethod
    def of(cls, request: Request, settings: Mapping[str, Any]) -> Self:
        """Return the run of a request; its settings are ``examples`` and ``seed``."""
        return cls(request, **settings)

    def _examples(self, unit: int) -> int:
        """Return how many cases one seed draws."""
        share, more = divmod(self.examples, self.run.total)
        return share + (unit < more)

    def objection(self, findings: Findings, start: int, stop: int) -> str | None:
        """Return why these cannot be the findings of a shard of this run, ``None`` where they can."""
        most = sum(map(self._examples, range(start, stop)))
        if len(findings.identities) > most:
            return f"{len(findings.identities)} distinct cases are right, of {most} that are drawn"
        return super().objection(findings, start, stop)

    def _fuzzed(self, unit: int) -> tuple[Verdict, frozenset[str]]:
        """Draw with one seed; return the verdict, and digests of the distinct cases that are right."""
        drawn: set[tuple[str, bytes, bytes]] = set()
        gathering = Gathering(self._examples(unit), self.seed + unit, drawn=drawn)
        verdict = fuzzer_of(self.request.claim).gather(self.request, gathering)
        return verdict, frozenset(_digest(case) for case in drawn)

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
            holds, reason = None, f"cut off after {found.cases} of {total} seeds"
        return replace(
            verdict,
            holds=holds,
            cases=cases,
            margin=found.margin if holds is not False else verdict.margin,
            reason=reason,
            parameters={**verdict.parameters, "seeds": f"{self.seed}..{self.seed + total - 1}"},
            seed=self.seed,
            seconds=time.perf_counter() - started,
            resumed=resumed,
        )


def _closest(state: State) -> int:
    return state.findings.tally.closest or 0


def _digest(case: tuple[str, bytes, bytes]) -> str:
    """Return a digest of a case of 128 bits: of a million cases two would have the same once in 10^26 runs."""
    digest = hashlib.sha256()
    for part in (case[0].encode(), *case[1:]):
        digest.update(len(part).to_bytes(8))
        digest.update(part)
    return digest.hexdigest()[:32]
