"""Bounds of the logits of known cases: of the exact ones, and of what a certificate allows a kernel to give."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from constructions.construction import Construction
from constructions.decoding import Answers
from constructions.formats import Format
from constructions.temperature import Temperatures
from constructions.validation import IntArray, InvalidArgument
from verify.certificates import certificate_arithmetic
from verify.certificates.code_on_bounds import CellsError
from verify.certificates.enclosing import EnclosingArithmetic
from verify.certificates.passes import last_row
from verify.evidence.tally import Progress
from verify.running.cases import batch_size
from verify.running.model import Model, bind, forward

_Logits = Float[np.ndarray, "cases response outputs"]


@dataclass(frozen=True, eq=False)
class Bounds:
    """Bounds of logits, cases x response x outputs.

    Attributes:
        low: lower bounds.
        high: upper bounds.

    """

    low: _Logits
    high: _Logits

    @property
    def finite(self) -> bool:
        """Whether every logit has bounds."""
        return bool(np.isfinite(self.low).all() and np.isfinite(self.high).all())

    def part(self, chosen: slice) -> Bounds:
        """Return the bounds of some of the cases."""
        return Bounds(self.low[chosen], self.high[chosen])


class Cases(NamedTuple):
    """Targets, user inputs and promised answers."""

    targets: IntArray
    inputs: IntArray
    promised: Answers

    def part(self, chosen: slice) -> Cases:
        """Return some of them."""
        return Cases(self.targets[chosen], self.inputs[chosen], self.promised[chosen])


def bounds_of(
    construction: Construction, fmt: Format, cases: Cases, progress: Progress, *, tf32: bool = False
) -> tuple[Bounds | None, Bounds | None, str]:
    """Return bounds of the exact logits, those that a certificate allows, and its name or why none bounds them.

    Args:
        construction: whose logits they are.
        fmt: the format that the kernel computes in.
        cases: with their promised answers, which are fed.
        progress: called with the cases done, each counted for both bounds, and with twice the number of cases.
        tf32: whether float32 products may take factors of TF32.

    """
    count = len(cases.targets)
    exact, _ = _tried(construction, fmt, certificate_arithmetic("ball"), cases, lambda done: progress(done, 2 * count))
    allowed, said = allowed_bounds(construction, fmt, cases, lambda done: progress(count + done, 2 * count), tf32=tf32)
    return exact, allowed, said


def allowed_bounds(
    construction: Construction, fmt: Format, cases: Cases, done: Callable[[int], None], *, tf32: bool = False
) -> tuple[Bounds | None, str]:
    """Return bounds of the logits that a certificate allows a kernel to give, and its name or why none bounds them.

    Args:
        construction: whose logits they are.
        fmt: the format that the kernel computes in.
        cases: with their promised answers, which are fed.
        done: called with the cases done.
        tf32: whether float32 products may take factors of TF32.

    """
    return _tried(construction, fmt, certificate_arithmetic("rounded", fmt.name, tf32=tf32), cases, done)


def _tried(
    construction: Construction,
    fmt: Format,
    bounding: EnclosingArithmetic[Any, Any, Any],
    cases: Cases,
    done: Callable[[int], None],
) -> tuple[Bounds | None, str]:
    """Return bounds of the logits with what they assume, or ``None`` and why there are none."""
    arithmetic = bounding.for_cells()
    try:
        found = _enclosed(construction, arithmetic, construction.temperature_for(fmt), cases, done)
    except (InvalidArgument, CellsError) as error:
        return None, f"no certificate bounds the logits: {error}"
    except OverflowError as error:
        raise InvalidArgument(f"dtype: {error}") from None
    if not found.finite:
        return None, f"the certificate in {arithmetic.name} arithmetic leaves a logit without bounds"
    return found, f"{arithmetic.name}: {arithmetic.assumptions()}"


def _enclosed(
    construction: Construction,
    arithmetic: EnclosingArithmetic[Any, Any, Any],
    temperature: Temperatures,
    cases: Cases,
    done: Callable[[int], None],
) -> Bounds:
    """Return bounds of the logits of every step, of as many cases at once as a batch has."""
    with arithmetic.bounding(), np.errstate(all="ignore"):  # what is not finite bounds nothing
        model = bind(construction.transformer.lowered, arithmetic, temperature, mask=construction.mask)
        size, count, parts = batch_size(construction), len(cases.targets), []
        for start in range(0, count, size):
            parts.append(_logits(model, construction, cases.part(slice(start, start + size))))
            done(min(count, start + size))
        if arithmetic.undefined:
            raise InvalidArgument("something in it may be no number at all, such as a row of zeros over its length")
    found = np.concatenate(parts)
    return Bounds(found[..., 0], found[..., 1])


def _logits(
    model: Model[Any, Any, Any, Any], construction: Construction, cases: Cases
) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return bounds of the logits where the response is read, cases x response x outputs x 2."""
    arithmetic, layout = model.arithmetic, construction.layout
    arithmetic.undefined = False
    rows, count = arithmetic.prompt(construction.prompts(cases.targets)), layout.virtual + layout.user
    if layout.user:
        rows = arithmetic.below(rows, arithmetic.embed(model.embedding, cases.inputs))
    places = layout.read if construction.reading.gives_tokens or layout.read is not None else (layout.user - 1,)
    if places is not None:  # in one pass, as in verify.running.respond
        whole = arithmetic.numbers(forward(model, rows, count))
        found = whole[:, [layout.virtual + place for place in places]]
    else:
        steps = []
        for step in range(layout.response):
            fed = step, lambda chosen: arithmetic.embed(model.embedding, cases.promised[:, chosen])
            steps.append(arithmetic.numbers(last_row(model, rows, count, fed)))
        found = np.concatenate([np.broadcast_to(step, (len(cases.targets), *step.shape[1:])) for step in steps], axis=1)
    # logits that depend on no input may have been computed once for all cases
    return np.broadcast_to(found, (len(cases.targets), *found.shape[1:]))
