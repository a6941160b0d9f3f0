r"""The layers of the construction for longer inputs: select, unpack digits, pack them again; ``n_X`` blocks of it.

Below a digit of place value ``P`` the remainder ``r`` is an integer up to rounding and leaks, and the digit is the
number of ``c = 1..V-1`` with ``r >= cP``. A threshold at ``cP`` is a ramp over the middle half of the spacing 1:
``w_c = ReLU(cP - r)``, then ``step_c = ReLU(3/2 - 2 w_c) - ReLU(1/2 - 2 w_c)`` is 1 for ``r >= cP - 1/4``, 0 for
``r <= cP - 3/4`` and between 0 and 1 everywhere: a value within 1/4 of the lattice gives exact digits, and every value
gives digits in ``[0, V-1]``. One-hots of tokens and positions are restored by the same ramp.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache

import sympy as sp
from sympy.matrices.expressions.matexpr import MatrixExpr

from constructions.encodings import Lift as Lift
from constructions.expressions import BLOCK, DIGIT, UnitRow, V, entries, n_X
from constructions.selection import selection_mlp
from constructions.stream import Stream
from constructions.transformer import Attention, Head, Layer, Linear

POSITIONS = n_X + 1
#: Digits of a number selected in block l, and its base V^D: block l selects numbers r/B, 0 <= r < B.
_DIGITS = V ** (n_X - BLOCK)
_BASE = V**_DIGITS
#: Place value of digit k = 1..D, most significant first.
_PLACE = V ** (_DIGITS - DIGIT)

_INPUT = Stream.of(embedding=V, position=POSITIONS)
_CARRIED = Stream.of(row=V, token=V, position=POSITIONS)
_ROW = Stream.of(row=V)
_SELECTED = Stream.of(value=V, token_upper=V, token_lower=V, position_upper=POSITIONS, position_lower=POSITIONS)

_HALF = sp.Rational(1, 2)


def _compared(found: sp.Expr) -> Stream:
    return Stream.of(below=V - 1, remainder=1, digits=found, token=V, position=POSITIONS)


def _stepped(found: sp.Expr) -> Stream:
    return Stream.of(upper=V - 1, lower=V - 1, remainder=1, digits=found, token=V, position=POSITIONS)


def _attention(source: Stream, target: Stream, row_from: str, token_from: str) -> tuple[Head, ...]:
    """Return heads "self" (own token and position) and "look" (the candidates held by position l - 1)."""
    own_position = Stream.of(code=POSITIONS).reads(source, {("code", "position"): sp.Identity(POSITIONS)})
    score = Stream.of(score=1)
    carried: dict[tuple[str, str], MatrixExpr] = {("row", token_from): sp.Identity(V)}
    if "token" in target.names:
        carried["token", token_from] = sp.Identity(V)
        carried["position", "position"] = sp.Identity(POSITIONS)
    return (
        Head("self", query=own_position, key=own_position, value=target.reads(source, carried)),
        Head(
            "look",
            query=score.reads(source, {("score", "position"): sp.OneMatrix(1, POSITIONS)}),
            key=score.reads(source, {("score", "position"): UnitRow(POSITIONS, BLOCK - 1)}),
            value=target.reads(source, {("row", row_from): sp.Identity(V)}),
        ),
    )


def _select(*, masked: bool) -> tuple[MatrixExpr, MatrixExpr]:
    """Return weight and bias of the layer that selects a candidate and starts the ramps that restore the one-hots.

    Restoring: ``ReLU(2x - 1/2) - ReLU(2x - 3/2)`` takes everything within 1/4 of 0 or 1 to exactly 0 or 1. With the
    mask lift the row arrives as ``s + onehot - 1`` and the token as ``onehot - 1``; the biases add the 1 back.
    """
    weight = _SELECTED.reads(
        _CARRIED,
        {
            ("value", "row"): sp.Identity(V),
            ("token_upper", "token"): 2 * sp.Identity(V),
            ("token_lower", "token"): 2 * sp.Identity(V),
            ("position_upper", "position"): 2 * sp.Identity(POSITIONS),
            ("position_lower", "position"): 2 * sp.Identity(POSITIONS),
        },
    )
    lift = 2 if masked else 0
    bias: dict[str, MatrixExpr] = {
        "token_upper": (lift - _HALF) * sp.OneMatrix(V, 1),
        "token_lower": (lift - 3 * _HALF) * sp.OneMatrix(V, 1),
        "position_upper": -_HALF * sp.OneMatrix(POSITIONS, 1),
        "position_lower": -3 * _HALF * sp.OneMatrix(POSITIONS, 1),
    }
    if not masked:
        bias["value"] = -sp.OneMatrix(V, 1)
    return weight, _SELECTED.constant(bias)


def _place_values() -> MatrixExpr:
    """Return the biases ``cP`` of the comparisons, c = 1..V-1."""
    return entries(V - 1, 1, lambda c, _: (c + 1) * _PLACE)


def _first_compare() -> tuple[MatrixExpr, MatrixExpr]:
    """Return weight and bias of the comparison for digit 1: ``r = B sum(value)``, ``w_c = ReLU(cP - r)``."""
    target = _compared(sp.Integer(0))
    weight = target.reads(
        _SELECTED,
        {
            ("below", "value"): -_BASE * sp.OneMatrix(V - 1, V),
            ("remainder", "value"): _BASE * sp.OneMatrix(1, V),
            ("token", "token_upper"): sp.Identity(V),
            ("token", "token_lower"): -sp.Identity(V),
            ("position", "position_upper"): sp.Identity(POSITIONS),
            ("position", "position_lower"): -sp.Identity(POSITIONS),
        },
    )
    return weight, target.constant({"below": _place_values()})


def _step() -> tuple[MatrixExpr, MatrixExpr]:
    """Return weight and bias of the ramps of digit k: ``ReLU(3/2 - 2 w_c)`` and ``ReLU(1/2 - 2 w_c)``."""
    source, target = _compared(DIGIT - 1), _stepped(DIGIT - 1)
    weight = target.reads(
        source,
        {
            ("upper", "below"): -2 * sp.Identity(V - 1),
            ("lower", "below"): -2 * sp.Identity(V - 1),
            ("remainder", "remainder"): sp.Identity(1),
            ("digits", "digits"): sp.Identity(DIGIT - 1),
            ("token", "token"): sp.Identity(V),
            ("position", "position"): sp.Identity(POSITIONS),
        },
    )
    bias = {"upper": 3 * _HALF * sp.OneMatrix(V - 1, 1), "lower": _HALF * sp.OneMatrix(V - 1, 1)}
    return weight, target.constant(bias)


def _next_compare() -> tuple[MatrixExpr, MatrixExpr]:
    """Return weight and bias of the comparison for digit k > 1.

    Digit k-1 is ``d = sum(upper) - sum(lower)``, at the end of the digits found so far; ``r' = r - P_{k-1} d`` is
    the remainder, and ``w_c = ReLU(cP_k - r')``.
    """
    before = V ** (_DIGITS - DIGIT + 1)
    source, target = _stepped(DIGIT - 2), _compared(DIGIT - 1)
    ramp = entries(DIGIT - 1, V - 1, lambda i, _: sp.KroneckerDelta(i, DIGIT - 2))
    kept = entries(DIGIT - 1, DIGIT - 2, sp.KroneckerDelta)
    weight = target.reads(
        source,
        {
            ("below", "upper"): before * sp.OneMatrix(V - 1, V - 1),
            ("below", "lower"): -before * sp.OneMatrix(V - 1, V - 1),
            ("below", "remainder"): -sp.OneMatrix(V - 1, 1),
            ("remainder", "upper"): -before * sp.OneMatrix(1, V - 1),
            ("remainder", "lower"): before * sp.OneMatrix(1, V - 1),
            ("remainder", "remainder"): sp.Identity(1),
            ("digits", "upper"): ramp,
            ("digits", "lower"): -ramp,
            ("digits", "digits"): kept,
            ("token", "token"): sp.Identity(V),
            ("position", "position"): sp.Identity(POSITIONS),
        },
    )
    return weight, target.constant({"below": _place_values()})


def _pack() -> tuple[MatrixExpr, MatrixExpr]:
    """Return weight and bias of the layer that packs digits ``jK+1 .. jK+K`` as candidate j, ``K = D/V``.

    Candidate ``j`` is ``sum_t d_{jK+1+t} V^(-1-t)``, the number ``r'/B'`` of the next block. The last digit is still
    ``sum(upper) - sum(lower)``; its weight is ``V^-K`` in candidate ``V - 1``.
    """
    packed = V ** (n_X - BLOCK - 1)
    source = _stepped(_DIGITS - 1)
    last = entries(V, V - 1, lambda i, _: sp.KroneckerDelta(i, V - 1) * V ** (-packed))
    # the digit's place inside its candidate is j mod K, written out because sympy factors the argument of a Mod
    found = entries(
        V,
        _DIGITS - 1,
        lambda i, j: sp.KroneckerDelta(i, sp.floor(j / packed)) * V ** (packed * sp.floor(j / packed) - j - 1),
    )
    weight = _CARRIED.reads(
        source,
        {
            ("row", "upper"): last,
            ("row", "lower"): -last,
            ("row", "digits"): found,
            ("token", "token"): sp.Identity(V),
            ("position", "position"): sp.Identity(POSITIONS),
        },
    )
    return weight, sp.ZeroMatrix(_CARRIED.width, 1)


@lru_cache(maxsize=1)
def _templates() -> Mapping[str, tuple[MatrixExpr, MatrixExpr]]:
    """Return the MLP layers of a block, written once for symbolic V, n_X, block l and digit k."""
    return {
        "select": _select(masked=False),
        "select masked": _select(masked=True),
        "compare first": _first_compare(),
        "compare": _next_compare(),
        "step": _step(),
        "pack": _pack(),
    }


@lru_cache(maxsize=1)
def _heads() -> Mapping[str, tuple[Head, ...]]:
    """Return the heads of the first, a middle and the last block."""
    return {
        "first": _attention(_INPUT, _CARRIED, "embedding", "embedding"),
        "middle": _attention(_CARRIED, _CARRIED, "row", "token"),
        "last": _attention(_CARRIED, _ROW, "row", "token"),
    }


def blocks(vocab_size: int, input_size: int, lift: Lift) -> Iterator[Layer]:
    """Yield the layers of all blocks; those of one kind share their expressions and differ in the numbers of l and k.

    Args:
        vocab_size: ``V``, which sets the number of layers.
        input_size: ``n_X``.
        lift: how block 1 selects, see ``LongerInputs``.

    """
    for block in range(1, input_size + 1):
        kind = "first" if block == 1 else "last" if block == input_size else "middle"
        bound = {BLOCK: block}
        yield Attention(_heads()[kind], f"block{block}.attention", bound, f"attention of the {kind} block")
        if block == input_size:
            yield from selection_mlp(V, prefix=f"block{block}.")
            continue
        names = [("select masked" if lift == "mask" and block == 1 else "select", 0), ("compare first", 1), ("step", 1)]
        for digit in range(2, vocab_size ** (input_size - block) + 1):
            names += [("compare", digit), ("step", digit)]
        names.append(("pack", 0))
        for template, digit in names:
            weight, bias = _templates()[template]
            label = f"block{block}.{template.split()[0]}{digit or ''}"
            yield Linear(weight, bias, name=label, bindings={**bound, DIGIT: digit}, family=template)
