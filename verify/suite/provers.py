"""The proof of a claim for all sizes by the obligations that sympy decides."""

from __future__ import annotations

import time

from proofs import Claim, ObligationError
from verify.evidence.tally import Progress
from verify.evidence.verdict import Verdict
from verify.suite.proof_cache import ProofCache


def prove(claim: Claim, progress: Progress, cache: ProofCache | None = None) -> Verdict:
    """Discharge a claim's obligations with sympy; if one is undecided, the claim is not shown.

    The verdict is about real arithmetic and all sizes; ``cases`` counts the obligations.

    Args:
        claim: whose obligations they are.
        progress: called with the obligations discharged and all there are.
        cache: proofs of earlier runs, which the verdict counts in its parameters, and where new ones are kept;
            ``None``: all are discharged here and now.

    """
    started = time.perf_counter()
    done, taken, reason = 0, 0, None
    for obligation in claim.obligations:
        if cache is not None and cache.get(obligation) is not None:
            taken += 1
        else:
            try:
                proof = obligation.discharge()
            except ObligationError as error:
                reason = f"obligation {obligation.id}: {error}"
                break
            if cache is not None:
                cache.keep(obligation, proof)
        done += 1
        progress(done, len(claim.obligations))
    return Verdict(
        claim=claim.id,
        parameters={"sizes": "all", "prover": "sympy", **({"from the cache": taken} if taken else {})},
        method="proved",
        arithmetic="real",
        device="cpu",
        holds=True if done and reason is None else None,
        cases=done,
        space=len(claim.obligations),
        seconds=time.perf_counter() - started,
        reason=reason or claim.caveat or None,
    )
