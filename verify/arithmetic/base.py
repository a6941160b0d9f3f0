"""The small interface over which the one forward pass is written: a number system of a forward pass."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

import numpy as np
from jaxtyping import Bool, Int

from constructions.exact_matrix import ExactMatrix
from constructions.formats import Format
from constructions.ratios import Ratios
from constructions.temperature import Temperature
from constructions.validation import InvalidArgument

if TYPE_CHECKING:
    from constructions.construction import Construction

#: A weight matrix, the rows of a sequence (one row a position), attention scores or weights, in an arithmetic.
WeightT = TypeVar("WeightT")
RowsT = TypeVar("RowsT")
ScoresT = TypeVar("ScoresT")

#: ``visible[i, j]``: whether the i-th new position sees position j.
Visible = Bool[np.ndarray, "rows keys"]


class Arithmetic(ABC, Generic[WeightT, RowsT, ScoresT]):
    """How numbers are held and operated on.

    Rows hold one vector for each position, for a batch of sequences where ``batched`` is true and for a single one
    otherwise. Shapes below leave the batch axis out.

    Attributes:
        name: as verdicts call it, such as ``rational`` or ``torch float32``.
        fmt: the floating-point format that weights and prompts are rounded to, ``None`` in exact arithmetic.
        device: where it runs.
        batched: whether rows carry a batch axis in front.
        per_head: whether heads may have temperatures of their own.

    """

    name: str
    fmt: Format | None
    device: str
    batched: ClassVar[bool] = False
    per_head: ClassVar[bool] = True

    @abstractmethod
    def weight(self, matrix: ExactMatrix) -> WeightT:
        """Return a weight matrix (or a bias as a column) in this arithmetic, rounded once where it rounds."""

    @abstractmethod
    def prompt(self, virtual_tokens: Ratios) -> RowsT:
        """Return the rows of virtual tokens; the batch axis comes first where ``batched``."""

    @abstractmethod
    def embed(self, embedding: WeightT, tokens: Int[np.ndarray, "*batch length"]) -> RowsT:
        """Return the rows ``E[:, token]``."""

    @abstractmethod
    def positions(self, context_size: int, start: int, stop: int) -> RowsT:
        """Return the one-hot position codes of positions ``start..stop-1``."""

    @abstractmethod
    def beside(self, left: RowsT, right: RowsT) -> RowsT:
        """Return rows with the coordinates of ``right`` after those of ``left``."""

    @abstractmethod
    def below(self, top: RowsT, bottom: RowsT) -> RowsT:
        """Return the rows of ``bottom`` after those of ``top``."""

    @abstractmethod
    def last(self, rows: RowsT) -> RowsT:
        """Return the last row alone."""

    @abstractmethod
    def linear(self, rows: RowsT, weight: WeightT, bias: WeightT | None = None) -> RowsT:
        """Return ``W x + b`` for every row ``x``."""

    @abstractmethod
    def relu(self, rows: RowsT) -> RowsT:
        """Return ``max(0, .)`` of every coordinate."""

    @abstractmethod
    def scores(self, queries: RowsT, keys: RowsT) -> ScoresT:
        """Return the inner products of every query with every key, queries x keys."""

    @abstractmethod
    def attention(self, scores: ScoresT, visible: Visible, temperature: Temperature, *, key_size: int) -> ScoresT:
        """Return the attention weights: every row sums to 1 over the visible keys.

        Args:
            scores: queries x keys.
            visible: which keys each query sees, at least one.
            temperature: hardmax, softmax, or softmax at an exact ``q``.
            key_size: ``k`` of the head.

        Raises:
            InvalidArgument: a temperature that this arithmetic cannot compute with.

        """

    @abstractmethod
    def mix(self, attention: ScoresT, values: RowsT) -> RowsT:
        """Return for every query the sum of the values weighted by its attention."""

    @abstractmethod
    def total(self, parts: Sequence[RowsT]) -> RowsT:
        """Return the sum of the heads' outputs, from the first to the last."""

    @abstractmethod
    def argmax(self, logits: RowsT) -> Int[np.ndarray, "*batch rows"]:
        """Return for every row the first coordinate of the largest value."""

    # how it describes itself -----------------------------------------------------------------------------------------

    def words(self) -> tuple[str, ...] | None:
        """Return the options that choose this arithmetic on the command line, ``None`` where it has none for it."""
        return None

    def expression(self) -> str:
        """Return the Python expression that makes this arithmetic, where ``verify`` is imported."""
        return f"{type(self).__module__}.{type(self).__qualname__}()"

    def running(self, *, tf32: bool = False) -> AbstractContextManager[None]:
        """Return what is set while a forward pass runs: its floats overflow silently, as margins tell.

        Args:
            tf32: allow TF32 in float32 products.

        Raises:
            InvalidArgument: TF32 for anything but torch's float32.

        """
        if tf32:
            raise InvalidArgument(f"tf32: expected torch in float32, whose products it reduces, but got {self.name}")
        return _silent()

    def module(self, construction: Construction, *, tf32: bool) -> Any:
        """Return the module that users get in this arithmetic, which then runs; ``None`` where there is none."""
        return None

    @abstractmethod
    def numbers(self, rows: RowsT | ScoresT) -> np.ndarray[Any, Any]:
        """Return rows, scores or logits as a numpy array: float64, or exact numbers as objects."""


@contextmanager
def _silent() -> Iterator[None]:
    with np.errstate(all="ignore"):
        yield
