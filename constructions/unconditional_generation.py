"""Theorem 1: one virtual token makes one transformer generate any of ``V^N`` sequences."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property, lru_cache
from typing import final

import sympy as sp

from constructions.construction import Layout
from constructions.encodings import PAPER, Coding
from constructions.expressions import N, UnitRow, V
from constructions.formats import Format
from constructions.lowering import exact_rows, explicit_matrix
from constructions.ratios import Ratios
from constructions.selecting import SelectingConstruction
from constructions.selection import selection_mlp
from constructions.stream import Stream
from constructions.targets import TargetSpace
from constructions.temperature import Temperature, above, one_hot_temperature
from constructions.thresholds import coded_generation_threshold, embedding_threshold
from constructions.transformer import Attention, Head, Layer, Matrix, Transformer
from constructions.validation import IntArray, InvalidArgument, TokenArray


@lru_cache
def _layers(coding: Coding) -> tuple[Layer, ...]:
    r"""Return one attention layer of two heads and the three-layer MLP, for symbolic V and N.

    Head "self" has score ``e_i . e_j``, 1 on itself, and reads its own position code ``e_i``. Head "first" has score
    ``(sum of e_i) (e_j)_0``, 1 on position 0, and reads the embedding half there, the virtual token ``s``. Their sum
    is ``e_i + s``, whose coordinate ``i`` the MLP selects. Other codings read another multiple of
    ``e_i``, or of ``e_i - 1``.
    """
    stream = Stream.of(embedding=N, position=N)
    own_position = Stream.of(code=N).reads(stream, {("code", "position"): sp.Identity(N)})
    lifted = Stream.of(code=N).reads(stream, {("code", "position"): coding.lifted(N)})
    score = Stream.of(score=1)
    heads = (
        Head("self", query=own_position, key=own_position, value=lifted),
        Head(
            "first",
            query=score.reads(stream, {("score", "position"): sp.OneMatrix(1, N)}),
            key=score.reads(stream, {("score", "position"): UnitRow(N, 0)}),
            value=Stream.of(code=N).reads(stream, {("code", "embedding"): sp.Identity(N)}),
        ),
    )
    return (Attention(heads), *selection_mlp(N, coding))


@final
@dataclass(frozen=True, repr=False)
class UnconditionalGeneration(SelectingConstruction):
    r"""A transformer that generates ANY of ``V^N`` sequences from the single virtual token ``(y_0/V, ..., y_{N-1}/V)``.

    One attention layer with two heads, a three-layer MLP, ``d_e = N``, position codes concatenated (paper, Theorem 1).
    The token embedding is free in the theorem; here it is 0 unless one is given.

    Attributes:
        vocab_size: ``V``, the number of tokens.
        context_size: ``N``, the length of the generated sequence and of the context.
        embedding: ``E``, an N x V matrix of exact numbers (a float counts as the dyadic rational it is), kept as a
            tuple of rows of Fractions; ``None`` for 0, and a matrix of zeros counts as ``None``.

    Example:
        >>> construction = UnconditionalGeneration(vocab_size=4, context_size=3)
        >>> construction.targets.size  # 4^3 sequences
        64
        >>> construction.virtual_tokens([3, 0, 2]).to_fractions()[0]  # y/V, position by position
        [Fraction(3, 4), Fraction(0, 1), Fraction(1, 2)]
        >>> construction.temperature_for(None)  # exact arithmetic: q above (N-1)(4V-3) = 26
        RationalSoftmax(q=Fraction(27, 1))

    """

    vocab_size: int
    context_size: int
    embedding: Matrix | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._set_size("context_size", 1)
        if self.embedding is not None:
            rows = exact_rows("embedding", self.embedding, (self.context_size, self.vocab_size))
            # constructions of the same weights are equal
            object.__setattr__(self, "embedding", rows if any(any(row) for row in rows) else None)
        if self.embedding is not None and self.coding != PAPER:
            raise InvalidArgument("embedding: expected none with an encoding, lift or readout other than the paper's")

    @property
    def layout(self) -> Layout:
        """One virtual token, no user tokens, ``N`` generated tokens."""
        return Layout(virtual=1, user=0, response=self.context_size)

    @cached_property
    def transformer(self) -> Transformer:
        """The weights of :func:`_layers`, with ``E`` as given or 0."""
        bindings = {**self.coding_bindings, N: self.context_size}
        embedding = sp.ZeroMatrix(N, V) if self.embedding is None else explicit_matrix("embedding", self.embedding)
        return Transformer(embedding, _layers(self.coding), N, bindings)

    @property
    def targets(self) -> TargetSpace:
        """All sequences of ``N`` tokens."""
        return TargetSpace(self.vocab_size, (self.context_size,))

    def encode(self, targets: TokenArray) -> Ratios:
        """Return ``s_j = y_j / V``, shape ``(batch, 1, N)``; in other encodings another multiple of ``y_j``."""
        return Ratios(targets[:, None, :], self.coding.denominator(self.vocab_size))

    def answer(self, targets: TokenArray, user_inputs: IntArray) -> TokenArray:
        """Return the target itself."""
        return targets

    def default_temperature(self, fmt: Format | None) -> Temperature:
        """Exact arithmetic: the next integer ``q`` above the exact threshold; floats: attention one-hot up to rounding.

        For a given embedding, the threshold is that of all embeddings in the smallest range with it and 0. Without one
        the contents are, in units of a token, the lift (``V`` for the paper: 1 and ``y/V``) and the tokens below it:
        the largest is at most that many times the smallest that is not 0.
        """
        entries = [entry for row in self.embedding or () for entry in row]
        if fmt is None:
            if self.embedding is None:
                return above(coded_generation_threshold(self.decoding_demand, self.context_size))
            lowest, highest = min([Fraction(0), *entries]), max([Fraction(0), *entries])
            return above(embedding_threshold(self.vocab_size, self.context_size, lowest=lowest, highest=highest))
        magnitudes = [Fraction(1), Fraction(1, self.coding.steps(self.vocab_size)), *(abs(entry) for entry in entries)]
        read = [magnitude for magnitude in magnitudes if magnitude]
        return one_hot_temperature(
            fmt,
            keys=self.context_size,
            content_ratio=max(read) / min(read),
            largest_key_size=self.context_size,
        )
