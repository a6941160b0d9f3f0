"""The logits of one step for a block of cases, and by how much the promised token wins: integers over one number."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import flint
import numpy as np

from constructions.validation import IntArray
from verify.exact_engine.atoms import Atom, Block, sum_bounds, weighted_sum
from verify.exact_engine.forms import Form, Graph, primitive
from verify.exact_engine.widths import OBJECTS, Integers, kind_for, table_of

_ZERO = flint.fmpq(0)

#: Arrays of one number for each case that margins are computed in.
BUFFERS = 5


class Margins(NamedTuple):
    """``scale * numerators / divisor`` for every case.

    Attributes:
        numerators: integers.
        scale: positive.
        divisor: positive integers of every case, ``None`` where there is none.

    """

    numerators: Integers
    scale: Fraction
    divisor: Integers | None

    @classmethod
    def of(cls, margins: Sequence[Fraction]) -> Margins:
        """Return margins that are given as Fractions."""
        denominator = math.lcm(*(margin.denominator for margin in margins))
        numerators = [margin.numerator * (denominator // margin.denominator) for margin in margins]
        return cls(table_of(numerators, OBJECTS), Fraction(1, denominator), None)

    def failure(self) -> int | None:
        """Return the first case without a positive margin, ``None`` where there is none."""
        failed = np.asarray(self.numerators <= 0, dtype=np.bool_)
        return int(np.argmax(failed)) if failed.any() else None

    def smallest(self, stop: int) -> tuple[Fraction, int]:
        """Return the smallest margin of cases ``0..stop-1``, at least one, and the first case that has it."""
        numerators = self.numerators[:stop]
        if self.divisor is None:
            place = int(np.argmin(numerators))
            return self._at(place), place
        # of the cases with one divisor, the first of the smallest numerator; exact fractions decide between divisors
        divisors = self.divisor[:stop]
        candidates = []
        for divisor in np.unique(divisors).tolist():
            places = np.flatnonzero(divisors == divisor)
            candidates.append(int(places[np.argmin(numerators[places])]))
        return min((self._at(place), place) for place in candidates)

    def _at(self, place: int) -> Fraction:
        divisor = 1 if self.divisor is None else int(self.divisor[place])
        return self.scale * Fraction(int(self.numerators[place]), divisor)


class Readout:
    """The logits of one step.

    Attributes:
        atoms: all that must be computed first, in order.

    """

    def __init__(self, graph: Graph, logits: Sequence[Form], sign: int) -> None:
        """Bring the logits over one number.

        Args:
            graph: holds the atoms.
            logits: one number for each token that can be produced.
            sign: 1 where the largest wins, -1 where the smallest does.

        """
        dividends, divisors = graph.alike(logits)
        forms = [graph.merged(dividend) for dividend in dividends]
        atoms = sorted({atom for form in forms for atom in form.terms}, key=lambda atom: atom.place)
        flat = [value for form in forms for value in (form.constant, *(form.terms.get(a, _ZERO) for a in atoms))]
        numbers, scale = primitive([sign * value for value in flat])
        rows = [numbers[start : start + len(atoms) + 1] for start in range(0, len(numbers), len(atoms) + 1)]
        self._constants = [row[0] for row in rows]
        self._terms = [[(n, a) for n, a in zip(row[1:], atoms, strict=True) if n] for row in rows]
        bounds = (sum_bounds(terms, constant) for terms, constant in zip(self._terms, self._constants, strict=True))
        # a margin is a difference of two logits
        self.kind = kind_for(2 * max(largest for _, _, largest in bounds))
        self._columns = [
            (table_of(each, self.kind), a) for each, a in zip(zip(*rows, strict=True), [None, *atoms], strict=True)
        ]
        self._sign = sign
        self._divisor, unit = graph.settled(graph.multiplied(divisors))
        self._scale = _fraction(scale / unit)
        self.atoms = ordered([*atoms, *(() if self._divisor is None else (self._divisor,))])

    def margins(self, block: Block, promised: IntArray) -> Margins | None:
        """Return the promised logit less the largest other one; ``None`` where there is no other one.

        Args:
            block: whose atoms were computed.
            promised: of every case, int64.

        """
        if len(self._terms) == 1:
            return None
        own, largest, second, row, smaller = (np.empty(block.cases, dtype=self.kind) for _ in range(BUFFERS))
        gathered = len(self._columns) <= len(self._terms)  # as many passes over the cases, with either way
        for token in range(len(self._terms)):
            self._logit(block, token, row)
            if not gathered:
                np.copyto(own, row, where=promised == token)
            if token == 0:
                largest[:] = row
            elif token == 1:
                np.minimum(largest, row, out=second)
                np.maximum(largest, row, out=largest)
            else:
                np.minimum(largest, row, out=smaller)
                np.maximum(second, smaller, out=second)
                np.maximum(largest, row, out=largest)
        if gathered:
            self._own(block, promised, own)
        # where the promised logit is the largest, or one of them, the largest other one is the second
        others = np.where(np.asarray(own == largest, dtype=np.bool_), second, largest)
        divisor = None if self._divisor is None else block.of(self._divisor, self._divisor.kind)
        return Margins(np.subtract(own, others, out=own), self._scale, divisor)

    def logits(self, block: Block) -> np.ndarray[Any, Any]:
        """Return the logits as Fractions, cases x outputs."""
        found = np.empty((block.cases, len(self._terms)), dtype=object)
        divisors = [1] * block.cases
        if self._divisor is not None:
            divisors = [int(value) for value in block.of(self._divisor, self._divisor.kind).tolist()]
        row = np.empty(block.cases, dtype=self.kind)
        over = self._sign * self._scale.numerator
        for token in range(len(self._terms)):
            self._logit(block, token, row)
            known: dict[tuple[int, int], Fraction] = {}
            for case, pair in enumerate(zip(row.tolist(), divisors, strict=True)):
                if pair not in known:
                    known[pair] = Fraction(over * int(pair[0]), self._scale.denominator * pair[1])
                found[case, token] = known[pair]
        return found

    def _logit(self, block: Block, token: int, out: Integers) -> None:
        if self._terms[token]:
            weighted_sum(block, self._terms[token], self._constants[token], self.kind, out)
        else:
            out[:] = self._constants[token]

    def _own(self, block: Block, promised: IntArray, out: Integers) -> None:
        (constants, _), *columns = self._columns
        out[:] = constants.take(promised)
        for column, atom in columns:
            assert atom is not None, "of the constants alone"
            np.add(out, column.take(promised) * block.of(atom, self.kind), out=out)


def ordered(atoms: Iterable[Atom]) -> tuple[Atom, ...]:
    """Return atoms with all that they are computed from, each after its own inputs."""
    found, pending = set[Atom](), list(atoms)
    while pending:
        atom = pending.pop()
        if atom not in found:
            found.add(atom)
            pending += atom.inputs
    return tuple(sorted(found, key=lambda atom: atom.place))


def _fraction(value: flint.fmpq) -> Fraction:
    return Fraction(int(value.p), int(value.q))
