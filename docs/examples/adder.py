"""A two-digit adder: it reads ``a b c d`` and generates the three digits of ``ab + cd``, the first digit first."""

from __future__ import annotations

import numpy as np

from constructions import Attention, Domain, HandBuilt, Head, Linear, Residual, Specification, Transformer, specify
from constructions.validation import IntArray

POSITIONS = 6  # four digits in, and two of the three that come out are fed back


def adder() -> HandBuilt:
    """Return one attention layer in a residual stream, and an MLP of two layers that takes the total apart."""
    digit, total, *places = np.eye(2 + POSITIONS, dtype=int)  # the stream: a digit, a total, a one-hot position
    heads = tuple(
        Head(f"digit {at}", query=[sum(places)], key=[places[at]], value=np.outer(total, digit) * weight)
        for at, weight in enumerate((10, 1, 10, 1))
    )
    # ReLU(total - m + 1) - ReLU(total - m) is 1 from total = m on, here for every multiple m of 10
    ramps = [[start] for m in range(10, 200, 10) for start in (1 - m, -m)]
    rise = Linear([total] * len(ramps) + [total, *places], ramps + [[0]] * (1 + POSITIONS), name="rise")
    tens = np.array([1, -1] * 19)  # all steps together: the tens of the total, 0 to 19
    hundreds = tens * (np.arange(38) // 2 == 9)  # the step at 100
    digits = np.stack([hundreds, tens - 10 * hundreds, -10 * tens])  # the last one lacks the total itself
    due = 10 * np.eye(3, POSITIONS, k=3, dtype=int)  # the digit that is due stays, the others fall below 0
    pick = Linear(np.block([digits, np.array([[0], [0], [1]]), due]), [[-10]] * 3, name="pick")
    values = np.arange(10)[:, None]  # the line 2 v x - v^2 of the nearest digit is the highest
    readout = Linear(2 * values * np.ones((1, 3), dtype=int), -(values**2), activation=None, name="readout")
    layers = (Residual((Attention(heads),)), rise, pick, readout)
    return HandBuilt.of(Transformer([range(10), [0] * 10], layers, context_size=POSITIONS), sums())


def sums() -> Specification:
    """Return what is promised: the digits of the sum."""

    def digits(inputs: IntArray) -> IntArray:
        total = inputs @ np.array([10, 1, 10, 1])
        return np.stack([total // 100, total // 10 % 10, total % 10], axis=1)

    return specify(Domain.of(10, 4), digits, response=3)
