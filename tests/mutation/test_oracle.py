"""The oracle itself: it agrees with the promise where that is proved, and disagrees where it must."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest

from constructions import Construction, Hardmax, PerHeadSoftmax, RationalSoftmax, UnconditionalGeneration, get_format
from constructions.thresholds import longer_responses_threshold, unconditional_generation_threshold
from tests.mutation.corpus import SUBJECTS, Subject, temperatures
from tests.mutation.mutated import Mutated, with_matrix
from tests.mutation.oracle import cases, rounding_slack, violations_and_margin
from tests.mutation.tolerance import probe, tolerance
from tests.mutation.truth import truth_of
from verify import NumpyArithmetic, RationalArithmetic, exhaust
from verify.arithmetic.tensors import TorchArithmetic

RIGHT = [
    pytest.param(replace(subject.construction, temperature=temperature), id=f"{subject.name}-{temperature}")
    for subject in SUBJECTS.values()
    for temperature in temperatures(subject)
]


@pytest.mark.share(3)
@pytest.mark.parametrize("construction", RIGHT)
def test_without_a_mutation_nothing_is_broken(construction: Construction) -> None:
    truth = truth_of(construction)
    assert truth.kind == "harmless"
    assert truth.margin == exhaust(construction, RationalArithmetic()).margin


@pytest.mark.share(5)
@pytest.mark.parametrize("construction", RIGHT)
@pytest.mark.parametrize(
    "arithmetic", [NumpyArithmetic("float64"), TorchArithmetic("float32")], ids=lambda a: str(a.name)
)
def test_a_float_margin_is_within_the_bound(construction: Construction, arithmetic: NumpyArithmetic) -> None:
    temperature = construction.temperature_for(None)
    assert not isinstance(temperature, PerHeadSoftmax)
    exact, made = truth_of(construction).margin, exhaust(construction, arithmetic).margin
    assert exact is not None
    assert made is not None
    slack = rounding_slack(construction, temperature, get_format(arithmetic.fmt.name))
    assert abs(Fraction(made) - exact) <= Fraction(slack)
    assert slack < exact  # of use: it tells the right construction from a broken one


@pytest.mark.parametrize(
    ("construction", "threshold"),
    [
        (SUBJECTS["theorem-1"].construction, unconditional_generation_threshold(3, 3)),
        (SUBJECTS["longer-responses"].construction, longer_responses_threshold(2, 2)),
    ],
)
def test_the_oracle_knows_the_thresholds(construction: Construction, threshold: int) -> None:
    for q, broken in ((Fraction(threshold), True), (threshold + Fraction(1, 1000), False)):
        found, margin = violations_and_margin(construction, RationalSoftmax(q))
        assert (found is not None) is broken
        if found is not None:
            assert found.margin == 0  # a tie
        else:
            assert margin is not None
            assert margin > 0


def test_one_wrong_weight_is_found_with_its_case() -> None:
    right = UnconditionalGeneration(3, 2, temperature=Hardmax())
    wrong = Mutated(right, "no bias", with_matrix("select.bias", lambda rows: [[0 * x for x in row] for row in rows]))
    truth = truth_of(wrong)
    assert truth.kind == "broken"
    assert truth.violation is not None
    # 1 is not taken off, so that the decoded number is at least 1 and the last token wins
    assert truth.violation.target.tolist()[0] < 2


def test_shapes_that_do_not_fit_are_refused() -> None:
    right = UnconditionalGeneration(3, 2, temperature=Hardmax())
    wrong = Mutated(right, "short", with_matrix("select.bias", lambda rows: rows[:-1]))
    assert truth_of(wrong).kind == "refused"


@pytest.mark.parametrize("subject", SUBJECTS.values(), ids=SUBJECTS)
def test_every_case_is_there(subject: Subject) -> None:
    construction = subject.construction
    found = {(target.tobytes(), user) for target, user in cases(construction)}
    assert len(found) == construction.targets.size * construction.user_inputs.size


def test_tolerances_have_their_closed_forms() -> None:
    """The decoded number may be off by half a step, 1/(2V), and a logit by the margin 1/V^2; ties end both."""
    construction = replace(SUBJECTS["theorem-2"].construction, temperature=Hardmax())
    vocab_size = construction.vocab_size
    for name, wanted in (("select.bias", Fraction(1, 2 * vocab_size)), ("readout.bias", Fraction(1, vocab_size**2))):
        for row in range(vocab_size):
            kept = probe(construction, name, row, 0)
            assert [tolerance(kept, sign) for sign in (1, -1)] == [wanted, wanted]
