"""Exact numbers of every case, as affine forms of integers: what a linear layer does to them costs no case anything.

A number is ``(constant + sum of coefficient * atom) / product of divisors``, with rational coefficients that are the
same for all cases. The divisors are positive integers of each case: the normalisers of a softmax whose scores depend on
the case. Everywhere else there are none.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import flint

from verify.exact_engine.atoms import Atom, Entry, LookUp, Positive, Product, Sum

_ZERO, _ONE = flint.fmpq(0), flint.fmpq(1)


class NotCoveredError(Exception):
    """Something that this engine does not compute: cases run one by one instead, and say what is wrong, if anything."""


@dataclass(frozen=True, eq=False)
class Form:
    """A number of every case.

    Attributes:
        constant: the part that is the same for all cases.
        terms: by atom, the coefficient; none is 0.
        divisors: positive atoms that all of it is divided by, in order of their places.

    """

    constant: flint.fmpq = _ZERO
    terms: Mapping[Atom, flint.fmpq] = field(default_factory=dict)
    divisors: tuple[Atom, ...] = ()

    @property
    def known(self) -> bool:
        """Whether it is the same for all cases."""
        return not self.terms and not self.divisors

    @property
    def is_zero(self) -> bool:
        """Whether it is 0 in every case."""
        return not self.terms and self.constant == 0


ZERO = Form()


class Whole(NamedTuple):
    """``scale * (constant + sum of factor * atom)``, with integers that have no factor in common.

    Attributes:
        scale: positive.
        terms: factors and atoms, in order of their places.
        constant: an integer.

    """

    scale: flint.fmpq
    terms: tuple[tuple[int, Atom], ...]
    constant: int


class Graph:
    """The atoms of a forward pass; the same atom is made once.

    Attributes:
        vocab_size: how many tokens a slot may hold.

    """

    def __init__(self, vocab_size: int) -> None:
        """Hold none yet."""
        self.vocab_size = vocab_size
        self._held: dict[object, Atom] = {}

    def atom(self, key: object, make: Callable[[], Atom]) -> Atom:
        """Return the atom of a key, which says everything about it."""
        found = self._held.get(key)
        if found is None:
            found = make()
            found.place = len(self._held)
            self._held[key] = found
        return found

    # numbers ---------------------------------------------------------------------------------------------------------

    def entry(self, column: int, low: int, high: int, denominator: int) -> Form:
        """Return an entry of the virtual tokens, between two numerators."""
        if low == high:
            return Form(flint.fmpq(low, denominator))
        atom = self.atom(("entry", column), lambda: Entry(column, low, high))
        return Form(terms={atom: flint.fmpq(1, denominator)})

    def function(self, slot: int, values: Sequence[flint.fmpq]) -> Form:
        """Return a function of the token in a slot, by its value for every token."""
        if all(value == values[0] for value in values):
            return Form(values[0])
        numbers, scale = primitive(values)
        atom = self.atom(("look up", slot, numbers), lambda: LookUp(slot, numbers))
        return Form(terms={atom: scale})

    def read(self, form: Form) -> int | None:
        """Return the one slot that a number depends on, ``None`` where it depends on others or on anything else."""
        slots = {atom.slot if isinstance(atom, LookUp) else None for atom in form.terms}
        return slots.pop() if len(slots) == 1 and not form.divisors else None

    def values(self, form: Form) -> list[flint.fmpq]:
        """Return a number that depends on one slot, or is known, for every token there."""
        found = [form.constant] * self.vocab_size
        for atom, coefficient in form.terms.items():
            assert isinstance(atom, LookUp), "a function of a token"
            found = [value + coefficient * entry for value, entry in zip(found, atom.table, strict=True)]
        return found

    # sums and products -----------------------------------------------------------------------------------------------

    def combined(self, parts: Iterable[tuple[flint.fmpq, Form]]) -> Form:
        """Return the weighted sum of numbers."""
        given = [(factor, form) for factor, form in parts if factor != 0 and not form.is_zero]
        if len(given) == 1 and given[0][0] == 1:
            return given[0][1]
        dividends, divisors = self.alike([form for _, form in given])
        constant, terms = _ZERO, dict[Atom, flint.fmpq]()
        for (factor, _), dividend in zip(given, dividends, strict=True):
            constant += factor * dividend.constant
            for atom, coefficient in dividend.terms.items():
                terms[atom] = terms.get(atom, _ZERO) + factor * coefficient
        kept = {atom: coefficient for atom, coefficient in terms.items() if coefficient != 0}
        if not kept and constant == 0:
            return ZERO
        return Form(constant, kept, divisors)

    def alike(self, forms: Sequence[Form]) -> tuple[list[Form], tuple[Atom, ...]]:
        """Return numbers over the same divisors: the dividends, and the divisors."""
        if not any(form.divisors for form in forms):
            return list(forms), ()
        divisors: Counter[Atom] = Counter()
        for form in forms:
            divisors |= Counter(form.divisors)
        dividends = [self._lifted(form, (divisors - Counter(form.divisors)).elements()) for form in forms]
        return dividends, tuple(sorted(divisors.elements(), key=lambda atom: atom.place))

    def _lifted(self, form: Form, factors: Iterable[Atom]) -> Form:
        """Return the dividend of a number times some integers."""
        found = Form(form.constant, form.terms)
        for factor in factors:
            found = self.product(found, Form(terms={factor: _ONE}))
        return found

    def multiplied(self, atoms: Iterable[Atom]) -> Form:
        """Return the product of some integers, 1 of none."""
        return self._lifted(Form(_ONE), atoms)

    def product(self, left: Form, right: Form) -> Form:
        """Return the product of two numbers."""
        if left.is_zero or right.is_zero:
            return ZERO
        for one, other in ((left, right), (right, left)):
            if one.known:
                return self.combined([(one.constant, other)])
        slot = self.read(left)
        if slot is not None and slot == self.read(right):
            both = zip(self.values(left), self.values(right), strict=True)
            return self.function(slot, [a * b for a, b in both])
        divisors = tuple(sorted(left.divisors + right.divisors, key=lambda atom: atom.place))
        (a, scale), (b, other_scale) = self.settled(left), self.settled(right)
        if a is None or b is None:  # a known number over divisors
            terms = {atom: scale * other_scale for atom in (a, b) if atom is not None}
            return Form(_ZERO if terms else scale * other_scale, terms, divisors)
        first, second = sorted((a, b), key=lambda atom: atom.place)
        made = self.atom(("product", first, second), lambda: Product(first, second))
        return Form(terms={made: scale * other_scale}, divisors=divisors)

    # integers --------------------------------------------------------------------------------------------------------

    def whole(self, form: Form) -> Whole:
        """Return the dividend of a number as a multiple of an integer sum; functions of one token become one term."""
        merged = self.merged(form)
        terms = sorted(merged.terms.items(), key=lambda term: term[0].place)
        numbers, scale = primitive([merged.constant, *(coefficient for _, coefficient in terms)])
        return Whole(scale, tuple(zip(numbers[1:], (atom for atom, _ in terms), strict=True)), numbers[0])

    def merged(self, form: Form) -> Form:
        """Return the dividend of a number with one function for each slot."""
        slots = Counter(atom.slot for atom in form.terms if isinstance(atom, LookUp))
        merging = {slot for slot, count in slots.items() if count > 1}
        if not merging:
            return form
        constant = form.constant
        terms = {a: c for a, c in form.terms.items() if not (isinstance(a, LookUp) and a.slot in merging)}
        for slot in sorted(merging):
            own: dict[Atom, flint.fmpq] = {
                a: c for a, c in form.terms.items() if isinstance(a, LookUp) and a.slot == slot
            }
            made = self.function(slot, self.values(Form(terms=own)))
            constant += made.constant
            terms |= made.terms
        return Form(constant, terms)

    def sum_of(self, whole: Whole) -> Atom | None:
        """Return the atom of an integer sum, ``None`` of a sum without terms."""
        if not whole.terms:
            return None
        if whole.constant == 0 and len(whole.terms) == 1 and whole.terms[0][0] == 1:
            return whole.terms[0][1]
        return self.atom(("sum", whole.terms, whole.constant), lambda: Sum(whole.terms, whole.constant))

    def settled(self, form: Form) -> tuple[Atom | None, flint.fmpq]:
        """Return an atom whose multiple is the dividend of a number, and the multiple; ``None`` where that is known."""
        whole = self.whole(form)
        atom = self.sum_of(whole)
        return atom, whole.scale if atom is not None else whole.scale * whole.constant

    def inlined(self, form: Form, uses: int) -> Form:
        """Return a number that other sums use, as one atom where computing it once is less work.

        Its ``k`` terms cost ``k uses`` multiplications where they are written out in every sum, and ``k + uses`` where
        it is computed first.
        """
        count = len(self.merged(form).terms)
        if count + uses >= count * uses:
            return form
        atom, scale = self.settled(form)
        return Form(scale, {}, form.divisors) if atom is None else Form(_ZERO, {atom: scale}, form.divisors)

    # functions -------------------------------------------------------------------------------------------------------

    def positive(self, form: Form) -> Form:
        """Return ``max(0, x)``; where the bounds decide, there is nothing to compute."""
        slot = self.read(form)
        if slot is not None:
            return self.function(slot, [max(_ZERO, value) for value in self.values(form)])
        atom, scale = self.settled(form)
        if atom is None:
            return form if scale > 0 else ZERO
        if atom.low >= 0:
            return form
        if atom.high <= 0:
            return ZERO
        made = self.atom(("positive", atom), lambda: Positive(atom))
        return Form(terms={made: scale}, divisors=form.divisors)


def primitive(values: Sequence[flint.fmpq]) -> tuple[tuple[int, ...], flint.fmpq]:
    """Return integers without a common factor, and the positive number whose multiples of them are the values."""
    denominator = math.lcm(*(int(value.q) for value in values))
    numbers = [int(value.p) * (denominator // int(value.q)) for value in values]
    common = math.gcd(*numbers) or 1
    return tuple(number // common for number in numbers), flint.fmpq(common, denominator)
