"""The exact logits of known cases: as fractions where they are rational, otherwise between two floats."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from constructions.construction import Construction
from constructions.formats import get_format, round_to_format
from constructions.validation import IntArray, InvalidArgument
from verify.arithmetic import RationalArithmetic
from verify.certificates.balls.arithmetic import BallArithmetic
from verify.export.enclosing import enclosed
from verify.running.model import bind_construction, forward


def true_logits(
    construction: Construction, targets: IntArray, tokens: IntArray, places: list[int]
) -> tuple[list[Any], list[Any], str]:
    """Return bounds of the true logits at some positions, as fractions, and the arithmetic that they are from.

    They are the same numbers where rational arithmetic can compute them.
    """
    try:
        arithmetic = RationalArithmetic()
        model = bind_construction(construction, arithmetic)
        found = []
        for target, row in zip(targets, tokens, strict=True):
            rows = arithmetic.prompt(construction.virtual_tokens(target))
            rows = arithmetic.below(rows, arithmetic.embed(model.embedding, row)) if len(row) else rows
            numbers = arithmetic.numbers(forward(model, rows, construction.layout.virtual + len(row)))
            found.append([[Fraction(value) for value in numbers[place]] for place in places])
    except InvalidArgument:  # an irrational temperature, activation or norm
        bounds = enclosed(construction, BallArithmetic(), targets, tokens)[:, places]
        if not np.isfinite(bounds).all():
            raise InvalidArgument("bundle: expected logits that balls enclose, but some are not bounded") from None
        low, high = (
            [[[Fraction(value) for value in row] for row in case] for case in bounds[..., end].tolist()]
            for end in (0, 1)
        )
        return low, high, "balls: the true logits lie between two floats"
    return found, found, "rational: the logits are exact"


def true_margins(construction: Construction, promised: Any, low: list[Any], high: list[Any]) -> list[list[Fraction]]:
    """Return a lower bound of the margin of each response position, the exact one where the logits are."""
    found = []
    for case, rows in enumerate(low):
        if construction.reading.takes_largest:
            found.append(
                [
                    row[token]
                    - max(
                        (value for other, value in enumerate(high[case][step]) if other != token),
                        default=row[token] - 1,
                    )
                    for step, (row, token) in enumerate(zip(rows, promised[case].tolist(), strict=True))
                ]
            )
        else:
            if low is not high:
                raise InvalidArgument("bundle: expected exact logits of a response that is not the largest of them")
            numbers = np.array(rows, dtype=object)[None]
            found.append(
                [Fraction(value) for value in construction.reading.margins(promised[case : case + 1], numbers)[0]]
            )
    return found


def rounded_once(low: list[Any], high: list[Any], dtype: str) -> tuple[np.ndarray[Any, Any], int]:
    """Return the logits rounded once, and how many of them have bounds that round to two numbers.

    Those are rounded from the middle of their bounds.
    """
    fmt, undecided = get_format(dtype), 0
    flat: list[float] = []
    shape = np.array(low, dtype=object).shape
    for first, last in zip(
        np.array(low, dtype=object).reshape(-1), np.array(high, dtype=object).reshape(-1), strict=True
    ):
        try:
            ends = round_to_format(first, fmt), round_to_format(last, fmt)
            undecided += ends[0] != ends[1]
            flat.append(ends[0] if ends[0] == ends[1] else round_to_format((first + last) / 2, fmt))
        except OverflowError as error:
            raise InvalidArgument(f"dtype: {error}") from None
    return np.array(flat).reshape(shape), undecided
