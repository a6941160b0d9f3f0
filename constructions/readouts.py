r"""The last two layers: from the selected number ``x`` to the logits, in five ways.

With ``d`` the step of the encoding, so that token ``y`` is ``x = d y``, and ``c = floor(V/2)``:

- ``paper``: the scalar ``x``, and the tangents ``2vd x - (vd)^2`` of a parabola; the nearest token has the largest. On
  the paper's own encoding exactly as the paper has it, with ``x^2 - x + 1/4`` added for every token.
- ``centred``: the same lines less the one of ``c``: ``2(v-c)d x - (v^2-c^2) d^2``. Slopes of half the size.
- ``split``: two numbers, ``ReLU(x - cd)`` and ``ReLU(cd - x)``, whose difference is ``x - cd``, and the tangents
  ``2wd (x - cd) - (wd)^2`` with ``w = v - c``.
- ``hat``: ``V`` numbers ``ReLU(vd - x)``, and ``vd - 2 ReLU(vd - x)``: rises to ``x`` at ``vd = x`` and falls again.
- ``banded``: tokens ``v = hB + l`` in ``H = ceil(V/B)`` bands. ``L_h = ReLU(hBd - x)`` and
  ``R_h = ReLU(x - ((h+1)B - 1)d)`` are 0 in the token's own band and at least ``d`` in every other, and
  ``O_h = ReLU(x - hBd)`` is the offset in the band; the logit is
  ``(l/B^2) O_h - d l^2/(2 B^2) - L_h - R_h``: tangents within the band, negative outside. The last band needs no ``R``:
  the layer has ``3H - 1`` numbers, and every row of the readout reads three of them.
"""

from __future__ import annotations

import sympy as sp
from sympy.matrices.expressions.matexpr import MatrixExpr

from constructions.encodings import Coding
from constructions.expressions import BAND, BANDS, V, entries
from constructions.stream import Stream
from constructions.transformer import Linear

#: The width of the input of the paper's readout.
SCALAR = 1

_CENTRE = sp.floor(V / 2)


def readout_weight() -> MatrixExpr:
    r"""Return the paper's readout weight ``2v/V - 1``, V x 1.

    ``-(x - v/V)^2 = (2v/V) x - (v/V)^2 - x^2``; adding ``x^2 - x + 1/4``, which is the same for every token, leaves
    the affine logit ``(2v/V - 1) x + 1/4 - (v/V)^2``. So the nearest grid value ``v/V`` wins (paper, Figure 4).
    """
    return entries(V, 1, lambda v, _: 2 * v / V - 1)


def readout_bias() -> MatrixExpr:
    r"""Return the paper's readout bias ``1/4 - (v/V)^2``, V x 1; see :func:`readout_weight`."""
    return entries(V, 1, lambda v, _: sp.Rational(1, 4) - (v / V) ** 2)


def decoder(width: sp.Expr, coding: Coding, *, prefix: str = "") -> tuple[Linear, Linear]:
    """Return the layers ``sum`` and ``readout``.

    Args:
        width: the number of coordinates of the selected vector; all but one of them are 0.
        coding: encoding and readout.
        prefix: put in front of the layers' names.

    """
    make = {"paper": _lines, "centred": _lines, "split": _split, "hat": _hat, "banded": _banded}[coding.readout]
    summed, readout = make(width, coding)
    return (
        Linear(*summed, name=f"{prefix}sum"),
        Linear(*readout, activation=None, name=f"{prefix}readout"),
    )


_Affine = tuple[MatrixExpr, MatrixExpr]


def _lines(width: sp.Expr, coding: Coding) -> tuple[_Affine, _Affine]:
    step = coding.step
    scalar = sp.OneMatrix(SCALAR, width), sp.ZeroMatrix(SCALAR, 1)
    if coding.encoding == coding.readout == "paper":
        return scalar, (readout_weight(), readout_bias())
    centre = _CENTRE if coding.readout == "centred" else sp.S.Zero
    weight = entries(V, 1, lambda v, _: 2 * (v - centre) * step)
    return scalar, (weight, entries(V, 1, lambda v, _: (centre**2 - v**2) * step**2))


def _split(width: sp.Expr, coding: Coding) -> tuple[_Affine, _Affine]:
    step = coding.step
    selected, sides = Stream.of(code=width), Stream.of(above=1, below=1)
    one = sp.OneMatrix(1, width)
    at = _CENTRE * step * sp.OneMatrix(1, 1)
    summed = (
        sides.reads(selected, {("above", "code"): one, ("below", "code"): -one}),
        sides.constant({"above": -at, "below": at}),
    )
    slope = entries(V, 1, lambda v, _: 2 * (v - _CENTRE) * step)
    weight = Stream.of(logits=V).reads(sides, {("logits", "above"): slope, ("logits", "below"): -slope})
    return summed, (weight, entries(V, 1, lambda v, _: -(((v - _CENTRE) * step) ** 2)))


def _hat(width: sp.Expr, coding: Coding) -> tuple[_Affine, _Affine]:
    grid = entries(V, 1, lambda v, _: v * coding.step)
    return (-sp.OneMatrix(V, width), grid), (-2 * sp.Identity(V), grid)


def _banded(width: sp.Expr, coding: Coding) -> tuple[_Affine, _Affine]:
    step = coding.step
    selected, bands = Stream.of(code=width), Stream.of(left=BANDS, right=BANDS - 1, offset=BANDS)
    summed = (
        bands.reads(
            selected,
            {
                ("left", "code"): -sp.OneMatrix(BANDS, width),
                ("right", "code"): sp.OneMatrix(BANDS - 1, width),
                ("offset", "code"): sp.OneMatrix(BANDS, width),
            },
        ),
        bands.constant(
            {
                "left": entries(BANDS, 1, lambda h, _: h * BAND * step),
                "right": entries(BANDS - 1, 1, lambda h, _: (1 - (h + 1) * BAND) * step),
                "offset": entries(BANDS, 1, lambda h, _: -h * BAND * step),
            }
        ),
    )

    def within(v: sp.Expr, h: sp.Expr) -> sp.Expr:
        return sp.KroneckerDelta(h, sp.floor(v / BAND))

    def place(v: sp.Expr) -> sp.Expr:
        return v - BAND * sp.floor(v / BAND)

    weight = Stream.of(logits=V).reads(
        bands,
        {
            ("logits", "left"): entries(V, BANDS, lambda v, h: -within(v, h)),
            ("logits", "right"): entries(V, BANDS - 1, lambda v, h: -within(v, h)),
            ("logits", "offset"): entries(V, BANDS, lambda v, h: within(v, h) * place(v) / BAND**2),
        },
    )
    return summed, (weight, entries(V, 1, lambda v, _: -step * place(v) ** 2 / (2 * BAND**2)))
