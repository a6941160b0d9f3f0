"""The operations that layers are made of, but for attention's, in the engine."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import torch
from torch import Tensor

from constructions.activations import Activation
from constructions.formats import Format, round_to_format
from verify.engine.attention import EngineAttention
from verify.engine.rows import EngineRows, EngineWeight, multiplied
from verify.engine.strips import Constants, Piece, Strip, assembled, paired, stacked, times


class EngineLayers(EngineAttention):
    """Linear maps, activations, sums, products and norms.

    Attributes:
        fmt: of every number.

    """

    fmt: Format

    def linear(self, rows: EngineRows, weight: EngineWeight, bias: EngineWeight | None = None) -> EngineRows:
        """Return ``W x + b``: written out where the weight reads each coordinate twice on average, or less.

        A matrix product writes every coordinate once more, side by side, and reads it: two passes over memory. As many
        entries as that cost no more when they are written out, one product and one sum each.
        """
        height, length = weight.shape[0], rows.length
        known = np.concatenate([strip.constant for strip in rows.strips])
        constant = np.zeros((height, length), dtype=self.dtype)
        np.add.at(constant, weight.rows, weight.values[:, None] * known[weight.columns])
        if bias is not None:
            constant[bias.rows] += bias.values[:, None]
        live = np.concatenate([np.full(strip.width, bool(strip.pieces)) for strip in rows.strips])
        used = live[weight.columns]
        if not used.any():
            return EngineRows((Strip(constant),), rows.batch)
        if used.sum() <= 2 * live.sum():
            strips = self._written_out(rows, weight, used, constant)
        else:
            strips = (self._product(rows, weight, live, constant),)
        return EngineRows(strips, rows.batch)

    def _written_out(
        self, rows: EngineRows, weight: EngineWeight, used: np.ndarray[Any, Any], constant: Constants
    ) -> tuple[Strip, ...]:
        single: dict[int, Strip] = {}
        start = 0
        for strip in rows.strips:
            if strip.pieces:
                single |= {start + place: strip.part(place, place + 1) for place in range(strip.width)}
            start += strip.width
        terms: dict[int, list[list[Piece]]] = {}
        for row, column, value in zip(
            weight.rows[used].tolist(), weight.columns[used].tolist(), weight.values[used], strict=True
        ):
            scaled = [Piece(places, times(part, np.array([[value]]))) for places, part in single[column].pieces]
            terms.setdefault(row, []).append(scaled)
        found, start = [], 0
        for row in sorted(terms):
            if row > start:
                found.append(Strip(constant[start:row]))
            found.append(assembled(constant[row : row + 1], terms[row]))
            start = row + 1
        if start < weight.shape[0]:
            found.append(Strip(constant[start:]))
        return tuple(found)

    def _product(
        self, rows: EngineRows, weight: EngineWeight, live: np.ndarray[Any, Any], constant: Constants
    ) -> Strip:
        read = np.zeros(weight.shape[1], dtype=np.bool_)
        read[weight.columns] = True
        chosen = read & live
        kept, start = [], 0
        for strip in rows.strips:
            here = chosen[start : start + strip.width]
            bare = Strip(np.zeros_like(strip.constant), strip.pieces)
            kept += [bare] if here.all() else [bare.part(place, place + 1) for place in np.flatnonzero(here).tolist()]
            start += strip.width
        ((places, value),) = stacked(kept).pieces
        dense = torch.from_numpy(weight.dense()[:, chosen])
        made = torch.mul(dense[:, :, None, None], value) if len(value) == 1 else torch.tensordot(dense, value, dims=1)
        return assembled(constant, [[Piece(places, made)]])

    def relu(self, rows: EngineRows) -> EngineRows:
        """Return ``max(0, .)``."""
        return EngineRows(tuple(strip.changed(torch.relu) for strip in rows.strips), rows.batch)

    def pointwise(self, rows: EngineRows, activation: Activation) -> EngineRows:
        """Return the activation by torch's own function."""
        return EngineRows(tuple(strip.changed(activation.torch) for strip in rows.strips), rows.batch)

    def total(self, parts: Sequence[EngineRows]) -> EngineRows:
        """Return the sum, coordinate by coordinate."""
        found = []
        for strips in paired(*(part.strips for part in parts)):
            constant = sum((strip.constant for strip in strips[1:]), start=strips[0].constant)
            found.append(assembled(constant, [strip.pieces for strip in strips]))
        return EngineRows(tuple(found), max(part.batch for part in parts))

    def multiply(self, left: EngineRows, right: EngineRows) -> EngineRows:
        """Return the product, coordinate by coordinate; a factor of 0 at all positions leaves nothing."""
        found = []
        for one, other in paired(left.strips, right.strips):
            found.append(multiplied(one, other))
        return EngineRows(tuple(found), max(left.batch, right.batch))

    def normalise(self, rows: EngineRows, *, centred: bool, mean: bool, eps: Fraction) -> EngineRows:
        """Return the rows over their lengths, by the formula of the dense arithmetic."""
        added = round_to_format(eps, self.fmt)

        def over_length(wide: Tensor) -> Tensor:
            if centred:
                wide = torch.sub(wide, wide.mean(0, keepdim=True))
            squares = torch.mul(wide, wide)
            under = squares.mean(0, keepdim=True) if mean else squares.sum(0, keepdim=True)
            return torch.mul(wide, torch.rsqrt(torch.add(under, added)))

        return EngineRows((stacked(rows.strips).changed(over_length),), rows.batch)

    def affine(self, rows: EngineRows, weight: EngineWeight | None, bias: EngineWeight | None) -> EngineRows:
        """Return ``w * x + b``, the product rounded first."""
        found, start = [], 0
        for strip in rows.strips:
            chosen = slice(start, start + strip.width)
            factor = np.ones((strip.width, 1), self.dtype) if weight is None else weight.dense()[chosen]
            shift = np.zeros((strip.width, 1), self.dtype) if bias is None else bias.dense()[chosen]
            scaled = [Piece(places, times(value, factor)) for places, value in strip.pieces]
            found.append(assembled(strip.constant * factor + shift, [scaled]))
            start += strip.width
        return EngineRows(tuple(found), rows.batch)
