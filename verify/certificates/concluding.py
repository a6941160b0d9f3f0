"""The verdict of a certificate."""

from __future__ import annotations

import time
from collections.abc import Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from constructions.construction import Construction
from verify.certificates.authored import same_function, wrong_run
from verify.certificates.code_on_bounds import pure_functions
from verify.certificates.enclosing import EnclosingArithmetic
from verify.certificates.found import Found
from verify.evidence.verdict import Verdict
from verify.running.asked import asked_again
from verify.running.cases import parameters_of
from verify.running.temperatures import temperature_setting

if TYPE_CHECKING:
    from verify.certificates.all_targets import Bound


def certificate(
    bound: Bound[Any, Any, Any],
    construction: Construction,
    arithmetic: EnclosingArithmetic[Any, Any, Any],
    found: Found,
    *,
    claim: str | None,
    started: float,
    resumed: Mapping[str, Any] | None = None,
) -> Verdict:
    """Return the verdict on all pieces of a certificate, or on those up to the first that is undecided.

    Args:
        bound: the construction in the arithmetic for cells.
        construction: the construction.
        arithmetic: of the certificate.
        found: of its pieces.
        claim: see :func:`certify`.
        started: when, by ``time.perf_counter``.
        resumed: what the verdict says of a run that went on.

    """
    found.reason = (
        found.reason
        or _left_out(construction, found)
        or asked_again(construction, bound.source)
        or wrong_run(construction, bound.model.transformer.authored, arithmetic.fmt)
    )
    done = found.count > 0 and found.reason is None
    space, any_embedding = construction.target_space.size * construction.user_inputs.size, bound.any_embedding
    return Verdict(
        claim=claim or type(construction).__name__,
        parameters=parameters_of(construction)
        | temperature_setting(construction, arithmetic.fmt)
        | ({} if any_embedding is None else {"embedding": f"any, |E| <= {any_embedding}"}),
        method="certified",
        arithmetic=arithmetic.name,
        device=arithmetic.device,
        holds=True if done and found.margin > 0 else None,
        cases=space if done else found.count,
        space=space,
        margin=found.margin if found.count else None,
        seconds=time.perf_counter() - started,
        resumed=resumed,
        reason=found.reason
        or (
            f"{_assumptions(bound.arithmetic, any_embedding)}; {found.by}{pure_functions(found.looked_at)}"
            f"{same_function(bound.model.transformer.authored)}"
            if done
            else "no cell was looked at"
        ),
    )


def _left_out(construction: Construction, found: Found) -> str | None:
    """Return in words a step of the response, as long as the layout now says it is, of which no cell was looked at."""
    left = set(range(construction.layout.response)) - found.steps if found.count else set()
    return f"response position {min(left)} was not looked at, as the layout had another length" if left else None


def _assumptions(arithmetic: EnclosingArithmetic[Any, Any, Any], any_embedding: Fraction | None) -> str:
    every = "" if any_embedding is None else f"; for EVERY token embedding with |E| <= {any_embedding}"
    return arithmetic.assumptions() + every
