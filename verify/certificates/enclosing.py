"""Enclosures of a forward pass: number systems whose rows hold everything between bounds."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from constructions.ratios import Ratios
from verify.arithmetic.base import NumberSystem, RowsT, ScoresT, WeightT
from verify.certificates.shared_cells import SharedCells
from verify.certificates.sheets import UnsharedError


@dataclass(frozen=True)
class Margins:
    """Bounds of the margins in a batch of cells.

    Attributes:
        lower: for every cell a lower bound of the smallest margin, the promised token's logit minus any other's;
            positive where the promised token is certain, ``inf`` where there is no other token.

    """

    lower: Float[np.ndarray, " cells"]

    @property
    def certain(self) -> Bool[np.ndarray, " cells"]:
        """Where the promised token is certain; false for NaN."""
        return np.asarray(self.lower > 0)


class EnclosingArithmetic(NumberSystem[WeightT, RowsT, ScoresT]):
    """A certificate's number system: every operation bounds its results for everything between its arguments' bounds.

    Rows have a batch axis of cells; a batch of 1 stands for all of them.
    """

    batched = True

    #: whether something may be no number at all, such as a row of zeros over its length. A weight of 0 would hide that
    #: from bounds, and hides it from no kernel, so that a pass in which it comes up shows nothing. The float arithmetic
    #: lets every operation pass it on instead.
    undefined: bool = False

    def begin(self) -> None:
        """Begin a pass: nothing is undefined so far. An arithmetic may keep what its passes have in common."""
        self.undefined = False

    @abstractmethod
    def prompt_between(self, low: Ratios, high: Ratios) -> RowsT:
        """Return virtual tokens between two, shape batch x rows x width, each a whole number of ``1/d``.

        Args:
            low: lower bounds, with the denominator ``d``.
            high: upper bounds, with the same denominator.

        """

    @abstractmethod
    def reals_between(self, low: Ratios, high: Ratios) -> RowsT:
        """Return rows of ANY real numbers between two.

        Raises:
            InvalidArgument: numbers that the arithmetic cannot hold.

        """

    @abstractmethod
    def embed_between(
        self, embedding: WeightT, low: Int[np.ndarray, "batch length"], high: Int[np.ndarray, "batch length"]
    ) -> RowsT:
        """Return bounds of the embedding's columns for tokens between two."""

    @abstractmethod
    def margins(
        self, rows: RowsT, weight: WeightT, bias: WeightT, expected: Int[np.ndarray, " cells"], *, points: int
    ) -> Margins:
        """Return lower bounds of the margins of the logits ``W x + b``.

        Args:
            rows: the readout's input, cells x 1 x width (a batch of 1 stands for all cells).
            weight: of the readout, V x width.
            bias: of the readout, V x 1.
            expected: the promised tokens.
            points: the most numbers between bounds that are tried one by one, where they are finitely many.

        """

    @abstractmethod
    def assumptions(self) -> str:
        """Return in a line what a certificate assumes of the numbers that run."""

    def bounding(self) -> AbstractContextManager[None]:
        """Return the settings under which bounds are computed; what is not finite is silent, and never certain."""
        return nullcontext()

    @property
    def any_order(self) -> bool:
        """Whether bounds hold of each sum in whatever order of its terms, so that terms may be permuted."""
        return False

    def for_cells(self) -> EnclosingArithmetic[Any, Any, Any]:
        """Return the same bounds for many cells at once: an arithmetic that shares what does not differ among them."""
        return self

    def branched(self) -> Callable[[SharedCells], EnclosingArithmetic[Any, Any, Any]]:
        """Return a function that makes the same bounds for a pass over a tree: :mod:`verify.certificates.sharing`.

        Raises:
            UnsharedError: there are none.

        """
        raise UnsharedError(f"no rule for {self.name}")

    def prompt(self, virtual_tokens: Ratios) -> RowsT:
        """Return known virtual tokens."""
        return self.prompt_between(virtual_tokens, virtual_tokens)

    def embed(self, embedding: WeightT, tokens: Int[np.ndarray, "*batch length"]) -> RowsT:
        """Return the columns of known tokens."""
        return self.embed_between(embedding, tokens, tokens)
