"""Every wrong kernel is told from a right one, by the right sentence; a right one passes."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import verify
from constructions import Domain, UnconditionalGeneration, specify
from tests.conformance import kernels
from tests.conformance.kernels import CASES, CONSTRUCTION
from verify import CallableBackend, ModuleBackend, NumpyArithmetic, RationalArithmetic, TorchArithmetic, Verdict
from verify.backends import as_backend
from verify.conformance import KnownAnswers, Row, answers_of_bundle, judge, known_answers
from verify.conformance.answers import answers_for
from verify.conformance.bounds import Bounds
from verify.export import write_export


@pytest.fixture(scope="module")
def answers() -> KnownAnswers:
    return known_answers(CONSTRUCTION, "float32", cases=CASES, seed=3)


def _asked(answers: KnownAnswers, call: Any, **how: Any) -> Row:
    return judge(answers, CallableBackend(call, dtype="float32", **how))


@pytest.mark.parametrize("call", [kernels.right, kernels.last, kernels.mutating], ids=lambda call: call.__name__)
@pytest.mark.parametrize("batched", [True, pytest.param(False, marks=pytest.mark.heavy)])
def test_a_right_kernel_passes(answers: KnownAnswers, call: Any, *, batched: bool) -> None:
    row = _asked(answers, call, batched=batched)
    assert row.passed
    assert (row.right, row.cases, row.failures()) == (CASES, CASES, [])
    assert row.tokens is not None
    assert row.logits is not None
    assert (row.tokens.method, row.tokens.cases, row.tokens.seed) == ("fuzzed", CASES, 3)
    assert row.tokens.arithmetic == f"callable {call.__name__} float32"
    assert row.tokens.margin == row.margin
    assert row.margin is not None
    assert row.margin > 0
    assert row.deviation is not None
    assert (row.deviation.compared, row.deviation.missed, row.deviation.outside) == (CASES * 2 * 7, 0, 0)
    assert row.deviation.largest is not None
    assert row.deviation.allowance is not None
    assert row.deviation.largest <= row.deviation.allowance
    assert [batch.right for batch in row.batches] == [batch.compared for batch in row.batches]
    assert bool(row.batches) is batched


def test_a_module_passes(answers: KnownAnswers) -> None:
    assert judge(answers, ModuleBackend(kernels.module())).passed


@pytest.mark.parametrize(
    ("call", "tokens", "logits", "said"),
    [
        (kernels.by_place, None, False, "alone it is right"),
        (kernels.last_of_batch, None, False, "place 39 of a batch of 40; alone it is right"),
        (kernels.nan, False, False, "a logit is not finite"),
        (kernels.tied, False, False, "ties with"),
        (kernels.transposed, False, False, "was produced"),
        (kernels.shifted, True, False, "must be in ["),
        (kernels.in_half_precision, True, False, "must be in ["),
        (kernels.integers, None, None, "floats of at most 64 bits"),
        (kernels.narrow, None, None, "of shape 40 x 1 x 7 or 40 x 7 but got an array of float64 of shape 40 x 6"),
        (kernels.raising, None, None, "raised ValueError: no kernel for one token"),
        (kernels.Remembering(), False, False, ""),
        (kernels.Tiring(4), None, None, "was right, and is not when asked again"),
        (kernels.Tiring(13), None, None, "was right, and is not when asked again"),
    ],
    ids=lambda value: getattr(value, "__name__", type(value).__name__),
)
def test_a_wrong_kernel_never_passes(
    answers: KnownAnswers, call: Any, *, tokens: bool | None, logits: bool | None, said: str
) -> None:
    row = _asked(answers, call)
    assert row.ran
    assert not row.passed
    assert row.tokens is not None
    assert row.tokens.holds is tokens
    if row.logits is not None:
        assert row.logits.holds is logits
    assert any(said in line for line in row.failures())


def test_the_message_names_target_position_expected_and_produced(answers: KnownAnswers) -> None:
    row = _asked(answers, kernels.wrong_whole, gives="tokens")
    (line,) = row.failures()
    assert line == (
        "UnconditionalGeneration(vocab_size=7, context_size=2): target [0, 0] must give 0 at response position 1,"
        " but 1 was produced"
    )
    assert (row.right, row.cases) == (0, CASES)


def test_a_dropped_bias_is_found(answers: KnownAnswers) -> None:
    row = judge(answers, ModuleBackend(kernels.bias_dropped()))
    assert not row.passed
    assert row.right < CASES


def test_tokens_alone_have_no_margins_and_no_logits(answers: KnownAnswers) -> None:
    row = _asked(answers, kernels.whole, gives="tokens")
    assert row.passed
    assert (row.margin, row.deviation, row.logits) == (None, None, None)
    assert row.without_logits == "it gives tokens alone"


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (kernels.float_tokens, "expected tokens from"),
        (kernels.short_tokens, "expected tokens from"),
        (kernels.unknown_tokens, "in 0..6 but got 7"),
    ],
)
def test_tokens_of_another_kind_never_pass(answers: KnownAnswers, call: Any, said: str) -> None:
    row = _asked(answers, call, gives="tokens")
    assert row.tokens is not None
    assert row.tokens.holds is None
    assert said in row.failures()[0]


def test_bits_that_depend_on_the_batch_are_counted_and_no_failure(answers: KnownAnswers) -> None:
    row = _asked(answers, kernels.a_unit_off_in_batches)
    assert row.passed or row.logits is not None  # the certificate may not allow a unit more
    assert row.tokens is not None
    assert row.tokens.holds
    assert row.independent is False
    alone, sevens, elsewhere = row.batches
    assert (alone.compared, alone.equal) == (16, 16)
    assert (sevens.compared, sevens.equal) == (16, 2)  # two batches of seven, and one of two
    assert (elsewhere.compared, elsewhere.equal) == (CASES, CASES)
    assert sevens.sentence() == "14 of 16 cases gave other bits in a batch of 7"


def test_logits_that_leave_the_bounds_in_another_batch_alone_never_pass(answers: KnownAnswers) -> None:
    def call(virtual: Any, tokens: Any) -> Any:
        found = kernels.last(virtual, tokens)
        return found + 0.5 if len(found) == 7 else found

    row = _asked(answers, call)
    assert row.tokens is not None
    assert row.tokens.holds
    assert row.logits is not None
    assert row.logits.holds is None
    assert not row.passed
    assert "is not when its case runs again in a batch of 7" in row.failures()[0]


def test_tokens_that_are_wrong_in_another_batch_alone_never_pass(answers: KnownAnswers) -> None:
    def call(virtual: Any, tokens: Any) -> Any:
        found = kernels.last(virtual, tokens)
        return found.flip(-1) if len(found) == 7 else found

    row = _asked(answers, call)
    assert not row.passed
    assert "a case that was right is not when it runs again in a batch of 7" in row.failures()[0]


def test_a_backend_of_another_format_does_not_run(answers: KnownAnswers) -> None:
    for backend in (as_backend(NumpyArithmetic("float64")), ModuleBackend(kernels.module("bfloat16"))):
        row = judge(answers, backend)
        assert not row.ran
        assert not row.passed
        assert backend.fmt is not None
        assert row.failures()[0].endswith(f"expected it in float32 but it computes in {backend.fmt.name}")


def test_a_backend_that_cannot_run_a_promise_does_not_run() -> None:
    promise = known_answers(specify(Domain.of(3, 2), lambda x: x[:, -1:]))
    row = judge(promise, as_backend(NumpyArithmetic("float32")))
    assert row.missing is not None
    assert "has no weights" in row.missing
    assert not row.passed


def test_a_promise_without_weights_is_held_to_its_tokens() -> None:
    promise = known_answers(specify(Domain.of(3, 2), lambda x: x[:, -1:]))
    row = judge(promise, CallableBackend(lambda virtual, tokens: np.eye(3)[tokens[:, -1]], dtype="float32"))
    assert row.passed
    assert (row.cases, row.logits, row.deviation is not None) == (9, None, True)
    assert row.without_logits == "its specification has no weights, so that no logits are known"
    wrong = judge(promise, CallableBackend(lambda virtual, tokens: np.eye(3)[tokens[:, 0]], dtype="float32"))
    assert wrong.right == 3
    assert not wrong.passed


def test_exact_arithmetic_does_not_run(answers: KnownAnswers) -> None:
    row = judge(answers, as_backend(RationalArithmetic()))
    assert (row.ran, row.missing) == (False, "expected a backend of floats but rational is exact")


def test_all_cases_are_exhausted_evidence() -> None:
    row = judge(known_answers(UnconditionalGeneration(3, 2), cases=9), as_backend(NumpyArithmetic("float32")))
    assert row.tokens is not None
    assert (row.tokens.method, row.tokens.cases, row.tokens.space, row.tokens.seed) == ("exhausted", 9, 9, None)


def test_a_row_is_json_and_its_verdicts_read_back(answers: KnownAnswers) -> None:
    for call in (kernels.right, kernels.nan, kernels.shifted, kernels.integers):
        row = _asked(answers, call)
        record = row.to_json()
        assert record["passed"] is row.passed
        for name, verdict in (("tokens", row.tokens), ("logits", row.logits)):
            assert (record[name] is None) is (verdict is None)
            if verdict is not None and not (verdict.margin is not None and math.isnan(float(verdict.margin))):
                read = Verdict.from_json(record[name])
                assert (read.holds, read.cases, read.reason) == (verdict.holds, verdict.cases, verdict.reason)


def test_bounds_that_leave_an_answer_open_are_no_evidence(answers: KnownAnswers) -> None:
    """A logit that is outside even of them is still one that no kernel may give."""
    assert answers.allowed is not None
    assert answers.decided is not None
    assert answers.decided.all()
    wide = replace(answers, allowed=Bounds(answers.allowed.low - 1, answers.allowed.high + 1))
    row = _asked(wide, kernels.right)
    assert row.passed
    assert (row.logits, row.certificate) == (None, None)
    assert row.without_logits == (
        "the bounds of the certificate are so wide that they leave the answer open at 80 of 80 places of the responses"
    )
    assert row.deviation is not None
    assert row.deviation.outside == 0
    row = _asked(wide, lambda virtual, tokens: kernels.last(virtual, tokens) + 2)
    assert row.logits is not None
    assert row.logits.holds is False
    assert not row.passed

    def in_sevens(virtual: Any, tokens: Any) -> Any:
        return kernels.last(virtual, tokens) + 2 * (len(tokens) == 7)

    assert not _asked(wide, in_sevens).passed


def test_a_kernel_that_gave_no_logits_has_no_verdict_on_them(answers: KnownAnswers) -> None:
    assert _asked(answers, kernels.integers).without_logits == "it gave none"


def test_the_refutation_of_logits_says_how_it_is_shown_again(answers: KnownAnswers) -> None:
    row = _asked(answers, kernels.shifted)
    assert row.logits is not None
    assert row.logits.refutation is not None
    made = row.logits.refutation.reproduce
    assert made == (
        "verify.conformance.judge(verify.conformance.known_answers(UnconditionalGeneration(vocab_size=7,"
        " context_size=2), 'float32', cases=40, seed=3),"
        " verify.CallableBackend('tests.conformance.kernels:shifted', dtype='float32'))"
    )


def test_the_line_for_python_makes_the_same_cases_and_runs(answers: KnownAnswers, tmp_path: Path) -> None:
    write_export(CONSTRUCTION, tmp_path / "known", "bundle", sample=3, claim="theorem-1")
    write_export(CONSTRUCTION, tmp_path / "own", "bundle", sample=3)
    given = answers_for(CONSTRUCTION, "float32", answers.targets[5:7], answers.inputs[5:7])
    bundles = [answers_of_bundle(tmp_path / "known"), answers_of_bundle(tmp_path / "own", CONSTRUCTION)]
    known = {"verify": verify, "numpy": np, "UnconditionalGeneration": UnconditionalGeneration}
    for made in (answers, given, *bundles):
        again = eval(made.expression, known)  # what a user pastes
        for name in ("targets", "inputs", "promised"):
            assert np.array_equal(getattr(again, name), getattr(made, name))
        assert (again.specification, again.fmt, again.kind) == (made.specification, made.fmt, made.kind)
    nowhere = replace(given, allowed=Bounds(given.promised[..., None] + 1.0, given.promised[..., None] + 1.0))
    for backend in (TorchArithmetic("float32"), CallableBackend(kernels.last, dtype="float32", batched=False)):
        row = judge(nowhere, backend)
        assert row.logits is not None
        assert row.logits.refutation is not None
        again = eval(row.logits.refutation.reproduce, known)  # as above
        assert (again.backend, again.right, again.passed) == (row.backend, 2, True)
