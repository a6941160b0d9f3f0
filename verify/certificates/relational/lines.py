"""Coordinates that move along one line: functions of one number that a later sum reads together.

A hidden coordinate is ``h_k = f(W_1 x + b_1)_k``. Where the parts of two rows of ``W_1`` that read unknown coordinates
of ``x`` are multiples of each other, ``a_1 v`` and ``a_2 v``, both coordinates are functions of the one unknown number
``s = v . x``. A sum ``sum_k w_k f(a_k s + b_k)`` of such coordinates is affine in ``s`` between the kinks of ``f``, so
that its extremes are at the ends of the interval of ``s`` or at kinks; the bounds of each ``h_k`` by itself forget
that all have the same ``s``. A difference ``relu(s - a) - relu(s - b)``, which is a ramp, is the use of this.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Int


@dataclass(frozen=True, eq=False)
class Line:
    """Hidden coordinates that are functions of one number.

    Attributes:
        units: the coordinates.
        columns: the unknown coordinates of ``x`` that they read.
        outputs: the rows of the later matrix that read two of them which do not rise and fall together.

    """

    units: Int[np.ndarray, " units"]
    columns: Int[np.ndarray, " columns"]
    outputs: Int[np.ndarray, " outputs"]


def lines(
    rows: Sequence[Sequence[tuple[int, Any]]],
    varying: Bool[np.ndarray, " columns"],
    moving: Bool[np.ndarray, " units"],
    signs: Int[np.ndarray, "outputs units"],
    *,
    monotone: bool,
) -> list[Line]:
    """Return the lines whose relation tells more than bounds of each coordinate.

    Args:
        rows: for each row of ``W_1`` its entries that are not 0, ``(column, entry)``, which compare exactly; the
            columns ascend.
        varying: which coordinates of ``x`` are not known.
        moving: which hidden coordinates are not known.
        signs: of the entries of the later matrix.
        monotone: whether the activation rises, so that bounds of coordinates that rise together are those of the sum.

    """
    groups: dict[tuple[int, ...], list[tuple[list[tuple[int, Any]], list[int]]]] = {}
    for unit, entries in enumerate(rows):
        unknown = [(column, entry) for column, entry in entries if varying[column]]
        if not unknown or not moving[unit]:
            continue
        same = groups.setdefault(tuple(column for column, _ in unknown), [])
        others = next((units for direction, units in same if _parallel(direction, unknown)), None)
        if others is None:
            same.append((unknown, [unit]))
        else:
            others.append(unit)
    found = []
    for direction, held in (group for same in groups.values() for group in same):
        units, first = np.array(held), direction[0][0]
        rising = np.array([1 if dict(rows[unit])[first] > 0 else -1 for unit in held])
        turned = signs[:, units] * rising
        opposed = (turned > 0).any(axis=1) & (turned < 0).any(axis=1)
        outputs = np.flatnonzero(opposed if monotone else (turned != 0).sum(axis=1) > 1)
        if len(outputs):
            found.append(Line(units, np.array([column for column, _ in direction]), outputs))
    return found


def _parallel(left: list[tuple[int, Any]], right: list[tuple[int, Any]]) -> bool:
    """Return whether two directions of the same columns are certainly multiples of each other."""
    (_, a), (_, b) = left[0], right[0]
    return all(bool(one * b == other * a) for (_, one), (_, other) in zip(left[1:], right[1:], strict=True))
