"""Theorem 2: one virtual token makes one transformer answer by any of ``V^V`` maps of the user's token."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache
from typing import final

import numpy as np
import sympy as sp

from constructions.construction import Layout
from constructions.encodings import Coding
from constructions.expressions import UnitRow, V
from constructions.formats import Format
from constructions.ratios import Ratios
from constructions.selecting import SelectingConstruction
from constructions.selection import selection_mlp
from constructions.stream import Stream
from constructions.targets import TargetSpace
from constructions.temperature import Temperature, above, one_hot_temperature
from constructions.thresholds import conditional_generation_threshold
from constructions.transformer import Attention, Head, Layer, Transformer
from constructions.validation import IntArray, TokenArray

#: The virtual token and the user's token.
_CONTEXT_SIZE = 2


@lru_cache
def _layers(coding: Coding) -> tuple[Layer, ...]:
    r"""Return one attention layer of two heads and the three-layer MLP, for symbolic V.

    Head "self" reads the embedding half of its own position, at the user's token ``onehot(X)``; head "first" reads
    the embedding half of position 0, the virtual token ``s``. Of their sum ``onehot(X) + s`` the MLP selects
    coordinate ``X``. Other codings embed ``X`` as another multiple of ``onehot(X)``, or of ``onehot(X) - 1``.
    """
    stream = Stream.of(embedding=V, position=_CONTEXT_SIZE)
    own_position = Stream.of(code=_CONTEXT_SIZE).reads(stream, {("code", "position"): sp.Identity(_CONTEXT_SIZE)})
    score = Stream.of(score=1)
    read_embedding = Stream.of(code=V).reads(stream, {("code", "embedding"): sp.Identity(V)})
    heads = (
        Head("self", query=own_position, key=own_position, value=read_embedding),
        Head(
            "first",
            query=score.reads(stream, {("score", "position"): sp.OneMatrix(1, _CONTEXT_SIZE)}),
            key=score.reads(stream, {("score", "position"): UnitRow(_CONTEXT_SIZE, 0)}),
            value=read_embedding,
        ),
    )
    return (Attention(heads), *selection_mlp(V, coding))


@final
@dataclass(frozen=True, repr=False)
class ConditionalGeneration(SelectingConstruction):
    r"""A transformer that answers the user's token by ANY of ``V^V`` maps, chosen by ``(m(0)/V, ...)``.

    ``n_X = n_Y = 1``, ``N = 2``, ``d_e = V``, one-hot embedding, one attention layer with two heads, a three-layer
    MLP (paper, Theorem 2).

    Attributes:
        vocab_size: ``V``, the number of tokens.

    Example:
        >>> construction = ConditionalGeneration(vocab_size=3)
        >>> construction.targets.size  # 3^3 maps
        27
        >>> construction.response([2, 0, 1], [1]).tolist()  # the map 0 -> 2, 1 -> 0, 2 -> 1 at token 1
        [0]

    """

    vocab_size: int

    @property
    def layout(self) -> Layout:
        """One virtual token, one user token, one answer."""
        return Layout(virtual=1, user=1, response=1)

    @cached_property
    def transformer(self) -> Transformer:
        """The weights of :func:`_layers`, with ``E = I`` (a multiple of ``I`` or of ``I - 1`` in other codings)."""
        return Transformer(self.coding.lifted(V), _layers(self.coding), _CONTEXT_SIZE, self.coding_bindings)

    @property
    def targets(self) -> TargetSpace:
        """All maps ``{0..V-1} -> {0..V-1}``, as tables of values."""
        return TargetSpace(self.vocab_size, (self.vocab_size,))

    def encode(self, targets: TokenArray) -> Ratios:
        """Return ``s_j = m(j) / V``, shape ``(batch, 1, V)``; in other encodings another multiple of ``m(j)``."""
        return Ratios(targets[:, None, :], self.coding.denominator(self.vocab_size))

    def answer(self, targets: TokenArray, user_inputs: IntArray) -> TokenArray:
        """Return ``m(X)``, shape ``(batch, 1)``."""
        return np.take_along_axis(targets, user_inputs, axis=1)

    def default_temperature(self, fmt: Format | None) -> Temperature:
        """Exact arithmetic: the next integer above the threshold, which is 0; floats: one-hot up to rounding."""
        if fmt is None:
            return above(Fraction(conditional_generation_threshold(self.vocab_size)))
        return one_hot_temperature(
            fmt,
            keys=_CONTEXT_SIZE,
            content_ratio=Fraction(self.coding.steps(self.vocab_size)),
            largest_key_size=_CONTEXT_SIZE,
        )
