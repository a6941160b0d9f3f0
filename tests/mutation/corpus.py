"""The mutants of weights and virtual tokens, made systematically from every matrix of every construction."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property, lru_cache
from typing import Any

from constructions import (
    ConditionalGeneration,
    Construction,
    Hardmax,
    InvalidArgument,
    LongerInputs,
    LongerResponses,
    RationalSoftmax,
    Temperature,
    Transformer,
    UnconditionalGeneration,
)
from constructions.exact_matrix import ExactMatrix
from constructions.expressions import V
from proofs import codings
from tests.mutation import operators, tolerance
from tests.mutation.mutated import Mutated, Rows, with_matrix
from tests.mutation.truth import Truth, truth_of
from tests.proofs.test_mutants import MUTANTS, selection
from tests.shares import drawn


@dataclass(frozen=True)
class Subject:
    """A construction that is mutated.

    Attributes:
        name: the claim's id.
        construction: small enough for every case of every mutant.
        golden: the size at which Coq has printed the weights.
        zeros: whether entries that are 0 are perturbed too.

    """

    name: str
    construction: Construction
    golden: Construction
    zeros: bool


SUBJECTS: Mapping[str, Subject] = {
    subject.name: subject
    for subject in (
        Subject("theorem-1", UnconditionalGeneration(3, 3), UnconditionalGeneration(5, 4), zeros=True),
        Subject("theorem-2", ConditionalGeneration(3), ConditionalGeneration(5), zeros=True),
        Subject("longer-responses", LongerResponses(2, 2), LongerResponses(3, 2), zeros=True),
        Subject("longer-inputs", LongerInputs(2, 2), LongerInputs(2, 2), zeros=False),
    )
}

#: At q = 1 both heads of Theorem 2 are the same, and so are many of their mutants; any other q tells them apart.
_THEOREM_2 = RationalSoftmax(Fraction(10))


@dataclass(frozen=True)
class Mutant:
    """A construction with one fault, or one that looks like a fault and is shown to be harmless.

    Attributes:
        id: subject, temperature, place and operator.
        subject: what was mutated.
        operator: what was done.
        construction: the mutant at the subject's size, with its temperature.
        golden: the mutant at the size of Coq's golden files; ``None`` where it is not a mutant of weights there.
        obligation: the sympy obligation that is to fail, and the symbolic change, where there is one.
        fuzzed: whether fuzzing claims it: the first of its operator.

    """

    id: str
    subject: str
    operator: str
    construction: Mutated
    golden: Mutated | None = None
    obligation: tuple[str, Callable[[Transformer], Transformer]] | None = None
    fuzzed: bool = False

    @cached_property
    def truth(self) -> Truth:
        """What the oracle says."""
        return truth_of(self.construction)

    @property
    def at_a_tie(self) -> bool:
        """Whether it is made to be at the very edge, where the exact truth may rest on a tie that rounding breaks."""
        return self.operator == "at its tolerance"


@lru_cache(maxsize=32)
def _right(construction: Construction, temperature: Temperature) -> Construction:
    return replace(construction, temperature=temperature)


def _mutant(subject: Subject, temperature: Temperature, place: str, operator: str, **changes: Any) -> Mutant:
    kind = "hardmax" if isinstance(temperature, Hardmax) else "softmax"
    label = f"{subject.name}/{kind}/{place}/{operator}"
    small = Mutated(_right(subject.construction, temperature), label, **changes)
    golden = small
    if subject.golden != subject.construction:
        golden = Mutated(_right(subject.golden, temperature), label, **changes)
    return Mutant(label, subject.name, operator, small, golden)


def temperatures(subject: Subject) -> tuple[Temperature, ...]:
    """Return hardmax and, where every score stays whole, softmax at the computed default q.

    The scores of block 2 of longer inputs rest on positions that block 1 restored; a mutant's need not be whole.
    """
    if subject.name == "longer-inputs":
        return (Hardmax(),)
    default = subject.construction.default_temperature(None)
    return Hardmax(), _THEOREM_2 if subject.name == "theorem-2" else default


def structural(subject: Subject, temperature: Temperature) -> Iterator[Mutant]:
    """Yield the mutants of whole matrices, of layers and of virtual tokens; the same matrix only once."""
    construction = subject.construction
    exact = construction.transformer.lowered.matrices()
    for name, matrix in exact.items():
        rows, seen = matrix.to_fractions(), []
        for operator, change in operators.MATRIX.items():
            changed = change(rows)
            if not isinstance(temperature, Hardmax) and not _whole_scores(construction, name, changed):
                continue
            if operators.same_shape(rows, changed) and changed not in seen:
                seen.append(changed)
                yield _mutant(subject, temperature, name, operator, change=with_matrix(name, change))
    for operator, place, layer_change in operators.layer_changes(construction.transformer):
        yield _mutant(subject, temperature, place, operator, change=layer_change)
    for operator, prompt_change in operators.PROMPT.items():
        yield _mutant(subject, temperature, "virtual tokens", operator, prompt_change=prompt_change)


def _whole_scores(construction: Construction, name: str, rows: Rows) -> bool:
    """Return whether scores stay whole, as an exact softmax needs: whole weights that read the position code alone."""
    if not name.endswith((".query", ".key")):
        return True
    embedding_size = construction.transformer.lowered.embedding_size
    return all(
        value.denominator == 1 and not (value and c < embedding_size) for row in rows for c, value in enumerate(row)
    )


def entries(subject: Subject, temperature: Temperature) -> Iterator[Mutant]:
    """Yield the mutants of single entries that are not 0: sign flipped, and set to 0."""
    for name, matrix in subject.construction.transformer.lowered.matrices().items():
        for index, (row, column, _) in enumerate(_places(matrix, zeros=False)):
            place = f"{name}[{row},{column}]"
            flipped, zeroed = (operators.nth_entry(index, by) for by in (lambda x: -x, lambda _: Fraction(0)))
            yield _mutant(subject, temperature, place, "entry's sign flipped", change=with_matrix(name, flipped))
            yield _mutant(subject, temperature, place, "entry zeroed", change=with_matrix(name, zeroed))


def _places(matrix: ExactMatrix, *, zeros: bool) -> Iterator[tuple[int, int, Fraction]]:
    for row, values in enumerate(matrix.to_fractions()):
        for column, value in enumerate(values):
            if value or zeros:
                yield row, column, value


@dataclass(frozen=True)
class Tolerance:
    """How far one weight may be off at hardmax: found, and to be confirmed by the three mutants around it."""

    name: str
    row: int
    column: int
    sign: int
    found: Fraction


@lru_cache(maxsize=8)
def tolerances(name: str, count: int | None = None) -> tuple[Tolerance, ...]:
    """Return the tolerance of every entry of a subject in both directions, where it has one.

    Args:
        name: of the subject.
        count: look at so many entries, drawn; ``None``: at all of them.

    """
    subject = SUBJECTS[name]
    construction = replace(subject.construction, temperature=Hardmax())
    places = [
        (weight, row, column)
        for weight, matrix in construction.transformer.lowered.matrices().items()
        for row, column, _ in _places(matrix, zeros=subject.zeros)
    ]
    found = []
    for weight, row, column in places if count is None else drawn(places, count):
        kept = tolerance.probe(construction, weight, row, column)
        for sign in (1, -1):
            limit = tolerance.tolerance(kept, sign)
            if limit is not None:
                found.append(Tolerance(weight, row, column, sign, limit))
    return tuple(found)


def around_tolerances(subject: Subject, count: int | None = None) -> Iterator[Mutant]:
    """Yield the mutants just past, at and just within every tolerance, at hardmax; for ``count`` see above."""
    for item in tolerances(subject.name, count):
        place = f"{item.name}[{item.row},{item.column}]{'+' if item.sign > 0 else '-'}"
        offs = {"just past its tolerance": tolerance.past(item.found)}
        if item.found:
            offs |= {"at its tolerance": item.found, "just within its tolerance": tolerance.within(item.found)}
        for operator, off in offs.items():
            change = operators.entry(item.row, item.column, _added(item.sign * off))
            yield _mutant(subject, Hardmax(), place, operator, change=with_matrix(item.name, change))


def _added(off: Fraction) -> Callable[[Fraction], Fraction]:
    return lambda value: value + off


#: Obligations about encodings and readouts that the subjects do not have; tests/proofs holds their mutants to them.
OF_OTHER_CODINGS = {item.id for item in codings.OBLIGATIONS}

#: The obligations of longer inputs are about three user tokens; at two the selection is in block 2.
LAST_BLOCK = selection("longer-inputs", V, "block2.")


def symbolic(subject: Subject) -> Iterator[Mutant]:
    """Yield the mutants that the sympy obligations must fail on, at the subject's size.

    At softmax where the scores stay whole, at hardmax otherwise. Those of the mask lift have no golden file. A change
    of a middle block changes nothing at two user tokens, where there is none: the same weights, and so harmless.
    """
    for obligation, changes in MUTANTS.items():
        if not obligation.startswith(f"{subject.name}.") or obligation in OF_OTHER_CODINGS:
            continue
        masked = obligation.endswith("-masked")
        plain = LongerInputs(2, 2, lift="mask") if masked else subject.construction
        for number, change in enumerate(changes):
            label = f"{subject.name}/symbolic/{obligation.removeprefix(subject.name + '.')}-{number}"
            here = LAST_BLOCK[obligation][number] if obligation in LAST_BLOCK else change
            exactly = Mutated(_right(plain, temperatures(subject)[-1]), label, here)
            if not _whole(exactly):
                exactly = Mutated(_right(plain, Hardmax()), label, here)
            golden = None if masked else Mutated(_right(subject.golden, Hardmax()), label, here)
            operator = f"against {obligation.removeprefix(subject.name + '.')}"
            yield Mutant(label, subject.name, operator, exactly, golden, (obligation, change))


def _whole(construction: Construction) -> bool:
    try:
        matrices = construction.transformer.lowered.matrices()
    except InvalidArgument:
        return True  # refused at every temperature
    return all(_whole_scores(construction, name, matrix.to_fractions()) for name, matrix in matrices.items())


#: The families of mutants: each is a section of the table, and a test.
FAMILIES: Mapping[str, Callable[[Subject], Iterator[Mutant]]] = {
    "matrices, layers, virtual tokens": lambda subject: (
        mutant for temperature in temperatures(subject) for mutant in structural(subject, temperature)
    ),
    "entries": lambda subject: (
        mutant for temperature in temperatures(subject) for mutant in entries(subject, temperature)
    ),
    "tolerances": around_tolerances,
    "symbolic weights": symbolic,
}


def mutants(name: str, family: str) -> Iterator[Mutant]:
    """Yield the mutants of a family of a construction; the first of each operator is fuzzed too."""
    return _first_ones_fuzzed(FAMILIES[family](SUBJECTS[name]))


def drawn_mutants(name: str, family: str, count: int | None) -> Iterator[Mutant]:
    """Yield so many mutants of a family of a construction, drawn; of tolerances those around so many entries.

    Without a number these are all mutants.
    """
    if count is None:
        return mutants(name, family)
    subject = SUBJECTS[name]
    if FAMILIES[family] is around_tolerances:  # each takes a search, so that the entries are drawn
        return _first_ones_fuzzed(around_tolerances(subject, count))
    return iter(drawn(list(mutants(name, family)), count))


def _first_ones_fuzzed(made: Iterator[Mutant]) -> Iterator[Mutant]:
    seen: set[str] = set()
    for mutant in made:
        yield replace(mutant, fuzzed=mutant.operator not in seen)
        seen.add(mutant.operator)
