"""Where a number format itself ends: how many evenly spaced values it can tell apart."""

from __future__ import annotations

from constructions.formats import Format


def evenly_spaced_values(fmt: Format) -> int:
    """Return ``2^p + 1``: the most evenly spaced values from 0 up that a format of ``p`` bits holds, all different.

    The integers ``0, 1, ..., 2^p`` are numbers of the format (``k 2^0`` with ``k < 2^p``, and a power of two), and the
    next one, ``2^p + 1``, is not: between ``2^p`` and ``2^(p+1)`` the numbers are 2 apart, and the midpoint rounds to
    ``2^p``, the even neighbour. No other spacing does better: the largest of ``n + 1`` values ``0, d, ..., nd`` lies in
    some binade ``[2^e, 2^(e+1))`` of spacing ``2^(e-p+1)``, and neighbours can only differ after rounding if ``d`` is
    more than half of that spacing, so that ``n d < 2^(e+1)`` gives ``n < 2^(p+1)``; but values that are rounded are not
    evenly spaced any more. With one coordinate for each token and every token exact this is the largest vocabulary.

    Args:
        fmt: the format of the one coordinate. Its exponents must reach ``2^p``, or a smaller spacing does the same.

    """
    return 2**fmt.precision + 1
