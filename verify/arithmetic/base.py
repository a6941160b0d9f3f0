"""The small interfaces over which the one forward pass is written: one runs it, another decodes its logits as well.

A third, :class:`~verify.certificates.enclosing.EnclosingArithmetic`, encloses it between bounds.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from jaxtyping import Int

from constructions.exact_matrix import ExactMatrix
from constructions.formats import Format
from constructions.operations import Operations as Operations
from constructions.operations import RowsT as RowsT
from constructions.operations import ScoresT as ScoresT
from constructions.operations import Visible as Visible
from constructions.operations import WeightT as WeightT
from constructions.ratios import Ratios
from constructions.validation import InvalidArgument
from verify.arithmetic.spec import Spec

if TYPE_CHECKING:
    from constructions.construction import Construction
    from constructions.validation import IntArray
    from verify.running.ranks import RankTally


class NumberSystem(Operations[WeightT, RowsT, ScoresT]):
    """How numbers are held and operated on: all that a forward pass needs.

    Attributes:
        name: as verdicts call it, such as ``rational`` or ``torch float32``.
        fmt: the floating-point format that weights and prompts are rounded to, ``None`` in exact arithmetic.
        device: where it runs.
        spec: what it is, as data; ``None`` where it is registered nowhere.
        batched: whether rows carry a batch axis in front.
        per_head: whether heads may have temperatures of their own.

    """

    fmt: Format | None
    device: str
    spec: Spec | None = None
    per_head: ClassVar[bool] = True

    @abstractmethod
    def weight(self, matrix: ExactMatrix) -> WeightT:
        """Return a weight matrix (or a bias as a column) in this arithmetic, rounded once where it rounds."""

    @abstractmethod
    def prompt(self, virtual_tokens: Ratios) -> RowsT:
        """Return the rows of virtual tokens; the batch axis comes first where ``batched``."""

    @abstractmethod
    def numbers(self, rows: RowsT | ScoresT) -> np.ndarray[Any, Any]:
        """Return rows, scores or logits as a numpy array: float64, or exact numbers as objects.

        Bounds have a last axis of 2.
        """


class AtOnce(ABC):
    """A way to run many cases of a construction at once."""

    @abstractmethod
    def __call__(self, start: int, stop: int) -> RankTally | None:
        """Return the findings of ranks ``start..stop-1`` of the enumeration; ``None`` where it does not cover them."""

    def produced(self, prompts: Ratios, user_inputs: IntArray) -> Any:
        """Return what is generated for a batch of cases, as a backend does; ``None`` where they run one by one."""
        return None

    def changed(self) -> str | None:
        """Return in words how a case that ran at once differs when it is asked for again, ``None`` where none does."""
        return None


class Arithmetic(NumberSystem[WeightT, RowsT, ScoresT]):
    """A number system whose logits decide which token comes next."""

    @abstractmethod
    def argmax(self, logits: RowsT) -> Int[np.ndarray, "*batch rows"]:
        """Return for every row the first coordinate of the largest value."""

    # how it describes itself -----------------------------------------------------------------------------------------

    def words(self) -> tuple[str, ...] | None:
        """Return the options that choose this arithmetic on the command line, ``None`` where it has none for it."""
        return None if self.spec is None else self.spec.words()

    def expression(self) -> str:
        """Return the Python expression that makes this arithmetic, where ``verify`` is imported."""
        if self.spec is None:
            return f"{type(self).__module__}.{type(self).__qualname__}()"
        return self.spec.expression()

    def running(self) -> AbstractContextManager[None]:
        """Return what is set while a forward pass runs: its floats overflow silently, as margins tell."""
        return _silent()

    def ieee(self) -> Arithmetic[WeightT, RowsT, ScoresT]:
        """Return the same arithmetic with products at the precision of their format, whatever this one allows."""
        return self

    def dense(self) -> Arithmetic[Any, Any, Any] | None:
        """Return torch's dense arithmetic, against which cases are held where code of other authors runs.

        It is of the same format and rounds at the same operations, or is float64 where this one is exact; ``None``
        where this is the dense one, or where there is none to compare with.
        """
        return None

    def assumptions(self) -> str | None:
        """Return what a verdict in this arithmetic takes for granted, ``None`` where it is what runs."""
        return None

    def held(self, numbers: np.ndarray[Any, Any]) -> Any:
        """Return numbers that the format holds, as an array of this arithmetic, of the same shape.

        Args:
            numbers: float64; in exact arithmetic real numbers of any type.

        Raises:
            InvalidArgument: an arithmetic without such arrays.

        """
        kind = self.name if self.spec is None else self.spec.family.word
        raise InvalidArgument(f"arithmetic: expected rational, numpy or torch for an attention layer but got {kind}")

    def entries(self, rows: RowsT | ScoresT) -> np.ndarray[Any, Any]:
        """Return rows, scores or logits as a numpy array to compute on with: floats, or the quickest exact numbers."""
        return self.numbers(rows)

    def module(self, construction: Construction) -> Any:
        """Return the module that users get in this arithmetic, which then runs; ``None`` where there is none."""
        return None

    def at_once(self, construction: Construction, model: Any, alone: Callable[..., Any]) -> AtOnce | None:
        """Return a way to run many ranks of the enumeration at once, ``None`` where there is none.

        Args:
            construction: whose cases they are.
            model: its transformer in this arithmetic.
            alone: runs cases one by one: prompts and user inputs in, what is produced out.

        """
        return None

    def expect(self, cases: int) -> None:  # most have nothing to prepare
        """Prepare for a run of so many cases, where that pays for them."""


@contextmanager
def _silent() -> Iterator[None]:
    with np.errstate(all="ignore"):
        yield
