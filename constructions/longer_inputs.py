r"""The extension to longer user inputs: more depth, still one information-carrying virtual token.

The virtual token packs the whole table of the map: coordinate ``j`` holds, as ``V^(n_X - 1)`` base-V digits after the
point, the sub-table of all inputs that start with token ``j``. There are ``n_X`` blocks, each an attention layer and
an MLP. Block ``l`` lets the ``l``-th user token select one of ``V`` packed numbers, exactly as Theorem 2 does; its
MLP unpacks the digits of what was selected and packs them again as the ``V`` candidates of the next token.

The unpacking is a real ReLU MLP. Below a digit of place value ``P`` the remainder ``r`` is an integer up to rounding
and leaks, and the digit is the number of ``c = 1..V-1`` with ``r >= cP``. A threshold at ``cP`` is a ramp over the
middle half of the lattice spacing 1: ``w_c = ReLU(cP - r)``, then
``step_c = ReLU(3/2 - 2 w_c) - ReLU(1/2 - 2 w_c)`` is 1 for ``r >= cP - 1/4``, 0 for ``r <= cP - 3/4`` and between 0
and 1 everywhere: a value within 1/4 of the lattice gives exact digits, and no value at all gives a digit outside
``[0, V-1]``. One-hots of tokens and positions are restored by the same ramp. So nothing accumulates from block to
block, and what positions that do not matter compute stays bounded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache
from typing import Literal, final

import numpy as np
import sympy as sp
from sympy.matrices.expressions.matexpr import MatrixExpr

from constructions.construction import Construction, Layout
from constructions.expressions import BLOCK, DIGIT, UnitRow, V, entries, n_X
from constructions.formats import Format
from constructions.ratios import Ratios
from constructions.selection import selection_mlp
from constructions.stream import Stream
from constructions.targets import TargetSpace
from constructions.temperature import RationalSoftmax, Temperature, one_hot_temperature
from constructions.thresholds import longer_inputs_sufficient_q
from constructions.transformer import Attention, Head, Layer, Linear, Transformer
from constructions.validation import IntArray, InvalidArgument, check_choice

Lift = Literal["add", "mask"]

#: Largest number of digits in one packed number; every digit is two layers, so this is where depth stops being sane.
LARGEST_DIGITS = 2**12

_POSITIONS = n_X + 1
#: Digits of a number selected in block l, and its base V^D: block l selects numbers r/B, 0 <= r < B.
_DIGITS = V ** (n_X - BLOCK)
_BASE = V**_DIGITS
#: Place value of digit k = 1..D, most significant first.
_PLACE = V ** (_DIGITS - DIGIT)

_INPUT = Stream.of(embedding=V, position=_POSITIONS)
_CARRIED = Stream.of(row=V, token=V, position=_POSITIONS)
_ROW = Stream.of(row=V)
_SELECTED = Stream.of(value=V, token_upper=V, token_lower=V, position_upper=_POSITIONS, position_lower=_POSITIONS)

_HALF = sp.Rational(1, 2)


def _compared(found: sp.Expr) -> Stream:
    return Stream.of(below=V - 1, remainder=1, digits=found, token=V, position=_POSITIONS)


def _stepped(found: sp.Expr) -> Stream:
    return Stream.of(upper=V - 1, lower=V - 1, remainder=1, digits=found, token=V, position=_POSITIONS)


def _attention(source: Stream, target: Stream, row_from: str, token_from: str) -> tuple[Head, ...]:
    """Return heads "self" (own token and position) and "look" (the candidates held by position l - 1)."""
    own_position = Stream.of(code=_POSITIONS).reads(source, {("code", "position"): sp.Identity(_POSITIONS)})
    score = Stream.of(score=1)
    carried: dict[tuple[str, str], MatrixExpr] = {("row", token_from): sp.Identity(V)}
    if "token" in target.names:
        carried["token", token_from] = sp.Identity(V)
        carried["position", "position"] = sp.Identity(_POSITIONS)
    return (
        Head("self", query=own_position, key=own_position, value=target.reads(source, carried)),
        Head(
            "look",
            query=score.reads(source, {("score", "position"): sp.OneMatrix(1, _POSITIONS)}),
            key=score.reads(source, {("score", "position"): UnitRow(_POSITIONS, BLOCK - 1)}),
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
            ("position_upper", "position"): 2 * sp.Identity(_POSITIONS),
            ("position_lower", "position"): 2 * sp.Identity(_POSITIONS),
        },
    )
    lift = 2 if masked else 0
    bias: dict[str, MatrixExpr] = {
        "token_upper": (lift - _HALF) * sp.OneMatrix(V, 1),
        "token_lower": (lift - 3 * _HALF) * sp.OneMatrix(V, 1),
        "position_upper": -_HALF * sp.OneMatrix(_POSITIONS, 1),
        "position_lower": -3 * _HALF * sp.OneMatrix(_POSITIONS, 1),
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
            ("position", "position_upper"): sp.Identity(_POSITIONS),
            ("position", "position_lower"): -sp.Identity(_POSITIONS),
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
            ("position", "position"): sp.Identity(_POSITIONS),
        },
    )
    bias = {"upper": 3 * _HALF * sp.OneMatrix(V - 1, 1), "lower": _HALF * sp.OneMatrix(V - 1, 1)}
    return weight, target.constant(bias)


def _next_compare() -> tuple[MatrixExpr, MatrixExpr]:
    """Return weight and bias of the comparison for digit k > 1.

    Digit k-1 is ``d = sum(upper) - sum(lower)``, at the end of the digits found so far; ``r' = r - P_{k-1} d`` is
    what remains of it, and ``w_c = ReLU(cP_k - r')``.
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
            ("position", "position"): sp.Identity(_POSITIONS),
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
            ("position", "position"): sp.Identity(_POSITIONS),
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


def _layers(vocab_size: int, input_size: int, lift: Lift) -> Iterator[Layer]:
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


@final
@dataclass(frozen=True, repr=False)
class LongerInputs(Construction):
    r"""A transformer that answers ``n_X`` user tokens by any of ``V^(V^n_X)`` maps, chosen by ONE virtual token.

    ``n_X >= 2``, ``n_Y = 1``, ``d_e = V``, context ``n_X + 1``; ``n_X`` attention layers of two heads with MLPs that
    unpack digits between them (paper, appendix, longer user inputs; the paper's notebook unpacks in Python).

    Attributes:
        vocab_size: ``V``.
        input_size: ``n_X``, the number of user tokens, at least 2.
        lift: how block 1 selects. ``add``: ``E = onehot`` and ``ReLU(s + onehot - 1)``, as in Theorem 2. ``mask``:
            ``E = onehot - 1`` and ``ReLU(s + (onehot - 1))``: the selected number has 0 added to it, not 1, so that a
            float keeps one more bit of it.

    """

    vocab_size: int
    input_size: int
    lift: Lift = "add"

    def __post_init__(self) -> None:
        super().__post_init__()
        # one token needs no digits, but still a block for each user token
        self._set_size("input_size", 2, LARGEST_DIGITS if self.vocab_size == 1 else None)
        check_choice("lift", self.lift, ("add", "mask"))
        # the exponent is looked at first, so that no huge power is ever built
        too_long = self.vocab_size > 1 and self.input_size - 1 >= LARGEST_DIGITS.bit_length()
        if too_long or self.vocab_size ** (self.input_size - 1) > LARGEST_DIGITS:
            raise InvalidArgument(
                f"input_size: expected vocab_size ** (input_size - 1) <= {LARGEST_DIGITS}, the number of digits to"
                f" unpack, but got {self.vocab_size} ** {self.input_size - 1} (type int)"
            )

    @property
    def layout(self) -> Layout:
        """One virtual token, ``n_X`` user tokens, one answer."""
        return Layout(virtual=1, user=self.input_size, response=1)

    @cached_property
    def transformer(self) -> Transformer:
        """The weights: ``n_X`` blocks, the layers of each written once for symbolic V, n_X, block and digit."""
        bindings = {V: self.vocab_size, n_X: self.input_size}
        embedding = sp.Identity(V) - sp.OneMatrix(V, V) if self.lift == "mask" else sp.Identity(V)
        layers = tuple(_layers(self.vocab_size, self.input_size, self.lift))
        return Transformer(embedding, layers, _POSITIONS, bindings, self.mask)

    @property
    def targets(self) -> TargetSpace:
        """All maps of ``n_X`` tokens to one, as tables of ``n_X`` axes."""
        return TargetSpace(self.vocab_size, (self.vocab_size,) * self.input_size)

    @property
    def packed_size(self) -> int:
        """``V^(V^(n_X - 1))``, the number of values of one coordinate of the virtual token."""
        return int(self.vocab_size ** (self.vocab_size ** (self.input_size - 1)))

    def encode(self, targets: IntArray) -> Ratios:
        """Return ``s_j = r_j / V^(V^(n_X-1))``, where ``r_j`` has the sub-table of first token j as its digits."""
        rows = targets.reshape(len(targets), self.vocab_size, self.vocab_size ** (self.input_size - 1))
        dtype = np.int64 if self.packed_size < 2**62 else object
        packed = np.zeros(rows.shape[:2], dtype=dtype)
        for digit in range(rows.shape[2]):
            packed = packed * self.vocab_size + rows[:, :, digit].astype(dtype)
        return Ratios(packed[:, None, :], self.packed_size)

    def answer(self, targets: IntArray, user_inputs: IntArray) -> IntArray:
        """Return ``m(x_1, ..., x_n)``, shape ``(batch, 1)``."""
        batch = np.arange(len(targets))
        return np.asarray(targets[(batch, *user_inputs.T)])[:, None]

    def default_temperature(self, fmt: Format | None) -> Temperature:
        """Exact arithmetic: a ``q`` shown to be enough; floats: attention one-hot up to rounding.

        The contents are one-hots and multiples of ``1/B`` below 1, so the largest is at most ``B`` times the smallest
        that is not 0, with ``B`` the number of packed values.
        """
        if fmt is None:
            causal = self.mask == "causal"
            return RationalSoftmax(
                longer_inputs_sufficient_q(self.vocab_size, self.input_size, causal=causal, lift=self.lift)
            )
        keys = self.input_size + 1
        return one_hot_temperature(fmt, keys=keys, content_ratio=Fraction(self.packed_size), largest_key_size=keys)

    def check_format(self, fmt: Format) -> None:
        """Refuse a format whose significand cannot carry the packed numbers through the selection.

        Raises:
            InvalidArgument: see :func:`packing_error`; at two user tokens float64 ends at ``V = 13`` and float32 at
                ``V = 7``, at 8 with the mask lift.

        """
        error = max(packing_error(self, fmt, block) for block in range(1, self.input_size))
        if error > Fraction(1, 4):
            raise InvalidArgument(
                f"dtype: expected a format that carries {self.vocab_size}^{self.vocab_size ** (self.input_size - 1)}"
                f" packed values to within 1/4 (lift {self.lift!r}) but got {fmt.name!r} (type str)"
            )


def packing_error(construction: LongerInputs, fmt: Format, block: int) -> Fraction:
    r"""Return a bound on the error of the integer that block ``l`` unpacks, in float arithmetic with one-hot attention.

    The number selected is ``r/B`` and ``B (r/B)`` is compared with integers; the comparison tolerates 1/4. With
    ``u = 2^-p`` and every operation rounded to nearest: ``r/B`` itself has an error of at most ``u`` (in later blocks
    it is a sum of ``K`` products of rounded weights, at most ``(K+2)u/(1-(K+2)u)``); adding the 1 of the one-hot, in
    block 1 with the add lift and in every later block, another ``u``, as the sum is below 2; taking 1 off is exact;
    the product with ``B`` another ``u`` relative to it, at most ``(1 + all that) u``. Multiplied by ``B``, this is
    the bound. When ``V`` is a power of two, ``r/B`` has at most ``log2 B`` bits and all of it is exact as long as
    ``B <= 2^p``, or ``2^(p-1)`` where the 1 is added; otherwise it is as above.

    Args:
        construction: the sizes and the lift.
        fmt: the number format.
        block: ``l``, from 1 to ``n_X - 1``.

    """
    vocab_size, input_size = construction.vocab_size, construction.input_size
    base = vocab_size ** (vocab_size ** (input_size - block))
    added = not (construction.lift == "mask" and block == 1)
    power_of_two = vocab_size & (vocab_size - 1) == 0
    if power_of_two and base <= 2 ** (fmt.precision - added):
        return Fraction(0)
    u = fmt.unit_roundoff
    if block == 1:
        encoding = u
    else:
        roundings = (vocab_size ** (input_size - block) + 2) * u
        encoding = roundings / (1 - roundings) if roundings < 1 else Fraction(1)
    selected = encoding + (u if added else 0)
    return Fraction(base * (selected + (1 + selected) * u))
