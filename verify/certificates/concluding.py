"""The verdict of a certificate."""

from __future__ import annotations

import time
from collections.abc import Mapping, Set
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from constructions.construction import Construction
from verify.certificates.authored import same_function, wrong_run
from verify.certificates.cells import check_reading
from verify.certificates.code_on_bounds import CellsError, pure_functions
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
        or (other_layout(construction, found.steps) if found.count else None)
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


def other_layout(construction: Construction, steps: Set[int]) -> str | None:
    """Ask for the layout again; return in words why its response is another than the one whose cells were looked at.

    ``None`` where it is not.

    Args:
        construction: whose layout it is.
        steps: those of the response of which cells were looked at, each at its last position.

    """
    try:
        check_reading(construction)
    except CellsError as error:
        return str(error)
    left = set(range(construction.layout.response)) - steps
    return f"response position {min(left)} was not looked at, as the layout had another length" if left else None


def _assumptions(arithmetic: EnclosingArithmetic[Any, Any, Any], any_embedding: Fraction | None) -> str:
    every = "" if any_embedding is None else f"; for EVERY token embedding with |E| <= {any_embedding}"
    return arithmetic.assumptions() + every
