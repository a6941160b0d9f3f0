"""Verdicts on the identities of sections 4 and 6, for a user's own layer and for drawn ones."""

from __future__ import annotations

import itertools
import shlex
import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from constructions.layers import Head
from constructions.validation import check_choice, check_integer
from verify.evidence.tally import Progress, no_progress
from verify.evidence.verdict import Verdict
from verify.prefixes.draw import MOST_HEADS, MOST_POSITIONS, MOST_PREFIX, draw_case
from verify.prefixes.layer import AttentionLayer, check_float_temperature
from verify.prefixes.measured import IDENTITIES, deviations
from verify.prefixes.passes import AnyArithmetic, attend
from verify.prefixes.tally import Tally
from verify.running.cases import show_temperature


def describe(layer: AttentionLayer, positions: int, prefix: int) -> str:
    """Return a layer's sizes in words."""
    return (
        f"attention layer ({len(layer.heads)} heads, width {layer.width}, {positions} positions, {prefix} prefix"
        f" vectors, mask {layer.mask_word}, {show_temperature(layer.temperature)})"
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
    tally = Tally()
    shown_by = reproduce or f"verify.prefixes.check_layer({claim!r}, layer, content, prefix)"
    tally.add(list(deviations(claim, passes, next_head)), subject, shown_by)
    parameters = {
        "heads": len(layer.heads),
        "positions": len(passes.content),
        "prefix_vectors": len(passes.prefix),
        "temperature": show_temperature(layer.temperature),
    }
    return tally.verdict(claim, arithmetic, parameters=parameters, method="evaluated", started=started)


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
    tally = draw_layers(claim, arithmetic, examples=examples, seed=seed, progress=progress)
    return drawn_verdict(tally, claim, arithmetic, started=started, seed=seed)


def draw_layers(
    claim: str,
    arithmetic: AnyArithmetic,
    *,
    examples: int,
    seed: int,
    drawn: dict[str, bool] | None = None,
    progress: Progress = no_progress,
) -> Tally:
    """Check an identity on drawn layers, up to the first that violates it.

    Args:
        claim: as of :func:`fuzz_layers`, and so are the others but the last.
        arithmetic: the same.
        examples: the same.
        seed: the same.
        drawn: takes the identities of the layers, and whether each counts: not where its bound says nothing.
        progress: the same.

    """
    check_choice("claim", claim, IDENTITIES)
    check_integer("examples", examples, 1)
    arithmetic = arithmetic.ieee()  # the bounds are of IEEE products
    check_integer("seed", seed, 0)
    tally = Tally()
    seen: dict[str, bool] = {} if drawn is None else drawn
    for index in itertools.count():
        case = draw_case(seed, index, fmt=arithmetic.fmt)
        identity = case.identity()
        if identity in seen:  # small layers of small integers are drawn repeatedly
            continue
        passes = attend(case.layer, case.content, case.prefix, arithmetic)
        subject = f"drawn {seed}:{index}, {describe(case.layer, len(case.content), len(case.prefix))}"
        found, before = list(deviations(claim, passes, case.next_head)), tally.cases
        tally.add(found, subject, _command(claim, seed, index, arithmetic))
        seen[identity] = tally.cases > before
        progress(len(seen), examples)
        if tally.found is not None or len(seen) == examples:
            return tally
    raise AssertionError("the count has no end")


def drawn_verdict(
    tally: Tally,
    claim: str,
    arithmetic: AnyArithmetic,
    *,
    started: float,
    seed: int,
    parameters: Mapping[str, Any] = MappingProxyType({}),
) -> Verdict:
    """Return the verdict on drawn layers.

    Args:
        tally: what was found of them.
        claim: as of :func:`fuzz_layers`.
        arithmetic: the same.
        started: when, by ``time.perf_counter``.
        seed: the first.
        parameters: what else a verdict says of the draw.

    """
    sizes = {
        "heads": f"1..{MOST_HEADS}",
        "positions": f"1..{MOST_POSITIONS}",
        "prefix_vectors": f"1..{MOST_PREFIX}",
    }
    return tally.verdict(
        claim, arithmetic.ieee(), parameters=sizes | dict(parameters), method="fuzzed", started=started, seed=seed
    )


def _command(claim: str, seed: int, index: int, arithmetic: AnyArithmetic) -> str:
    words = ["prefixproof", "attention", "--claim", claim, "--drawn", f"{seed}:{index}", *(arithmetic.words() or ())]
    return shlex.join(words)
