"""Verdicts on the identities of sections 4 and 6, for a user's own layer and for drawn ones."""

from __future__ import annotations

import itertools
import shlex
import time
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from constructions.layers import Head
from constructions.validation import check_choice, check_integer
from verify.evidence.tally import Progress, no_progress
from verify.evidence.verdict import Method, Refutation, Verdict
from verify.prefixes.draw import MOST_HEADS, MOST_POSITIONS, MOST_PREFIX, draw_case
from verify.prefixes.layer import AttentionLayer, check_float_temperature
from verify.prefixes.measured import IDENTITIES, Deviation, deviations
from verify.prefixes.passes import AnyArithmetic, attend
from verify.running.cases import show_temperature


@dataclass
class _Tally:
    """The findings so far.

    Attributes:
        cases: layers on which the identity was held to a meaningful bound.
        skipped: layers whose bound is vacuous: infinite, or at least 1 for an attention weight.
        used: the largest part of a bound that a deviation used.
        vacuous: the first skipped layer, in words.
        broken: the first layer with a result that is not finite, in words.
        found: the first violation.

    """

    cases: int = 0
    skipped: int = 0
    used: float = 0.0
    vacuous: str | None = None
    broken: str | None = None
    found: Refutation | None = None

    def add(self, found: Sequence[Deviation], subject: str, reproduce: str) -> None:
        """Count one layer."""
        for deviation in found:
            if deviation.bound is None:
                continue
            if not (np.isfinite(deviation.left).all() and np.isfinite(deviation.right).all()):
                self.broken = self.broken or f"{subject}: {deviation.where} is not finite"
                return
            if deviation.says_nothing():
                self.vacuous = self.vacuous or f"{subject}: the bound of {deviation.where} says nothing in this format"
                self.skipped += 1
                return
        self.cases += 1
        for deviation in found:
            used = deviation.used()
            self.used = max(self.used, float(used.max()))
            if self.found is None and (used > 1).any():
                place = tuple(int(axis) for axis in np.argwhere(used > 1)[0])
                self.found = _refutation(deviation, place, subject, reproduce)


def _refutation(deviation: Deviation, place: tuple[int, ...], subject: str, reproduce: str) -> Refutation:
    left, right = deviation.left[place], deviation.right[place]
    if deviation.bound is None:
        margin: Fraction | float = -Fraction(str(abs(left - right)))
        within = ""
    else:
        margin = float(deviation.bound[place] - abs(left - right))
        within = f" within {deviation.bound[place]:.3g}"
    return Refutation(
        subject=subject,
        place=f"{deviation.where} at [{', '.join(map(str, place))}]",
        expected=f"{right}{within}",
        produced=str(left),
        margin=margin,
        reproduce=reproduce,
    )


def describe(layer: AttentionLayer, positions: int, prefix: int) -> str:
    """Return a layer's sizes in words."""
    mask = layer.mask if isinstance(layer.mask, str) else "given"
    return (
        f"attention layer ({len(layer.heads)} heads, width {layer.width}, {positions} positions, {prefix} prefix"
        f" vectors, mask {mask}, {show_temperature(layer.temperature)})"
    )


def check_layer(
    claim: str,
    layer: AttentionLayer,
    content: Any,
    prefix: Any,
    arithmetic: AnyArithmetic,
    *,
    next_head: Head[Any] | None = None,
    reproduce: str | None = None,
) -> Verdict:
    """Check an identity on a user's own layer.

    Args:
        claim: one of :data:`IDENTITIES`.
        layer: the layer.
        content: positions x width.
        prefix: prefix x width, at least one vector.
        arithmetic: rational: equality; floats: within the bound that is computed for this layer.
        next_head: a head of the next layer, for ``second-layer-attention``.
        reproduce: the command that shows the case, for a counterexample.

    Returns:
        The verdict. Where it holds in floats, its margin is the unused part of the bound where most of it is used (1 if
        nothing is used). Where it is false, its margin is negative: the bound minus the deviation.

    Raises:
        InvalidArgument: rows that do not fit, no prefix, or a temperature that the arithmetic cannot compute with.

    Example:
        >>> from constructions import Head, RationalSoftmax
        >>> from verify import RationalArithmetic
        >>> head = Head("sum", query=[[1, 1]], key=[[1, 0]], value=[[1, 0], [0, 1]])
        >>> layer = AttentionLayer((head,), RationalSoftmax(2), "causal")
        >>> check_layer("attention-bias", layer, [[1, 0], [0, 1]], [[1, 2]], RationalArithmetic()).holds
        True

    """
    started = time.perf_counter()
    check_choice("claim", claim, IDENTITIES)
    arithmetic = arithmetic.ieee()  # the bounds are of IEEE products
    if arithmetic.fmt is not None:
        check_float_temperature(layer)
    passes = attend(layer, content, prefix, arithmetic)
    subject = describe(layer, len(passes.content), len(passes.prefix))
    tally = _Tally()
    shown_by = reproduce or f"verify.prefixes.check_layer({claim!r}, layer, content, prefix)"
    tally.add(list(deviations(claim, passes, next_head)), subject, shown_by)
    parameters = {
        "heads": len(layer.heads),
        "positions": len(passes.content),
        "prefix_vectors": len(passes.prefix),
        "temperature": show_temperature(layer.temperature),
    }
    return _verdict(claim, arithmetic, tally, parameters=parameters, method="evaluated", started=started)


def fuzz_layers(
    claim: str,
    arithmetic: AnyArithmetic,
    *,
    examples: int = 1000,
    seed: int = 0,
    progress: Progress = no_progress,
) -> Verdict:
    """Check an identity on drawn layers, see :mod:`verify.prefixes.draw`.

    Args:
        claim: one of :data:`IDENTITIES`.
        arithmetic: rational, numpy or torch.
        examples: how many DISTINCT layers.
        seed: the same seed draws the same layers.
        progress: called with layers done and layers in all.

    Example:
        >>> from verify import NumpyArithmetic
        >>> verdict = fuzz_layers("attention-rescaling", NumpyArithmetic("float64"), examples=5)
        >>> verdict.holds, verdict.cases
        (True, 5)

    """
    started = time.perf_counter()
    check_choice("claim", claim, IDENTITIES)
    check_integer("examples", examples, 1)
    arithmetic = arithmetic.ieee()  # the bounds are of IEEE products
    check_integer("seed", seed, 0)
    tally = _Tally()
    seen: set[str] = set()
    for index in itertools.count():
        case = draw_case(seed, index, fmt=arithmetic.fmt)
        identity = case.identity()
        if identity in seen:  # small layers of small integers are drawn repeatedly
            continue
        seen.add(identity)
        passes = attend(case.layer, case.content, case.prefix, arithmetic)
        subject = f"drawn {seed}:{index}, {describe(case.layer, len(case.content), len(case.prefix))}"
        found = list(deviations(claim, passes, case.next_head))
        tally.add(found, subject, _command(claim, seed, index, arithmetic))
        progress(len(seen), examples)
        if tally.found is not None or len(seen) == examples:
            break
    parameters = {
        "heads": f"1..{MOST_HEADS}",
        "positions": f"1..{MOST_POSITIONS}",
        "prefix_vectors": f"1..{MOST_PREFIX}",
    }
    return _verdict(claim, arithmetic, tally, parameters=parameters, method="fuzzed", started=started, seed=seed)


def _command(claim: str, seed: int, index: int, arithmetic: AnyArithmetic) -> str:
    words = ["prefixproof", "attention", "--claim", claim, "--drawn", f"{seed}:{index}", *(arithmetic.words() or ())]
    return shlex.join(words)


def _verdict(
    claim: str,
    arithmetic: AnyArithmetic,
    tally: _Tally,
    *,
    parameters: dict[str, Any],
    method: Method,
    started: float,
    seed: int | None = None,
) -> Verdict:
    shown = tally.cases > 0 and tally.broken is None
    holds = False if tally.found is not None else True if shown else None
    exact = arithmetic.fmt is None
    reason = None if holds else tally.broken or tally.vacuous
    if holds and not exact:
        reason = f"the worst deviation uses {tally.used:.3g} of the bound computed for its layer"
        if tally.skipped:
            reason += f"; {tally.skipped} more layers do not count: their bound says nothing in this format"
    return Verdict(
        claim=claim,
        parameters=parameters,
        method=method,
        arithmetic=arithmetic.name,
        device=arithmetic.device,
        holds=holds,
        cases=tally.cases,
        margin=tally.found.margin if tally.found else None if exact or holds is None else 1 - tally.used,
        refutation=tally.found,
        seed=seed,
        seconds=time.perf_counter() - started,
        reason=reason,
    )
