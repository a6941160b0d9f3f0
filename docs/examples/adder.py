"""A two-digit adder: it reads ``a b c d`` and generates the three digits of ``ab + cd``, the first digit first."""

from __future__ import annotations

import numpy as np
import sympy as sp

from constructions import (
    Attention,
    Domain,
    HandBuilt,
    Head,
    Linear,
    Residual,
    Specification,
    Stream,
    Transformer,
    specify,
)
from constructions.validation import IntArray

BASE, POSITIONS = 10, 6  # four digits in, and two of the three that come out are fed back


def adder() -> HandBuilt:
    """Return one attention layer in a residual stream, and an MLP of two layers that takes the sum apart."""
    stream = Stream.of(digit=1, total=1, position=POSITIONS)
    heads = tuple(_reads(stream, place, weight) for place, weight in enumerate((BASE, 1, BASE, 1)))
    # step m is ReLU(total - m + 1) - ReLU(total - m), which is 1 from total = m on; the tens step at multiples of 10
    steps = sp.Matrix([m for ten in range(1, 20) for m in (BASE * ten - 1, BASE * ten)])
    ramps = Stream.of(ramp=len(steps), total=1, position=POSITIONS)
    copies = {("total", "total"): sp.Identity(1), ("position", "position"): sp.Identity(POSITIONS)}
    rise = Linear(
        ramps.reads(stream, {("ramp", "total"): sp.OneMatrix(len(steps), 1), **copies}),
        ramps.constant({"ramp": sp.ImmutableMatrix(-steps)}),
        name="rise",
    )
    tens = sp.Matrix(1, len(steps), lambda _, k: (-1) ** k)  # the tens of the total, 0 to 19
    hundreds = sp.Matrix(1, len(steps), lambda _, k: (-1) ** k if k in (18, 19) else 0)  # the step at 100
    wanted = sp.Matrix.vstack(hundreds, tens - BASE * hundreds, -BASE * tens)  # hundreds, tens, units
    at = sp.Matrix(3, POSITIONS, lambda digit, place: BASE * int(place == digit + 3))  # the digit that is due
    digits = Stream.of(digit=3)
    parts = {("digit", "ramp"): wanted, ("digit", "total"): sp.Matrix([0, 0, 1]), ("digit", "position"): at}
    due = Linear(
        digits.reads(ramps, {key: sp.ImmutableMatrix(part) for key, part in parts.items()}),
        digits.constant({"digit": -BASE * sp.OneMatrix(3, 1)}),
        name="due",
    )
    readout = Linear(
        [[2 * v] * 3 for v in range(BASE)], [[-v * v] for v in range(BASE)], activation=None, name="readout"
    )
    layers = (Residual((Attention(heads),)), rise, due, readout)
    embedding = [list(range(BASE)), [0] * BASE]
    return HandBuilt.of(Transformer(embedding, layers, context_size=POSITIONS), promise())


def _reads(stream: Stream, place: int, weight: int) -> Head:
    """Return the head that looks at one position, and adds its digit to the total as often as it counts."""
    one = Stream.of(one=1)
    here = sp.ImmutableMatrix(1, POSITIONS, lambda _, j: int(j == place))
    return Head(
        f"digit {place}",
        query=one.reads(stream, {("one", "position"): sp.OneMatrix(1, POSITIONS)}),
        key=one.reads(stream, {("one", "position"): here}),
        value=stream.reads(stream, {("total", "digit"): weight * sp.Identity(1)}),
    )


def promise() -> Specification:
    """Return what is promised: the digits of the sum."""

    def digits(inputs: IntArray) -> IntArray:
        total = inputs @ np.array([BASE, 1, BASE, 1])
        return np.stack([total // BASE**2, total // BASE % BASE, total % BASE], axis=1)

    return specify(Domain.of(BASE, 4), digits, response=3)
