"""The proof of a claim for all sizes by the obligations that sympy decides."""

from __future__ import annotations

import time

from proofs import Claim, ObligationError
from verify.evidence.tally import Progress
from verify.evidence.verdict import Verdict


def prove(claim: Claim, progress: Progress) -> Verdict:
    """Discharge a claim's obligations with sympy; if one is undecided, the claim is not shown.

    The verdict is about real arithmetic and all sizes; ``cases`` counts the obligations.
    """
    started = time.perf_counter()
    done, reason = 0, None
    for obligation in claim.obligations:
        try:
            obligation.discharge()
        except ObligationError as error:
            reason = f"obligation {obligation.id}: {error}"
            break
        done += 1
        progress(done, len(claim.obligations))
    return Verdict(
        claim=claim.id,
        parameters={"sizes": "all", "prover": "sympy"},
        method="proved",
        arithmetic="real",
        device="cpu",
        holds=True if done and reason is None else None,
        cases=done,
        space=len(claim.obligations),
        seconds=time.perf_counter() - started,
        reason=reason or claim.caveat or None,
    )
