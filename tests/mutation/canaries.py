"""A few wrong constructions that every method must refuse, whatever happens to the verifier."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from typing import Any

import hypothesis.strategies as st
import numpy as np

from constructions import (
    ConditionalGeneration,
    Construction,
    PerHeadSoftmax,
    RationalSoftmax,
    Ratios,
    Transformer,
    UnconditionalGeneration,
)
from constructions.thresholds import unconditional_generation_threshold
from tests.mutation.methods import FUZZED
from tests.mutation.mutated import Mutated, Rows, with_matrix
from tests.mutation.oracle import violations_and_margin
from verify import NumpyArithmetic, Verdict, check, exhaust, fuzz, get_arithmetic, sweep
from verify.arithmetic import Arithmetic

AnyArithmetic = Arithmetic[Any, Any, Any]
EXACT = get_arithmetic("rational")


def _off_by_one(rows: Rows) -> Rows:
    return [*rows[1:], rows[0]]


def _wrong_on_the_last_target(ratios: Ratios) -> Ratios:
    """Encode the very last target, the last token everywhere, as token 0 everywhere."""
    last = (ratios.numerators == ratios.denominator - 1).all(axis=(1, 2), keepdims=True)
    return Ratios(np.where(last, 0, ratios.numerators), ratios.denominator)


def _last_column_zeroed(rows: Rows) -> Rows:
    return [[*row[:-1], Fraction(0)] for row in rows]


def _reversed_tokens(transformer: Transformer) -> Transformer:
    for name in ("readout.weight", "readout.bias"):
        transformer = with_matrix(name, lambda rows: rows[::-1])(transformer)
    return transformer


def _complement(ratios: Ratios) -> Ratios:
    return Ratios(ratios.denominator - 1 - ratios.numerators, ratios.denominator)


_AT_THRESHOLD = RationalSoftmax(Fraction(unconditional_generation_threshold(3, 2)))
_TIED = UnconditionalGeneration(3, 2, temperature=_AT_THRESHOLD)
#: Ties in which the promised token comes last and loses, or first and wins; in exact arithmetic, as rounding may break
#: them.
TIES: tuple[Construction, ...] = (
    _TIED,
    Mutated(_TIED, "a tie that the promised token wins", _reversed_tokens, _complement),
)

#: Wrong everywhere; by a tie alone; on the last target alone; for the last user token alone.
CANARIES: tuple[Construction, ...] = (
    Mutated(UnconditionalGeneration(3, 2), "readout off by one", with_matrix("readout.bias", _off_by_one)),
    *TIES,
    Mutated(UnconditionalGeneration(2, 3), "last target", prompt_change=_wrong_on_the_last_target),
    Mutated(ConditionalGeneration(3), "last user token", with_matrix("embedding", _last_column_zeroed)),
)


def sized(construction: Construction) -> Callable[[int], Construction]:
    """Return what a sweep builds: the construction itself at its own size, the right one below."""

    def build(vocab_size: int) -> Construction:
        if vocab_size == construction.vocab_size:
            return construction
        right = construction.right if isinstance(construction, Mutated) else construction
        return replace(right, vocab_size=vocab_size, temperature=None)

    return build


def worst(construction: Construction) -> dict[str, Any]:
    """Return a case that a canary gets wrong, from the oracle."""
    temperature = construction.temperature_for(None)
    assert not isinstance(temperature, PerHeadSoftmax)
    violation, _ = violations_and_margin(construction, temperature)
    assert violation is not None
    return {"target": violation.target, "user_input": list(violation.user_input)}


#: Found before anything is broken on purpose.
WORST = {repr(construction): worst(construction) for construction in CANARIES}


def verdicts(construction: Construction, arithmetic: AnyArithmetic) -> Iterator[tuple[str, Callable[[], Verdict]]]:
    """Yield every kind of evidence on a construction by name, to be run."""
    first = {"rank": 0, "user_input": [0] * construction.layout.user}
    case = WORST.get(repr(construction), first)
    yield "exhaust", lambda: exhaust(construction, arithmetic)
    yield "fuzz", lambda: fuzz(st.just(construction), arithmetic, examples=FUZZED, claim="canary")
    yield (
        "sweep",
        lambda: sweep(sized(construction), arithmetic, max_vocab_size=construction.vocab_size, claim="canary"),
    )
    yield "check", lambda: check(construction, arithmetic=arithmetic, **case)


def every_verdict() -> Iterator[tuple[str, Callable[[], Verdict]]]:
    """Yield every kind of evidence on every canary."""
    for construction in CANARIES:
        for arithmetic in (EXACT,) if construction in TIES else (EXACT, NumpyArithmetic("float64")):
            for name, run in verdicts(construction, arithmetic):
                yield f"{name}, {arithmetic.name}, {construction!r}", run
