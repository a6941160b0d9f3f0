"""Targets whose alphabet is not the vocabulary, spaces that count wrongly, and mistakes of a construction's author."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import verify
from constructions import Construction, InvalidArgument, Layout, Linear, Ratios, TargetSpace, Transformer
from tests.certificates.own import rounded
from tests.evidence.test_own_construction import CaesarCipher
from tests.mutation.oracle import cases, constant_cases
from verify import RationalArithmetic, exhaust, fuzz, get_arithmetic, sweep
from verify.certificates import bit_exact, certificate_arithmetic, certify
from verify.evidence.strategies import targets as drawn_targets
from verify.evidence.sweeping import constant_targets

EXACT = RationalArithmetic()
BALLS, FLOATS = certificate_arithmetic("ball"), rounded()


@dataclass(frozen=True, repr=False)
class Letters(Construction):
    """Two letters of an alphabet; promise and prompt are the first one modulo V (a wrong prompt is the letter)."""

    vocab_size: int
    alphabet: int
    wrong: bool = False

    @property
    def layout(self) -> Layout:
        return Layout(virtual=1, user=0, response=1)

    @property
    def targets(self) -> TargetSpace:
        return TargetSpace(self.alphabet, (2,))

    def encode(self, targets: Any) -> Ratios:
        first = targets if self.wrong else targets % self.vocab_size
        return Ratios(first[:, None, :], 1)

    def answer(self, targets: Any, user_inputs: Any) -> Any:
        return targets[:, :1] % self.vocab_size

    @cached_property
    def transformer(self) -> Transformer:
        V = self.vocab_size
        lines = [[2 * v, 0, 0] for v in range(V)]
        readout = Linear(lines, [[-v * v] for v in range(V)], activation=None, name="readout")
        return Transformer([[0] * V] * 2, (readout,), context_size=1)


@pytest.mark.parametrize("alphabet", [1, 2, 3, 5, 7])
def test_an_alphabet_of_its_own_is_supported_by_every_evidence(alphabet: int) -> None:
    right, wrong = Letters(3, alphabet), Letters(3, alphabet, wrong=True)
    for construction, holds in ((right, True), (wrong, alphabet <= 3)):
        for arithmetic in (EXACT, get_arithmetic("numpy"), get_arithmetic("torch")):
            verdict = exhaust(construction, arithmetic)
            assert verdict.holds is holds
            assert verdict.space == alphabet**2
            assert verdict.cases == alphabet**2 or not holds
        for certified in (BALLS, FLOATS):
            verdict = certify(construction, certified)
            assert verdict.holds is (True if holds else None)
            assert verdict.space == alphabet**2
        assert fuzz(st.just(construction), EXACT, examples=60, claim="letters").holds is holds
        assert bit_exact(construction, FLOATS).space == alphabet**2
    if alphabet > 3:
        case = exhaust(wrong, EXACT).counterexample
        assert case is not None
        assert max(case.target) >= 3
        assert verify.check(wrong, rank=case.rank, user_input=[]).holds is False
        assert eval(case.reproduce, {"verify": verify, "Letters": Letters}).holds is False  # the printed command
    last = alphabet - 1
    assert right.virtual_tokens([last, 0]).to_fractions() == [[last % 3, 0]]
    assert right.response([last, 0]).tolist() == [last % 3]
    with pytest.raises(InvalidArgument, match=rf"target: expected integers from 0 to {last} of shape \(2\)"):
        right.virtual_tokens([alphabet, 0])


def test_a_sweep_decodes_every_letter_and_every_token() -> None:
    for construction in (Letters(4, 8), Letters(4, 5, wrong=True), Letters(4, 1)):
        targets, inputs = constant_targets(construction)
        assert {int(target[0]) for target in targets} == set(range(construction.alphabet))
        assert len(targets) == max(4, construction.alphabet)
        oracle = list(constant_cases(construction))
        assert [target.tolist() for target, _ in oracle] == targets.tolist()
        assert [list(tokens) for _, tokens in oracle] == inputs.tolist()
    assert sweep(lambda v: Letters(v, 2 * v), EXACT, max_vocab_size=5, claim="letters").cases == 2 * (1 + 2 + 3 + 4 + 5)
    wrong = sweep(lambda v: Letters(v, v + 1, wrong=True), EXACT, max_vocab_size=5, claim="letters")
    assert wrong.holds is False


@dataclass(frozen=True, repr=False)
class Shifts(CaesarCipher):
    """The cipher, with any shift below a number that is not V."""

    shifts: int

    @property
    def targets(self) -> TargetSpace:
        return TargetSpace(self.shifts, (1,))

    def encode(self, targets: Any) -> Ratios:
        return Ratios((targets % self.vocab_size)[:, None, :], 1)


@pytest.mark.parametrize("shifts", [2, 11])
def test_user_tokens_are_of_the_vocabulary_and_targets_of_the_alphabet(shifts: int) -> None:
    construction = Shifts(5, shifts)
    verdict = exhaust(construction, EXACT)
    assert (verdict.holds, verdict.cases) == (True, 5 * shifts)
    assert certify(construction, FLOATS).space == 5 * shifts
    assert certify(construction, FLOATS).holds is True
    assert certify(construction, BALLS).holds is True
    assert len(list(cases(construction))) == 5 * shifts
    targets, inputs = constant_targets(construction)
    assert set(inputs.reshape(-1).tolist()) == set(range(5))
    assert set(targets.reshape(-1).tolist()) == set(range(shifts))


@given(drawn_targets(Letters(3, 7)))
def test_letters_are_drawn_from_the_alphabet(target: Any) -> None:
    assert set(target.tolist()) <= set(range(7))


def test_a_letter_beyond_the_vocabulary_that_is_wrong_is_never_certified() -> None:
    """Only one letter of 2^20 is wrong, and it is no token."""

    @dataclass(frozen=True, repr=False)
    class One(Letters):
        def encode(self, targets: Any) -> Ratios:
            return Ratios(targets[:, None, :] // (self.alphabet - 1), 1)

        def answer(self, targets: Any, user_inputs: Any) -> Any:
            return targets[:, :1] * 0

    for arithmetic in (BALLS, FLOATS):
        assert certify(One(3, 2**20), arithmetic).holds is None


# spaces that count wrongly --------------------------------------------------------------------------------------------


def test_a_target_space_cannot_be_subclassed() -> None:
    with pytest.raises(InvalidArgument, match=r"^Small: expected no subclass of TargetSpace"):
        type("Small", (TargetSpace,), {"size": 1})


def test_what_looks_like_a_target_space_is_none() -> None:
    class Small:
        vocab_size, shape, digits, size = 3, (2,), 2, 1

        def unrank_range(self, start: int, stop: int) -> Any:
            return np.zeros((stop - start, 2), dtype=np.int64)

    @dataclass(frozen=True, repr=False)
    class Counted(Letters):
        @property
        def targets(self) -> Any:
            return Small()

    refused: list[Callable[[], Any]] = [
        lambda: exhaust(Counted(3, 3), EXACT),
        lambda: certify(Counted(3, 3), FLOATS),
        lambda: bit_exact(Counted(3, 3), FLOATS),
        lambda: fuzz(st.just(Counted(3, 3)), EXACT, examples=5, claim="counted"),
        lambda: verify.check(Counted(3, 3), target=[0, 0]),
    ]
    for run in refused:
        with pytest.raises(InvalidArgument, match=r"^targets: expected a TargetSpace but got "):
            run()


def test_numpy_integers_do_not_overflow_in_the_count() -> None:
    assert TargetSpace(np.int64(2), (np.int64(64),)).size == 2**64  # type: ignore[arg-type] # that is the point
    wrong: Any
    for wrong in ((0, (2,)), (2.0, (2,)), (3, [2]), (3, (-1,)), (3, 2), (2**63, (1,))):
        with pytest.raises(InvalidArgument):
            TargetSpace(*wrong)


# mistakes of an author ------------------------------------------------------------------------------------------------


def _with(**methods: Callable[..., Any]) -> Construction:
    made: type[Letters] = dataclass(frozen=True, repr=False)(type("CaesarCipher", (Letters,), methods))
    return made(3, 3)


@pytest.mark.parametrize(
    ("methods", "message"),
    [
        ({"answer": lambda _, t, u: t[:, :1] + 7}, "answer: expected tokens in 0..2 but got 7 (CaesarCipher)"),
        ({"answer": lambda _, t, u: t[:, :1] - 1}, "answer: expected tokens in 0..2 but got -1 (CaesarCipher)"),
        (
            {"answer": lambda _, t, u: t},
            "answer: expected integers of shape 4 x 1 (batch x response) but got shape 4 x 2 (CaesarCipher)",
        ),
        (
            {"answer": lambda _, t, u: t[:, 0].tolist()},
            "answer: expected integers of shape 4 x 1 (batch x response) but got a value of type list (CaesarCipher)",
        ),
        (
            {"answer": lambda _, t, u: t[:, :1] / 1},
            "answer: expected integers of shape 4 x 1 (batch x response) but got an array of float64 of shape 4 x 1"
            " (CaesarCipher)",
        ),
        (
            {"answer": lambda _, t, u: t[:, :1] == 1},
            "answer: expected integers of shape 4 x 1 (batch x response) but got an array of bool of shape 4 x 1"
            " (CaesarCipher)",
        ),
        (
            {"encode": lambda _, t: t[:, None, :]},
            "encode: expected Ratios of shape 4 x 1 x 2 (batch x virtual x embedding size) but got an array of int64 of"
            " shape 4 x 1 x 2 (CaesarCipher)",
        ),
        (
            {"encode": lambda _, t: Ratios(t[:, None, :1], 1)},
            "encode: expected Ratios of shape 4 x 1 x 2 (batch x virtual x embedding size) but got shape 4 x 1 x 1"
            " (CaesarCipher)",
        ),
        (
            {"encode": lambda _, t: Ratios(t, 1)},
            "encode: expected Ratios of shape 4 x 1 x 2 (batch x virtual x embedding size) but got shape 4 x 2"
            " (CaesarCipher)",
        ),
        (
            {"encode": lambda _, t: Ratios(t[:1, None], 1)},
            "encode: expected Ratios of shape 4 x 1 x 2 (batch x virtual x embedding size) but got shape 1 x 1 x 2"
            " (CaesarCipher)",
        ),
        (
            {"encode": lambda _, t: Ratios(t[:, None] / 3, 1)},
            "encode: expected integer numerators but got an array of float64 of shape 4 x 1 x 2 (CaesarCipher)",
        ),
        (
            {"encode": lambda _, t: Ratios(t[:, None].tolist(), 1)},
            "encode: expected integer numerators but got a value of type list (CaesarCipher)",
        ),
        (
            {"encode": lambda _, t: Ratios(t[:, None].astype(object) / 3, 1)},
            "encode: expected integer numerators but got an array of object of shape 4 x 1 x 2 (CaesarCipher)",
        ),
        (
            {"encode": lambda _, t: None},
            "encode: expected Ratios of shape 4 x 1 x 2 (batch x virtual x embedding size) but got a value of type"
            " NoneType (CaesarCipher)",
        ),
    ],
)
def test_what_encode_and_answer_give_is_checked(methods: dict[str, Any], message: str) -> None:
    construction = _with(**methods)
    batch = [[0, 0], [0, 1], [0, 2], [0, 0]]
    ask = construction.response if "answer" in methods else construction.virtual_tokens
    with pytest.raises(InvalidArgument) as caught:
        ask(batch)
    assert str(caught.value) == message
    for kind in ("rational", "numpy", "torch", "symbolic"):
        with pytest.raises(InvalidArgument, match=rf"^{next(iter(methods))}: "):
            exhaust(construction, get_arithmetic(kind))
    for arithmetic in (BALLS, FLOATS):
        verdict = certify(construction, arithmetic)
        assert verdict.holds is None
        assert verdict.reason is not None
        assert verdict.reason.startswith(next(iter(methods)))


def test_a_forgotten_dataclass_is_told_in_one_line() -> None:
    class Forgotten(Construction):
        vocab_size: int
        shift: int
        layout = Layout(virtual=1, user=0, response=1)
        targets = encode = answer = transformer = None  # type: ignore[assignment] # never reached

    made: Any = Forgotten
    given_to_it: tuple[tuple[Any, dict[str, int]], ...] = (((3, 1), {}), ((), {}), ((), {"vocab_size": 3}))
    for arguments, options in given_to_it:
        with pytest.raises(InvalidArgument) as caught:
            made(*arguments, **options)
        assert str(caught.value) == (
            "Forgotten: expected a frozen dataclass, whose fields are vocab_size, shift: write"
            " @dataclass(frozen=True, repr=False) above the class"
        )


def test_a_subclass_without_fields_of_its_own_needs_no_dataclass() -> None:
    class Same(Letters):
        def answer(self, targets: Any, user_inputs: Any) -> Any:
            return super().answer(targets, user_inputs)

    assert exhaust(Same(3, 3), EXACT).holds is True


def test_a_field_that_is_never_set_is_told_in_one_line() -> None:
    class Sizeless(Construction):
        layout = Layout(virtual=1, user=0, response=1)
        targets = encode = answer = transformer = None  # type: ignore[assignment] # never reached

    with pytest.raises(InvalidArgument, match=r"^Sizeless: expected a field vocab_size, as in `vocab_size: int`$"):
        Sizeless()
