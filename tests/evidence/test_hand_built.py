"""Models of a user's own without virtual tokens: every kind of evidence takes them, and wrong ones are caught."""

from __future__ import annotations

import doctest
import json
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest

import constructions.hand_built
import constructions.specifying
import verify
from constructions import (
    Argmax,
    Argmin,
    Attention,
    Domain,
    HandBuilt,
    Hardmax,
    Head,
    InvalidArgument,
    Layout,
    Linear,
    Number,
    Ratios,
    Specification,
    TargetSpace,
    Transformer,
    UnconditionalGeneration,
    specify,
)
from tests.certificates.own import rounded
from tests.evidence.hand_built import InductionHead, TwoDigitAdder
from verify.certificates import bit_exact, certificate_arithmetic, certify
from verify.cli.app import run
from verify.evidence.finder import find_counterexample

EXACT = verify.get_arithmetic("rational")
FLOAT32 = verify.get_arithmetic("torch", dtype="float32")
KINDS = pytest.mark.parametrize("kind", ["rational", "symbolic", "numpy", "torch", "structured"])
CERTIFIED = [certificate_arithmetic("ball"), rounded()]


def test_the_examples_run() -> None:
    for module in (constructions.hand_built, constructions.specifying):
        assert doctest.testmod(module).failed == 0


@KINDS
def test_the_induction_head_is_right_for_all_inputs_of_its_domain(kind: str) -> None:
    model = InductionHead(3, 4)
    verdict = verify.exhaust(model, verify.get_arithmetic(kind))
    assert verdict.holds is True
    assert verdict.cases == verdict.space == 3 * 3 * 2**2  # the last token, where it came before, and two others
    assert verdict.claim == "InductionHead"
    assert verdict.margin == 1
    assert verdict.assumptions is None


@pytest.mark.parametrize("arithmetic", CERTIFIED, ids=lambda arithmetic: str(arithmetic.name))
def test_the_induction_head_is_certified(arithmetic: Any) -> None:
    verdict = certify(InductionHead(), arithmetic)
    assert verdict.holds is True
    assert verdict.cases == verdict.space == 3 * 4 * 2**3
    assert bit_exact(InductionHead(), rounded()).holds is None  # exp of a finite score rounds


def test_the_adder_adds_all_pairs_of_two_digits_and_is_a_torch_module() -> None:
    verdict = verify.exhaust(TwoDigitAdder(), FLOAT32)
    assert (verdict.holds, verdict.cases, verdict.margin) == (True, 10**4, 1.0)
    module = verify.to_torch(TwoDigitAdder())
    made = module.generate(module.prompt(np.zeros((2, 0), dtype=np.int64)), [[9, 9, 9, 9], [0, 7, 3, 5]])
    assert made.tolist() == [[1, 9, 8], [0, 4, 2]]


def test_a_wrong_adder_is_caught_by_every_kind_of_evidence() -> None:
    class Wrong(TwoDigitAdder):
        specification = specify(
            Domain.of(10, 4),
            lambda x: (x @ [10, 1, 10, 1] + (x[:, 0] == 9))[:, None] // [100, 10, 1] % 10,
            response=3,
        )

    found = verify.exhaust(Wrong(), FLOAT32)
    assert found.holds is False
    assert found.counterexample is not None
    assert (found.counterexample.user_input, found.counterexample.position) == ([9, 0, 0, 0], 2)
    assert verify.fuzz(st.just(Wrong()), FLOAT32, examples=300, claim="wrong").holds is False
    assert find_counterexample(lambda n: Wrong(), {"n": [1]}, FLOAT32, claim="wrong").holds is False
    assert verify.check(Wrong(), target=[], user_input=[9, 1, 2, 3], arithmetic=FLOAT32).holds is False
    assert verify.check(Wrong(), target=[], user_input=[8, 1, 2, 3], arithmetic=FLOAT32).holds is True
    again = eval(found.counterexample.reproduce, {"verify": verify, "Wrong": Wrong})
    assert again.counterexample == found.counterexample
    assert "target []" not in found.counterexample.sentence()


# the command line ----------------------------------------------------------------------------------------------------

FILE = '''
from constructions import Domain, HandBuilt, Linear, Transformer, specify

class Successor(HandBuilt):
    """Says the next of three letters."""

    specification = specify(Domain.of(3, 1), lambda x: (x + 1) % 3)
    transformer = Transformer(
        [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
        (Linear([[0, 0, 1, 0], [1, 0, 0, 0], [0, 1, 0, 0]], activation=None),),
        context_size=1,
    )

class Same(Successor):
    specification = specify(Domain.of(3, 1), lambda x: x)
'''


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "letters.py"
    path.write_text(FILE, encoding="utf-8")
    return str(path)


def _said(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, Any]:
    status = run([*arguments, "--json"])
    return status, json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(
    ("command", "cases"),
    [
        (["exhaust"], "3"),
        (["fuzz", "--examples", "20"], "3"),
        (["certify"], "3"),
        (["certify", "--bit-exact"], "3"),
        (["check", "--rank", "0", "--user", "2"], "1"),
    ],
)
def test_the_command_line_takes_it(command: list[str], cases: str, file: str, capsys: Any) -> None:
    status, record = _said([command[0], f"{file}:Successor", *command[1:]], capsys)
    assert (status, record["holds"], record["cases"]) == (0, True, cases)


def test_a_counterexample_of_the_command_line_shows_itself(file: str, capsys: Any) -> None:
    status, record = _said(["exhaust", f"{file}:Same"], capsys)
    assert (status, record["holds"]) == (1, False)
    case = record["counterexample"]
    assert (case["target"], case["user_input"], case["expected"], case["produced"]) == ([], [0], 0, 1)
    program, *words = case["reproduce"].split()
    assert program == "prefixproof"
    again_status, again = _said(words, capsys)
    assert (again_status, again["counterexample"]) == (1, case)


# how the answer is read ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, repr=False)
class Read(HandBuilt):
    """Squares of differences to every token as logits, read in some way."""

    promised: Any = None
    sign: int = 1

    @property
    def specification(self) -> Specification:
        made: Specification = self.promised
        return made

    @cached_property
    def transformer(self) -> Transformer[Any]:
        # at one position: the embedding x and the constant 1; (v - x)^2 without x^2
        lines = [[-2 * v * self.sign, 0] for v in range(4)]
        readout = Linear(lines, [[v * v * self.sign] for v in range(4)], activation=None, name="readout")
        return Transformer([list(range(4))], (readout,), context_size=1)


@KINDS
def test_an_argmin_is_read_as_one(kind: str) -> None:
    least = specify(Domain.of(4, 1), lambda x: x, decoding=Argmin())
    arithmetic = verify.get_arithmetic(kind)
    verdict = verify.exhaust(Read(promised=least), arithmetic)
    assert (verdict.holds, verdict.margin) == (True, 1)
    assert verdict.parameters["decoding"] == "argmin"
    wrong = verify.exhaust(Read(promised=least, sign=-1), arithmetic)
    assert wrong.holds is False
    assert wrong.counterexample is not None
    assert wrong.counterexample.decoding == Argmin()
    assert verify.Verdict.from_json(json.loads(json.dumps(wrong.to_json()))) == wrong
    largest = specify(Domain.of(4, 1), lambda x: x)
    assert verify.exhaust(Read(promised=largest, sign=-1), arithmetic).holds is True
    assert verify.exhaust(Read(promised=largest), arithmetic).holds is False


def test_a_torch_module_reads_its_argmin() -> None:
    module = verify.to_torch(Read(promised=specify(Domain.of(4, 1), lambda x: x, decoding=Argmin())))
    made = module.generate(module.prompt(np.zeros((4, 0), dtype=np.int64)), [[0], [1], [2], [3]])
    assert made.tolist() == [[0], [1], [2], [3]]


def _mean(tolerance: Any, promised: Any = lambda x: Ratios(x.sum(axis=1, keepdims=True), 3)) -> HandBuilt:
    """Return a model whose one logit is the mean of three digits."""
    mean = Head("mean", query=[[0] * 4], key=[[0] * 4], value=[[1, 0, 0, 0]])
    readout = Linear([[1]], activation=None, name="readout")
    weights = Transformer([list(range(10))], (Attention((mean,)), readout), context_size=3, output_vocab_size=1)
    said = specify(Domain.of(10, 3), promised, output_vocab_size=1, decoding=Number(tolerance))
    return HandBuilt.of(weights, said)


def test_a_number_is_read_to_within_its_tolerance() -> None:
    exact = verify.exhaust(_mean("1/1000"), EXACT)
    assert (exact.holds, exact.margin) == (True, Fraction(1, 1000))  # the mean of exact numbers is exact
    rounded = verify.exhaust(_mean("1/1000"), FLOAT32)
    assert rounded.holds is True
    assert isinstance(rounded.margin, float)
    assert 0 < rounded.margin < 1 / 1000
    assert rounded.parameters["decoding"] == "a number to within 1/1000"
    tight = verify.exhaust(_mean(Fraction(1, 2**40)), FLOAT32)  # a third is off by more in float32
    assert tight.holds is False
    assert tight.counterexample is not None
    assert isinstance(tight.counterexample.expected, Fraction)
    assert "not within 1/1099511627776 of it" in tight.counterexample.sentence()
    assert verify.Verdict.from_json(json.loads(json.dumps(tight.to_json()))) == tight


def test_exactly_the_tolerance_away_is_falsified_and_a_little_nearer_holds() -> None:
    off = lambda x: Ratios(2 * x.sum(axis=1, keepdims=True) + 3, 6)  # noqa: E731 # the mean and a half
    at, beyond = verify.exhaust(_mean("1/2", off), EXACT), verify.exhaust(_mean("501/1000", off), EXACT)
    assert (at.holds, at.margin) == (False, 0)
    assert (beyond.holds, beyond.margin) == (True, Fraction(1, 1000))


def test_certificates_do_not_speak_of_what_they_do_not_bound() -> None:
    models = [
        _mean("1/10"),
        Everywhere(),
    ]
    for model in models:
        for arithmetic in CERTIFIED:
            assert certify(model, arithmetic).holds is None
    assert bit_exact(Everywhere(), rounded()).holds is None


@pytest.mark.parametrize("arithmetic", CERTIFIED, ids=lambda arithmetic: arithmetic.name)
def test_an_argmin_is_certified(arithmetic: Any) -> None:
    least = specify(Domain.of(4, 1), lambda x: x, decoding=Argmin())
    right, exact = certify(Read(promised=least), arithmetic), verify.exhaust(Read(promised=least), EXACT)
    assert right.holds is True
    assert right.margin is not None
    assert exact.margin is not None
    assert 0 < right.margin <= exact.margin
    for promise in (lambda x: (x + 1) % 4, lambda x: 3 - x):
        for decoding in (Argmin(), Argmax()):  # the largest logit is another token's
            wrong = specify(Domain.of(4, 1), promise, decoding=decoding)
            assert certify(Read(promised=wrong), arithmetic).holds is None


class Everywhere(HandBuilt):
    """At every place it says the token before, and at the first place its own."""

    specification = specify(Domain.of(3, 4), lambda x: np.concatenate([x[:, :1], x[:, :-1]], axis=1), read=(0, 1, 2, 3))

    @cached_property
    def transformer(self) -> Transformer[Any]:
        token, place = np.split(np.eye(7, dtype=int), [3])
        before = Head("before", query=np.eye(4, k=1, dtype=int) @ place, key=place, value=token)
        readout = Linear(np.eye(3, dtype=int), activation=None, name="readout")
        return Transformer(np.eye(3, dtype=int), (Attention((before,)), readout), context_size=4)


@KINDS
def test_outputs_are_read_at_every_position_in_one_pass(kind: str) -> None:
    verdict = verify.exhaust(Everywhere(), verify.get_arithmetic(kind))
    assert (verdict.holds, verdict.cases) == (True, 3**4)
    assert Layout.everywhere(4) == Everywhere().layout
    module = verify.to_torch(Everywhere())
    assert module.generate(module.prompt(np.zeros((1, 0), dtype=np.int64)), [[2, 0, 1, 1]]).tolist() == [[2, 2, 0, 1]]


def test_a_wrong_position_is_named() -> None:
    class Wrong(Everywhere):
        specification = specify(Domain.of(3, 4), lambda x: x[:, [0, 0, 1, 3]], read=(0, 1, 2, 3))

    found = verify.exhaust(Wrong(), FLOAT32).counterexample
    assert found is not None
    assert (found.position, found.user_input) == (3, [0, 0, 0, 1])
    picked = specify(Domain.of(3, 4), lambda x: x[:, [1, 0]], read=(2, 1))
    assert verify.exhaust(HandBuilt.of(Everywhere().transformer, picked), EXACT).holds is True


# what is refused -----------------------------------------------------------------------------------------------------


def test_a_specification_must_fit() -> None:
    weights = Everywhere().transformer
    refused: list[tuple[Any, str]] = [
        (3, "specification of GivenModel: expected a Specification"),
        (UnconditionalGeneration(3, 2), "expected a single target and no virtual tokens"),
    ]
    for promised, message in refused:
        with pytest.raises(InvalidArgument, match=message):
            HandBuilt.of(weights, promised)
    later: list[tuple[Specification, str]] = [
        (specify(Domain.of(3, 5), lambda x: x[:, -1:]), "context_size of at least 5"),
        (specify(Domain.of(2, 4), lambda x: x[:, -1:]), "expected 2 tokens"),
        (specify(Domain.of(3, 4), lambda x: x[:, -1:] * 0, output_vocab_size=2), "expected 2 logits"),
        (specify(Domain.of(3, 4), lambda x: x, response=4, decoding=Number(1)), "tokens, as they are fed back"),
        (specify(Domain.of(3, 4), lambda x: x[:, :2], response=2, output_vocab_size=9), "at most 3, as the tokens are"),
        (specify(Domain.of(3, 4), lambda x: x), "answer: expected integers of shape"),
        (specify(Domain.of(3, 4), lambda x: x[:, :1] + 3), r"answer: expected tokens in 0..2 but got 3"),
    ]
    for promised, message in later:
        with pytest.raises(InvalidArgument, match=message):
            verify.exhaust(HandBuilt.of(weights, promised), FLOAT32)


@pytest.mark.parametrize("read", [(4,), (-1,), (0, 1), [0], (True,), ("0",)])
def test_places_that_are_read_are_places_of_the_input(read: Any) -> None:
    with pytest.raises(InvalidArgument, match="read: expected"):
        Layout(virtual=0, user=4, response=1, read=read)


def test_an_input_outside_the_domain_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="user_input: expected an input of the domain"):
        verify.check(InductionHead(3, 4), target=[], user_input=[0, 1, 1, 2])
    with pytest.raises(InvalidArgument, match="user_input: expected an input of the domain"):
        InductionHead(3, 4).response([], [0, 0, 0, 0])


def test_members_through_which_evidence_runs_are_not_redefined() -> None:
    for name in ("response", "user_inputs", "target_space", "reading", "prompts"):
        kind = type("Redefined", (Everywhere,), {name: property(lambda _: TargetSpace(1, (1,)))})
        with pytest.raises(InvalidArgument, match=f"Redefined: expected {name} as Construction has it"):
            kind()


def test_its_repr_rebuilds_it() -> None:
    model = InductionHead(3, 4, temperature=Hardmax())
    assert eval(repr(model)) == model
    assert "Linear" not in model._repr_latex_()
