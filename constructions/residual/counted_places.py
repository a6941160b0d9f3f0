r"""How large masks and gains must be where positions are counted and an MLP selects the place at distance 0.

At position ``q`` that MLP writes ``-f_1 |q - q_j|/(q + 1)`` for every place ``q_j``, with the factor ``f_1`` of the
norm before it. The norm before the next MLP has another factor, ``f_2``, of a row that holds these distances too.
"""

from __future__ import annotations

import math
from fractions import Fraction

from constructions.activations import Activation
from constructions.residual.bounds import Fetched, gain, root_above


def _largest_factor_squared(fetched: Fetched) -> Fraction:
    """Return an upper bound of ``f_1^2``: the row holds a 1, and zeros wherever something is written later.

    The zeros are in ``place``, as many as there are numbers, in ``selected``, in ``scale``, and in ``zero``.
    """
    return fetched.width * (1 + Fraction(int(fetched.centred), fetched.numbers + 3))


def _positions(fetched: Fetched) -> range:
    return range(fetched.first, fetched.last + 1)


def _squares(fetched: Fetched, position: int) -> Fraction:
    """Return an upper bound of the squares' sum that the row holds beside the fetched numbers, distances included."""
    before, after = position - fetched.first, fetched.last - position
    steps = sum(count * (count + 1) * (2 * count + 1) // 6 for count in (before, after))  # 1 + 4 + 9 + ... on each side
    return fetched.squares + _largest_factor_squared(fetched) * Fraction(steps, (position + 1) ** 2)


def distance_mask(fetched: Fetched) -> int:
    r"""Return the smallest ``M`` with which every number but one is below 0, by ``f_2 f_1/(q + 1)`` at least.

    Its unit is ``f_2 (beta s_j - M f_1 |q - q_j|/(q + 1))``, with ``|q - q_j| >= 1``.
    """
    return max(
        math.ceil(1 + (q + 1) * fetched.arriving(q) * root_above(1 / fetched.factor_squared(q)))
        for q in _positions(fetched)
    )


def _leaking_squared(fetched: Fetched, vocab_size: int) -> Fraction:
    """Return an upper bound of all magnitudes' sum, as :func:`gain` takes it: two masked distances of ``f_1 N``."""
    masked = 2 * distance_mask(fetched) * fetched.numbers * root_above(_largest_factor_squared(fetched))
    return fetched.leaking_squared(max(masked, fetched.largest_share), vocab_size)


def distance_gain(activation: Activation, fetched: Fetched, vocab_size: int) -> int:
    """Return the gain of the distances: the smallest one that is not 0 is ``f_1/(q + 1)``."""
    least = min(fetched.factor_squared(q) / (q + 1) ** 2 for q in _positions(fetched))
    return gain(activation, least, _leaking_squared(fetched, vocab_size))


def distance_selecting_gain(activation: Activation, fetched: Fetched, vocab_size: int) -> int:
    """Return the gain of the MLP that selects: ``f_2 beta/V`` and ``f_2 f_1/(q + 1)`` are the smallest magnitudes."""

    def number(q: int) -> Fraction:
        return fetched.unit_squared(q, _squares(fetched, q)) / vocab_size**2

    def masked(q: int) -> Fraction:
        factors = fetched.factor_squared(q, _squares(fetched, q)) * fetched.factor_squared(q)
        return factors / (q + 1) ** 2

    least = min(min(number(q), masked(q)) for q in _positions(fetched))
    return gain(activation, least, _leaking_squared(fetched, vocab_size))
