"""Check the results of a construction's own code: every message names the class and what was expected of it."""

from __future__ import annotations

import inspect
from fractions import Fraction
from typing import Any

import numpy as np

from constructions.ratios import Ratios
from constructions.unknown_tokens import is_unknown
from constructions.validation import IntArray, InvalidArgument

#: Python's integers and numpy's, by their classes.
_INTEGERS = frozenset({int, *(kind for kind in np.sctypeDict.values() if issubclass(kind, np.integer))})


def checked_numerators(owner: str, found: Any, shape: tuple[int, int, int]) -> np.ndarray[Any, Any]:
    """Return the numerators that ``encode`` gave: integers of the shape batch x virtual x embedding size.

    Args:
        owner: the construction's name.
        found: what ``encode`` returned.
        shape: the shape that it must have.

    Raises:
        InvalidArgument: not :class:`~constructions.ratios.Ratios`, not integers, or of another shape.

    """
    expected = f"Ratios of shape {_product(shape)} (batch x virtual x embedding size)"
    if not isinstance(found, Ratios):
        raise InvalidArgument(f"encode: expected {expected} but got {_described(found)} ({owner})")
    numerators = found.numerators
    if is_unknown(numerators) or not (isinstance(numerators, np.ndarray) and integral(numerators)):
        raise InvalidArgument(f"encode: expected integer numerators but got {_described(numerators)} ({owner})")
    if numerators.shape != shape:
        raise InvalidArgument(f"encode: expected {expected} but got shape {_product(numerators.shape)} ({owner})")
    return np.asarray(numerators)


def checked_answer(owner: str, found: Any, shape: tuple[int, int], vocab_size: int) -> IntArray:
    """Return the tokens that ``answer`` gave as an array of one's own; see :func:`answered_tokens`."""
    return answered_tokens(owner, found, shape, vocab_size).copy()


def answered_tokens(owner: str, found: Any, shape: tuple[int, int], vocab_size: int) -> np.ndarray[Any, Any]:
    """Return the tokens that ``answer`` gave, int64 of the shape batch x response.

    They may be in the array that it gave, which its code may go on to change.

    Args:
        owner: the construction's name.
        found: what ``answer`` returned.
        shape: the shape that it must have.
        vocab_size: ``V``.

    Raises:
        InvalidArgument: not an array of integers, of another shape, or a token outside the vocabulary.

    """
    expected = f"integers of shape {_product(shape)} (batch x response)"
    if is_unknown(found) or not (isinstance(found, np.ndarray) and integral(found)):
        raise InvalidArgument(f"answer: expected {expected} but got {_described(found)} ({owner})")
    if found.shape != shape:
        raise InvalidArgument(f"answer: expected {expected} but got shape {_product(found.shape)} ({owner})")
    # of numpy's own class: a subclass decides for itself what equals what
    tokens: np.ndarray[Any, Any] = np.asarray(found)
    if tokens.size and (tokens.min() < 0 or tokens.max() >= vocab_size):
        outside = (tokens < 0) | (tokens >= vocab_size)
        raise InvalidArgument(f"answer: expected tokens in 0..{vocab_size - 1} but got {tokens[outside][0]} ({owner})")
    return tokens.astype(np.int64, copy=False)


def checked_numbers(owner: str, found: Any, shape: tuple[int, int]) -> np.ndarray[Any, Any]:
    """Return the numbers that ``answer`` gave, as Fractions, of the shape batch x response.

    Args:
        owner: the specification's name.
        found: what ``answer`` returned: :class:`~constructions.ratios.Ratios`, or an array of integers.
        shape: the shape that it must have.

    Raises:
        InvalidArgument: not such numbers, or of another shape. Floats are refused, as a promise is exact.

    """
    expected = f"Ratios, or integers, of shape {_product(shape)} (batch x response)"
    numbers = Ratios(found, 1) if isinstance(found, np.ndarray) else found
    if not isinstance(numbers, Ratios):
        raise InvalidArgument(f"answer: expected {expected} but got {_described(found)} ({owner})")
    numerators = numbers.numerators
    if is_unknown(numerators) or not (isinstance(numerators, np.ndarray) and integral(numerators)):
        raise InvalidArgument(f"answer: expected {expected} but got {_described(numerators)} ({owner})")
    if numerators.shape != shape:
        raise InvalidArgument(f"answer: expected {expected} but got shape {_product(numerators.shape)} ({owner})")
    exact = np.empty(shape, dtype=object)
    for place in np.ndindex(shape):
        exact[place] = Fraction(int(numerators[place]), numbers.denominator)
    return exact


def refuse_hidden(thing: object) -> None:
    """Refuse an attribute of an object that hides a final method of its class, as a field without a default does.

    Raises:
        InvalidArgument: there is one.

    """
    kind = type(thing)
    for name in vars(thing):
        hidden = getattr(kind, name, None)
        if inspect.isfunction(hidden) and getattr(hidden, "__final__", False):  # a cached property is no function
            raise InvalidArgument(f"{kind.__name__}: expected {name} as its class has it, but an attribute hides it")


def refuse_redefinition(owner: type, base: type, names: tuple[str, ...]) -> None:
    """Refuse a subclass that redefines members through which all evidence runs.

    ``@final`` tells a type checker; at run time such a class would be enumerated by other prompts, answers or counts
    than it is certified by.

    Args:
        owner: the subclass.
        base: whose members they are.
        names: which members.

    Raises:
        InvalidArgument: one of them is another's.

    """
    for name in names:
        if inspect.getattr_static(owner, name) is not inspect.getattr_static(base, name):
            raise InvalidArgument(f"{owner.__name__}: expected {name} as {base.__name__} has it, but it is redefined")


def integral(array: np.ndarray[Any, Any]) -> bool:
    """Return whether an array is of integers, Python's included; booleans are none.

    Nor are those of a subclass, which decides for itself what equals what.
    """
    if array.dtype == object:
        return all(type(item) in _INTEGERS for item in array.reshape(-1))
    return bool(np.issubdtype(array.dtype, np.integer))


def forgotten_dataclass(owner: type, base: type) -> None:
    """Refuse a subclass that declares fields, but is no dataclass.

    Raises:
        InvalidArgument: such a class.

    """
    for above in owner.__mro__[: owner.__mro__.index(base)]:
        hints = vars(above).get("__annotations__", {})
        declared = [name for name, hint in hints.items() if "ClassVar" not in str(hint)]
        if declared and "__dataclass_fields__" not in vars(above):
            raise InvalidArgument(
                f"{above.__name__}: expected a frozen dataclass, whose fields are {', '.join(declared)}: write"
                " @dataclass(frozen=True, repr=False) above the class"
            )


def _product(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) if shape else "()"


def _described(value: Any) -> str:
    if isinstance(value, np.ndarray) and not is_unknown(value):
        return f"an array of {value.dtype} of shape {_product(value.shape)}"
    return f"a value of type {type(value).__name__}"
