"""Integers that differ from case to case, each with bounds that are known before any case is run.

A bound is computed in Python's integers from the weights, and from the range of the prompts, when an atom is made. It
covers the results and everything on the way to them: products, and sums in any order. What is computed for a block of
cases then takes the machine's integers where the bound fits them, and Python's where it does not.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import numpy as np

from constructions.validation import IntArray
from verify.exact_engine.widths import Integers, Kind, as_kind, kind_for, table_of


class Atom(ABC):
    """An integer of every case.

    Attributes:
        low: no case has a smaller one.
        high: no case has a larger one.
        magnitude: of ``low`` and ``high``, the larger one.
        kind: the type that it is computed in.
        inputs: the atoms that it is computed from.
        place: atoms that are made later have larger ones.

    """

    def __init__(self, low: int, high: int, inputs: Sequence[Atom] = (), *, largest: int = 0) -> None:
        """Take the bounds of the results.

        Args:
            low: of the results.
            high: of the results.
            inputs: what they are computed from.
            largest: a bound on the magnitudes of what is computed on the way, where that may be larger.

        """
        self.low, self.high, self.inputs = low, high, tuple(inputs)
        self.magnitude = max(abs(low), abs(high))
        self.kind = kind_for(max(largest, self.magnitude))
        self.place = -1  # the graph numbers it

    @abstractmethod
    def computed(self, block: Block) -> Integers:
        """Return the integers of a block of cases, of type ``kind``, in an array of its own."""


class Block:
    """The inputs of some cases, and what was computed from them.

    Attributes:
        prompts: the numerators of the virtual tokens, cases x (virtual x embedding size).
        tokens: by slot, the tokens that were read: int64, one for each case. Slots are the positions after the virtual
            tokens.
        cases: how many there are.

    """

    def __init__(self, prompts: Integers, tokens: Mapping[int, IntArray]) -> None:
        """Take the inputs."""
        self.prompts, self.tokens, self.cases = prompts, dict(tokens), len(prompts)
        self._held: dict[Atom, Integers] = {}

    def compute(self, atoms: Sequence[Atom]) -> None:
        """Compute atoms; each comes after those that it is computed from."""
        for atom in atoms:
            if atom not in self._held:
                self._held[atom] = atom.computed(self)

    def of(self, atom: Atom, kind: Kind) -> Integers:
        """Return the integers of an atom that was computed, in a type that holds them; never to be changed."""
        return as_kind(self._held[atom], kind) if self._held[atom].dtype != kind else self._held[atom]


class Entry(Atom):
    """A numerator of the virtual tokens; whoever runs a block checks that its bounds are kept."""

    def __init__(self, column: int, low: int, high: int) -> None:
        """Take the place in the prompt, and the smallest and largest number there."""
        super().__init__(low, high)
        self.column = column

    def computed(self, block: Block) -> Integers:
        """Return the column."""
        return np.array(as_kind(block.prompts[:, self.column], self.kind))


class LookUp(Atom):
    """A function of the token in one slot."""

    def __init__(self, slot: int, table: Sequence[int]) -> None:
        """Take the slot and the value for every token."""
        super().__init__(min(table), max(table))
        self.slot, self.table = slot, tuple(table)
        self._held = table_of(self.table, self.kind)

    def computed(self, block: Block) -> Integers:
        """Return the entries that the tokens name."""
        return np.asarray(self._held.take(block.tokens[self.slot]))


def weighted_sum(
    block: Block, terms: Sequence[tuple[int, Atom]], constant: int, kind: Kind, out: Integers | None = None
) -> Integers:
    """Return ``constant + sum of factor * atom`` of at least one term, in a type that holds each term and each sum."""
    (first, leading), *others = terms
    found = np.empty(block.cases, dtype=kind) if out is None else out
    if first == 1:
        found[:] = block.of(leading, kind)
    else:
        np.multiply(block.of(leading, kind), first, out=found)
    for factor, atom in others:
        values = block.of(atom, kind)
        if abs(factor) == 1:
            (np.add if factor == 1 else np.subtract)(found, values, out=found)
        else:
            np.add(found, values * factor, out=found)
    if constant:
        np.add(found, constant, out=found)
    return found


def sum_bounds(terms: Sequence[tuple[int, Atom]], constant: int) -> tuple[int, int, int]:
    """Return bounds of a weighted sum, and one on the magnitude of every product and partial sum, in any order."""
    low = high = constant
    largest = abs(constant)
    for factor, atom in terms:
        ends = factor * atom.low, factor * atom.high
        low, high = low + min(ends), high + max(ends)
        largest += abs(factor) * atom.magnitude
    return low, high, largest


class Sum(Atom):
    """``constant + sum of factor * atom``."""

    def __init__(self, terms: Sequence[tuple[int, Atom]], constant: int) -> None:
        """Take factors, none of them 0, and atoms, none of them 0 in every case."""
        low, high, largest = sum_bounds(terms, constant)
        super().__init__(low, high, [atom for _, atom in terms], largest=largest)
        self.terms, self.constant = tuple(terms), constant

    def computed(self, block: Block) -> Integers:
        """Return the sums."""
        return weighted_sum(block, self.terms, self.constant, self.kind)


class Positive(Atom):
    """``max(0, x)``."""

    def __init__(self, of: Atom) -> None:
        """Take ``x``."""
        super().__init__(max(0, of.low), max(0, of.high), (of,))
        self.of = of

    def computed(self, block: Block) -> Integers:
        """Return the numbers above 0, and 0 in the place of the others."""
        return np.asarray(as_kind(np.maximum(block.of(self.of, self.of.kind), 0), self.kind))


class Product(Atom):
    """``x * y``."""

    def __init__(self, left: Atom, right: Atom) -> None:
        """Take the factors."""
        ends = [a * b for a in (left.low, left.high) for b in (right.low, right.high)]
        low = max(0, min(ends)) if left is right else min(ends)
        # an input may be wider than a product with 0
        largest = max(left.magnitude, right.magnitude)
        super().__init__(low, max(ends), (left, right), largest=largest)
        self.left, self.right = left, right

    def computed(self, block: Block) -> Integers:
        """Return the products."""
        return np.asarray(block.of(self.left, self.kind) * block.of(self.right, self.kind))


class Largest(Atom):
    """The largest of some integers."""

    def __init__(self, atoms: Sequence[Atom]) -> None:
        """Take them, at least one."""
        widest = max(atom.magnitude for atom in atoms)
        super().__init__(max(atom.low for atom in atoms), max(atom.high for atom in atoms), atoms, largest=widest)

    def computed(self, block: Block) -> Integers:
        """Return the largest of each case."""
        found = block.of(self.inputs[0], self.kind).copy()
        for atom in self.inputs[1:]:
            np.maximum(found, block.of(atom, self.kind), out=found)
        return found


class Same(Atom):
    """1 where two integers are the same, 0 elsewhere."""

    def __init__(self, left: Atom, right: Atom) -> None:
        """Take both."""
        super().__init__(0, 1, (left, right))
        self._compared = kind_for(max(left.magnitude, right.magnitude))
        self.left, self.right = left, right

    def computed(self, block: Block) -> Integers:
        """Return the indicators."""
        equal = block.of(self.left, self._compared) == block.of(self.right, self._compared)
        return np.asarray(equal, dtype=np.bool_).astype(self.kind)


class Chosen(Atom):
    """An entry of a table, at a place that is another atom, from 0 on."""

    def __init__(self, table: Sequence[int], place: Atom) -> None:
        """Take the table and the place, which its bounds keep inside."""
        assert min(place.low, len(table) - 1 - place.high) >= 0, "a place in the table"
        super().__init__(min(table), max(table), (place,))
        self.at = place
        self._held = table_of(table, self.kind)

    def computed(self, block: Block) -> Integers:
        """Return the entries."""
        return np.asarray(self._held.take(block.of(self.at, np.dtype(np.int64))))


class Fixed(Atom):
    """The same integer in every case, where it is compared with others."""

    def __init__(self, value: int) -> None:
        """Take it."""
        super().__init__(value, value)

    def computed(self, block: Block) -> Integers:
        """Return it once for each case."""
        return np.full(block.cases, self.low, dtype=self.kind)


class Gap(Atom):
    """By how much an integer is below the largest of some, which it is one of."""

    def __init__(self, largest: Atom, of: Atom, most: int) -> None:
        """Take the largest, the integer, and a bound on the gap."""
        super().__init__(0, most, (largest, of), largest=largest.magnitude + of.magnitude)
        self.largest, self.of = largest, of

    def computed(self, block: Block) -> Integers:
        """Return the differences."""
        return np.asarray(block.of(self.largest, self.kind) - block.of(self.of, self.kind))
