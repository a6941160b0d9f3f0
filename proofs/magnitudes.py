"""Bounds of the integers in the readouts: why a format that holds all integers up to a bound decodes exactly.

In units of the step (of ``d/(2 B^2)`` for the banded readout) every number is an integer; these obligations bound the
ones that decide, read off the integer encoding's weights.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import sympy as sp

from constructions import Transformer
from constructions.encodings import Coding
from constructions.expressions import BAND, V
from proofs.decide import Decision, natural, prove_equal, prove_nonnegative, prove_positive
from proofs.layers import one_layer
from proofs.obligations import Obligation
from proofs.symbolic import entry_of, substituted


def _lines(transformer: Transformer) -> Iterator[Decision]:
    *_, readout = one_layer(transformer)
    v, a, rest = natural("v"), natural("a"), natural("z")
    for order, token, x in (("v <= y", v, v + a), ("v > y", v + 1 + a, v)):
        size = v + 1 + a + 1 + rest
        given = {V: size}
        slope, bias = (
            entry_of(substituted(readout.weight, given), token, sp.S.Zero),
            entry_of(substituted(readout.bias, given), token, sp.S.Zero),
        )
        yield prove_nonnegative(f"|bias| <= (V-1)^2, {order}", (size - 1) ** 2 + bias)
        yield prove_nonnegative(f"the bias is not positive, {order}", -bias)
        yield prove_equal(f"the product is 2 v y, even, {order}", slope * x, 2 * (token * x))
        yield prove_nonnegative(f"2 v y <= 2 (V-1)^2, {order}", 2 * (size - 1) ** 2 - slope * x)
        yield prove_nonnegative(f"the sum is at most (V-1)^2, {order}", (size - 1) ** 2 - slope * x - bias)


def _hat(transformer: Transformer) -> Iterator[Decision]:
    *_, readout = one_layer(transformer)
    y, a, rest = natural("y"), natural("a"), natural("z")
    size = y + 1 + a + 1 + rest
    given = {V: size}
    token = y + 1 + a
    slope = entry_of(substituted(readout.weight, given), token, token)
    bias = entry_of(substituted(readout.bias, given), token, sp.S.Zero)
    ramp = token - y  # ReLU(v - y); no ramp is larger than its token
    yield prove_equal("the product is -2 ReLU(v - y), even", slope * ramp, -2 * ramp)
    yield prove_nonnegative("the ramp is at most V-1", size - 1 - ramp)
    yield prove_nonnegative("the sum is at least -(V-1)", bias + slope * ramp + size - 1)
    yield prove_nonnegative("the bias is at most V-1, and so is the sum", size - 1 - bias)


def _banded(transformer: Transformer) -> Iterator[Decision]:
    *_, readout = one_layer(transformer)
    low, gap, rest, band, far = natural("l"), natural("a"), natural("r"), natural("h"), natural("n")
    for order, place, offset, size in (
        ("l <= O", low, low + gap, low + gap + 1 + rest),
        ("l > O", low + 1 + gap, low, low + 1 + gap + 1 + rest),
    ):
        given = {BAND: size}
        token = band * size + place
        floors = {sp.floor(token / size): band}
        unit = 2 * size**2
        bias = entry_of(substituted(readout.bias, given), token, sp.S.Zero).xreplace(floors) * unit
        slope = entry_of(substituted(readout.weight.blocks[0, 2], given), token, band).xreplace(floors) * unit
        inside = slope * offset + bias
        yield prove_equal(f"the bias is -l^2, {order}", bias, -(place**2))
        yield prove_equal(f"the product is 2 l O, even, {order}", slope * offset, 2 * place * offset)
        yield prove_nonnegative(f"l^2 <= (B-1)^2, {order}", (size - 1) ** 2 - place**2)
        yield prove_nonnegative(f"2 l O <= 2 (B-1)^2, {order}", 2 * (size - 1) ** 2 - slope * offset)
        yield prove_nonnegative(f"2 l O - l^2 <= (B-1)^2, {order}", (size - 1) ** 2 - inside)
        yield prove_nonnegative(f"2 l O - l^2 >= -(B-1)^2, {order}", (size - 1) ** 2 + inside)
    # x above the band of v: R = n + 1, O = n + B; a fifth of all magnitudes is less than -logit, so errors below a
    # fifth of each term leave the logit negative: seven roundings to 6 bits and more
    given = {BAND: low + 1 + rest}
    size, token = low + 1 + rest, band * (low + 1 + rest) + low
    floors = {sp.floor(token / size): band}
    unit = 2 * size**2
    bias = entry_of(substituted(readout.bias, given), token, sp.S.Zero).xreplace(floors) * unit
    slope = entry_of(substituted(readout.weight.blocks[0, 2], given), token, band).xreplace(floors) * unit
    above = entry_of(substituted(readout.weight.blocks[0, 1], given), token, band).xreplace(floors) * unit
    value = slope * (far + size) + above * (far + 1) + bias
    magnitude = slope * (far + size) - above * (far + 1) - bias
    yield prove_positive("5 |logit| > the sum of the magnitudes of its terms, x above the band", -5 * value - magnitude)
    yield prove_nonnegative("x below the band: no term is positive", -bias)


def obligations(claim: str, subject: Callable[[Coding], Transformer]) -> tuple[Obligation, ...]:
    """Return the obligations on magnitudes.

    Args:
        claim: the claim's id, in front of the obligations' own.
        subject: the transformer in a coding.

    """
    return (
        Obligation(
            f"{claim}.magnitudes-lines",
            "Integer encoding, readout paper: biases, half the (even) products and sums are integers up to (V-1)^2.",
            r"v^2 \le (V-1)^2, \quad 2vy \le 2(V-1)^2, \quad 2vy - v^2 \le (V-1)^2",
            _lines,
            lambda: subject(Coding("integer")),
        ),
        Obligation(
            f"{claim}.magnitudes-hat",
            "Integer encoding, readout hat: biases, half the (even) products and the sums are integers up to V-1.",
            r"|v - 2\,\mathrm{ReLU}(v - y)| \le V-1",
            _hat,
            lambda: subject(Coding("integer", readout="hat")),
        ),
        Obligation(
            f"{claim}.magnitudes-banded",
            "Integer encoding, readout banded, in units of 1/(2B^2): within a band biases, half the (even) products and"
            " the sums are integers up to (B-1)^2; in a band below the number the logit is negative by more than a"
            " fifth of the magnitudes of its terms, and in a band above no term is positive.",
            r"|2lO - l^2| \le (B-1)^2, \qquad -5\,\mathrm{logit} > 2lO + l^2 + 2B^2R",
            _banded,
            lambda: subject(Coding("integer", readout="banded")),
        ),
    )
