"""The construction of Theorem 1 that carries a given vocabulary in a given format."""

from __future__ import annotations

from typing import Any

from constructions.digit_generation import fewest_digits
from constructions.encodings import default_band_size, grid_size, largest_band_size
from constructions.formats import Format
from constructions.temperature import Hardmax


def carrying(vocab_size: int, context_size: int, fmt: Format | None) -> tuple[str, dict[str, int], dict[str, Any]]:
    """Return the claim, the sizes and the other fields of a construction that is exact for a vocabulary in a format.

    A format of ``p`` bits holds the integers up to ``2^p``: one coordinate for each position up to ``V = 2^p + 1``,
    read in bands, and as few digits as do beyond that. Attention is one-hot, so that no token is off by a rounding.

    Args:
        vocab_size: ``V``.
        context_size: ``N``.
        fmt: the number format; ``None`` for exact numbers.

    Example:
        >>> from constructions import FORMATS
        >>> carrying(50257, 8, FORMATS["bfloat16"])
        ('digits', {'vocab_size': 50257, 'context_size': 8, 'digits': 3}, {'temperature': Hardmax()})
        >>> carrying(50257, 8, FORMATS["float32"])[2]["band_size"]
        4096

    """
    sizes = {"vocab_size": vocab_size, "context_size": context_size}
    if fmt is not None and vocab_size - 1 > 1 << fmt.precision:
        return "digits", {**sizes, "digits": fewest_digits(vocab_size, "hat", fmt)}, {"temperature": Hardmax()}
    band = default_band_size(vocab_size) if fmt is None else min(largest_band_size(fmt), grid_size(vocab_size))
    return (
        "theorem-1",
        sizes,
        {"encoding": "integer", "lift": "mask", "readout": "banded", "band_size": band} | {"temperature": Hardmax()},
    )
