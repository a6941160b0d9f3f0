"""How far one weight may be off before the promise breaks: found by bisection, and then held to the oracle."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

from constructions import Construction
from verify.arithmetic import NumpyArithmetic
from verify.running.model import bind, generate

#: An entry whose tolerance is larger than this does not matter: every weight at the sizes tested is below it.
LARGEST = Fraction(64)
#: Bisection stops at this width; a tolerance of a small denominator that is nearer than this is taken to be it.
WIDTH = Fraction(1, 2**24)
#: "Just past" and "just within" are this far from the tolerance, relative to it (absolutely where it is 0). Nothing
#: rests on how well bisection found it: the oracle must find the promise broken at the one and kept at the other.
STEP = Fraction(1, 512)


def probe(construction: Construction, name: str, row: int, column: int) -> Callable[[Fraction], bool]:
    """Return whether every case is generated as promised, in float64, when one weight is off by the argument."""
    arithmetic = NumpyArithmetic()
    exact = construction.transformer.lowered
    weights = {key: arithmetic.weight(matrix) for key, matrix in exact.matrices().items()}
    targets = construction.targets.unrank_range(0, construction.targets.size)
    inputs = construction.user_inputs.unrank_range(0, construction.user_inputs.size)
    every_target, every_input = targets.repeat(len(inputs), axis=0), np.tile(inputs, (len(targets), 1))
    expected = construction.answer(every_target, every_input)
    prompt = arithmetic.prompt(construction.encode(every_target))
    temperature = construction.temperature_for(arithmetic.fmt)

    def kept(off: Fraction) -> bool:
        changed: dict[str, Any] = dict(weights)
        changed[name] = weights[name].copy()
        changed[name][row, column] += float(off)
        model = bind(exact, arithmetic, temperature, changed, mask=construction.mask)
        made = generate(model, prompt, construction.layout.virtual, every_input, construction.layout.response)
        return bool((made.tokens == expected).all())

    return kept


def tolerance(kept: Callable[[Fraction], bool], sign: int) -> Fraction | None:
    """Return how far the weight may move in a direction, ``None`` where that is beyond :data:`LARGEST`."""
    high = WIDTH
    while kept(sign * high):
        high *= 2
        if high > LARGEST:
            return None
    low = Fraction(0) if high == WIDTH else high / 2
    while high - low > WIDTH:
        middle = (low + high) / 2
        low, high = (middle, high) if kept(sign * middle) else (low, middle)
    simple = high.limit_denominator(512)
    return simple if abs(simple - high) <= 2 * WIDTH else high


def past(found: Fraction) -> Fraction:
    """Return what is just past a tolerance."""
    return found * (1 + STEP) if found else STEP


def within(found: Fraction) -> Fraction:
    """Return what is just within a tolerance."""
    return found * (1 - STEP)
