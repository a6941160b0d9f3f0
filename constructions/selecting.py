"""The common part of the constructions with one attention layer: how tokens are encoded, and how one is decoded."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import final

import sympy as sp

from constructions.construction import Construction
from constructions.encodings import Coding, Encoding, Lift, Readout, check_band_size, decoding_demand
from constructions.expressions import BAND, BANDS, GRID, V


@dataclass(frozen=True, kw_only=True, repr=False)
class SelectingConstruction(Construction):
    """A construction whose MLP selects one coordinate of the virtual token and decodes it; the defaults are the paper.

    Attributes:
        encoding: ``paper`` (``y/V``), ``integer`` (``y``) or ``dyadic`` (``y/G``, ``G`` a power of two).
        lift: ``add`` (the paper) or ``mask``, which keeps one more bit of the selected number in a float.
        readout: ``paper``, ``centred``, ``split``, ``hat`` or ``banded``; see :mod:`constructions.readouts`.
        band_size: ``B``, the number of tokens in a band of the banded readout, a power of two; ``None`` for one that is
            exact in every format that holds the tokens. See :func:`constructions.encodings.largest_band_size` for a
            format's fewest bands.

    Example:
        >>> from constructions import ConditionalGeneration
        >>> construction = ConditionalGeneration(5, encoding="integer", lift="mask", readout="hat")
        >>> construction.virtual_tokens([4, 0, 1, 2, 3]).to_fractions()[0]
        [Fraction(4, 1), Fraction(0, 1), Fraction(1, 1), Fraction(2, 1), Fraction(3, 1)]

    """

    encoding: Encoding = "paper"
    lift: Lift = "add"
    readout: Readout = "paper"
    band_size: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        _ = self.coding
        check_band_size(self.band_size, self.readout, self.vocab_size)

    @final
    @cached_property
    def coding(self) -> Coding:
        """Encoding, lift and readout."""
        return Coding(self.encoding, self.lift, self.readout)

    @final
    @property
    def coding_bindings(self) -> dict[sp.Symbol, int]:
        """The numbers of the symbols that the coding needs beside the sizes of the construction."""
        found: dict[sp.Symbol, int] = {V: self.vocab_size}
        if GRID in (self.coding.step.free_symbols | self.coding.height.free_symbols):
            found[GRID] = self.coding.steps(self.vocab_size)
        if self.readout == "banded":
            band = check_band_size(self.band_size, self.readout, self.vocab_size)
            found |= {BAND: band, BANDS: -(-self.vocab_size // band)}
        return found

    @final
    @property
    def decoding_demand(self) -> Fraction:
        """How sharp the readout needs attention to be; see :func:`constructions.encodings.decoding_demand`."""
        band = check_band_size(self.band_size, self.readout, self.vocab_size)
        return decoding_demand(self.vocab_size, self.coding, band)
