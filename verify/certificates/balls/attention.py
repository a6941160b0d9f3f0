"""Attention weights as bounds: softmax at a true ``exp``, and hardmax."""

from __future__ import annotations

import flint
import numpy as np

from constructions.temperature import RationalSoftmax, Softmax
from verify.arithmetic.base import Visible
from verify.certificates.balls.columns import ONE, Column, ball, zeros
from verify.certificates.balls.rows import BallScores


def gap_of(temperature: Softmax | RationalSoftmax, *, key_size: int, length: int) -> flint.arb:
    """Return ``T/sqrt(k)``, or ``ln q``, as a ball."""
    if isinstance(temperature, RationalSoftmax):
        return ball(temperature.q).log()
    under = key_size if temperature.scaled_by == "key" else length
    return flint.arb(temperature.inverse_temperature) / flint.arb(under).sqrt()


def hardmax(scores: BallScores, visible: Visible) -> BallScores:
    """Return the uniform choice among the visible keys of the largest score, where it is certain which those are."""
    low, high = zeros(*scores.low.shape), zeros(*scores.low.shape)
    certain = True
    for batch, query in np.ndindex(scores.low.shape[:2]):
        keys = np.flatnonzero(visible[query]).tolist()
        values = [(scores.low[batch, query, key], scores.high[batch, query, key]) for key in keys]
        # keys whose lead, or whose tie, over every other one is certain; a ball of radius 0 is a number
        chosen = [
            key
            for key, (least, _) in zip(keys, values, strict=True)
            if all(bool(least > most) or _equal(least, most) for _, most in values)
        ]
        beaten = [
            key for key, (_, most) in zip(keys, values, strict=True) if any(bool(most < least) for least, _ in values)
        ]
        if chosen and len(chosen) + len(beaten) == len(keys):
            for key in chosen:
                low[batch, query, key] = high[batch, query, key] = ONE / len(chosen)
        else:
            certain = False
            for key in set(keys) - set(beaten):
                high[batch, query, key] = ONE
    return BallScores(low, low if certain else high)


def softmax(exponents: Column, visible: Visible) -> BallScores:
    """Return the softmax over the visible keys of exponents of shape batch x queries x keys."""
    low, high = zeros(*exponents.low.shape), zeros(*exponents.low.shape)
    for batch, query in np.ndindex(exponents.low.shape[:2]):
        keys = np.flatnonzero(visible[query])
        least = list(exponents.low[batch, query, keys])
        most = least if exponents.known else list(exponents.high[batch, query, keys])
        for place, key in enumerate(keys):
            # 1 / sum_r exp(z_r - z_j): the others as large, or as small, as they may be
            low[batch, query, key] = _weight(least[place], most, place)
            if not exponents.known:
                high[batch, query, key] = _weight(most[place], least, place)
    return BallScores(low, low if exponents.known else high)


def _weight(own: flint.arb, others: list[flint.arb], place: int) -> flint.arb:
    total = ONE
    for index, other in enumerate(others):
        if index != place:
            total += (other - own).exp()
    return ONE / total


def _equal(left: flint.arb, right: flint.arb) -> bool:
    return bool(left == right)  # arb: certainly equal, both of radius 0
