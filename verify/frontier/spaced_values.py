"""The limit of a number format itself: the most evenly spaced values that it tells apart."""

from __future__ import annotations

from constructions.formats import Format


def evenly_spaced_values(fmt: Format) -> int:
    """Return ``2^p + 1``: the most evenly spaced values from 0 up that a format of ``p`` bits holds exactly.

    The integers ``0, 1, ..., 2^p`` are numbers of the format: a number whose odd part has at most ``p`` bits is one, as
    far as the exponents reach (and where they do not reach ``2^p``, a smaller spacing does the same). No spacing ``d``
    does better: with ``d = m 2^e``, ``m`` odd, the value ``(2^p + 1) d`` has the odd part ``(2^p + 1) m``, which has
    more than ``p`` bits. So this is the largest vocabulary with one coordinate, every token exact, and equal distances.

    Args:
        fmt: the format of the coordinate.

    Example:
        >>> from constructions import FORMATS
        >>> evenly_spaced_values(FORMATS["bfloat16"])
        257

    """
    return (1 << fmt.precision) + 1
