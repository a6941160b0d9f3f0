"""All targets and user inputs of a construction, cut into polynomially many cells that share one answer.

At a step of the response, with a given user input, the promised token depends on few entries of the target, often on a
single one. A cell fixes these entries; every other entry may be anything. The bounds of the prompt over a cell, and of
the response tokens fed back before the step, come from the construction's own code, see
:mod:`verify.certificates.between`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from jaxtyping import Int

from constructions.construction import Construction
from constructions.ratios import Ratios
from verify.certificates.between import Between, dependence
from verify.certificates.unknown_tokens import (
    CellsError,
    answer,
    check_members,
    encode,
    integer_bounds,
    unknown_tokens,
)

#: Numbers in the input rows of one batch of cells.
_BATCH_NUMBERS = 2**23


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


def cells(construction: Construction, *, budget: int) -> Iterator[Cells]:
    """Yield batches of cells that together are all pairs of a target and a user input, at every step.

    Args:
        construction: what to cut up.
        budget: the largest number of cells, a bound of the work and not of what is true.

    Raises:
        CellsError: more cells than that, or code that cannot run on bounds.

    """
    for step, cut in enumerate(_cuts(construction, budget)):
        yield from _step_cells(construction, step, cut)


def everything(construction: Construction, step: int) -> Cells:
    """Return one cell that is all targets and user inputs at a step, with no promise about its answer.

    Raises:
        CellsError: code that cannot run on bounds.

    """
    vocab, layout = construction.vocab_size, construction.layout
    targets = unknown_tokens(vocab, math.prod(construction.targets.shape)).reshape(1, *construction.targets.shape)
    prompt = encode(construction, targets)
    low, high = integer_bounds(prompt.numerators)
    users, fed = (np.zeros((1, count), dtype=np.int64) for count in (layout.user, step))
    return Cells(
        step,
        Ratios(low, prompt.denominator),
        Ratios(high, prompt.denominator),
        users,
        users + vocab - 1,
        fed,
        fed + vocab - 1,
        np.zeros(1, dtype=np.int64),
        np.zeros((1, *construction.targets.shape), dtype=np.int64),
    )


@dataclass(frozen=True)
class _Place:
    """Cells of one user input: the entries that they fix, and the answers while nothing is fixed."""

    user: tuple[int, ...]
    entries: tuple[int, ...]
    answers: np.ndarray[Any, Any]


@dataclass(frozen=True)
class _Cut:
    """The cells of one step, and the prompt while nothing is fixed."""

    places: list[_Place]
    prompt: Ratios


def _cuts(construction: Construction, budget: int) -> list[_Cut]:
    """Return for every step and user input the entries that decide, and those packed into one number with them."""
    layout, vocab = construction.layout, construction.vocab_size
    inputs = vocab**layout.user
    if inputs > budget:
        raise CellsError(f"there are {inputs} user inputs, more than the budget of {budget} cells")
    size = math.prod(construction.targets.shape)
    free = np.empty((1, size), dtype=object)
    free[0] = [Between(0, vocab - 1, frozenset((entry,))) for entry in range(size)]
    free = free.reshape(1, *construction.targets.shape)
    users = np.array(list(product(range(vocab), repeat=layout.user)), dtype=np.int64).reshape(inputs, layout.user)
    prompt = encode(construction, free)
    packed = _packed_together(prompt, size)
    found = [_Cut([], prompt) for _ in range(layout.response)]
    total = 0
    for user in users:
        answers = answer(construction, free, user[None])
        for step in range(layout.response):
            fixed = dependence(answers[0, step])
            fixed = fixed.union(*(packed[entry] for entry in fixed))
            total += vocab ** len(fixed)
            if total > budget:
                raise CellsError(
                    f"the answers depend on so many entries of the target at once that there are more cells than the"
                    f" budget of {budget}"
                )
            found[step].places.append(_Place(tuple(int(token) for token in user), tuple(sorted(fixed)), answers[0]))
    return found


def _packed_together(prompt: Ratios, size: int) -> list[frozenset[int]]:
    """Return for every entry of the target the entries that share a coordinate of the prompt with it."""
    together = [frozenset((entry,)) for entry in range(size)]
    for number in {dependence(value) for value in prompt.numerators.reshape(-1)}:
        for entry in number:
            together[entry] |= number
    return together


def _step_cells(construction: Construction, step: int, cut: _Cut) -> Iterator[Cells]:
    vocab, shape = construction.vocab_size, construction.targets.shape
    size = math.prod(shape)
    tokens = np.array([Between(token, token) for token in range(vocab)], dtype=object)
    # one for each entry: Python takes an object to be equal to itself without asking
    unknown = unknown_tokens(vocab, size)
    width = construction.transformer.lowered.embedding_size + construction.layout.context_size
    chunk = max(1, _BATCH_NUMBERS // (width * construction.layout.context_size))
    for chosen, counts, values in _batches(cut.places, vocab, most=chunk, enough=width):
        count = sum(counts)
        targets = np.tile(unknown, (count, 1))
        witness = np.zeros((2, count, size), dtype=np.int64)  # the least and the largest target of each cell
        witness[1] = vocab - 1
        start = 0
        for place, rows, fixed in zip(chosen, counts, values, strict=True):
            block = np.ix_(np.arange(start, start + rows), np.array(place.entries, dtype=np.int64))
            targets[block] = tokens[fixed]
            witness[:, block[0], block[1]] = fixed
            start += rows
        inputs = np.repeat(np.array([place.user for place in chosen], dtype=np.int64), counts, axis=0)
        inputs = inputs.reshape(count, construction.layout.user)
        blocks = (targets.reshape(count, *shape), inputs, witness.reshape(2, count, *shape))
        yield _batch(construction, step, *blocks, free=_Free(cut.prompt, chosen))


def _batches(
    places: list[_Place], vocab: int, *, most: int, enough: int
) -> Iterator[tuple[list[_Place], list[int], list[Int[np.ndarray, "cells fixed"]]]]:
    """Yield places with how many of their cells are in a batch, and the tokens that these cells fix.

    A batch has at most ``most`` cells, and ends with a place once it has ``enough``: the cells of one place differ in
    few coordinates, those of many places in many.
    """
    chosen: list[_Place] = []
    counts: list[int] = []
    values: list[Int[np.ndarray, "cells fixed"]] = []
    for place in places:
        total, start = vocab ** len(place.entries), 0
        while start < total:
            stop = min(total, start + most - sum(counts))
            numbers = np.arange(start, stop)
            powers = vocab ** np.arange(len(place.entries))[::-1]
            chosen.append(place)
            counts.append(stop - start)
            values.append(numbers[:, None] // powers % vocab)
            start = stop
            if sum(counts) == most or (start == total and sum(counts) >= enough):
                yield chosen, counts, values
                chosen, counts, values = [], [], []
    if chosen:
        yield chosen, counts, values


@dataclass(frozen=True)
class _Free:
    """What is known of a batch before any entry is fixed: numbers that depend on no fixed entry stay what they are."""

    prompt: Ratios
    places: list[_Place]

    def prompt_bounds(self, numerators: np.ndarray[Any, Any]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """Return the bounds of a batch's prompts."""
        return _bounds_where(numerators, self.prompt.numerators[0], self._fixed)

    def answer_bounds(self, answers: np.ndarray[Any, Any]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """Return the bounds of a batch's answers."""
        if len(self.places) > 1:  # what they promise depends on the user input
            return integer_bounds(answers)
        return _bounds_where(answers, self.places[0].answers, self._fixed)

    @property
    def _fixed(self) -> frozenset[int]:
        return frozenset(entry for place in self.places for entry in place.entries)


def _bounds_where(
    numbers: np.ndarray[Any, Any], free: np.ndarray[Any, Any], fixed: frozenset[int]
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return bounds of a batch, looking only at the numbers that depend on a fixed entry."""
    if numbers.dtype != object or numbers.shape[1:] != free.shape or not len(numbers):
        return integer_bounds(numbers)
    touched = np.array([bool(dependence(value) & fixed) for value in free.reshape(-1)]).reshape(free.shape)
    found = []
    pairs = zip(integer_bounds(free), integer_bounds(numbers[:, touched]), integer_bounds(numbers[:1]), strict=True)
    for usual, special, first in pairs:
        if (usual != first[0])[~touched].any():
            raise CellsError("encode or answer gives other bounds where nothing that it shows to depend on is fixed")
        whole = np.broadcast_to(usual, numbers.shape).astype(np.result_type(usual, special))
        whole[:, touched] = special
        found.append(whole)
    return found[0], found[1]


def _batch(
    construction: Construction,
    step: int,
    targets: np.ndarray[Any, Any],
    inputs: Int[np.ndarray, "cells user"],
    witness: Int[np.ndarray, "2 cells *target"],
    *,
    free: _Free,
) -> Cells:
    prompt = encode(construction, targets)
    if prompt.denominator != free.prompt.denominator:
        raise CellsError("encode changes its denominator with the target")
    low, high = free.prompt_bounds(prompt.numerators)
    answer_low, answer_high = free.answer_bounds(answer(construction, targets, inputs))
    if (answer_low[:, step] != answer_high[:, step]).any():
        raise CellsError("answer depends on entries of the target that it did not show to depend on")
    if answer_low.min() < 0 or answer_high.max() >= construction.vocab_size:
        raise CellsError("answer promises tokens outside the vocabulary")
    for members in witness:
        check_members(
            construction,
            members,
            inputs,
            denominator=prompt.denominator,
            prompts=(low, high),
            answers=(answer_low, answer_high),
        )
    return Cells(
        step,
        Ratios(low, prompt.denominator),
        Ratios(high, prompt.denominator),
        inputs,
        inputs,
        answer_low[:, :step],
        answer_high[:, :step],
        answer_low[:, step],
        witness[0],
    )
