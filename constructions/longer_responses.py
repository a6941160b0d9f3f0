"""The extension to longer responses: ``N0`` virtual tokens, the p-th holding the map to the p-th response token."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache
from typing import final

import numpy as np
import sympy as sp

from constructions.construction import Layout
from constructions.encodings import Coding
from constructions.expressions import N0, UnitRow, V
from constructions.formats import Format
from constructions.ratios import Ratios
from constructions.selecting import SelectingConstruction
from constructions.selection import selection_mlp
from constructions.stream import Stream
from constructions.targets import TargetSpace
from constructions.temperature import Temperature, above, one_hot_temperature
from constructions.thresholds import coded_responses_threshold
from constructions.transformer import Attention, Head, Layer, Transformer
from constructions.validation import IntArray, TokenArray


@lru_cache
def _layers(coding: Coding) -> tuple[Layer, ...]:
    r"""Return one attention layer of two heads and the three-layer MLP, for symbolic V and N0.

    The position code has two halves, ``prompt`` (positions ``0..N0-1``, the virtual tokens) and ``reply`` (the user's
    token at ``N0`` and the response after it). Head "back" compares the reply code of position ``i`` with the prompt
    code of position ``j``: score 1 iff ``j = i - N0``, the virtual token of the response token to be read there. Head
    "user" has score 1 on position ``N0``. Both read the embedding half; the sum is ``onehot(X) + s_{i - N0}``.
    """
    stream = Stream.of(embedding=V, prompt=N0, reply=N0)
    code = Stream.of(code=N0)
    score = Stream.of(score=1)
    read_embedding = Stream.of(code=V).reads(stream, {("code", "embedding"): sp.Identity(V)})
    heads = (
        Head(
            "back",
            query=code.reads(stream, {("code", "reply"): sp.Identity(N0)}),
            key=code.reads(stream, {("code", "prompt"): sp.Identity(N0)}),
            value=read_embedding,
        ),
        Head(
            "user",
            query=score.reads(
                stream, {("score", "prompt"): sp.OneMatrix(1, N0), ("score", "reply"): sp.OneMatrix(1, N0)}
            ),
            key=score.reads(stream, {("score", "reply"): UnitRow(N0, 0)}),
            value=read_embedding,
        ),
    )
    return (Attention(heads), *selection_mlp(V, coding))


@final
@dataclass(frozen=True, repr=False)
class LongerResponses(SelectingConstruction):
    r"""A transformer that answers one user token with ``N0`` tokens, by any of ``V^(V N0)`` maps.

    ``n_X = 1``, ``n_Y = N0``, context ``2 N0``, ``d_e = V``; ``N0`` virtual tokens (paper, appendix, longer
    responses). For ``N0 = 1`` it is Theorem 2.

    Attributes:
        vocab_size: ``V``, the number of tokens.
        response_size: ``N0``, the number of tokens in a response.

    Example:
        >>> construction = LongerResponses(vocab_size=3, response_size=2)
        >>> construction.targets.shape  # a map for each token of the response
        (2, 3)
        >>> construction.response([[2, 0, 1], [0, 0, 2]], [2]).tolist()
        [1, 2]

    """

    vocab_size: int
    response_size: int

    def __post_init__(self) -> None:
        super().__post_init__()
        self._set_size("response_size", 1)

    @property
    def layout(self) -> Layout:
        """``N0`` virtual tokens, one user token, ``N0`` response tokens."""
        return Layout(virtual=self.response_size, user=1, response=self.response_size)

    @cached_property
    def transformer(self) -> Transformer:
        """The weights of :func:`_layers`, with ``E = I`` (a multiple of ``I`` or of ``I - 1`` in other codings)."""
        bindings = {**self.coding_bindings, N0: self.response_size}
        return Transformer(self.coding.lifted(V), _layers(self.coding), 2 * N0, bindings)

    @property
    def targets(self) -> TargetSpace:
        """For each of the ``N0`` response tokens a map of the user's token; shape ``(N0, V)``."""
        return TargetSpace(self.vocab_size, (self.response_size, self.vocab_size))

    def encode(self, targets: TokenArray) -> Ratios:
        """Return ``s_p = (m_p(0)/V, ..., m_p(V-1)/V)`` for the p-th virtual token, shape ``(batch, N0, V)``.

        In other encodings another multiple of ``m_p(j)``.
        """
        return Ratios(targets, self.coding.denominator(self.vocab_size))

    def answer(self, targets: TokenArray, user_inputs: IntArray) -> TokenArray:
        """Return ``m_0(X), ..., m_{N0-1}(X)``, shape ``(batch, N0)``."""
        return np.take_along_axis(targets, user_inputs[:, :, None], axis=2)[:, :, 0]

    def default_temperature(self, fmt: Format | None) -> Temperature:
        """Exact arithmetic: the next integer above the exact threshold; floats: one-hot up to rounding."""
        if fmt is None:
            return above(coded_responses_threshold(self.decoding_demand, self.response_size))
        return one_hot_temperature(
            fmt,
            keys=2 * self.response_size,
            content_ratio=Fraction(self.coding.steps(self.vocab_size)),
            largest_key_size=self.response_size,
        )
