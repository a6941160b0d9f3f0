"""Margins without logits kept: the promised token's logit minus the largest other one, as the logits are made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from constructions.formats import Format
from verify.engine.arithmetic import EngineRows, EngineWeight
from verify.engine.strips import Constants, stacked, times, total


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
        largest = float(min(bounds.min(), float(fmt.largest))) if np.isfinite(left).all() else -1.0
        found = cls(sign * dense[:, read], sign * shift, largest)
        if not read.any():
            return found, None
        start, parts = 0, []
        for strip in rows.strips:
            parts += [strip.part(place, place + 1) for place in np.flatnonzero(read[start : start + strip.width])]
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


def smallest_margin(readout: Readout, live: Tensor | None, steps: Steps, *, strict: bool) -> Tensor:
    """Return the smallest margin of steps, 1 x 1 x outer x inner; NaN where a logit may not be finite.

    Args:
        readout: the last linear map.
        live: its input at the positions of the steps; ``None`` where it is the same for all cases.
        steps: what is promised.
        strict: look at the logits themselves and not at a bound of them.

    """
    own = _own(live, steps)
    best = torch.full_like(own, -torch.inf)
    lowest = own
    for token in range(len(readout.weight)):
        logit = _logit(readout.weight[token], readout.bias[token : token + 1], live, own)
        if strict:
            lowest = torch.minimum(lowest, logit)
            best = torch.maximum(best, torch.where(torch.eq(steps.tokens, token), -torch.inf, logit))
        else:
            other = torch.logical_and(torch.gt(logit, best), torch.ne(steps.tokens, token))
            best = torch.where(other, logit, best)
    margin = torch.sub(own, best)
    if strict:
        finite = torch.logical_and(torch.isfinite(lowest), torch.isfinite(torch.maximum(own, best)))
        margin = torch.where(finite, margin, torch.nan)
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


def _logit(weights: Constants, shift: Constants, live: Tensor | None, like: Tensor) -> Tensor:
    if live is None or not weights.any():
        zero: Any = torch.zeros_like(like)
        return total([zero], shift)
    terms = [times(live[place : place + 1], weights[[[place]]]) for place in np.flatnonzero(weights).tolist()]
    return total(terms, shift)
