"""Attention in the engine: weights that are the same for all cases are constants, and a weight of 0 is no work."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from constructions.temperature import Hardmax, Temperature
from verify.arithmetic.base import Arithmetic, Visible
from verify.arithmetic.gaps import check_exponents, score_gap
from verify.engine.rows import EngineRows, EngineScores, EngineWeight, hidden_off, sparse_parts
from verify.engine.strips import Constants, Piece, Strip, as_numbers, as_tensor, assembled, paired, times, total


class EngineAttention(Arithmetic[EngineWeight, EngineRows, EngineScores]):
    """The operations of attention.

    Attributes:
        dtype: of constants.
        torch_dtype: of tensors.

    """

    dtype: np.dtype[np.floating]
    torch_dtype: torch.dtype

    def scores(self, queries: EngineRows, keys: EngineRows) -> EngineScores:
        """Return the inner products, coordinate by coordinate; one that is 0 everywhere on one side is no work."""
        constant = np.zeros((queries.length, keys.length), dtype=self.dtype)
        terms = []
        for query, key in paired(queries.strips, keys.strips):
            if not (query.pieces or key.pieces):
                constant = constant + query.constant.T @ key.constant
                continue
            for place in range(query.width):
                one, other = query.part(place, place + 1), key.part(place, place + 1)
                if (one.pieces or one.constant.any()) and (other.pieces or other.constant.any()):
                    terms.append(torch.mul(one.whole().transpose(0, 1), other.whole()))
        batch = max(queries.batch, keys.batch)
        return EngineScores(total(terms, constant) if terms else as_tensor(constant), batch)

    def score_table(self, table: EngineWeight, start: int, stop: int) -> EngineScores:
        """Return a part of the table, the same for all sequences."""
        return EngineScores(as_tensor(table.dense()[start:stop, :stop]), 1)

    def shifted(self, scores: EngineScores, shift: EngineScores) -> EngineScores:
        """Return the sum."""
        return EngineScores(torch.add(scores.value, shift.value), max(scores.batch, shift.batch))

    def attention(
        self, scores: EngineScores, visible: Visible, temperature: Temperature, *, key_size: int
    ) -> EngineScores:
        """Return the weights: torch's softmax of the scaled scores, or a uniform choice among the largest."""
        if isinstance(temperature, Hardmax):
            hidden = hidden_off(scores.value, visible)
            largest = torch.eq(hidden, hidden.amax(1, keepdim=True)).to(self.torch_dtype)
            return EngineScores(torch.div(largest, largest.sum(1, keepdim=True)), scores.batch)
        gap = score_gap(temperature, key_size=key_size, length=visible.shape[1])
        return EngineScores(torch.softmax(hidden_off(torch.mul(scores.value, gap), visible), dim=1), scores.batch)

    def shifted_attention(
        self,
        scores: EngineScores,
        shift: EngineScores,
        visible: Visible,
        temperature: Temperature,
        *,
        key_size: int,
    ) -> EngineScores:
        """Return the weights: torch's softmax of the scaled scores and the shift."""
        gap = score_gap(check_exponents(temperature), key_size=key_size, length=visible.shape[1])
        moved = torch.add(torch.mul(scores.value, gap), shift.value)
        return EngineScores(torch.softmax(hidden_off(moved, visible), dim=1), max(scores.batch, shift.batch))

    def mix(self, attention: EngineScores, values: EngineRows) -> EngineRows:
        """Return the weighted sums; a weight of 0 is no work."""
        if attention.constant:
            held = as_numbers(attention.value)
            strips = tuple(self._mixed_by_constants(held, strip) for strip in values.strips)
        else:
            parts = [part for strip in values.strips for part in sparse_parts(strip)]
            strips = tuple(self._mixed(attention.value, part) for part in parts)
        return EngineRows(strips, max(attention.batch, values.batch))

    def _mixed_by_constants(self, weights: Constants, strip: Strip) -> Strip:
        constant = strip.constant @ weights.T
        terms: list[list[Piece]] = []
        for piece in strip.pieces:
            read = weights[:, piece.places]
            if len(piece.places) > 1 and np.count_nonzero(read) > 2 * len(piece.places):  # as in a linear map
                asked = np.flatnonzero(read.any(axis=1))
                dense = torch.from_numpy(np.ascontiguousarray(read[asked]))
                made = torch.tensordot(dense, piece.value, dims=([1], [1])).transpose(0, 1)
                terms.append([Piece(tuple(asked.tolist()), made)])
                continue
            for index in range(len(piece.places)):
                asked = np.flatnonzero(read[:, index])
                if len(asked):
                    made = torch.mul(piece.value[:, index : index + 1], as_tensor(read[asked, index][None]))
                    terms.append([Piece(tuple(asked.tolist()), made)])
        return assembled(constant, terms)

    def _mixed(self, weights: Tensor, strip: Strip) -> Strip:
        whole = strip.whole() if strip.pieces else None
        terms = []
        for key in range(strip.length):
            weight = weights[:, key : key + 1].transpose(0, 1)  # 1 x queries
            if whole is not None:
                terms.append(torch.mul(weight, whole[:, key : key + 1]))
            elif strip.constant[:, key].any():
                factors = strip.constant[:, key : key + 1]
                terms.append(times(weight, factors) if len(factors) == 1 else torch.mul(weight, as_tensor(factors)))
        places = tuple(range(weights.shape[0]))
        constant = np.zeros((strip.width, len(places)), dtype=self.dtype)
        if not terms:
            return Strip(constant)
        return Strip(constant, (Piece(places, total(terms)),))
