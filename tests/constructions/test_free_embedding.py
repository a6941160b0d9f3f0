"""Theorem 1 with a token embedding of the user's: what is kept of it, what it does, what is refused."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import sympy as sp

import constructions
import verify
from constructions import FORMATS, Hardmax, InvalidArgument, RationalSoftmax, UnconditionalGeneration, one_hot_gap
from constructions.thresholds import embedding_threshold, hardest_embedding
from proofs import theorem_1
from verify import StructuredTorchArithmetic, Verdict, exhaust, fuzz, get_arithmetic
from verify.report.tables import parameters
from verify.requests import command_for
from verify.running.cases import Runner, parameters_of

F = Fraction
ROWS = ((F(1, 2), F(0)), (F(-1, 4), F(1)))
GIVEN = UnconditionalGeneration(2, 2, embedding=ROWS)
EXACT = get_arithmetic("rational")
FORMS = [[[F(1, 2), 0], [-0.25, 1]], np.array([[0.5, 0], [-0.25, 1]]), sp.Matrix([[sp.Rational(1, 2), 0], [-0.25, 1]])]


@pytest.mark.parametrize("form", FORMS, ids=lambda form: type(form).__name__)
def test_any_exact_matrix_is_kept_as_rows_of_fractions(form: Any) -> None:
    if isinstance(form, sp.MatrixBase):
        form = form.applyfunc(sp.nsimplify).tolist()
    made = UnconditionalGeneration(2, 2, embedding=form)
    assert made.embedding == ROWS
    assert {made} == {GIVEN}
    assert made.transformer.lowered.embedding.to_fractions() == [list(row) for row in ROWS]


def test_it_is_part_of_what_the_construction_is() -> None:
    text = (
        "UnconditionalGeneration(vocab_size=2, context_size=2, embedding=((Fraction(1, 2), Fraction(0, 1)),"
        " (Fraction(-1, 4), Fraction(1, 1))))"
    )
    assert repr(GIVEN) == text
    assert eval(text, {"UnconditionalGeneration": UnconditionalGeneration, "Fraction": Fraction}) == GIVEN
    assert UnconditionalGeneration(2, 2) != GIVEN


def test_zero_is_the_default() -> None:
    plain = UnconditionalGeneration(2, 3)
    assert plain.embedding is None
    assert UnconditionalGeneration(2, 3, embedding=np.zeros((3, 2))) == plain
    assert repr(plain) == "UnconditionalGeneration(vocab_size=2, context_size=3)"
    assert plain.transformer.embedding == theorem_1.subject().embedding  # symbolic still
    assert "embedding" not in parameters_of(plain)


def test_the_weights_besides_it_are_the_same() -> None:
    plain, given = UnconditionalGeneration(2, 2).transformer, GIVEN.transformer
    assert given.layers == plain.layers
    assert given.context_size == plain.context_size


@pytest.mark.parametrize(
    "arithmetic",
    [
        EXACT,
        get_arithmetic("numpy", dtype="float64"),
        get_arithmetic("torch", dtype="float32"),
        get_arithmetic("torch", dtype="bfloat16"),
        StructuredTorchArithmetic("float32"),
    ],
    ids=lambda arithmetic: str(arithmetic.name),
)
def test_every_target_is_generated_at_the_computed_temperature(arithmetic: Any) -> None:
    large = UnconditionalGeneration(3, 3, embedding=[[F(9), F(-7, 2), F(1, 64)]] * 3)
    for construction in (GIVEN, large):
        assert exhaust(construction, arithmetic).holds is True


def test_hardmax_ignores_it() -> None:
    for entry in (F(-(10**9)), F(10**9)):
        assert exhaust(UnconditionalGeneration(2, 3, embedding=[[entry] * 2] * 3, temperature=Hardmax()), EXACT).holds


def test_the_computed_temperature_is_that_of_its_entries() -> None:
    lowest, highest = F(-1, 4), F(1)
    threshold = embedding_threshold(2, 2, lowest=lowest, highest=highest)
    assert threshold == 6
    assert GIVEN.temperature_for(None) == RationalSoftmax(F(7))
    positive = UnconditionalGeneration(2, 2, embedding=[[F(9), F(4)], [F(4), F(4)]])
    assert positive.temperature_for(None) == RationalSoftmax(F(2 * 2 * 8))  # 2V(M-1) - 1, and one more
    gap = one_hot_gap(FORMATS["float32"], keys=2, content_ratio=F(4))
    assert GIVEN.temperature_for(FORMATS["float32"]) == constructions.Softmax(gap * 2**0.5)
    small = UnconditionalGeneration(2, 2, embedding=[[F(1, 1000), F(8)], [F(0), F(0)]])
    gap = one_hot_gap(FORMATS["float32"], keys=2, content_ratio=F(8000))
    assert small.temperature_for(FORMATS["float32"]) == constructions.Softmax(gap * 2**0.5)


def wrong() -> UnconditionalGeneration:
    """Return the hardest embedding at its threshold."""
    lowest = F(-1, 3)
    embedding, _ = hardest_embedding(3, 2, lowest=lowest, highest=F(0))
    q = embedding_threshold(3, 2, lowest=lowest, highest=F(0))
    return UnconditionalGeneration(3, 2, embedding=embedding, temperature=RationalSoftmax(q))


def test_a_counterexample_is_reproduced_from_python_as_the_command_line_has_no_embedding() -> None:
    construction = wrong()
    command = command_for("theorem-1", construction)
    assert command is None
    verdict = exhaust(construction, EXACT, claim="theorem-1", command=command)
    assert verdict.holds is False
    assert verdict.counterexample is not None
    assert verdict.counterexample.target == [0, 2]
    assert verdict.counterexample.margin == 0
    assert verdict.counterexample.reproduce.startswith(f"verify.check({construction!r}, ")
    again = eval(verdict.counterexample.reproduce, {**vars(constructions), "verify": verify, "Fraction": Fraction})
    assert again.holds is False
    assert again.counterexample == verdict.counterexample


def test_what_is_fuzzed_is_reproduced_the_same_way() -> None:
    from hypothesis import strategies as st

    verdict = fuzz(
        st.just(wrong()), EXACT, claim="theorem-1", command=lambda construction: command_for("theorem-1", construction)
    )
    assert verdict.counterexample is not None
    assert verdict.counterexample.reproduce.startswith("verify.check(UnconditionalGeneration(")


def test_the_verdict_holds_the_matrix_and_the_table_says_that_one_was_given() -> None:
    verdict = exhaust(GIVEN, EXACT)
    assert verdict.parameters["embedding"] == repr(ROWS)
    assert Verdict.from_json(verdict.to_json()).parameters == verdict.parameters
    assert parameters(verdict) == "V = 2, N = 2, E given, q = 7 (default)"
    assert command_for("theorem-1", UnconditionalGeneration(2, 2)) == {
        "claim": "theorem-1",
        "--vocab": "2",
        "--context": "2",
    }


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([[1, 2]], "embedding: expected a matrix of 3 x 2 numbers but got one of 1 x 2"),
        ([[1, 2, 3], [4, 5, 6]], "embedding: expected a matrix of 3 x 2 numbers but got one of 2 x 3"),
        (7, "embedding: expected a two-dimensional matrix but got int"),
        (
            [[1, 2], [3], [4, 5]],
            "embedding: expected a two-dimensional matrix but got list of 3: rows of 1 and 2 entries",
        ),
        ([[1, float("nan")]] * 3, "embedding: expected finite numbers but got nan (type float)"),
        ([[1, "2"]] * 3, "embedding: expected finite numbers but got '2' (type str)"),
        ([[1, True]] * 3, "embedding: expected finite numbers but got True (type bool)"),
        ([[1, sp.sqrt(2)]] * 3, "embedding: expected rational numbers but got sqrt(2)"),
        ([[1, sp.Symbol("x")]] * 3, "embedding: expected rational numbers but got x"),
    ],
)
def test_what_is_refused(given: Any, message: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        UnconditionalGeneration(2, 3, embedding=given)
    assert str(caught.value) == message


def test_a_format_that_cannot_hold_it_is_refused() -> None:
    huge = UnconditionalGeneration(2, 2, embedding=[[F(10**6), F(0)]] * 2)
    with pytest.raises(InvalidArgument, match=r"^dtype: "):
        Runner(huge, get_arithmetic("torch", dtype="float16"))
