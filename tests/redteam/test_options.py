"""Options of layers in digests: all that decides is in them, and nothing that differs from process to process."""

from __future__ import annotations

import math
import operator
import re
from collections import defaultdict, namedtuple
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import sympy as sp
import torch

from constructions import Linear, Transformer
from constructions.activations import Relu
from constructions.layers import Unmarked


class _Called:
    """A function with a state, which Python shows by its place."""

    def __init__(self, factor: int) -> None:
        self.factor = factor

    def __call__(self, value: Any) -> Any:
        return self.factor * value


class _Slots:
    __slots__ = ("__hidden", "factor")

    def __init__(self, factor: int) -> None:
        self.factor, self.__hidden = 0, factor

    def times(self, value: Any) -> Any:
        return self.__hidden * value


def _closed(factor: int) -> Any:
    def times(value: Any) -> Any:
        return times(0) if value is None else factor * value

    return times


def _tensor(factor: int) -> Any:
    found = torch.zeros(2000)
    found[1000] = factor
    return found


def _round(factor: int) -> list[Any]:
    found: list[Any] = [factor]
    found.append(found)
    return found


class _Attributed(np.ndarray[Any, Any]):
    """An array with an attribute."""


def _array(factor: int) -> Any:
    found = np.zeros(2).view(_Attributed)
    found.factor = factor  # type: ignore[attr-defined] # what numpy leaves out
    return found


class _Items(list[int]):
    """A list with an attribute."""


def _items(factor: int) -> Any:
    found = _Items([1])
    found.factor = factor  # type: ignore[attr-defined] # as above
    return found


class _Number(float):
    """A number with more in a slot."""

    __slots__ = ("factor",)
    factor: int


def _number(factor: int) -> Any:
    found = _Number(1)
    found.factor = factor
    return found


class _Named(Fraction):
    """A number whose ``repr`` is a name."""

    def __repr__(self) -> str:
        return "factor"


class _Emptied:
    __slots__ = ("factor",)

    def __init__(self, factor: int) -> None:
        self.factor = factor


_Emptied.__slots__ = ()  # type: ignore[assignment] # the slot stays


class _Tensor(torch.Tensor):
    """A class of one's own."""


def _objects(factor: int) -> Any:
    found = np.empty(1, dtype=object)
    found[0] = _Called(factor)
    return found


def _function(factor: int) -> Any:
    def times(value: Any) -> Any:
        return times.factor * value  # type: ignore[attr-defined] # it is set below

    times.factor = factor  # type: ignore[attr-defined] # as above
    return times


@dataclass(frozen=True)
class _Held:
    """Its ``repr`` shows the function by its place, and the set in any order."""

    function: Any
    words: Any = frozenset({"one", "two", "three"})


_First: Any = namedtuple("_First", "one two")  # no types to tell
_Second: Any = namedtuple("_Second", "two one")


#: Things of a factor that an option of a layer may be: two of them compute something else.
OPTIONS: dict[str, Any] = {
    "called": _Called,
    "slots": _Slots,
    "method": lambda factor: _Slots(factor).times,
    "built-in method": lambda factor: [factor].index,
    "closure": _closed,
    "default": lambda factor: lambda value, by=factor: value * by,
    "code": lambda factor: (lambda value: value, lambda value: 2 * value)[factor - 1],
    "partial": lambda factor: partial(_closed, factor),
    "words": lambda factor: {"one", "two", "three", str(factor)},
    "tensor": _tensor,
    "module": lambda factor: torch.nn.PReLU(init=factor),
    "in itself": _round,
    "no rows": lambda factor: np.zeros((0, factor)),
    "no rows of a tensor": lambda factor: torch.zeros((0, factor)),
    "functions of one name": lambda factor: (math.pow, operator.pow)[factor - 1],
    "functions that numpy calls": lambda factor: np.frompyfunc(partial(int.__add__, factor), 1, 1),
    "masked array": lambda factor: np.ma.array([factor, 1], mask=[True, False]),
    "array": _array,
    "list": _items,
    "list or tuple": lambda factor: ([1], (1,))[factor - 1],
    "names": lambda factor: (_First, _Second)[factor - 1](1, 2),
    "default of a dictionary": lambda factor: defaultdict(partial(int, factor)),
    "keys": lambda factor: {_closed(factor): 1},
    "number": _number,
    "number with a name": _Named,
    "operator of a number": lambda factor: factor.__add__,
    "slots that are no longer named": _Emptied,
    "tensor of a class": lambda factor: _tensor(factor).as_subclass(_Tensor),
    "objects": _objects,
    "attribute of a function": _function,
    "keywords": lambda factor: ((lambda *, one, two: one - two), (lambda *, two, one: two - one))[factor - 1],
    "shape of symbols": lambda factor: sp.MatrixSymbol("A", factor, factor),
    "long pattern": lambda factor: re.compile("a" * 300 + str(factor)),
    "dataclass": lambda factor: _Held(_closed(factor)),
    "namespace": lambda factor: SimpleNamespace(function=_closed(factor)),
    "module of Python": lambda factor: (math, operator)[factor - 1],
}


@dataclass(frozen=True, eq=False, repr=False)
class _Optional(Relu):  # type: ignore[misc] # as an author does
    option: Any


def with_option(option: Any) -> str:
    """Return the digest of a model whose activation has an option."""
    eye = [[1, 0], [0, 1]]
    layers = Linear(eye, activation=_Optional(option)), Linear(eye, activation=None, name="readout")
    return Transformer(eye, layers, 2, positions=Unmarked()).lowered.sha256


@pytest.mark.parametrize("make", OPTIONS.values(), ids=OPTIONS)
def test_models_that_differ_in_an_option_have_different_digests(make: Any) -> None:
    """The state of what can be called, and what is in slots, was no part of it."""
    assert with_option(make(1)) != with_option(make(2))
    assert with_option(make(1)) == with_option(make(1))


@dataclass(frozen=True)
class _Lazy:
    """Keeps a table once it was asked for it."""

    size: int

    @cached_property
    def table(self) -> Any:
        return np.tri(self.size)


def test_what_an_option_keeps_when_it_is_first_asked_is_no_part_of_it() -> None:
    """A model had another digest once it had run."""
    asked = _Lazy(3)
    assert asked.table.sum() == 6
    assert with_option(asked) == with_option(_Lazy(3)) != with_option(_Lazy(2))
