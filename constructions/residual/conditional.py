"""Theorem 2 in a residual stream: one virtual token makes one language model any of ``V^V`` maps of a token."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import numpy as np
import sympy as sp

from constructions.construction import Layout
from constructions.domain import Domain
from constructions.expressions import UnitRow, V
from constructions.residual.base import ResidualConstruction
from constructions.residual.vocabulary import Columns
from constructions.targets import TargetSpace
from constructions.validation import IntArray, TokenArray

#: One virtual token and one user token.
_CONTEXT_SIZE = 2


@final
@dataclass(frozen=True, repr=False)
class ResidualConditional(ResidualConstruction):
    r"""A language model that answers a user's token ``X`` with ``m(X)``, for ANY map ``m`` of the vocabulary.

    The virtual token is ``(m(0)/V, ..., m(V-1)/V)``, and the user's token says which of its numbers is selected.

    Attributes:
        vocab_size: ``V``, the number of tokens.

    Example:
        >>> construction = ResidualConditional(vocab_size=94)
        >>> construction.transformer.lowered.embedding_size  # 2V + 5
        193
        >>> ResidualConditional(94, architecture="llama").transformer.lowered.embedding_size  # 2V + 3, to an even one
        192

    """

    vocab_size: int

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_fit()

    @property
    def layout(self) -> Layout:
        """One virtual token, one user token, one answer."""
        return Layout(virtual=1, user=1, response=1)

    @property
    def targets(self) -> TargetSpace:
        """All maps of the alphabet, ``{0..V-1} -> {0..V-1}``, as tables of values."""
        return TargetSpace(self.letters, (self.letters,))

    @property
    def domain(self) -> Domain | None:
        """The tokens of the alphabet; ``None`` where they are all."""
        return None if self.alphabet_size is None else Domain.of(self.letters, 1)

    def answer(self, targets: TokenArray, user_inputs: IntArray) -> TokenArray:
        """Return ``m(X)``, shape ``(batch, 1)``."""
        return np.take_along_axis(targets, user_inputs, axis=1)

    @property
    def sizes(self) -> Mapping[sp.Symbol, int]:
        """``V``."""
        return {V: self.letters}

    @property
    def counted(self) -> bool:
        """False: the user's token says which number is selected."""
        return False

    @property
    def token_rows(self) -> Columns:
        """The place of each token's number, and the 1 of a content row."""
        return {"place": sp.Identity(V), "content": sp.OneMatrix(1, V)}

    @property
    def position_rows(self) -> Columns:
        """A 1 at the virtual token."""
        return {"virtual": UnitRow(_CONTEXT_SIZE, 0)}

    @property
    def virtual_ones(self) -> tuple[str, ...]:
        """The block ``virtual``."""
        return ("virtual",)
