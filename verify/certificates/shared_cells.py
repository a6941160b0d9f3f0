"""Cells of all steps and user inputs at once: what they share is said once, and of each what differs in it.

A prompt's coordinate that depends on no fixed entry lies between its bounds over all targets. One that depends on fixed
entries alone is one number in each cell, see :mod:`verify.certificates.sheets`. Where a coordinate depends on fixed
entries and on others nothing is shared, and cells are looked at one by one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Int

from constructions.construction import Construction
from constructions.ratios import Ratios
from verify.certificates.cells import Place, all_targets, bits, check_reading, cuts
from verify.certificates.code_on_bounds import Enclosure, encode
from verify.certificates.sheets import Sheet, UnsharedError

#: Tokens of the targets of all cells from which these share. Fewer take a fraction of a second one by one, where every
#: cell has members at its own two ends.
SHARED_FROM = 2**12
#: Of the members that are drawn: the same verdict on every machine.
_SEED = 0


@dataclass(frozen=True, eq=False)
class SharedPlace:
    """The cells of one step and user input.

    Attributes:
        step: which response token, 0-based.
        branch: which of the user inputs.
        coordinates: of the prompt, virtual tokens side by side: those that differ among these cells, ascending.
        numerators: of these coordinates, one row for each cell.
        expected: the promised token of each cell.

    """

    step: int
    branch: int
    coordinates: Int[np.ndarray, " differing"]
    numerators: np.ndarray[Any, Any]
    expected: Int[np.ndarray, " cells"]


@dataclass(frozen=True, eq=False)
class SharedCells:
    """Places of some user inputs, and what all of their cells share.

    Attributes:
        low: the smallest prompt over all targets, shape ``(1, virtual, embedding size)``.
        high: the largest one.
        users: the user inputs, shape ``(branches, user)``.
        fed_low: for each the smallest response tokens over all targets, shape ``(branches, response)``.
        fed_high: the largest ones.
        places: the cells.
        members: how many targets were run as a forward pass runs them, for these and all other user inputs.

    """

    low: Ratios
    high: Ratios
    users: Int[np.ndarray, "branches user"]
    fed_low: Int[np.ndarray, "branches response"]
    fed_high: Int[np.ndarray, "branches response"]
    places: tuple[SharedPlace, ...]
    members: int

    @property
    def fed(self) -> int:
        """How many response tokens are fed back before the last step."""
        return max(place.step for place in self.places)

    @property
    def expected(self) -> Int[np.ndarray, " cells"]:
        """The promised tokens of all cells, place by place."""
        return np.concatenate([place.expected for place in self.places])


@dataclass(frozen=True, eq=False)
class Tree:
    """Positions of many passes at once: the virtual tokens, which all of them have, and a branch for each user input.

    Attributes:
        depth: the position of every node.
        sees: which nodes are in the pass of each node, up to it.
        own: the last node of every place.

    """

    depth: Int[np.ndarray, " nodes"]
    sees: Bool[np.ndarray, "nodes nodes"]
    own: tuple[int, ...]

    @classmethod
    def of(cls, cells: SharedCells) -> Tree:
        """Return the tree of some cells."""
        virtual, branches, user = cells.low.shape[1], len(cells.users), cells.users.shape[1]
        each = user + cells.fed
        depth = np.concatenate([np.arange(virtual), virtual + np.tile(np.arange(each), branches)])
        branch = np.concatenate([np.full(virtual, -1), np.repeat(np.arange(branches), each)])
        alike = (branch[None, :] == -1) | (branch[None, :] == branch[:, None])
        own = []
        for place in cells.places:
            last = virtual + user + place.step - 1
            own.append(last if last < virtual else last + place.branch * each)
        return cls(depth, alike & (depth[None, :] <= depth[:, None]), tuple(own))


@dataclass(frozen=True, eq=False)
class Part:
    """Some user inputs with their places at every step: what one pass takes, whatever becomes of the others.

    Attributes:
        sheets: that hold the places of all user inputs, held against their members.
        steps: for each step the places of these user inputs.
        members: how many targets were run as a forward pass runs them, for these and all other user inputs.

    """

    sheets: list[Sheet]
    steps: list[list[Place]]
    members: int

    @property
    def count(self) -> int:
        """How many cells there are."""
        vocab = self.sheets[0].construction.vocab_size
        return int(sum(vocab ** len(place.entries) for places in self.steps for place in places))

    def cells(self) -> SharedCells:
        """Return these places with what they share."""
        first, layout = self.steps[0], self.sheets[0].construction.layout
        prompt, denominator = self.sheets[0].prompt
        users = {place.user: branch for branch, place in enumerate(first)}
        return SharedCells(
            Ratios(prompt.low, denominator),
            Ratios(prompt.high, denominator),
            np.array(list(users), dtype=np.int64).reshape(len(users), layout.user),
            np.concatenate([place.promised.low for place in first]),
            np.concatenate([place.promised.high for place in first]),
            tuple(_places(self.sheets, users)),
            self.members,
        )


def shared_parts(construction: Construction, *, budget: int, numbers: int) -> list[Part]:
    """Return all pairs of a target and a user input, at every step, as places that share.

    Args:
        construction: what to cut up.
        budget: the largest number of cells.
        numbers: the most numbers in the rows of one pass, unless those of a single user input are more.

    Raises:
        UnsharedError: few cells, coordinates that depend on fixed entries and others together, fed tokens that over all
            targets have bounds outside the vocabulary, or code that fails.
        CellsError: more cells than the budget, or code that gives a member other numbers than its cells have.

    """
    check_reading(construction)
    steps = cuts(construction, budget)
    space, places = construction.target_space, [place for places in steps for place in places]
    if sum(space.vocab_size ** len(place.entries) for place in places) * space.digits < SHARED_FROM:
        raise UnsharedError("few cells")
    for place in steps[0]:
        _check_fed(place.promised, space.vocab_size)
    sheets = _sheets(construction, places)
    random = np.random.default_rng(_SEED)
    members = sum(sheet.check(random) for sheet in sheets)
    layout = construction.layout
    width = construction.transformer.lowered.embedding_size + layout.context_size
    each = max(1, layout.user + layout.response - 1)
    at_once = max(1, (numbers // width - layout.virtual) // each)
    starts = range(0, len(steps[0]), at_once)
    return [Part(sheets, [step[start : start + at_once] for step in steps], members) for start in starts]


def _check_fed(promised: Enclosure, vocab_size: int) -> None:
    """Refuse fed tokens of which bounds over all targets are no tokens, although they may be in every cell.

    The bounds of ``2 t - t`` are wider than the vocabulary, and no table has columns there.

    Raises:
        UnsharedError: they are.

    """
    fed = slice(None, -1)
    if (promised.low[:, fed] < 0).any() or (promised.high[:, fed] >= vocab_size).any():
        raise UnsharedError("fed tokens whose bounds over all targets are outside the vocabulary")


def _places(sheets: list[Sheet], users: dict[tuple[int, ...], int]) -> Iterator[SharedPlace]:
    for sheet in sheets:
        for user, branch in users.items():
            for place in sheet.places.get(user, ()):
                at = sheet.place_of[place.entries]
                expected = sheet.expected[user][:, place.step]
                yield SharedPlace(place.step, branch, sheet.coordinates[at], sheet.numerators[at], expected)


def _sheets(construction: Construction, places: list[Place]) -> list[Sheet]:
    """Return sheets that hold all places: those that fix entries in common are on different ones."""
    space = construction.target_space
    prompt = encode(construction, all_targets(space))
    depending = _depending(prompt[0], space.digits)
    sheets: list[Sheet] = []
    taken: list[int] = []  # by each sheet: entries, as bits
    found: dict[tuple[int, ...], Sheet] = {}
    for place in places:
        if place.entries not in found:
            fixed = sum(1 << entry for entry in place.entries)
            _check_alone(prompt[0], depending, place, fixed)
            fits = [
                at
                for at, sheet in enumerate(sheets)
                if not taken[at] & fixed and len(sheet.fixed[0]) == len(place.entries)
            ]
            if not fits:
                fits = [len(sheets)]
                sheets.append(Sheet(construction, prompt, depending, [], {}))
                taken.append(0)
            sheets[fits[0]].fixed.append(place.entries)
            taken[fits[0]] |= fixed
            found[place.entries] = sheets[fits[0]]
        found[place.entries].places.setdefault(place.user, []).append(place)
    return sheets


def _depending(prompt: Enclosure, entries: int) -> list[list[int]]:
    """Return for every entry of the target the coordinates of the prompt that may depend on it."""
    found: list[list[int]] = [[] for _ in range(entries)]
    for at, number in enumerate(prompt.entries.reshape(-1).tolist()):
        for entry in bits(number):
            found[entry].append(at)
    return found


def _check_alone(prompt: Enclosure, depending: list[list[int]], place: Place, fixed: int) -> None:
    """Refuse a place of which a coordinate depends on other entries, too.

    Raises:
        UnsharedError: it does.

    """
    numbers = prompt.entries.reshape(-1)
    if any(int(numbers[at]) & ~fixed for entry in place.entries for at in depending[entry]):
        raise UnsharedError("coordinates of the prompt depend on entries that are fixed and on others together")
