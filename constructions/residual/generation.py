"""Theorem 1 in a residual stream: one virtual token makes one language model generate any of ``V^N`` sequences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import sympy as sp

from constructions.construction import Layout
from constructions.expressions import N, UnitRow, V, entries
from constructions.residual.base import ResidualConstruction
from constructions.residual.symbols import FIRST
from constructions.residual.vocabulary import Columns
from constructions.specification import Reads
from constructions.targets import TargetSpace
from constructions.validation import IntArray, TokenArray, check_flag


@final
@dataclass(frozen=True, repr=False)
class ResidualGeneration(ResidualConstruction):
    r"""A language model that generates ANY of ``V^N`` sequences from the single virtual token ``(y_0/V, ...)``.

    Attributes:
        vocab_size: ``V``, the number of tokens.
        context_size: ``N``, the length of the generated sequence.
        start_token: whether a user's token comes before the response; it may be any, and the response ignores it.

    Example:
        >>> construction = ResidualGeneration(vocab_size=94, context_size=20)
        >>> construction.transformer.lowered.embedding_size  # 2N + 5
        45
        >>> ResidualGeneration(94, 20, architecture="llama").transformer.lowered.embedding_size
        26

    """

    vocab_size: int
    context_size: int
    start_token: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        self._set_size("context_size", 1)
        check_flag("start_token", self.start_token)
        self._check_fit()

    @property
    def layout(self) -> Layout:
        """One virtual token, no user token or one, ``N`` generated tokens."""
        return Layout(virtual=1, user=int(self.start_token), response=self.context_size)

    @property
    def targets(self) -> TargetSpace:
        """All sequences of ``N`` tokens of the alphabet."""
        return TargetSpace(self.letters, (self.context_size,))

    def answer(self, targets: TokenArray, user_inputs: IntArray) -> TokenArray:
        """Return the target itself."""
        return targets

    def reads(self, step: int) -> Reads:
        """Return that a step depends on the target alone."""
        return Reads(user=())

    @property
    def sizes(self) -> Mapping[sp.Symbol, int]:
        """``N``."""
        return {N: self.context_size}

    @property
    def counted(self) -> bool:
        """True for architectures without learned positions."""
        return not self.design.learned_positions

    @property
    def token_rows(self) -> Columns:
        """A 1 for each token where tokens are counted; otherwise nothing: the position says which number to select."""
        return {"content": sp.OneMatrix(1, V)} if self.counted else {}

    @property
    def position_rows(self) -> Columns:
        """A 1 at the virtual token; from the first reading position on, the place of a number and a 1."""
        count = N + self.layout.user
        return {
            "virtual": UnitRow(count, 0),
            "place": entries(N, count, lambda j, t: sp.KroneckerDelta(t, j + FIRST)),
            "content": entries(1, count, lambda _, t: 1 - FIRST * sp.KroneckerDelta(t, 0)),
        }

    @property
    def virtual_ones(self) -> tuple[str, ...]:
        """The block ``virtual``; ``content`` where tokens are counted, or if the virtual token is read at itself."""
        if self.counted:
            return ("virtual", "content")
        return ("virtual",) if self.start_token else ("virtual", "place", "content")
