"""A construction's own ``encode`` and ``answer``, run on tokens known only by their bounds, and on members of these.

The bounds hold for every target if the code treats unknown tokens as it treats numbers, and each target as it would
alone. It cannot look past the bounds by accident, see :class:`~constructions.unknown_tokens.UnknownTokens`; but code
that asks for the type of what it is given, or remembers what it was given before, can do as it likes. So members drawn
inside the bounds are run as the integers of a forward pass, again in another order, and alone: what differs is refused.
What is left to assume is that ``encode`` and ``answer`` are pure functions of their arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int

from constructions.bounded_runs import Run, run_on_bounds
from constructions.construction import Construction
from constructions.ratios import Ratios
from constructions.returned import checked_answer, checked_numerators
from constructions.unknown_tokens import bounds, dependence, is_unknown, run_of, unknown_tokens
from constructions.validation import InvalidArgument, is_integral

#: Members drawn inside every batch of cells, at least; and never fewer than one in each cell. Code that treats a share
#: ``p`` of all targets in another way is missed with probability ``(1 - p)^256``: below 1e-11 for one in ten, 0.08 for
#: one in a hundred.
DRAWN = 256
#: Members of every batch that are run alone, too, as most of a user's calls are: few, as each costs a call.
ALONE = 16


class CellsError(Exception):
    """A construction's targets cannot be cut into cells: nothing is shown, for the reason given."""


def pure_functions(members: int) -> str:
    """Return what a certificate assumes of the construction's code, and how many members were looked at."""
    return (
        "encode and answer are pure functions of their arguments, as they were for"
        f" {members:,} targets drawn inside the cells and at their ends"
    )


@dataclass(frozen=True)
class Enclosure:
    """Bounds of what code gives for all targets of a batch.

    Attributes:
        low: the smallest values, int64 or Python's integers as objects.
        high: the largest ones.
        entries: for each the entries of the target that it may depend on, as bits; 0 where no names were given.

    """

    low: np.ndarray[Any, Any]
    high: np.ndarray[Any, Any]
    entries: np.ndarray[Any, Any]

    def holds(self, values: np.ndarray[Any, Any]) -> bool:
        """Return whether the values of members lie between the bounds: one of each cell, or several times over."""
        rounds = values.reshape(len(values) // len(self.low), *self.low.shape)
        return bool((self.low <= rounds).all()) and bool((rounds <= self.high).all())


@dataclass(frozen=True)
class Targets:
    """A batch of sets of targets, as the smallest and the largest token at each entry.

    Attributes:
        low: int64, shape ``(cells, *targets.shape)``.
        high: the same.
        entries: a bit for each entry of the target, to name it by, or any number in a run that only moves tokens; none
            by default.

    """

    low: np.ndarray[Any, Any]
    high: np.ndarray[Any, Any]
    entries: np.ndarray[Any, Any] | None = None


def encode(construction: Construction, targets: Targets, *, moves: bool = False) -> tuple[Enclosure, int]:
    """Return bounds of the prompts of a batch, shape ``(batch, virtual, embedding size)``, and their denominator.

    Args:
        construction: whose code is run.
        targets: on which.
        moves: whether it may only move tokens about, so that their names need not be bits.

    Raises:
        CellsError: the code asks for something that depends on a token, or gives anything but such numbers.

    """
    with run_on_bounds(moves=moves) as run:
        tokens: Any = unknown_tokens(run, targets.low, targets.high, targets.entries)  # stands for an array
        found = _called("encode", run, lambda: construction.encode(tokens))
        if is_unknown(found) or not isinstance(found, Ratios):
            raise CellsError(f"encode must give Ratios, not a value of type {type(found).__name__}")
        shape = _prompt_shape(construction, len(targets.low))
        return _enclosure("encode", run, found.numerators, shape), found.denominator


def answer(
    construction: Construction, targets: Targets, users: Int[np.ndarray, "batch user"], *, moves: bool = False
) -> Enclosure:
    """Return bounds of the promised responses of a batch, shape ``(batch, response)``; raises as :func:`encode`."""
    with run_on_bounds(moves=moves) as run:
        tokens: Any = unknown_tokens(run, targets.low, targets.high, targets.entries)  # stands for an array
        found = _called("answer", run, lambda: construction.answer(tokens, users.copy()))
        return _enclosure("answer", run, found, (len(targets.low), construction.layout.response))


def _called(name: str, run: Run, call: Callable[[], Any]) -> Any:
    """Return what code gives, unless it met a refusal: also one that it went on from."""
    try:
        with np.errstate(all="ignore"):
            found = call()
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 # whatever a construction's own code raises shows nothing
        reason = run.refusals[0] if run.refusals else f"{type(error).__name__}: {error}"
        raise CellsError(f"{name} cannot run on tokens known only by their bounds: {reason}") from None
    if run.refusals:
        raise CellsError(f"{name} cannot run on tokens known only by their bounds: it asks for {run.refusals[0]}")
    return found


def _enclosure(name: str, run: Run, found: Any, shape: tuple[int, ...]) -> Enclosure:
    if is_unknown(found):
        if run_of(found) is not run:
            raise CellsError(f"{name} gives tokens of an earlier call")
        (low, high), entries = bounds(found), dependence(found)
    elif isinstance(found, np.ndarray):
        known = np.array(found)  # the code may go on to change it; a subclass decides for itself what equals what
        low, high, entries = known, known, np.zeros(known.shape, dtype=np.int64)
    else:
        raise CellsError(f"{name} must give integers as an array, not a value of type {type(found).__name__}")
    if low.shape != shape:
        raise CellsError(f"{name} must give an array of shape {shape}, not {low.shape}")
    return Enclosure(_integers(name, low), _integers(name, high), entries)


def _integers(name: str, values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return integers as int64 where all fit, as Python's otherwise."""
    if values.dtype == np.int64:
        return values
    whole = values.dtype == object and all(type(value) is int for value in values.reshape(-1))
    if not whole and not is_integral(values.dtype):
        raise CellsError(f"{name} must give integers, not {values.dtype}")
    try:
        exact = np.array_equal(found := values.astype(np.int64), values)  # numpy wraps uint64
    except OverflowError:
        exact = False
    return found if exact else values.astype(object)


def _prompt_shape(construction: Construction, count: int) -> tuple[int, int, int]:
    return count, construction.layout.virtual, construction.transformer.lowered.embedding_size


@contextmanager
def running_code(failure: type[Exception] = CellsError) -> Iterator[None]:
    """Run a construction's own code on integers, where an overflow shows in the value.

    Args:
        failure: what to raise where the code fails, or gives anything but integers of the right shape.

    Raises:
        CellsError: as the block raises it.

    """
    try:
        with np.errstate(all="ignore"):
            yield
    except (CellsError, MemoryError):
        raise
    except InvalidArgument as error:
        raise failure(str(error)) from None
    except Exception as error:  # noqa: BLE001 # whatever a construction's own code raises shows nothing
        raise failure(f"encode or answer fails for a target: {type(error).__name__}: {error}") from None


class _Given(NamedTuple):
    """Prompts and answers that the code gave for members; no answers where nothing is promised."""

    numerators: np.ndarray[Any, Any]
    denominator: int
    answers: np.ndarray[Any, Any]


IMPURE = "is no pure function: a target gives other numbers when asked again, in another order or in another batch"


@dataclass(frozen=True)
class Members:
    """Targets drawn inside the cells of a batch and at their ends, and run as the integers of a forward pass.

    Attributes:
        construction: whose code is run.
        random: what they are drawn with.

    """

    construction: Construction
    random: np.random.Generator

    def check(
        self,
        targets: Targets,
        prompts: tuple[Enclosure, int],
        promised: tuple[Int[np.ndarray, "cells user"], Enclosure] | None,
    ) -> int:
        """Return the number of members that were looked at.

        Args:
            targets: the cells.
            prompts: bounds of what ``encode`` gives in them, and the denominator.
            promised: user inputs and bounds of what ``answer`` gives; ``None`` where nothing is promised.

        Raises:
            CellsError: a member lies outside the bounds, or the code gives other numbers for it in another order, in
                another batch or when it is asked again.

        """
        cells = np.arange(len(targets.low))
        chosen = np.tile(cells, -(-DRAWN // len(cells)))
        drawn = self.random.integers(targets.low[chosen], targets.high[chosen] + 1)
        for members, of_cell in ((targets.low, cells), (targets.high, cells), (drawn, chosen)):
            found = self._run(members, of_cell, promised)
            if not prompts[0].holds(found.numerators) or found.denominator != prompts[1]:
                raise CellsError("encode gives a target numbers outside the bounds of the set that holds it")
            if promised is not None and not promised[1].holds(found.answers):
                raise CellsError("answer gives a target tokens outside the bounds of the set that holds it")
        order, held = self.random.permutation(len(chosen)), drawn.copy()
        for places, into in (
            (order, held),
            (order[::-1], held),  # in the same array, which code may take for the same targets
            *((order[place : place + 1], None) for place in range(ALONE)),
        ):
            again = self._run(drawn[places], chosen[places], promised, into)
            if found.denominator != again.denominator or (found.numerators[places] != again.numerators).any():
                raise CellsError(f"encode {IMPURE}")
            if (found.answers[places] != again.answers).any():
                raise CellsError(f"answer {IMPURE}")
        return 2 * len(cells) + len(chosen)

    def _run(
        self,
        members: np.ndarray[Any, Any],
        cells: Int[np.ndarray, " members"],
        promised: tuple[Int[np.ndarray, "cells user"], Enclosure] | None,
        into: np.ndarray[Any, Any] | None = None,
    ) -> _Given:
        """Run members, written into an array for each call where one is given."""

        def given() -> np.ndarray[Any, Any]:
            if into is None:
                return members.copy()  # the code may change what it is given
            into[...] = members
            return into

        construction, owner = self.construction, type(self.construction).__name__
        with running_code():
            prompt = construction.encode(given())
            numerators = checked_numerators(owner, prompt, _prompt_shape(construction, len(members))).copy()
            if promised is None:
                return _Given(numerators, prompt.denominator, np.zeros(len(members)))
            answers = construction.answer(given(), promised[0][cells])
            shape = len(members), construction.layout.response
            checked = checked_answer(owner, answers, shape, construction.output_vocab_size)
            return _Given(numerators, prompt.denominator, checked)
