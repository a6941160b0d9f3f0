"""Operations of torch on single numbers, as they are in C."""

from __future__ import annotations

import math
from collections.abc import Mapping
from string import Formatter
from types import MappingProxyType
from typing import Any

import torch

#: Numbers of torch in C.
C_TYPES = MappingProxyType({torch.float32: "float", torch.float64: "double"})

#: What an operation of torch is in C; a comparison with NaN is false, and torch's extremes keep it.
IN_C: Mapping[str, str] = MappingProxyType(
    {
        "abs": "fabs({0})",
        "add": "{0} + {1}",
        "eq": "{0} == {1}",
        "full_like": "{1}",
        "gt": "{0} > {1}",
        "le": "{0} <= {1}",
        "maximum": "({0} != {0} || {0} > {1}) ? {0} : {1}",
        "minimum": "({0} != {0} || {0} < {1}) ? {0} : {1}",
        "mul": "{0} * {1}",
        "neg": "-{0}",
        "relu": "0 > {0} ? 0 : {0}",
        "sub": "{0} - {1}",
        "where": "{0} ? {1} : {2}",
        "zeros_like": "0",
    }
)

#: Operations that can be written out: those, views of a part, and the smallest of some coordinates.
WRITABLE = frozenset({*IN_C, "getitem", "amin"})


#: The first lines of every kernel. Intermediates are of their own type and not of a wider one, and a compiler that is
#: set to take floats for real numbers is refused: each would round otherwise than torch does.
HEAD = """\
#include <float.h>
#include <math.h>
#if FLT_EVAL_METHOD != 0 || defined __FAST_MATH__ || (defined __FINITE_MATH_ONLY__ && __FINITE_MATH_ONLY__)
#error "floats of another arithmetic"
#endif"""


class NotWritten(Exception):
    """An operation that has no line in C here; the message says which."""


def taken(name: str) -> int:
    """Return how many arguments an operation takes."""
    return 1 + max((int(place) for _, place, _, _ in Formatter().parse(IN_C[name]) if place), default=0)


def literal(value: Any) -> str:
    """Return a number of Python's in C, rounded to the format once.

    Raises:
        NotWritten: it is no number, or a whole one that float64 does not have.

    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise NotWritten(f"an argument {value!r}")
    number = float(value)
    if isinstance(value, int) and number != value:
        raise NotWritten(f"an argument {value!r}")
    if math.isnan(number):
        return "(REAL)NAN"
    return f"({'-' * (number < 0)}(REAL)INFINITY)" if math.isinf(number) else f"((REAL){number.hex()})"
