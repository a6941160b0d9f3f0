"""A verifier is tested by what it rejects: constructions with one fault each, and the case that shows it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
import sympy as sp

import constructions
import verify
from constructions import (
    Attention,
    CharacterVocabulary,
    ConditionalGeneration,
    Construction,
    Hardmax,
    InvalidArgument,
    Layout,
    Linear,
    LongerInputs,
    LongerResponses,
    RationalSoftmax,
    Ratios,
    TargetSpace,
    Transformer,
    UnconditionalGeneration,
    UnitRow,
)
from constructions.validation import IntArray
from verify import Verdict, check, exhaust, fuzz, get_arithmetic

EXACT = get_arithmetic("rational")
FLOAT32 = get_arithmetic("torch", dtype="float32")
BOTH = pytest.mark.parametrize("arithmetic", [EXACT, FLOAT32], ids=lambda arithmetic: str(arithmetic.name))


def _readout(change: Callable[[Linear], Linear]) -> Callable[[Transformer], Transformer]:
    def changed(transformer: Transformer) -> Transformer:
        *before, last = transformer.layers
        assert isinstance(last, Linear)
        return replace(transformer, layers=(*before, change(last)))

    return changed


def _off_by_one(readout: Linear) -> Linear:
    """Give token v the logit of token v + 1."""
    weight, bias = readout.weight, readout.given_bias
    row, column = weight.lamda.variables
    symbolic = sp.Lambda((row, column), weight.lamda.expr.subs(row, row + 1))
    bias_symbolic = sp.Lambda(bias.lamda.variables, bias.lamda.expr.subs(bias.lamda.variables[0], row + 1))
    return replace(
        readout,
        weight=sp.FunctionMatrix(*weight.shape, symbolic),
        bias=sp.FunctionMatrix(*bias.shape, bias_symbolic),
    )


def _head(index: int, **changes: Callable[[Any], Any]) -> Callable[[Transformer], Transformer]:
    """Change matrices of one head of the first layer; each change is given the head."""

    def changed(transformer: Transformer) -> Transformer:
        attention, *after = transformer.layers
        assert isinstance(attention, Attention)
        heads = list(attention.heads)
        heads[index] = replace(heads[index], **{part: change(heads[index]) for part, change in changes.items()})
        return replace(transformer, layers=(replace(attention, heads=tuple(heads)), *after))

    return changed


def _key_at_one(head: Any) -> Any:
    """Return ``W_K`` with its unit row at ``e_1`` in place of ``e_0``."""
    blocks = head.key.blocks
    moved = [
        UnitRow(block.shape[1], 1) if isinstance(block, UnitRow) else block
        for block in (blocks[0, place] for place in range(blocks.shape[1]))
    ]
    return sp.BlockMatrix([moved])


def _negated(head: Any) -> Any:
    blocks = head.value.blocks
    return sp.BlockMatrix([[-1 * blocks[0, place] for place in range(blocks.shape[1])]])


FAULTS: dict[str, Callable[[Transformer], Transformer]] = {
    "none": lambda transformer: transformer,
    "readout off by one": _readout(_off_by_one),
    "transposed scores": _head(0, query=lambda head: head.key, key=lambda head: head.query),
    "transposed first head": _head(1, query=lambda head: head.key, key=lambda head: head.query),
    "key at e_1": _head(1, key=_key_at_one),
    "value negated": _head(1, value=_negated),
    "no readout bias": _readout(lambda readout: replace(readout, bias=sp.ZeroMatrix(*readout.given_bias.shape))),
}


@dataclass(frozen=True, repr=False)
class Faulty(Construction):
    """A right construction's promise with a fault in its weights."""

    vocab_size: int = field(init=False)
    right: Construction
    fault: str = "none"

    def __post_init__(self) -> None:
        object.__setattr__(self, "vocab_size", self.right.vocab_size)
        super().__post_init__()

    @property
    def layout(self) -> Layout:
        return self.right.layout

    @cached_property
    def transformer(self) -> Transformer:
        return FAULTS[self.fault](self.right.transformer)

    @property
    def targets(self) -> TargetSpace:
        return self.right.targets

    def encode(self, targets: IntArray) -> Ratios:
        return self.right.encode(targets)

    def answer(self, targets: IntArray, user_inputs: IntArray) -> IntArray:
        return self.right.answer(targets, user_inputs)


@dataclass(frozen=True, repr=False)
class TransposedPrompt(Construction):
    """Longer inputs whose table of the map is packed transposed: it answers ``m(x_2, x_1)``."""

    vocab_size: int

    @property
    def _right(self) -> LongerInputs:
        return LongerInputs(self.vocab_size, 2)

    @property
    def layout(self) -> Layout:
        return self._right.layout

    @cached_property
    def transformer(self) -> Transformer:
        return self._right.transformer

    @property
    def targets(self) -> TargetSpace:
        return self._right.targets

    def encode(self, targets: IntArray) -> Ratios:
        return self._right.encode(np.swapaxes(targets, 1, 2))

    def answer(self, targets: IntArray, user_inputs: IntArray) -> IntArray:
        return self._right.answer(targets, user_inputs)


def _reproduced(verdict: Verdict) -> None:
    """Assert that a verdict is falsified by a case that its own command shows again."""
    case = verdict.counterexample
    assert verdict.holds is False
    assert case is not None
    assert verdict.margin == case.margin
    names = {**vars(constructions), "verify": verify, "Fraction": Fraction, "Faulty": Faulty}
    again = eval(case.reproduce, {**names, "TransposedPrompt": TransposedPrompt})
    assert again.counterexample == case


@BOTH
@pytest.mark.parametrize(
    "right", [UnconditionalGeneration(3, 2), ConditionalGeneration(2), LongerResponses(2, 2)], ids=repr
)
def test_without_a_fault_it_holds(right: Construction, arithmetic: Any) -> None:
    assert exhaust(Faulty(right), arithmetic).holds is True


@BOTH
@pytest.mark.parametrize(
    ("right", "fault", "wanted"),
    [
        # the logit of v + 1 belongs to v, so token y comes as y - 1, and 0 as 0 by a logit it shares with none
        (UnconditionalGeneration(3, 2), "readout off by one", ([0, 1], [], 1, 0)),
        (ConditionalGeneration(3), "readout off by one", ([0, 0, 1], [2], 0, 0)),
        (LongerResponses(2, 2), "readout off by one", ([[0, 0], [0, 1]], [1], 1, 0)),
        # with query and key exchanged every position but 0 sees all keys alike, and the mean of s and E = 0 is s/2
        (UnconditionalGeneration(3, 2), "transposed first head", ([0, 1], [], 1, 0)),
        # the user's token scores no virtual token, so the mean of three keys comes in: a third of onehot(X) too much
        (LongerResponses(2, 2), "transposed scores", ([[0, 0], [0, 0]], [0], 0, 1)),
        # position 1 reads the embedding of position 1, which is 0, in place of the virtual token
        (UnconditionalGeneration(3, 2), "key at e_1", ([0, 1], [], 1, 0)),
        (ConditionalGeneration(2), "value negated", ([0, 1], [1], 0, 0)),
        # without the bias the logits (2v/V - 1) x tie at x = 0: the right token wins by its place alone
        (UnconditionalGeneration(3, 2), "no readout bias", ([0, 0], [], 0, 0)),
    ],
)
def test_a_fault_is_shown_by_its_first_case(
    right: Construction, fault: str, wanted: tuple[Any, list[int], int, int], arithmetic: Any
) -> None:
    target, user, position, produced = wanted
    wrong = Faulty(right, fault, temperature=Hardmax())
    verdict = exhaust(wrong, arithmetic)
    case = verdict.counterexample
    assert case is not None
    assert (case.target, case.user_input, case.position, case.produced) == (target, user, position, produced)
    assert case.expected == right.response(target, np.array(user, dtype=np.int64)).tolist()[position]
    _reproduced(verdict)
    assert check(wrong, target=target, user_input=user).holds is False
    assert check(Faulty(right, temperature=Hardmax()), target=target, user_input=user).holds is True


@pytest.mark.share(4)
@BOTH
@pytest.mark.parametrize("fault", [name for name in FAULTS if name not in {"none", "transposed scores"}])
def test_fuzzing_finds_the_fault_too_and_shrinks_it(fault: str, arithmetic: Any) -> None:
    drawn = st.builds(UnconditionalGeneration, st.integers(2, 9), st.integers(2, 4))
    verdict = fuzz(
        drawn.map(lambda right: Faulty(right, fault, temperature=Hardmax())), arithmetic, examples=60, claim="faulty"
    )
    assert verdict.counterexample is not None
    assert verdict.counterexample.construction == repr(
        Faulty(UnconditionalGeneration(2, 2), fault, temperature=Hardmax())
    )
    assert sum(verdict.counterexample.target) <= 1
    _reproduced(verdict)


@BOTH
def test_a_transposed_table_is_caught_where_the_map_is_not_symmetric(arithmetic: Any) -> None:
    verdict = exhaust(TransposedPrompt(2), arithmetic)
    case = verdict.counterexample
    assert case is not None
    # the first map that differs from its transpose, and the first input that it differs at
    assert (case.target, case.user_input, case.expected, case.produced) == ([[0, 0], [1, 0]], [0, 1], 0, 1) or (
        case.target,
        case.user_input,
        case.expected,
        case.produced,
    ) == ([[0, 1], [0, 0]], [0, 1], 1, 0)
    _reproduced(verdict)


def test_a_missing_mask_is_caught_where_the_mask_matters() -> None:
    # with the mask, block 1 reads two keys, whose leaks cancel; without it a third one leaks into the packed digits
    default = LongerInputs(2, 2).default_temperature(None)
    assert isinstance(default, RationalSoftmax)
    assert exhaust(LongerInputs(2, 2, temperature=default), EXACT).holds is True
    verdict = exhaust(LongerInputs(2, 2, temperature=default, mask="none"), EXACT)
    _reproduced(verdict)
    # a temperature computed for the unmasked form makes it right again, and at hardmax nothing leaks at all
    assert exhaust(LongerInputs(2, 2, mask="none"), EXACT).holds is True
    assert exhaust(LongerInputs(2, 2, mask="none", temperature=Hardmax()), EXACT).holds is True


def test_a_character_outside_the_vocabulary_is_refused_and_not_replaced() -> None:
    vocabulary = CharacterVocabulary("".join(map(chr, range(32, 126))))  # 94 characters, from " " to "}"
    assert vocabulary.size == 94
    with pytest.raises(InvalidArgument, match=r"position 5 is '~' \(U\+007E TILDE\)"):
        vocabulary.encode("hello~")
    assert vocabulary.decode(vocabulary.encode("hello}")) == "hello}"
