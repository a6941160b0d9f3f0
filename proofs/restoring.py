"""The obligations of the layers of longer inputs that select a candidate and restore the one-hots.

The blocks of the residual stream between the layers are named here as the construction names them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import sympy as sp

from constructions import LongerInputs, Transformer
from constructions.expressions import V, n_X
from proofs.decide import Decision, Expr, natural, nonnegative, prove_equal
from proofs.layers import linear_of
from proofs.obligations import Obligation
from proofs.selection import SHARE, mixed
from proofs.symbolic import Given, Piece, Vector, only, output, substituted, trichotomy, unknown

CLAIM = "longer-inputs"

#: The number of digits that are found before a layer.
FOUND = sp.Dummy("found", integer=True, nonnegative=True)

_CODES = {"token": V, "position": n_X + 1}
#: The streams between layers: name -> block -> size.
STREAMS: Mapping[str, Mapping[str, Any]] = {
    "carried": {"row": V, **_CODES},
    "selected": {
        "value": V,
        "token_upper": V,
        "token_lower": V,
        "position_upper": n_X + 1,
        "position_lower": n_X + 1,
    },
    "compared": {"below": V - 1, "remainder": 1, "digits": FOUND, **_CODES},
    "stepped": {"upper": V - 1, "lower": V - 1, "remainder": 1, "digits": FOUND, **_CODES},
}

_QUARTER, _HALF = sp.Rational(1, 4), sp.Rational(1, 2)


def subject() -> Transformer:
    """Return a transformer with every kind of layer; its sizes are symbols."""
    return LongerInputs(2, 3).transformer


def masked_subject() -> Transformer:
    """Return the same with the mask lift."""
    return LongerInputs(2, 3, lift="mask").transformer


def block(stream: str, name: str) -> int:
    """Return the index of a block in a stream."""
    return list(STREAMS[stream]).index(name)


def vector(stream: str, given: Given, **known: Piece) -> Vector:
    """Return a vector of a stream in which only the given blocks are known.

    Args:
        stream: its name in :data:`STREAMS`.
        given: what the symbols of the sizes stand for.
        known: blocks.

    """
    return tuple(known.get(name, unknown(substituted(size, given), name)) for name, size in STREAMS[stream].items())


def ramp(share: Expr, start: Expr) -> dict[str, tuple[Expr, Expr]]:
    """Return the numbers that a ramp rising from ``start`` to ``start + 1/2`` takes to 0, to 1 and between.

    Args:
        share: a symbol >= 0, which runs through the numbers of each kind.
        start: where the ramp leaves 0.

    Returns:
        For each kind of number, in words: the number and its image. Together the kinds are all real numbers.

    """
    inside = share / (1 + share)
    return {
        f"x <= {start} becomes 0": (start - share, sp.S.Zero),
        f"x >= {start + _HALF} becomes 1": (start + _HALF + share, sp.S.One),
        "x between becomes a number of [0, 1)": (start + inside * _HALF, inside),
    }


def _select(transformer: Transformer) -> Iterator[Decision]:
    yield from _selected(transformer, "select", 0)


def _select_masked(transformer: Transformer) -> Iterator[Decision]:
    yield from _selected(transformer, "select masked", 1)


def _selected(transformer: Transformer, family: str, lift: int) -> Iterator[Decision]:
    layer = linear_of(transformer, family)
    for order, token, place, given in trichotomy(V):
        spread = mixed(token)
        row = Piece(given[V], partial(_lifted, spread, lift))
        yield prove_equal(
            f"layer {family} leaves s_X in coordinate X and 0 elsewhere, {order.replace('j', 'r').replace('i', 'X')}",
            output(layer, vector("carried", given, row=row), place, given=given, block=block("selected", "value")),
            sp.KroneckerDelta(place, token) * SHARE(place),
        )


def _lifted(entry: Callable[[Expr], Expr], lift: int, index: Expr) -> Expr:
    return entry(index) - lift


def _restore(transformer: Transformer) -> Iterator[Decision]:
    yield from _restored(transformer, "select", 0)


def _restore_masked(transformer: Transformer) -> Iterator[Decision]:
    yield from _restored(transformer, "select masked", 1)


def _restored(transformer: Transformer, family: str, lift: int) -> Iterator[Decision]:
    """Decide the image of a coordinate ``x`` of a one-hot under layers select and compare first."""
    select, compare = linear_of(transformer, family), linear_of(transformer, "compare first")
    r, rest = natural("r"), natural("z")
    for name, given in (("token", {V: r + 1 + rest}), ("position", {n_X: r + rest})):
        size = substituted(_CODES[name], given)
        for what, (value, wanted) in ramp(nonnegative("p"), _QUARTER).items():
            arrives = value - lift if name == "token" else value
            before = vector("carried", given, **{name: only(arrives, r, size)})
            ramps = {
                part: output(select, before, r, given=given, block=block("selected", part))
                for part in (f"{name}_upper", f"{name}_lower")
            }
            after = vector("selected", given, **{part: only(x, r, size) for part, x in ramps.items()})
            restored = output(compare, after, r, given=given, block=block("compared", name))
            yield prove_equal(f"{name}: {what}", restored, wanted)


OBLIGATIONS: tuple[Obligation, ...] = (
    Obligation(
        f"{CLAIM}.block-select",
        "In a block that is not the last, layer select leaves the number of the l-th token and 0 elsewhere.",
        r"\mathrm{ReLU}(\delta_{rX} + s_r - 1) = s_r\, \delta_{rX}",
        _select,
        subject,
    ),
    Obligation(
        f"{CLAIM}.block-select-masked",
        "With the mask lift layer select of block 1 leaves the number of the first token and 0 elsewhere.",
        r"\mathrm{ReLU}(s_r + (\delta_{rX} - 1)) = s_r\, \delta_{rX}",
        _select_masked,
        masked_subject,
    ),
    Obligation(
        f"{CLAIM}.restore",
        "Over layers select and compare first, a coordinate of a token's or position's one-hot that is within 1/4 of 0"
        " or 1 becomes exactly that, and any number ends in [0, 1].",
        r"\mathrm{ReLU}(2x - \tfrac12) - \mathrm{ReLU}(2x - \tfrac32) = 0\ (x \le \tfrac14),\ 1\ (x \ge \tfrac34),"
        r"\ \in [0, 1]",
        _restore,
        subject,
    ),
    Obligation(
        f"{CLAIM}.restore-masked",
        "The same with the mask lift, where a token's coordinates arrive with 1 taken off.",
        r"\mathrm{ReLU}(2(x-1) + \tfrac32) - \mathrm{ReLU}(2(x-1) + \tfrac12) = 0\ (x \le \tfrac14),"
        r"\ 1\ (x \ge \tfrac34),\ \in [0, 1]",
        _restore_masked,
        masked_subject,
    ),
)
