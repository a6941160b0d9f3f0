r"""Tied embeddings: a token's row holds the readout's own numbers, and the last MLP must drown them.

A row of a tied embedding holds ``2k/V - 1`` in ``selected``, ``1/4 - (k/V)^2`` in ``scale`` (-1 for a spare token), 1
in some more blocks, and in ``balance`` the number that makes their sum 0. The first two are at most 1 in magnitude;
their sum lies between -3/4 and 1/4, or is -1, so that ``balance`` is at most ``1 + ones``. No weight before the readout
reads any of them but those ones, so that they only add to the length of a row.
"""

from __future__ import annotations

from fractions import Fraction


def tied_squares(ones: int) -> int:
    """Return an upper bound of the squares' sum in a row of a tied embedding, beside its ones.

    Args:
        ones: how many coordinates of it are 1, beside those of the readout.

    """
    return 1 + 1 + (1 + ones) ** 2


def written_weight(scale_squared: Fraction, vocab_size: int, ones: int) -> int:
    r"""Return the smallest power of two by which the last MLP multiplies, so that a token's own row changes no answer.

    Let the MLP write ``A (x, 1)`` with ``x = y/V``. The logit of token ``k`` is then ``A (k - y)^2/V^2`` below that of
    ``y``. The token's own row changes this distance by at most ``|k - y|/V`` times 2 for ``selected``, 2 for ``scale``
    and ``2 (1 + ones)`` for ``balance`` (each is a number of the row times a difference of at most ``2 |k - y|/V``),
    and by 1 for the ones, which are in every row or in one alone. As ``|k - y| >= 1``, that is at most half of the
    distance if ``A >= 2V (6 + 2 ones + V)``, without the last ``V`` where there are no ones. The other half is left to
    roundings. A spare token is at least ``A`` below, less ``2 + (1 + ones) + ones`` and the same for ``y``, which is
    far less.

    Args:
        scale_squared: a lower bound of ``A^2`` for a weight of 1.
        vocab_size: ``V``.
        ones: how many coordinates of a token's row are 1, beside those of the readout.

    """
    wanted = 2 * vocab_size * (6 + 2 * ones + (vocab_size if ones else 0))
    found = 1
    while found**2 * scale_squared < wanted**2:
        found *= 2
    return found
