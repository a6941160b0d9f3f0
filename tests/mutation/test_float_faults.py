"""Faults of floats alone: TF32 in the products, and an ``exp`` that overflows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from constructions import ConditionalGeneration, Construction, Format, LongerResponses, Softmax, UnconditionalGeneration
from constructions.formats import round_to_format
from tests.mutation.corpus import SUBJECTS
from tests.mutation.float_faults import accumulating, overflowing, tf32, to_tf32
from tests.mutation.semantic_operators import OPERATORS
from tests.mutation.semantics import TF32_FAILS_AT
from tests.mutation.wrong_arithmetic import AnyArithmetic
from verify import NumpyArithmetic, RationalArithmetic, exhaust, sweep
from verify.arithmetic.tensors import TorchArithmetic

FLOAT32 = pytest.mark.parametrize(
    "arithmetic", [NumpyArithmetic("float32"), TorchArithmetic("float32")], ids=lambda each: str(each.name)
)
BUILDS: tuple[Callable[[int], Construction], ...] = (
    lambda size: UnconditionalGeneration(size, 3),
    ConditionalGeneration,
    lambda size: LongerResponses(size, 2),
)


@given(st.floats(width=32, allow_nan=False, allow_infinity=False, min_value=2.0**-100, max_value=2.0**100))
def test_tf32_is_rounding_to_eleven_bits(value: float) -> None:
    single = FORMAT_OF_FLOAT32
    wanted = round_to_format(Fraction(value), replace(single, name="tf32", precision=11))
    for made in (to_tf32(np.array([value], np.float32)), to_tf32(torch.tensor([value])).numpy()):
        assert made.tolist() == [wanted]
    assert to_tf32(np.array([-value], np.float32)).tolist() == [-wanted]


FORMAT_OF_FLOAT32: Format = NumpyArithmetic("float32").fmt


@FLOAT32
def test_tf32_fails_where_float32_holds(arithmetic: AnyArithmetic) -> None:
    for size, holds in ((TF32_FAILS_AT - 1, True), (TF32_FAILS_AT, False)):
        assert exhaust(UnconditionalGeneration(size, 1), tf32(arithmetic)).holds is holds
        assert exhaust(UnconditionalGeneration(size, 1), arithmetic).holds is True


@pytest.mark.heavy
@FLOAT32
@pytest.mark.parametrize("build", BUILDS, ids=["theorem-1", "theorem-2", "longer-responses"])
def test_tf32_first_fails_at_the_size_that_is_named(
    build: Callable[[int], Construction], arithmetic: AnyArithmetic
) -> None:
    verdict = sweep(build, tf32(arithmetic), max_vocab_size=TF32_FAILS_AT, claim="tf32")
    assert verdict.holds is False
    assert verdict.reason is not None
    assert f"stops at {TF32_FAILS_AT} " in verdict.reason
    assert sweep(build, arithmetic, max_vocab_size=TF32_FAILS_AT, claim="float32").holds is True


@FLOAT32
def test_sums_in_float16_fail_where_float32_holds(arithmetic: AnyArithmetic) -> None:
    # the smallest vocabulary at which float16 itself fails is 38, and its accumulator alone is no better
    assert exhaust(UnconditionalGeneration(TF32_FAILS_AT, 1), accumulating(arithmetic)).holds is False
    assert exhaust(UnconditionalGeneration(TF32_FAILS_AT, 1), arithmetic).holds is True
    assert exhaust(UnconditionalGeneration(4, 1), accumulating(arithmetic)).holds is True


@pytest.mark.parametrize("name", ["theorem-2", "longer-inputs"])
def test_logits_at_the_wrong_row_are_refused_where_there_is_another(name: str) -> None:
    wrap = OPERATORS["logits read at the wrong row"]
    construction = SUBJECTS[name].construction
    for arithmetic in (RationalArithmetic(), NumpyArithmetic("float64"), TorchArithmetic("float32")):
        assert exhaust(construction, arithmetic).holds is True
        assert exhaust(construction, wrap(arithmetic)).holds is False


@FLOAT32
@pytest.mark.parametrize("name", SUBJECTS)
def test_a_softmax_that_overflows_is_refused(name: str, arithmetic: AnyArithmetic) -> None:
    construction = replace(SUBJECTS[name].construction, temperature=Softmax(1000.0))
    assert exhaust(construction, arithmetic).holds is True
    verdict = exhaust(construction, overflowing(arithmetic))
    assert verdict.holds is False
    assert verdict.margin != verdict.margin  # NaN
    right = SUBJECTS[name].construction
    mild = replace(right, temperature=right.temperature_for(arithmetic.fmt))
    assert exhaust(mild, overflowing(arithmetic)).holds is True  # nothing overflows, and it is the same function
