"""The claim that NOTHING rounds: for all targets, every number behind a response is that of the exact pass at hardmax.

Then a float forward pass, in any order of summation, with or without fused multiply-add, IS exact arithmetic, and what
is proved of the one holds of the other. It needs weights and virtual tokens that the format holds, a temperature at
which ``exp`` of every lower score underflows to 0, and sums of integers (or of multiples of one power of two) whose
magnitudes add up to at most ``2^p`` of them. All of that is read off bounds of all targets at once, so that it takes
one pass for each step of the response, whatever the vocabulary.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from constructions.construction import Construction
from verify.arithmetic.base import NumberSystem
from verify.certificates.all_targets import Bound, bind_for_certificate, readout_input
from verify.certificates.authored import same_function, wrong_run
from verify.certificates.cells import Cells, everything
from verify.certificates.code_on_bounds import CellsError, pure_functions
from verify.certificates.concluding import other_layout
from verify.certificates.floats.arithmetic import RoundedArithmetic
from verify.certificates.floats.boxes import Box, RoundedWeight
from verify.certificates.passes import check_parts
from verify.evidence.verdict import Verdict
from verify.running.asked import asked_again
from verify.running.cases import parameters_of
from verify.running.temperatures import temperature_setting
from verify.running.trace import Trace


@dataclass
class _FirstRounding(Trace):
    """Keeps the name of the first intermediate that may be rounded, and nothing else."""

    name: str | None = None

    def record(self, name: str, arithmetic: NumberSystem[Any, Any, Any], value: Any) -> None:
        """Look whether a value is exact."""
        if self.name is None and not value.exact:
            self.name = name


def bit_exact(construction: Construction, arithmetic: RoundedArithmetic, *, claim: str | None = None) -> Verdict:
    """Certify that no operation of the float forward pass rounds, for any target and user input.

    Args:
        construction: with its weights as they are.
        arithmetic: the floats.
        claim: the claim's id; the construction's name by default. The verdict's claim is that id and ``.bit-exact``.

    Returns:
        ``holds`` true when every intermediate that a response token is computed from, the logits included, equals the
        exact number at hardmax; unknown otherwise, with the first one that may be rounded. From the queries of the
        last attention layer on, these are the intermediates at the last position of each step; what other positions
        compute there goes nowhere, and may be rounded. ``cases`` counts targets and user inputs.

    Raises:
        InvalidArgument: the format cannot hold what the weights rely on.

    Example:
        >>> from constructions import Hardmax, UnconditionalGeneration
        >>> from verify.certificates import certificate_arithmetic
        >>> construction = UnconditionalGeneration(
        ...     8, 3, temperature=Hardmax(), encoding="dyadic", lift="mask", readout="hat"
        ... )
        >>> bit_exact(construction, certificate_arithmetic("rounded", "float32")).holds
        True

    """
    started = time.perf_counter()
    steps, reason = construction.layout.response, None if construction.layout.response else "there is no response"
    members = 0
    arithmetic = RoundedArithmetic(arithmetic.kernel)  # anew, as it notes what it assumes
    with np.errstate(all="ignore"):  # what is not finite is never exact
        bound = bind_for_certificate(construction, arithmetic)
        for step in range(steps):
            try:
                check_parts(bound.model.transformer, bound.readout)
                cell = everything(construction, step)
                members += cell.members
                reason = _rounded_at(cell, arithmetic, bound)
            except CellsError as error:
                reason = str(error)
            if reason is not None:
                break
    authored = bound.model.transformer.authored
    reason = (
        reason
        or other_layout(construction, set(range(steps)))
        or asked_again(construction, bound.source)
        or wrong_run(construction, authored, arithmetic.fmt)
    )
    space = construction.target_space.size * construction.user_inputs.size
    return Verdict(
        claim=f"{claim or type(construction).__name__}.bit-exact",
        parameters=parameters_of(construction) | temperature_setting(construction, arithmetic.fmt),
        method="certified",
        arithmetic=arithmetic.name,
        device=arithmetic.device,
        holds=True if reason is None else None,
        cases=space if reason is None else 0,
        space=space,
        seconds=time.perf_counter() - started,
        reason=reason
        or f"every intermediate of a response equals the exact one at hardmax; {arithmetic.assumptions()};"
        f" {pure_functions(members)}{same_function(authored)}",
    )


def _rounded_at(cell: Cells, arithmetic: RoundedArithmetic, bound: Bound[RoundedWeight, Box, Box]) -> str | None:
    trace = _FirstRounding()
    rows = readout_input(bound, cell, trace=trace)
    if trace.name is None:
        if arithmetic.linear(rows, bound.readout.weight, bound.bias).exact:
            return None
        trace.name = bound.readout.name
    return f"{trace.name} may be rounded at response position {cell.step}"
