"""Bad input at the boundary of the constructions: one clear line each, the whole of it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from constructions import (
    FORMATS,
    ConditionalGeneration,
    Construction,
    InvalidArgument,
    LongerInputs,
    LongerResponses,
    UnconditionalGeneration,
)
from constructions.construction import LARGEST_SIZE
from verify.arithmetic import RationalArithmetic
from verify.arithmetic.tensors import TorchArithmetic

AT_LEAST_1, NOT_HUGE = "an integer >= 1", f"an integer <= {LARGEST_SIZE}"


def _message(call: Callable[[], object]) -> str:
    with pytest.raises(InvalidArgument) as caught:
        call()
    assert isinstance(caught.value, ValueError)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("value", "expected", "shown"),
    [
        (0, AT_LEAST_1, "0 (type int)"),
        (-1, AT_LEAST_1, "-1 (type int)"),
        (2.0, AT_LEAST_1, "2.0 (type float)"),
        (True, AT_LEAST_1, "True (type bool)"),
        (np.True_, AT_LEAST_1, "np.True_ (type bool)"),
        ("5", AT_LEAST_1, "'5' (type str)"),
        (None, AT_LEAST_1, "None (type NoneType)"),
        (math.nan, AT_LEAST_1, "nan (type float)"),
        ([3], AT_LEAST_1, "[3] (type list)"),
        (2**25 + 1, NOT_HUGE, "33554433 (type int)"),
        (10**30, NOT_HUGE, f"{10**30} (type int)"),
        pytest.param(10**5000, NOT_HUGE, "an integer of 16610 bits (type int)", id="too long to print"),
    ],
)
@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda value: UnconditionalGeneration(value, 3), "vocab_size"),
        (lambda value: UnconditionalGeneration(3, value), "context_size"),
        (ConditionalGeneration, "vocab_size"),
        (lambda value: LongerResponses(value, 3), "vocab_size"),
        (lambda value: LongerResponses(3, value), "response_size"),
        (lambda value: LongerInputs(value, 3), "vocab_size"),
    ],
)
def test_sizes(make: Callable[[Any], object], name: str, value: Any, expected: str, shown: str) -> None:
    assert _message(lambda: make(value)) == f"{name}: expected {expected} but got {shown}"


def test_the_largest_sizes_that_are_accepted() -> None:
    assert LARGEST_SIZE == 2**25
    assert UnconditionalGeneration(LARGEST_SIZE, LARGEST_SIZE).layout.context_size == LARGEST_SIZE


@pytest.mark.parametrize("construction", [ConditionalGeneration(2**14), UnconditionalGeneration(3, 2**13 + 1)])
def test_weights_too_large_to_hold(construction: Construction) -> None:
    """No dense matrix of more than ``2^27`` entries is ever begun."""
    matrices = construction.transformer.lowered.matrices()
    largest = max(matrices.values(), key=lambda matrix: matrix.shape[0] * matrix.shape[1])
    rows, columns = largest.shape
    wanted = (
        f"sizes: expected weights of at most {2**27} entries each but one is {rows} x {columns};"
        " choose a smaller vocabulary or context"
    )
    assert _message(largest.to_fractions) == wanted
    assert _message(lambda: largest.to_numpy(FORMATS["float32"])) == wanted
    assert _message(lambda: RationalArithmetic().weight(largest)) == wanted
    assert _message(lambda: TorchArithmetic("float32").weight(largest)) == wanted


@pytest.mark.parametrize(
    ("value", "shown"),
    [(1, "1 (type int)"), (0, "0 (type int)"), (2.0, "2.0 (type float)"), (True, "True (type bool)")],
)
def test_too_few_user_tokens(value: Any, shown: str) -> None:
    assert _message(lambda: LongerInputs(3, value)) == f"input_size: expected an integer >= 2 but got {shown}"


@pytest.mark.parametrize(("vocab_size", "size"), [(3, 9), (2**13, 2), (2, 14), (2, 10**20), (2**25, 10**9)])
def test_too_many_digits(vocab_size: int, size: int) -> None:
    assert _message(lambda: LongerInputs(vocab_size, size)) == (
        "input_size: expected vocab_size ** (input_size - 1) <= 4096, the number of digits to unpack, but got"
        f" {vocab_size} ** {size - 1} (type int)"
    )


def test_the_longest_input_that_is_accepted() -> None:
    assert LongerInputs(2, 13).targets.digits == 2**13
    assert LongerInputs(2**12, 2).input_size == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mask": "x"}, "mask: expected one of causal, none but got 'x' (type str)"),
        ({"mask": None}, "mask: expected one of causal, none but got None (type NoneType)"),
        ({"lift": "no"}, "lift: expected one of add, mask but got 'no' (type str)"),
    ],
)
def test_options(options: dict[str, Any], message: str) -> None:
    assert _message(lambda: LongerInputs(2, 2, **options)) == message


NOT_TARGETS: list[tuple[Any, str]] = [
    ([0], "[0] (type list)"),
    ([0, 1, 2], "[0, 1, 2] (type list)"),
    ([], "[] (type list)"),
    (1, "1 (type int)"),
    ([0, 3], "[0, 3] (type list)"),
    ([0, -1], "[0, -1] (type list)"),
    ([0.0, 1.0], "[0.0, 1.0] (type list)"),
    ([math.nan, 0], "[nan, 0] (type list)"),
    ([True, False], "[True, False] (type list)"),
    (["a", "b"], "['a', 'b'] (type list)"),
    ("ab", "'ab' (type str)"),
    (None, "None (type NoneType)"),
    ({0: 1, 1: 2}, "{0: 1, 1: 2} (type dict)"),
    ([[0], [1, 2]], "[[0], [1, 2]] (type list)"),
    ([0, 10**30], f"[0, {10**30}] (type list)"),
    (np.array([0.0, 1.0]), "array([0., 1.]) (type ndarray)"),
    (np.array([0, 3], dtype=np.uint8), "array([0, 3], dtype=uint8) (type ndarray)"),
    ([[[0, 1, 2]]], "[[[0, 1, 2]]] (type list)"),
]


@pytest.mark.parametrize(("value", "shown"), NOT_TARGETS)
def test_targets(value: Any, shown: str) -> None:
    construction = UnconditionalGeneration(3, 2)
    message = f"target: expected integers from 0 to 2 of shape (2) but got {shown}"
    assert _message(lambda: construction.virtual_tokens(value)) == message
    assert _message(lambda: construction.response(value)) == message
    if not isinstance(value, np.ndarray):
        assert _message(lambda: construction.targets.rank(value)) == message


def test_a_long_value_is_cut() -> None:
    message = _message(lambda: UnconditionalGeneration(3, 2).virtual_tokens([0] * 1000))
    assert message == f"target: expected integers from 0 to 2 of shape (2) but got [{'0, ' * 18}0,... (type list)"


@pytest.mark.parametrize(
    ("construction", "shape"),
    [
        (ConditionalGeneration(3), "(3)"),
        (LongerResponses(3, 2), "(2 x 3)"),
        (LongerInputs(2, 3), "(2 x 2 x 2)"),
    ],
)
def test_maps_of_another_shape(construction: Construction, shape: str) -> None:
    expected = f"target: expected integers from 0 to {construction.vocab_size - 1} of shape {shape} but got"
    for value in (0, [0], [0] * 7, [[[0]]]):
        assert _message(lambda value=value: construction.virtual_tokens(value)).startswith(expected)  # type: ignore[misc] # mypy does not infer a lambda's default


USER = "user_input: expected integers from 0 to 2 of shape (1) but got"


@pytest.mark.parametrize(
    ("user_input", "message"),
    [
        ((), f"{USER} () (type tuple)"),
        ([3], f"{USER} [3] (type list)"),
        ([-1], f"{USER} [-1] (type list)"),
        (1, f"{USER} 1 (type int)"),
        ("a", f"{USER} 'a' (type str)"),
        ([0.0], f"{USER} [0.0] (type list)"),
        ([0, 1], f"{USER} [0, 1] (type list)"),
        ([[0]], "user_input: expected a batch of shape () but got (1,)"),
    ],
)
def test_user_inputs(user_input: Any, message: str) -> None:
    assert _message(lambda: ConditionalGeneration(3).response([0, 1, 2], user_input)) == message


def test_no_user_input_where_there_is_none() -> None:
    construction = UnconditionalGeneration(3, 2)
    assert construction.response([0, 1]).tolist() == [0, 1]
    assert construction.response([[0, 1], [2, 2]], []).tolist() == [[0, 1], [2, 2]]
    assert _message(lambda: construction.response([0, 1], [0])) == (
        "user_input: expected integers from 0 to 2 of shape (0) but got [0] (type list)"
    )


#: At two user tokens: the largest vocabulary that a format carries.
CARRIED = [
    ("float64", "add", 13),
    ("float64", "mask", 13),
    ("float32", "add", 7),
    ("float32", "mask", 8),
    ("bfloat16", "add", 2),
    ("bfloat16", "mask", 4),
    ("float16", "add", 4),
    ("float16", "mask", 4),
]


@pytest.mark.parametrize(("name", "lift", "largest"), CARRIED)
def test_formats_that_cannot_carry_the_packed_numbers(name: str, lift: Any, largest: int) -> None:
    LongerInputs(largest, 2, lift).check_format(FORMATS[name])
    for vocab_size in range(largest + 1, largest + 5):
        message = _message(lambda size=vocab_size: LongerInputs(size, 2, lift).check_format(FORMATS[name]))  # type: ignore[misc] # as above
        assert message == (
            f"dtype: expected a format that carries {vocab_size}^{vocab_size} packed values to within 1/4"
            f" (lift {lift!r}) but got {name!r} (type str)"
        )


def test_sizes_of_numpy_are_numbers_like_others() -> None:
    """A numpy integer must not turn exact counts into overflowing ones."""
    construction = UnconditionalGeneration(np.int64(94), np.int64(20))  # type: ignore[arg-type] # that is the point
    assert construction == UnconditionalGeneration(94, 20)
    assert repr(construction) == "UnconditionalGeneration(vocab_size=94, context_size=20)"
    assert construction.targets.size == 94**20
    assert LongerInputs(np.int8(5), np.int8(3)).packed_size == 5**25  # type: ignore[arg-type] # that is the point
    assert LongerResponses(np.int16(300), np.int16(3)).targets.size == 300**900  # type: ignore[arg-type] # the same
    assert ConditionalGeneration(np.int8(100)).targets.size == 100**100  # type: ignore[arg-type] # the same
