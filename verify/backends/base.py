"""A backend: a transformer in an arithmetic, a torch module, or any callable."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from constructions.formats import Format
from constructions.ratios import Ratios
from constructions.specification import Specification
from constructions.validation import IntArray
from verify.running.respond import Produced
from verify.running.trace import Trace

if TYPE_CHECKING:
    from verify.arithmetic.base import Arithmetic
    from verify.running.ranks import RankTally


class Prepared(ABC):
    """A backend made ready for one specification."""

    @abstractmethod
    def run(self, prompts: Ratios | None, user_inputs: IntArray, trace: Trace | None = None) -> Produced:
        """Return what is generated for a batch of cases.

        Args:
            prompts: the virtual tokens, exactly, cases x virtual x embedding size; ``None`` where there are none.
            user_inputs: int64, cases x user.
            trace: records intermediates, where the backend knows any.

        Raises:
            InvalidArgument: it gives anything but tokens or logits of the right shape and kind.

        """

    @property
    def authored(self) -> Sequence[str]:
        """The classes of other authors that it runs beside weights: if any, its answers are asked for again."""
        return ()

    @property
    def dense(self) -> Arithmetic[Any, Any, Any] | None:
        """The dense arithmetic against which cases are held where it runs code of other authors; ``None`` for none."""
        return None

    def tally_ranks(self, start: int, stop: int) -> RankTally | None:
        """Return the findings of ranks ``start..stop-1`` of the enumeration, where it knows a faster way than batches.

        Its ``failure`` is the first rank that is not shown right; :meth:`run` is then asked for that case.
        """
        return None

    def changed(self) -> str | None:
        """Return what of it is not what it was when it was made ready, as far as it can be seen."""
        return None


class Backend(ABC):
    """Anything that generates. A new one is a class in a file of its own.

    Attributes:
        name: what computes, as the ``arithmetic`` of a verdict.
        device: where it runs.
        fmt: the number format, ``None`` where there is none or it is not known.
        batched: whether it takes several cases at once.
        exact: whether its logits are exact numbers.
        inspected: whether what it computes is known from its weights. Otherwise it is asked again at the end of a run,
            in another order and case by case, as the specification's own code is.
        gives_logits: whether there are margins to speak of.

    """

    name: str
    device: str = "cpu"
    fmt: Format | None = None
    batched: bool = True
    exact: bool = False
    inspected: bool = False
    gives_logits: bool = True

    @abstractmethod
    def prepare(self, specification: Specification) -> Prepared:
        """Return the backend ready to run a specification.

        Raises:
            InvalidArgument: it cannot run it.

        """

    def settings(self, specification: Specification) -> Mapping[str, Any]:
        """Return what a verdict's parameters say of how a specification was run, as JSON values."""
        return {}

    def key(self, specification: Specification) -> Mapping[str, Any]:
        """Return what else a checkpoint is of, as JSON values."""
        return {}

    def looked_at(self) -> tuple[object, ...]:
        """Return the objects whose class and plain attributes decide what is computed, for a checkpoint's digest."""
        return (self,)

    def code(self) -> tuple[object, ...]:
        """Return the objects whose code and contents decide what is computed, for a checkpoint's digest."""
        return ()

    def assumptions(self) -> str | None:
        """Return what a verdict about this backend takes for granted, ``None`` where there is nothing to say."""
        return None

    def expect(self, cases: int) -> None:  # noqa: B027 # most have nothing to prepare
        """Prepare for a run of so many cases, where that pays for them."""

    # how a case is shown again ----------------------------------------------------------------------------------------

    def words(self) -> tuple[str, ...] | None:
        """Return the options that choose it on the command line, ``None`` where it has none for it."""
        return None

    def arguments(self) -> tuple[str, ...]:
        """Return the arguments of ``verify.check`` that choose it, as Python; the caller's own name by default."""
        return ("backend=backend",)
