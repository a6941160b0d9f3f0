"""Cases that run together: named, so that a command can run them together again, and what running together changes.

A kernel may add up in another order when it is given more rows at once, so that the logits of one case can depend on
the batch that it is in.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import flint
import numpy as np

from constructions.domain import Domain
from constructions.specification import Specification
from constructions.targets import TargetSpace
from constructions.validation import IntArray, InvalidArgument, check_integer, reject
from verify.numbers import decimal
from verify.running.cases import Outcome, Runner, batch_size
from verify.running.cases import spaces as spaces

#: Sizes of the batches in which a case is compared with itself alone: the smallest, an odd one, and two that reach the
#: blocked kernels of every library known to us.
BATCH_SIZES = (2, 7, 64, 1024)


@dataclass(frozen=True, eq=False)
class Batch:
    """Cases that run together.

    Attributes:
        name: as ``--in-batch`` takes it: ``A..B``, cases of the enumeration, whose user input varies fastest, or
            ``constant:A..B``, the targets that are one token everywhere, or so with the name of another family.
        targets: int64, shape ``(cases, *targets.shape)``.
        inputs: int64, shape ``(cases, user)``.

    """

    name: str
    targets: IntArray
    inputs: IntArray

    def place(self, target: IntArray, user_input: IntArray) -> int:
        """Return the place of a case.

        Raises:
            InvalidArgument: it is not in the batch.

        """
        same = (self.targets == target).reshape(len(self.targets), -1).all(axis=1)
        same &= (self.inputs == user_input).all(axis=1)
        if not same.any():
            raise InvalidArgument(f"in_batch: expected a batch that the case is in but got {self.name!r} (type str)")
        return int(np.argmax(same))


def enumerated(construction: Specification, start: int, stop: int) -> Batch:
    """Return cases ``start..stop-1`` of the product space; the user input varies fastest."""
    return product(*spaces(construction), start, stop)


def product(targets: TargetSpace, users: Domain, start: int, stop: int) -> Batch:
    """Return places ``start..stop-1`` of targets with user inputs; the user input varies fastest."""
    first, last = start // users.size, (stop - 1) // users.size
    chosen = targets.unrank_range(first, last + 1)
    name = f"{decimal(start)}..{decimal(stop - 1)}"
    if users.size == 1:
        return Batch(name, chosen, users.unrank_range(0, 1).repeat(stop - start, axis=0))
    numbers = range(start - first * users.size, stop - first * users.size)
    if users.size > len(numbers):  # more inputs than cases: only those that are used, as there may be more than int64s
        pairs = [divmod(number, users.size) for number in numbers]
        return Batch(name, chosen[[row for row, _ in pairs]], np.array([users.unrank(user) for _, user in pairs]))
    rows, places = np.divmod(np.arange(numbers.start, numbers.stop), users.size)
    return Batch(name, chosen[rows], users.unrank_range(0, users.size)[places])


def together(parts: Sequence[Batch]) -> Batch:
    """Return batches as one, which has no name that a command could run again."""
    return Batch(
        "drawn", np.concatenate([part.targets for part in parts]), np.concatenate([part.inputs for part in parts])
    )


def constant_targets(construction: Specification) -> tuple[IntArray, IntArray]:
    """Return the targets that are one token everywhere, one for each token, each with a user input.

    Every token is decoded at every position of the response. User inputs walk through the vocabulary; those of a domain
    of its own are evenly spread over its ranks. Where the alphabet of the targets is not the vocabulary, the cases are
    as many as the larger one has, and the smaller one comes round again.

    Returns:
        Targets of shape ``(V, *targets.shape)`` and user inputs of shape ``(V, user)``.

    """
    vocab_size, (space, users) = construction.vocab_size, spaces(construction)
    cases = np.arange(max(vocab_size, space.vocab_size), dtype=np.int64)
    letters = (cases % space.vocab_size).reshape(-1, *(1 for _ in space.shape))
    targets = np.broadcast_to(letters, (len(cases), *space.shape))
    if not users.is_all_of(vocab_size):
        ranks = (int(case) * users.size // len(cases) for case in cases)
        return targets, np.array([users.unrank(rank) for rank in ranks], dtype=np.int64)
    user = np.arange(construction.layout.user)
    return targets, (cases[:, None] + user + vocab_size // 2) % vocab_size


def constants(construction: Specification, start: int, stop: int) -> Batch:
    """Return those of :func:`constant_targets` from ``start`` up to ``stop - 1``."""
    targets, inputs = constant_targets(construction)
    return Batch(f"constant:{start}..{stop - 1}", np.array(targets[start:stop]), np.array(inputs[start:stop]))


def constant_batches(construction: Specification, *, unbatched: bool = False) -> Iterator[Batch]:
    """Yield all of :func:`constant_targets`, as many at once as fit in memory, or all where they run one by one."""
    count = len(constant_targets(construction)[0])
    size = count if unbatched else batch_size(construction)
    for start in range(0, count, size):
        yield constants(construction, start, min(count, start + size))


#: Families of cases by the first word of the names of their batches: the size of one, and some of its cases.
Families = Mapping[str, tuple[Callable[[Specification], int], Callable[[Specification, int, int], Batch]]]


def named_batch(construction: Specification, name: str, families: Families | None = None) -> Batch:
    """Return the batch of a name, see :class:`Batch`.

    Args:
        construction: whose cases they are.
        name: ``A..B``, or a family and its cases, as ``constant:A..B``.
        families: those that there are beside ``constant``.

    Raises:
        InvalidArgument: not a name, cases that are not there, or more than :func:`~verify.running.cases.batch_size`.

    """
    known: Families = {
        "": (lambda made: math.prod(space.size for space in spaces(made)), enumerated),
        "constant:": (lambda made: len(constant_targets(made)[0]), constants),
        **{f"{word}:": family for word, family in (families or {}).items()},
    }
    match = re.fullmatch(r"(\w+:|)([0-9]+)\.\.([0-9]+)", name) if isinstance(name, str) else None
    if match is None or match[1] not in known:
        reject("in_batch", f"{' or '.join(f'{word}A..B' for word in known)}, such as 0..26", name)
    start, last = (int(flint.fmpz(number)) for number in match.groups()[1:])
    count, batch = known[match[1]]
    space = count(construction)
    if not start <= last < space or last - start >= batch_size(construction):
        most = f"at most {batch_size(construction)} cases, A <= B <= {decimal(space - 1)}"
        raise InvalidArgument(f"in_batch: expected A..B of {most}, but got {name!r} (type str)")
    return batch(construction, start, last + 1)


@dataclass(frozen=True)
class InBatch:
    """One case in batches of one size, compared with itself alone.

    Attributes:
        size: of the batches.
        places: where in them the case was.
        equal: whether all its logits were the same bit for bit at every place.
        right: whether every token was as promised, with a positive margin.
        largest_difference: between logits, 0 where they are equal, NaN where one is not finite.

    """

    size: int
    places: tuple[int, ...]
    equal: bool
    right: bool
    largest_difference: float

    def to_json(self) -> Mapping[str, Any]:
        """Return JSON values."""
        difference = self.largest_difference
        return asdict(self) | {"largest_difference": difference if np.isfinite(difference) else str(difference)}

    def sentence(self) -> str:
        """Return it in words."""
        places = ", ".join(map(str, self.places))
        what = "equal bit for bit" if self.equal else f"NOT equal, logits differ by up to {self.largest_difference:.3g}"
        return f"in batches of {self.size}, at {places}: {what}" + ("" if self.right else "; the case FAILS there")


def batch_dependence(
    runner: Runner, target: IntArray, user_input: IntArray, *, sizes: Sequence[int] | None = None, seed: int = 0
) -> list[InBatch]:
    """Return how a case's logits alone compare with those in batches: first, in the middle, and last.

    A backend that runs its cases one by one has no batches, and the list is empty.

    Args:
        runner: the construction on a backend.
        target: of the case.
        user_input: of the case.
        sizes: of the batches; by default those of :data:`BATCH_SIZES` that fit the memory of a batch.
        seed: of the other members, which are drawn.

    Example:
        >>> import numpy as np
        >>> from constructions import UnconditionalGeneration
        >>> from verify import RationalArithmetic, Runner
        >>> runner = Runner(UnconditionalGeneration(3, 3), RationalArithmetic())
        >>> batch_dependence(runner, np.array([2, 0, 1]), np.zeros(0, dtype=np.int64))  # exact cases run one by one
        []

    """
    if not runner.backend.batched:
        return []
    if sizes is None:
        sizes = [size for size in BATCH_SIZES if size <= max(2, batch_size(runner.construction))]
    alone = runner.run(target[None], user_input[None])
    targets, users = spaces(runner.construction)
    found = []
    for size in sizes:
        check_integer("sizes", size, 2)
        others, inputs = targets.sample(size, seed=seed), users.sample(size, seed=seed)
        places = tuple(sorted({0, size // 2, size - 1}))
        equal, right, largest = True, True, 0.0
        for place in places:
            mixed, given = others.copy(), inputs.copy()
            mixed[place], given[place] = target, user_input
            outcome = runner.run(mixed, given)
            difference = _difference(_numbers(outcome)[place], _numbers(alone)[0])
            equal &= difference is None
            largest = float(np.maximum(largest, difference or 0.0))  # NaN stays
            right &= not outcome.failures()[place].any()
        found.append(InBatch(size, places, equal, right, largest))
    return found


def _numbers(outcome: Outcome) -> np.ndarray[Any, Any]:
    """Return the logits, or where only tokens are known these."""
    return outcome.produced if outcome.logits is None else outcome.logits


def _difference(one: np.ndarray[Any, Any], other: np.ndarray[Any, Any]) -> float | None:
    """Return the largest difference, ``None`` where every bit is the same."""
    if one.dtype == object:
        return None if (one == other).all() else float(np.max(abs(one - other)))
    if one.tobytes() == other.tobytes():
        return None
    return float(np.max(np.abs(one - other)))
