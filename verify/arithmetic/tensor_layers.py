"""Norms and shifted attention on torch tensors, by the formulas of libraries."""

from __future__ import annotations

from fractions import Fraction

import torch
from torch import Tensor

from constructions.formats import Format, round_to_format
from constructions.temperature import Temperature
from verify.arithmetic.base import Visible
from verify.arithmetic.constant import constant_when_traced
from verify.arithmetic.gaps import check_exponents, score_gap


def normalised(rows: Tensor, fmt: Format, *, centred: bool, mean: bool, eps: Fraction) -> Tensor:
    """Return every row times the reciprocal square root of its mean square, or of the sum of its squares.

    ``x * rsqrt(mean(x^2) + eps)`` is the RMSNorm of the Llama models as it is written in their Python code, and
    ``(x - mean(x)) * rsqrt(mean((x - mean(x))^2) + eps)`` the textbook's layer normalisation; ``F.layer_norm`` and
    ``F.rms_norm`` give the same numbers up to rounding. In the two formats of 16 bits it is computed in float32 and
    rounded once, as both libraries do; a weight and a bias come after that, as in Llama.

    Args:
        rows: ``x``.
        fmt: their format, which ``eps`` is rounded to.
        centred: take the mean off first.
        mean: divide the sum of squares by the width.
        eps: added under the root.

    """
    wide = rows if rows.dtype in (torch.float32, torch.float64) else rows.float()
    if centred:
        wide = wide - wide.mean(-1, keepdim=True)
    squares = wide.pow(2)
    under = squares.mean(-1, keepdim=True) if mean else squares.sum(-1, keepdim=True)
    return (wide * torch.rsqrt(under + _rounded(eps, fmt))).to(rows.dtype)


@constant_when_traced
def _rounded(eps: Fraction, fmt: Format) -> float:
    return round_to_format(eps, fmt)


def hidden_off(scores: Tensor, visible: Visible) -> Tensor:
    """Return scores with those of keys that are not seen at minus infinity."""
    if isinstance(visible, Tensor):  # a tracer's: its values are not known yet
        return scores.masked_fill(~visible, -torch.inf)
    if visible.all():
        return scores
    return scores.masked_fill(torch.from_numpy(~visible).to(scores.device), -torch.inf)


def scaled(scores: Tensor, temperature: Temperature, *, key_size: int, length: int) -> Tensor:
    """Return scores times the number that a score of 1 adds to the exponent.

    Args:
        scores: queries x keys.
        temperature: a finite one.
        key_size: ``k`` of the head.
        length: number of keys; a symbol, where a tracer runs this.

    """
    if isinstance(length, torch.SymInt):
        one, four = (score_gap(temperature, key_size=key_size, length=number) for number in (1, 4))
        if one == four:
            return scores * one
        # T / sqrt(length): both operations round correctly in float64, as Python's own do
        root = torch.scalar_tensor(length, dtype=torch.float64, device=scores.device).sqrt()
        return scores * (torch.full_like(root, one) / root)  # a number over a tensor would take the reciprocal first
    return scores * score_gap(temperature, key_size=key_size, length=length)


def shifted_softmax(
    scores: Tensor, shift: Tensor, visible: Visible, temperature: Temperature, *, key_size: int
) -> Tensor:
    """Return torch's softmax of the scaled scores and what is added to them."""
    exponents = scaled(scores, check_exponents(temperature), key_size=key_size, length=visible.shape[1])
    return torch.softmax(hidden_off(exponents + shift, visible), dim=-1)
