"""Random instances of reachability: one head, integer scores, and outputs that a prefix vector did give."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from constructions import RationalSoftmax
from verify.arithmetic import RationalArithmetic
from verify.prefixes import AttentionLayer, attend, plain_head

Rows = list[list[Fraction]]
_QS = [Fraction(2), Fraction(3), Fraction(1, 2), Fraction(3, 2), Fraction(4), Fraction(5, 3)]


def fractions_of(numbers: Any) -> Rows:
    """Return python-flint's rationals as Fractions."""
    return [[Fraction(int(entry.p), int(entry.q)) for entry in row] for row in numbers.tolist()]


def _integers(draw: np.random.Generator, rows: int, columns: int) -> list[list[int]]:
    drawn: list[list[int]] = draw.integers(-1, 2, size=(rows, columns)).tolist()
    return drawn


def reachable_instance(seed: int, *, output_width: int | None = None) -> tuple[AttentionLayer, Any, Any, Rows]:
    """Return a layer, its content, a prefix vector, and the outputs under it."""
    draw = np.random.default_rng(seed)
    width, keys, positions = (int(draw.integers(*ends)) for ends in ((2, 6), (1, 4), (2, 6)))
    outputs = int(draw.integers(2, 5)) if output_width is None else output_width
    value = [[Fraction(entry, 5) for entry in row] for row in draw.integers(-6, 7, size=(outputs, width)).tolist()]
    head = plain_head(_integers(draw, keys, width), _integers(draw, keys, width), value)
    mask: Any = ("causal", "none")[int(draw.integers(2))]
    layer = AttentionLayer((head,), RationalSoftmax(_QS[int(draw.integers(len(_QS)))]), mask)
    content, prefix = _integers(draw, positions, width), _integers(draw, 1, width)
    return layer, content, prefix, fractions_of(attend(layer, content, prefix, RationalArithmetic()).output)


def perturbed(wanted: Rows, seed: int) -> Rows:
    """Return the outputs with one entry moved."""
    draw = np.random.default_rng((seed, 1))
    moved = [list(row) for row in wanted]
    row, column = int(draw.integers(len(moved))), int(draw.integers(len(moved[0])))
    moved[row][column] += Fraction(int(draw.integers(1, 6)), int(draw.integers(1, 6)))
    return moved
