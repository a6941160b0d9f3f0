"""All targets and user inputs of a construction, cut into polynomially many cells that share one answer.

At a step of the response, with a given user input, the promised token depends on few entries of the target, often on a
single one. A cell fixes these entries; every other entry may be anything. The bounds of the prompt over a cell, and of
the response tokens fed back before the step, come from the construction's own code, see
:mod:`verify.certificates.code_on_bounds`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, zip_longest
from typing import Any

import numpy as np
from jaxtyping import Int

from constructions.construction import Construction
from constructions.ratios import Ratios
from constructions.targets import TargetSpace
from constructions.unknown_arithmetic import INT64_ENTRIES
from verify.certificates.code_on_bounds import CellsError, Enclosure, Members, Targets, answer, encode

#: Numbers in the input rows of one batch of cells: 64 MiB of float64.
BATCH_NUMBERS = 2**23
#: Numbers that the widest layer before the readout has for one batch of cells: 16 MiB of float64, of which a rule of
#: sums holds about a dozen at once.
LAYER_NUMBERS = 2**21
#: Of the members that are drawn: the same verdict on every machine.
_SEED = 0


@dataclass(frozen=True)
class Cells:
    """A batch of cells of one step of the response.

    Attributes:
        step: which response token, 0-based.
        low: the smallest prompts, shape ``(cells, virtual, embedding size)``.
        high: the largest prompts.
        user_low: the smallest user tokens, shape ``(cells, user)``.
        user_high: the largest ones.
        fed_low: the smallest response tokens before the step, shape ``(cells, step)``.
        fed_high: the largest ones.
        expected: the promised token at the step, shape ``(cells,)``.
        witness: one target of each cell, with 0 in the entries that are not fixed.
        members: how many targets of these cells were run as a forward pass runs them.

    """

    step: int
    low: Ratios
    high: Ratios
    user_low: Int[np.ndarray, "cells user"]
    user_high: Int[np.ndarray, "cells user"]
    fed_low: Int[np.ndarray, "cells step"]
    fed_high: Int[np.ndarray, "cells step"]
    expected: Int[np.ndarray, " cells"]
    witness: Int[np.ndarray, " cells *target"]
    members: int


def cells(construction: Construction, *, budget: int) -> Iterator[Cells]:
    """Yield batches of cells that together are all pairs of a target and a user input, at every step.

    Args:
        construction: what to cut up.
        budget: the largest number of cells, a bound of the work and not of what is true.

    Raises:
        CellsError: more cells than that, or code that cannot run on bounds.

    """
    check_reading(construction)
    for batch in batches_of(construction, cuts(construction, budget)):
        yield batch.cells()


def check_reading(construction: Construction) -> None:
    """Refuse a response that is not read at the last position, which is the one that a certificate bounds.

    Raises:
        CellsError: it is read in one pass, at places of the input.

    """
    if construction.layout.read is not None:
        raise CellsError("the response is read at places of the input, and only its last position is bounded")


def everything(construction: Construction, step: int) -> Cells:
    """Return one cell that is all targets and user inputs at a step, with no promise about its answer.

    Raises:
        CellsError: code that cannot run on bounds.

    """
    check_reading(construction)
    vocab, layout, space = construction.vocab_size, construction.layout, construction.target_space
    targets = all_targets(space)
    prompt, denominator = encode(construction, targets)
    members = Members(construction, np.random.default_rng(_SEED)).check(targets, (prompt, denominator), None)
    users, fed = (np.zeros((1, count), dtype=np.int64) for count in (layout.user, step))
    return Cells(
        step,
        Ratios(prompt.low, denominator),
        Ratios(prompt.high, denominator),
        users,
        users + vocab - 1,
        fed,
        fed + vocab - 1,
        np.zeros(1, dtype=np.int64),
        targets.low,
        members,
    )


def all_targets(space: TargetSpace) -> Targets:
    """Return all targets as one set, each entry named by a bit."""
    kind: Any = np.int64 if space.digits <= INT64_ENTRIES else object
    names = np.array([1 << entry for entry in range(space.digits)], dtype=kind)
    low = np.zeros((1, *space.shape), dtype=np.int64)
    return Targets(low, low + (space.vocab_size - 1), names.reshape(low.shape))


@dataclass(frozen=True)
class Place:
    """Cells of one step and user input.

    Attributes:
        step: which response token.
        user: the user tokens.
        entries: of the target that these cells fix.
        promised: bounds of the whole response over all targets.

    """

    step: int
    user: tuple[int, ...]
    entries: tuple[int, ...]
    promised: Enclosure


def cuts(construction: Construction, budget: int) -> list[list[Place]]:
    """Return for every step and user input the entries that decide, and those packed into one number with them.

    Raises:
        CellsError: answers whose margins are not bounded, more cells than the budget, or code that cannot run on
            bounds.

    """
    if construction.reading.sign == 0:
        raise CellsError(f"margins of {construction.reading.words()} are not bounded, only those of argmax and argmin")
    layout, space = construction.layout, construction.target_space
    inputs = construction.user_inputs.size
    if inputs > budget:
        raise CellsError(f"there are {inputs} user inputs, more than the budget of {budget} cells")
    free = all_targets(space)
    packed = _packed_together(encode(construction, free)[0], space.digits)
    users = construction.user_inputs.unrank_range(0, inputs)
    found: list[list[Place]] = [[] for _ in range(layout.response)]
    total = 0
    for user in users:
        promised = answer(construction, free, user[None])
        for step, (places, decides) in enumerate(zip(found, promised.entries[0].tolist(), strict=True)):
            fixed = decides
            for entry in bits(decides):
                fixed |= packed[entry]
            total += space.vocab_size ** fixed.bit_count()
            if total > budget:
                raise CellsError(
                    f"the answers depend on so many entries of the target at once that there are more cells than the"
                    f" budget of {budget}"
                )
            places.append(Place(step, tuple(user.tolist()), tuple(bits(fixed)), promised))
    return found


def _packed_together(prompt: Enclosure, size: int) -> list[int]:
    """Return for every entry of the target the entries that share a coordinate of the prompt with it, as bits."""
    together = [1 << entry for entry in range(size)]
    for number in set(prompt.entries.reshape(-1).tolist()):
        for entry in bits(number):
            together[entry] |= number
    return together


def bits(number: int) -> list[int]:
    """Return the places of the bits that are set, in order."""
    found = []
    while number:
        lowest = number & -number
        found.append(lowest.bit_length() - 1)
        number ^= lowest
    return found


@dataclass(frozen=True, eq=False)
class PlannedCells:
    """A batch of cells before code is run for it: the same whoever runs it, and after whatever others.

    Of a construction and a step, with the places that have cells in it, how many, and the tokens that these fix; its
    members are drawn with its number.
    """

    construction: Construction
    step: int
    number: int
    places: list[Place]
    counts: list[int]
    values: list[Int[np.ndarray, "cells fixed"]]

    def cells(self) -> Cells:
        """Return the batch; raises :class:`CellsError` where code gives a member other numbers than its cell has."""
        space, total = self.construction.target_space, sum(self.counts)
        low = np.zeros((total, space.digits), dtype=np.int64)
        high = low + (space.vocab_size - 1)
        start = 0
        for place, rows, fixed in zip(self.places, self.counts, self.values, strict=True):
            block = np.ix_(np.arange(start, start + rows), np.array(place.entries, dtype=np.int64))
            low[block] = high[block] = fixed
            start += rows
        inputs = np.repeat(np.array([place.user for place in self.places], dtype=np.int64), self.counts, axis=0)
        inputs = inputs.reshape(total, self.construction.layout.user)
        targets = Targets(low.reshape(total, *space.shape), high.reshape(total, *space.shape))
        random = np.random.default_rng((_SEED, self.number))
        return _batch(Members(self.construction, random), self.step, targets, inputs)


def batches_of(construction: Construction, steps: list[list[Place]]) -> Iterator[PlannedCells]:
    """Yield the cells of places in batches; ``steps``: places of each step, as of :func:`cuts`."""
    space, layout, numbers = construction.target_space, construction.layout, count()
    width = construction.transformer.lowered.embedding_size + layout.context_size
    chunk = max(1, min(BATCH_NUMBERS // (width * layout.context_size), LAYER_NUMBERS // widest(construction)))
    for step, places in enumerate(steps):
        # cells that fix nothing are single inputs, which share no more in a small batch than in a large one
        enough = width if any(place.entries for place in places) else chunk
        for batch in _batches(places, space.vocab_size, most=chunk, enough=enough):
            yield PlannedCells(construction, step, next(numbers), *batch)


def widest(construction: Construction) -> int:
    """Return the size of the widest layer before the readout."""
    lowered = construction.transformer.lowered
    matrices = [
        matrix for name, matrix in lowered.matrices().items() if not name.startswith(f"{lowered.readout.name}.")
    ]
    return max(matrix.shape[0] for matrix in matrices)


def _batches(
    places: list[Place], vocab: int, *, most: int, enough: int
) -> Iterator[tuple[list[Place], list[int], list[Int[np.ndarray, "cells fixed"]]]]:
    """Yield places with how many of their cells are in a batch, and the tokens that these cells fix.

    A batch has at most ``most`` cells, and ends with a place once it has ``enough``, unless the next place fixes the
    same entries: cells that fix the same differ in few coordinates, others in many.
    """
    chosen: list[Place] = []
    counts: list[int] = []
    values: list[Int[np.ndarray, "cells fixed"]] = []
    for place, after in zip_longest(places, places[1:]):
        alike = after is not None and after.entries == place.entries
        total, start = vocab ** len(place.entries), 0
        while start < total:
            stop = min(total, start + most - sum(counts))
            numbers = np.arange(start, stop)
            powers = vocab ** np.arange(len(place.entries))[::-1]
            chosen.append(place)
            counts.append(stop - start)
            values.append(numbers[:, None] // powers % vocab)
            start = stop
            if sum(counts) == most or (start == total and not alike and sum(counts) >= enough):
                yield chosen, counts, values
                chosen, counts, values = [], [], []
    if chosen:
        yield chosen, counts, values


def _batch(members: Members, step: int, targets: Targets, inputs: Int[np.ndarray, "cells user"]) -> Cells:
    construction = members.construction
    prompt, denominator = encode(construction, targets)
    promised = answer(construction, targets, inputs)
    if (promised.low[:, step] != promised.high[:, step]).any():
        raise CellsError("answer depends on entries of the target that it did not show to depend on")
    if promised.low.min() < 0 or promised.high.max() >= construction.output_vocab_size:
        raise CellsError("answer promises tokens outside the vocabulary")
    looked_at = members.check(targets, (prompt, denominator), (inputs, promised))
    return Cells(
        step,
        Ratios(prompt.low, denominator),
        Ratios(prompt.high, denominator),
        inputs,
        inputs,
        promised.low[:, :step],
        promised.high[:, :step],
        promised.low[:, step],
        targets.low,
        looked_at,
    )
