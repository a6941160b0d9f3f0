"""Margins without logits kept: the promised token's logit minus the largest other one, as the logits are made."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import torch
from torch import Tensor

from constructions.formats import Format
from verify.engine.rows import EngineRows, EngineWeight
from verify.engine.strips import Constants, as_tensor, stacked, times, total


@dataclass(frozen=True, eq=False)
class Readout:
    """The last linear map, on the coordinates of its input that are live.

    Attributes:
        weight: outputs x live coordinates.
        bias: outputs x positions, with what the other coordinates add.
        largest: up to this magnitude of every live coordinate no logit overflows; not positive where there is none.

    """

    weight: Constants
    bias: Constants
    largest: float

    @classmethod
    def of(
        cls, rows: EngineRows, weight: EngineWeight, bias: EngineWeight | None, fmt: Format, sign: int
    ) -> tuple[Readout, Tensor | None]:
        """Return the readout of rows, and the live coordinates, coordinates x positions x outer x inner.

        The sum of ``n`` products and a bias, in any order, is off by at most ``(1 + u)^(n + 1) - 1`` times the sum
        of the magnitudes, that is by less than them as long as ``(n + 1) u <= 1/2``. So it does not overflow where
        the magnitudes add up to at most half of the largest number. They are computed in float64 here, off by less
        than a factor of ``1 + n 2^-52``, for which another half is given away.

        Args:
            rows: the readout's input.
            weight: of the readout.
            bias: of the readout.
            fmt: the format.
            sign: -1 where the smallest logit is the answer: a change of sign rounds nothing.

        """
        known = np.concatenate([strip.constant for strip in rows.strips])
        live = np.concatenate([np.full(strip.width, bool(strip.pieces)) for strip in rows.strips])
        dense = weight.dense()
        read = live & dense.any(axis=0)
        shift = dense @ known
        if bias is not None:
            shift = shift + bias.dense()
        left = float(fmt.largest) / 4 - np.abs(shift.astype(np.float64)).max(axis=1)
        factors = np.abs(dense[:, read].astype(np.float64)).sum(axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            bounds = np.where(factors > 0, left / factors, np.where(left > 0, np.inf, -1.0))
        shown = bool(np.isfinite(left).all()) and (int(read.sum()) + 1) * fmt.unit_roundoff <= Fraction(1, 2)
        largest = float(min(bounds.min(), float(fmt.largest))) if shown else -1.0
        found = cls(sign * dense[:, read], sign * shift, largest)
        if not read.any():
            return found, None
        start, parts = 0, []
        for strip in rows.strips:
            parts += [
                strip.part(place, place + 1) for place in np.flatnonzero(read[start : start + strip.width]).tolist()
            ]
            start += strip.width
        return found, stacked(parts).whole()


@dataclass(frozen=True, eq=False)
class Steps:
    """Steps of the response whose promised tokens depend on the same.

    Attributes:
        tokens: the promised tokens, 1 x steps x outer x inner, as numbers of the format.
        weight: the rows of the readout's weight for them, live coordinates x steps x outer x inner.
        bias: the same of its bias, 1 x steps x outer x inner.

    """

    tokens: Tensor
    weight: Tensor | None
    bias: Tensor


def smallest_margin(readout: Readout, live: Tensor | None, steps: Steps, *, at_once: int, strict: bool) -> Tensor:
    """Return the smallest margin of steps, 1 x 1 x outer x inner; NaN where a logit may not be finite.

    Args:
        readout: the last linear map.
        live: its input at the positions of the steps; ``None`` where it is the same for all cases.
        steps: what is promised.
        at_once: how many tokens have their logits made at once.
        strict: look at the logits themselves and not at a bound of them.

    """
    own = _own(live, steps)
    best: Tensor | None = None
    lowest, waiting = own, None
    for first in range(0, len(readout.weight), at_once):
        weight, bias = (part[first : first + at_once] for part in (readout.weight, readout.bias))
        tokens = float(first) if len(weight) == 1 else as_tensor(np.arange(first, first + len(weight))[:, None])
        promised = torch.eq(steps.tokens, tokens)
        if strict:
            logits = _logits(weight, as_tensor(bias), live, own)
            lowest = torch.minimum(lowest, logits.amin(0, keepdim=True))
            others = torch.where(promised, -torch.inf, logits)
        else:  # minus infinity as the bias of one leaves it out; where a logit may be infinite, the margin is NaN below
            alike = len(weight) == 1 and bool((bias == bias[0, 0]).all())
            added = as_tensor(bias[:, :1] if alike else bias)  # two numbers of Python's would be float32
            others = _logits(weight, torch.where(promised, -torch.inf, added), live, own)
        others = others if len(weight) == 1 else others.amax(0, keepdim=True)
        if strict:
            best = others if best is None else torch.maximum(best, others)
        elif waiting is None:
            waiting = others
        else:  # two by two, so that a processor need not wait for one comparison to begin the next
            pair, waiting = _larger(waiting, others), None
            best = pair if best is None else _larger(best, pair)
    if waiting is not None:
        best = waiting if best is None else _larger(best, waiting)
    assert best is not None, "a vocabulary has a token"
    margin = torch.sub(own, best)
    if strict:
        finite = torch.logical_and(torch.isfinite(lowest), torch.isfinite(torch.maximum(own, best)))
        margin = torch.where(finite, margin, torch.nan)
    elif not readout.largest > 0:  # a logit may overflow whatever the live coordinates are, or where there are none
        margin = torch.full_like(margin, torch.nan)
    elif live is not None:
        magnitude = torch.abs(live) if len(live) == 1 else torch.abs(live).amax(0, keepdim=True)
        margin = torch.where(torch.le(magnitude, readout.largest), margin, torch.nan)
    return margin.amin(1, keepdim=True)


def _own(live: Tensor | None, steps: Steps) -> Tensor:
    if live is None or steps.weight is None:
        return steps.bias
    terms = torch.mul(steps.weight, live)
    summed = terms if len(terms) == 1 else terms.sum(0, keepdim=True)
    return torch.add(summed, steps.bias)


def _larger(one: Tensor, other: Tensor) -> Tensor:
    """Return the larger of each two numbers that are finite or minus infinity: one instruction where it is compiled."""
    return torch.where(torch.gt(one, other), one, other)


def _logits(weight: Constants, bias: Tensor, live: Tensor | None, like: Tensor) -> Tensor:
    """Return the logits of some tokens: written out, or a matrix product where it has less to read and to write.

    A product writes and reads each logit and each coordinate once more than a sum of terms, which is a product and a
    sum for each entry that is not 0.
    """
    if live is None or not weight.any():
        return torch.add(torch.zeros_like(like), bias)
    if np.count_nonzero(weight) > 2 * sum(weight.shape):
        product = torch.tensordot(torch.from_numpy(np.ascontiguousarray(weight)), live, dims=1)
        return torch.add(product, bias)
    read = np.flatnonzero(weight.any(axis=0)).tolist()
    if len(weight) == 1:
        return torch.add(total([times(live[place : place + 1], weight[:, [place]]) for place in read]), bias)
    return torch.add(total([torch.mul(live[place : place + 1], as_tensor(weight[:, [place]])) for place in read]), bias)
