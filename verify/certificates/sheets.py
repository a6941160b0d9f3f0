"""Targets in which the entries of many places are fixed at once: what they are encoded to, and what they promise.

Each row of a sheet fixes the entries of every place to the same values. A coordinate of the prompt that depends on the
entries of one place alone has one number for each row, whatever the other entries are, and so has what is promised
there: one prompt for each row tells the cells of all places, where cell by cell it takes one for each cell.

What a number depends on is tracked as the construction's own code runs on unknown tokens. Members that are drawn are
held against ALL cells that they lie in: code that depends on more than it shows gives one of them another number.

This module is over 300 lines, as one class holds all runs of code whose results are held against each other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
from jaxtyping import Int

from constructions.construction import Construction
from constructions.returned import answered_tokens, checked_numerators
from verify.certificates.cells import Place
from verify.certificates.chunks import chunks, columns_of, joined
from verify.certificates.code_on_bounds import (
    ALONE,
    DRAWN,
    IMPURE,
    CellsError,
    Enclosure,
    Targets,
    answer,
    encode,
    running_code,
)
from verify.certificates.told import Told

#: The most tokens of members that are drawn, over all user inputs, unless one in every cell takes more; and the most
#: of members at the ends of ALL cells, beyond which only first and last cells have one. A choice: some milliseconds.
_DRAWN_TOKENS = 2**17

_User = tuple[int, ...]
_OUTSIDE = "numbers outside the bounds of the set that holds it"


class UnsharedError(Exception):
    """It is not shown that cells share: they must be looked at one by one."""


@dataclass(frozen=True, eq=False)
class Sheet:
    """Targets in which the entries of many places are fixed at once.

    Attributes:
        construction: whose code is run.
        prompt: bounds of the prompts of all targets, and their denominator.
        depending: for each entry of the target the coordinates of the prompt that depend on it.
        fixed: the entries of each place, no two of which have one in common.
        places: for each user input the places that fix some of these.

    """

    construction: Construction
    prompt: tuple[Enclosure, int]
    depending: Sequence[Sequence[int]]
    fixed: list[tuple[int, ...]]
    places: dict[_User, list[Place]]

    @cached_property
    def rows(self) -> int:
        """How many values the entries of a place have together."""
        return int(self.construction.vocab_size ** len(self.fixed[0]))

    @cached_property
    def coordinates(self) -> Sequence[Int[np.ndarray, " differing"]]:
        """For the entries of each place the coordinates of the prompt that depend on them, ascending."""
        return [
            np.array(sorted({at for entry in entries for at in self.depending[entry]}), dtype=np.int64)
            for entries in self.fixed
        ]

    @cached_property
    def place_of(self) -> dict[tuple[int, ...], int]:
        """The index of the entries of a place."""
        return {entries: index for index, entries in enumerate(self.fixed)}

    @cached_property
    def targets(self) -> Int[np.ndarray, "rows entries"]:
        """One target for each row, with 0 in the entries that are not fixed."""
        found = np.zeros((self.rows, self.construction.target_space.digits), dtype=np.int64)
        self._fix(found, np.broadcast_to(np.arange(self.rows)[:, None], (self.rows, len(self.fixed))))
        found.setflags(write=False)
        return found

    def _fix(self, targets: Int[np.ndarray, "targets entries"], row: Int[np.ndarray, "targets places"]) -> None:
        """Fix the entries of each place to the values of a row."""
        vocab, size = self.construction.vocab_size, len(self.fixed[0])
        values = np.arange(self.rows)[:, None] // vocab ** np.arange(size)[::-1] % vocab
        entries = columns_of(self._entries, targets.shape[1])
        for chosen in chunks(*targets.shape):
            part = targets[chosen]
            # the value of a single entry is the row's number
            part[:, entries] = row[chosen] if size == 1 else values[row[chosen]].reshape(len(part), -1)

    @cached_property
    def _entries(self) -> Int[np.ndarray, " fixed"]:
        """The entries of all places, place by place."""
        return np.array(self.fixed, dtype=np.int64).reshape(-1)

    # what the cells of a place have ----------------------------------------------------------------------------------

    @cached_property
    def numerators(self) -> Sequence[np.ndarray[Any, Any]]:
        """For each place the numerators of its coordinates, one row for each of its cells; raises as :attr:`told`."""
        ends = np.cumsum([len(coordinates) for coordinates in self.coordinates])
        return np.split(self.told.numbers, ends[:-1], axis=1)

    @cached_property
    def told(self) -> Told:
        """The numerators of the coordinates of all places, which cells have.

        Raises:
            CellsError: a number is not the same for all targets of a cell.

        """
        columns = np.concatenate([np.zeros(0, dtype=np.int64), *self.coordinates])
        parts: list[np.ndarray[Any, Any]] = []
        for chosen in chunks(*self.targets.shape):
            found, denominator = encode(self.construction, self._bounds(chosen))
            low, high = (part.reshape(len(part), -1)[:, columns] for part in (found.low, found.high))
            if (low != high).any() or denominator != self.prompt[1]:
                raise CellsError("encode depends on entries of the target that it did not show to depend on")
            parts.append(low)
        places = np.repeat(np.arange(len(self.fixed)), [len(coordinates) for coordinates in self.coordinates])
        return Told(columns, places, np.concatenate(parts), self.prompt[0].low[0].size)

    @cached_property
    def expected(self) -> dict[_User, Int[np.ndarray, "rows response"]]:
        """For each user input the promised tokens, of which those at the steps of its places are of every cell.

        Raises:
            CellsError: a token is not the same for all targets of a cell.

        """
        found = {user: self.answered(self.targets, user).astype(np.int64) for user in self.places}
        user, places = next(iter(self.places.items()))
        chosen = next(chunks(*self.targets.shape))
        bounds, steps = self._bounds(chosen), [place.step for place in places]
        promised = answer(self.construction, bounds, np.tile(np.array(user, dtype=np.int64), (len(bounds.low), 1)))
        if any((part[:, steps] != found[user][chosen][:, steps]).any() for part in (promised.low, promised.high)):
            raise CellsError("answer depends on entries of the target that it did not show to depend on")
        return found

    def _bounds(self, chosen: slice) -> Targets:
        """Return the sets of targets of some rows: entries that no place fixes may be anything."""
        low = self.targets[chosen].copy()
        free = np.ones(low.shape[1], dtype=np.bool_)
        free[self._entries] = False
        high = np.where(free, self.construction.vocab_size - 1, low)
        shape = (len(low), *self.construction.target_space.shape)
        return Targets(low.reshape(shape), high.reshape(shape))

    # runs of code ----------------------------------------------------------------------------------------------------

    def encoded(self, targets: Int[np.ndarray, "targets entries"]) -> np.ndarray[Any, Any]:
        """Return the numerators that ``encode`` gives, virtual tokens side by side: until code runs again."""
        virtual, width = self.prompt[0].low.shape[1:]

        def run(part: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
            prompt = self.construction.encode(part)
            found = checked_numerators(self._owner, prompt, (len(part), virtual, width))
            if prompt.denominator != self.prompt[1]:
                raise CellsError("encode gives a target another denominator than the set that holds it")
            # numpy puts these beside integers with a sign as floats, which hold no more than 53 bits
            found = found.astype(object) if found.dtype == np.uint64 else found
            return found.reshape(len(part), -1)

        return self._inchunks(targets, run)

    def answered(self, targets: Int[np.ndarray, "targets entries"], user: _User) -> np.ndarray[Any, Any]:
        """Return the responses that ``answer`` promises: until code runs again, which may go on to change them."""
        steps, tokens = self.construction.layout.response, np.array(user, dtype=np.int64)

        def run(part: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
            found = self.construction.answer(part, np.broadcast_to(tokens, (len(part), len(tokens))))
            return answered_tokens(self._owner, found, (len(part), steps), self.construction.output_vocab_size)

        return self._inchunks(targets, run)

    @property
    def _owner(self) -> str:
        return type(self.construction).__name__

    def _inchunks(
        self, targets: Int[np.ndarray, "targets entries"], run: Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]]
    ) -> np.ndarray[Any, Any]:
        """Return what code gives for targets that it cannot change, or for copies where the array may be changed.

        Raises:
            UnsharedError: it fails; cell by cell it is given copies, and its error is reported.

        """
        shape, own = self.construction.target_space.shape, targets.flags.writeable
        with running_code(UnsharedError):
            parts = (targets[chosen].reshape(-1, *shape) for chosen in chunks(*targets.shape))
            return joined((run(part.copy() if own else part) for part in parts), len(targets))

    # members ---------------------------------------------------------------------------------------------------------

    def check(self, random: np.random.Generator) -> int:
        """Hold members against every cell that they lie in, and return how many there were.

        At least one is drawn in each cell, and the ends of cells are among them, see :meth:`_at_ends`.

        Raises:
            CellsError: a member has other numbers than one of its cells, or other ones in another order or alone.

        """
        row, targets = self._members(random)
        order = random.permutation(len(targets))
        alone = order[:ALONE]
        self._check_encoded(row, targets, order, alone)
        ordered, again, users = row[order], targets[order], list(self.places)
        asked = {users[int(random.integers(len(users)))] for _ in alone}
        for user in users:
            told, tokens = self._promised(user), self.answered(targets, user)
            if not self.places[user][0].promised.holds(tokens) or told.differs(tokens, row):
                raise CellsError("answer gives a target tokens outside the bounds of the set that holds it")
            rest = tokens[:, told.rest]
            # for some users in an array of their own, as a forward pass gives them: code may ask whose memory it is
            again.setflags(write=user in asked)
            tokens = self.answered(again, user)
            if told.differs(tokens, ordered) or (tokens[:, told.rest] != rest[order]).any():
                raise CellsError(f"answer {IMPURE}")
            if user in asked and len(alone):
                tokens = _one_by_one(partial(self.answered, user=user), targets, alone)
                if told.differs(tokens, row[alone]) or (tokens[:, told.rest] != rest[alone]).any():
                    raise CellsError(f"answer {IMPURE}")
        return len(targets)

    def _check_encoded(
        self,
        row: Int[np.ndarray, "members places"],
        targets: Int[np.ndarray, "members entries"],
        order: Int[np.ndarray, " members"],
        alone: Int[np.ndarray, " alone"],
    ) -> None:
        """Hold numerators against what is told of them, and what is told of none against those of the first run."""
        told, found = self.told, self.encoded(targets)
        if not self.prompt[0].holds(found.reshape(len(found), *self.prompt[0].low.shape[1:])):
            raise CellsError(f"encode gives a target {_OUTSIDE}")
        if told.differs(found, row):
            raise CellsError(f"encode gives a target {_OUTSIDE}")
        rest = found[:, told.rest]
        for chosen in chunks(*targets.shape):
            members = order[chosen]
            found = self.encoded(targets[members])  # which may be changed: in an array of their own, as for answers
            if told.differs(found, row[members]) or (found[:, told.rest] != rest[members]).any():
                raise CellsError(f"encode {IMPURE}")
        if len(alone):
            found = _one_by_one(self.encoded, targets, alone)
            if told.differs(found, row[alone]) or (found[:, told.rest] != rest[alone]).any():
                raise CellsError(f"encode {IMPURE}")

    def _promised(self, user: _User) -> Told:
        """Return the tokens at the steps of a user input's places, which cells have."""
        places, expected = self.places[user], self.expected[user]
        steps = np.array([place.step for place in places])
        owners = np.array([self.place_of[place.entries] for place in places])
        return Told(steps, owners, expected[:, columns_of(steps, expected.shape[1])], expected.shape[1])

    def _members(
        self, random: np.random.Generator
    ) -> tuple[Int[np.ndarray, "members places"], Int[np.ndarray, "members entries"]]:
        """Return targets, and for each place the cell that each lies in.

        The first ones are at the ends of cells, half of them at the smallest ones. In the others every place goes
        through all of its cells, each place in an order of its own.
        """
        digits, count, largest = self.targets.shape[1], len(self.fixed), self.construction.vocab_size - 1
        cells = sum(map(len, self.places.values())) * self.rows
        wanted = max(DRAWN, min(cells, _DRAWN_TOKENS // (digits * len(self.places))))
        rounds = -(-wanted // self.rows)
        shape = (rounds, self.rows, count)
        values = np.arange(self.rows)[:, None]  # of the size that numpy moves about at once
        drawn = random.permuted(np.broadcast_to(values, shape), axis=1).reshape(-1, count)
        low = self._at_ends()
        row = np.concatenate([low, self.rows - 1 - low, drawn.astype(self._row_dtype)])
        ends = np.repeat([0, largest], len(low))[:, None]
        targets = np.empty((len(row), digits), dtype=np.int64)
        targets[: len(ends)] = ends
        targets[len(ends) :] = (
            random.integers(0, largest + 1, (len(drawn), digits)) if len(self._entries) < digits else 0
        )
        self._fix(targets, row)
        targets.setflags(write=False)
        return row, targets

    def _at_ends(self) -> Int[np.ndarray, "members places"]:
        """Return for each place the cell that targets lie in which are the smallest ones of some cell.

        They are 0 but for one place, which goes through all of its cells. Where these targets would be too many, it is
        in the last of its cells alone.
        """
        digits, count = self.targets.shape[1], len(self.fixed)
        every = 2 * count * self.rows * digits * len(self.places) <= _DRAWN_TOKENS
        values = np.arange(1 if every else self.rows - 1, self.rows, dtype=self._row_dtype)
        one = np.eye(count, dtype=self._row_dtype) * values[:, None, None]
        return np.concatenate([np.zeros((1, count), dtype=self._row_dtype), one.reshape(-1, count)])

    @property
    def _row_dtype(self) -> np.dtype[Any]:
        """The smallest signed integers that hold every row: members are many."""
        return np.min_scalar_type(-self.rows)


def _one_by_one(
    run: Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]],
    targets: Int[np.ndarray, "members entries"],
    alone: Int[np.ndarray, " alone"],
) -> np.ndarray[Any, Any]:
    """Return what code gives for some members, each alone and in an array of its own."""
    return np.concatenate([run(targets[[member]]).copy() for member in alone.tolist()])
