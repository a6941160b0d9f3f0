"""Hypothesis strategies for constructions, targets, maps, user inputs and temperatures.

Importing this module also registers the constructions with Hypothesis, so that ``from_type`` finds them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from constructions.conditional_generation import ConditionalGeneration
from constructions.construction import Construction
from constructions.formats import Format
from constructions.longer_inputs import LongerInputs
from constructions.longer_responses import LongerResponses
from constructions.specification import Specification
from constructions.temperature import Hardmax, RationalSoftmax, Softmax, Temperature
from constructions.unconditional_generation import UnconditionalGeneration
from constructions.validation import IntArray, InvalidArgument, check_integer

#: Targets of more entries than this are drawn through numpy from a drawn seed: Hypothesis would spend its whole budget
#: on their entries. They shrink in their sizes, not entry by entry.
_LARGEST_DRAWN_TARGET = 256

#: Largest number of packed digits of a drawn construction for longer inputs; every digit is two layers.
LARGEST_DRAWN_DIGITS = 32

#: Bits of the seeds drawn for such targets.
_SEED_BITS = 32


@dataclass(frozen=True, eq=False)
class Case:
    """One thing to check: a construction (or a specification), the behaviour to select, and what the user says."""

    construction: Any
    target: IntArray
    user_input: IntArray


@st.composite
def targets(draw: st.DrawFn, construction: Specification) -> IntArray:
    """Draw a target of a construction, int64 of its space's shape; extreme tokens come often."""
    space = construction.target_space
    last = space.vocab_size - 1
    if space.digits > _LARGEST_DRAWN_TARGET:
        kind = draw(st.sampled_from(("uniform", "extreme", "constant")))
        if kind == "constant":
            return np.full(space.shape, draw(st.integers(0, last)), dtype=np.int64)
        drawn = space.sample(1, seed=draw(st.integers(0, 2**_SEED_BITS - 1)))[0]
        return np.where(drawn * 2 > last, last, 0) if kind == "extreme" else drawn
    # one number for each entry, as Hypothesis takes time for each; half of them stand for the first or the last token
    drawn = draw(st.lists(st.integers(0, 2 * last + 1), min_size=space.digits, max_size=space.digits))
    entries = [number if number <= last else last * (number % 2) for number in drawn]
    return np.array(entries, dtype=np.int64).reshape(space.shape)


def maps(vocab_size: int) -> SearchStrategy[IntArray]:
    """Return a strategy for maps ``{0..V-1} -> {0..V-1}`` as tables, int64 of shape ``(V,)``."""
    return targets(ConditionalGeneration(vocab_size))


def user_inputs(construction: Specification) -> SearchStrategy[IntArray]:
    """Return a strategy for user inputs of a construction, int64 of shape ``(user,)``."""
    users, user = construction.user_inputs, construction.layout.user
    if not users.is_all_of(construction.vocab_size):
        return st.integers(0, users.size - 1).map(users.unrank)
    tokens = st.lists(st.integers(0, construction.vocab_size - 1), min_size=user, max_size=user)
    return tokens.map(lambda drawn: np.array(drawn, dtype=np.int64))


@st.composite
def temperatures(draw: st.DrawFn, construction: Construction, fmt: Format | None = None) -> Temperature:
    """Draw a temperature at which the claim must hold: the computed default, anything sharper, or hardmax.

    Args:
        draw: given by Hypothesis.
        construction: whose claim it is.
        fmt: the number format of the forward pass, ``None`` for exact arithmetic.

    """
    default = construction.default_temperature(fmt)
    if isinstance(default, RationalSoftmax):
        extra = draw(st.fractions(min_value=0, max_value=default.q, max_denominator=construction.vocab_size))
        default = RationalSoftmax(default.q + extra)
    elif isinstance(default, Softmax):
        factor = draw(st.integers(1, construction.vocab_size))
        default = replace(default, inverse_temperature=default.inverse_temperature * factor)
    return draw(st.sampled_from((default, Hardmax())))


@st.composite
def unconditional_generations(
    draw: st.DrawFn, max_vocab_size: int = 30, max_context_size: int = 12
) -> UnconditionalGeneration:
    """Draw a Theorem 1 construction of at most these sizes."""
    return UnconditionalGeneration(
        draw(st.integers(1, check_integer("max_vocab_size", max_vocab_size, 1))),
        draw(st.integers(1, check_integer("max_context_size", max_context_size, 1))),
    )


@st.composite
def conditional_generations(draw: st.DrawFn, max_vocab_size: int = 30) -> ConditionalGeneration:
    """Draw a Theorem 2 construction of at most this size."""
    return ConditionalGeneration(draw(st.integers(1, check_integer("max_vocab_size", max_vocab_size, 1))))


@st.composite
def longer_responses(draw: st.DrawFn, max_vocab_size: int = 20, max_response_size: int = 6) -> LongerResponses:
    """Draw a construction for longer responses of at most these sizes."""
    return LongerResponses(
        draw(st.integers(1, check_integer("max_vocab_size", max_vocab_size, 1))),
        draw(st.integers(1, check_integer("max_response_size", max_response_size, 1))),
    )


@st.composite
def longer_inputs(
    draw: st.DrawFn,
    max_vocab_size: int = 5,
    max_input_size: int = 3,
    *,
    max_digits: int = LARGEST_DRAWN_DIGITS,
    fmt: Format | None = None,
) -> LongerInputs:
    """Draw a construction for longer inputs of at most these sizes that the format can carry.

    Args:
        draw: given by Hypothesis.
        max_vocab_size: largest ``V``.
        max_input_size: largest ``n_X``, at least 2.
        max_digits: largest number of packed digits, ``V^(n_X-1)``; it sets the depth.
        fmt: the number format, ``None`` for exact arithmetic.

    """
    check_integer("max_vocab_size", max_vocab_size, 1)
    check_integer("max_input_size", max_input_size, 2)
    sizes = longer_inputs_sizes(max_vocab_size, max_input_size, max_digits=max_digits, fmt=fmt)
    vocab_size, input_size = draw(st.sampled_from(sizes))
    return LongerInputs(vocab_size, input_size)


def longer_inputs_sizes(
    max_vocab_size: int,
    max_input_size: int,
    *,
    max_digits: int = LARGEST_DRAWN_DIGITS,
    fmt: Format | None = None,
) -> list[tuple[int, int]]:
    """Return all ``(vocab_size, input_size)`` up to the given ones that unpack few enough digits and fit the format."""
    found = []
    for vocab_size in range(1, max_vocab_size + 1):
        for input_size in range(2, max_input_size + 1):
            if vocab_size ** (input_size - 1) > max_digits:
                break
            try:
                if fmt is not None:
                    LongerInputs(vocab_size, input_size).check_format(fmt)
            except InvalidArgument:
                break
            found.append((vocab_size, input_size))
    return found


@st.composite
def cases(draw: st.DrawFn, constructions: SearchStrategy[Any]) -> Case:
    """Draw a construction, one of its targets and a user input."""
    construction = draw(constructions)
    return Case(construction, draw(targets(construction)), draw(user_inputs(construction)))


st.register_type_strategy(UnconditionalGeneration, unconditional_generations())
st.register_type_strategy(ConditionalGeneration, conditional_generations())
st.register_type_strategy(LongerResponses, longer_responses())
st.register_type_strategy(LongerInputs, longer_inputs())
