"""Checks at the boundary; every message names the argument, the expected values, the value and its type."""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

import numpy as np
from jaxtyping import AbstractDtype, Int, Shaped

IntArray = Int[np.ndarray, "..."]
if TYPE_CHECKING:
    TokenArray = Shaped[np.ndarray, "..."]
else:

    class _Tokens(AbstractDtype):
        dtypes: ClassVar = [*Int.dtypes, "object_"]

    #: Tokens as a construction's own code sees them: an array of integers, or, for a certificate,
    #: :class:`~constructions.unknown_tokens.UnknownTokens`, which stands for one.
    TokenArray = _Tokens[Any, "..."]

#: Longest ``repr`` of an offending value that a message quotes; the rest is cut, and a message stays one line.
_LONGEST_QUOTE = 60


class InvalidArgument(ValueError):
    """An argument that the package cannot accept; the message, one line, says what to pass instead.

    Example:
        >>> from constructions import UnconditionalGeneration
        >>> try:
        ...     UnconditionalGeneration(0, 3)
        ... except InvalidArgument as error:
        ...     print(error)
        vocab_size: expected an integer >= 1 but got 0 (type int)

    """


def reject(name: str, expected: str, value: object) -> NoReturn:
    """Raise :class:`InvalidArgument` in the package's one format.

    Args:
        name: the argument as the caller knows it.
        expected: the accepted values, in words.
        value: the value that came instead.

    """
    try:
        quote = " ".join(repr(value).split())
    except ValueError:  # Python refuses to print integers of more than 4,300 digits
        quote = f"an integer of {value.bit_length()} bits" if isinstance(value, int) else "a value too long to print"
    if len(quote) > _LONGEST_QUOTE:
        quote = quote[: _LONGEST_QUOTE - 3] + "..."
    raise InvalidArgument(f"{name}: expected {expected} but got {quote} (type {type(value).__name__})")


def _number(value: int) -> str:
    try:
        return str(value)
    except ValueError:  # Python refuses to print integers of more than 4,300 digits
        return f"a number of {value.bit_length()} bits"


def check_flag(name: str, value: Any) -> bool:
    """Return ``value`` if it is ``True`` or ``False``.

    Args:
        name: the argument as the caller knows it.
        value: anything.

    Raises:
        InvalidArgument: anything else.

    """
    if not isinstance(value, bool):
        reject(name, "True or False", value)
    return value


def check_integer(name: str, value: Any, minimum: int, maximum: int | None = None) -> int:
    """Return ``value`` as an ``int`` within bounds; booleans and integral floats are refused.

    Args:
        name: the argument as the caller knows it.
        value: anything.
        minimum: smallest accepted value.
        maximum: largest accepted value, ``None`` for no limit.

    Raises:
        InvalidArgument: not an integer, or out of bounds.

    """
    is_integer = isinstance(value, numbers.Integral) and not isinstance(value, (bool, np.bool_))
    if not is_integer or int(value) < minimum:
        reject(name, f"an integer >= {minimum}", value)
    if maximum is not None and int(value) > maximum:
        reject(name, f"an integer <= {_number(maximum)}", value)
    return int(value)


def check_positive_rational(name: str, value: Any) -> Fraction:
    """Return ``value`` as an exact positive :class:`~fractions.Fraction`; floats count as the dyadic number they are.

    Raises:
        InvalidArgument: not a number, not finite, or not positive.

    """
    expected = "a positive rational number, such as 7 or 3/2"
    result = _rational(name, value, expected)
    if result <= 0:
        reject(name, expected, value)
    return result


def check_rational(name: str, value: Any, *, minimum: int | None = None, maximum: int | None = None) -> Fraction:
    """Return ``value`` as an exact :class:`~fractions.Fraction`; floats count as the dyadic number they are.

    Args:
        name: the argument as the caller knows it.
        value: anything.
        minimum: smallest accepted value, ``None`` for no limit.
        maximum: largest accepted value, ``None`` for no limit.

    Raises:
        InvalidArgument: not a number, not finite, or out of bounds.

    """
    expected = "a rational number"
    expected += "" if minimum is None else f" >= {minimum}"
    expected += "" if maximum is None else f" <= {maximum}"
    result = _rational(name, value, expected)
    if (minimum is not None and result < minimum) or (maximum is not None and result > maximum):
        reject(name, expected, value)
    return result


def _rational(name: str, value: Any, expected: str) -> Fraction:
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (numbers.Rational, float, str)):
        reject(name, expected, value)
    try:
        return Fraction(value)
    except (ValueError, OverflowError, ZeroDivisionError):
        reject(name, expected, value)


def check_finite_positive(name: str, value: Any) -> float:
    """Return ``value`` as a finite positive ``float``.

    Raises:
        InvalidArgument: not a real number, NaN, infinite, zero or negative.

    """
    expected = "a finite number > 0 (or inf for hardmax)"
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Real):
        reject(name, expected, value)
    try:
        result = float(value)
    except OverflowError:
        reject(name, expected, value)
    if not math.isfinite(result) or result <= 0:
        reject(name, expected, value)
    return result


def check_choice(name: str, value: Any, choices: Sequence[str]) -> str:
    """Return ``value`` when it is one of ``choices``.

    Raises:
        InvalidArgument: anything else; the message lists the choices.

    """
    if not isinstance(value, str) or value not in choices:
        reject(name, "one of " + ", ".join(choices), value)
    return value


def is_integral(dtype: np.dtype[Any]) -> bool:
    """Return whether a dtype is one of numpy's integers: spans of time are among its classes of integers, and are none.

    Example:
        >>> is_integral(np.dtype(np.uint8)), is_integral(np.dtype("timedelta64[s]")), is_integral(np.dtype(bool))
        (True, False, False)

    """
    return dtype.kind in "iu"


def check_tokens(name: str, value: Any, vocab_size: int, shape: tuple[int, ...]) -> IntArray:
    """Return an int64 array of tokens ``0..vocab_size-1`` with leading batch axes and trailing axes ``shape``.

    Args:
        name: the argument as the caller knows it.
        value: nested sequences or an array of integers.
        vocab_size: number of tokens.
        shape: the trailing axes; every axis before them is a batch axis.

    Returns:
        int64 array of shape ``(*batch, *shape)``.

    Raises:
        InvalidArgument: not integers (strings, floats, NaN and booleans included), ragged, of the wrong shape, or out
            of range.

    """
    sizes = " x ".join(str(size) for size in shape)
    expected = f"integers from 0 to {vocab_size - 1} of shape ({sizes})"
    try:
        array = np.asarray(value)
    except ValueError:  # ragged nesting
        reject(name, expected, value)
    if array.size == 0 and 0 in array.shape:
        array = array.astype(np.int64)
    if not is_integral(array.dtype):
        reject(name, expected, value)
    batch_axes = array.ndim - len(shape)
    if batch_axes < 0 or array.shape[batch_axes:] != shape:
        reject(name, expected, value)
    if array.size and (array.min() < 0 or array.max() >= vocab_size):
        reject(name, expected, value)
    return array.astype(np.int64)
