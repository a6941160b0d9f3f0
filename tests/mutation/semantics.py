"""Mutants of meaning: right weights in a faulty forward pass; which of them are harmless is proved."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from typing import Any, Literal

import hypothesis.strategies as st
import numpy as np

from constructions import (
    Construction,
    Hardmax,
    InvalidArgument,
    LongerInputs,
    LongerResponses,
    RationalSoftmax,
    Softmax,
    Temperature,
    UnconditionalGeneration,
)
from constructions.activations import RELU
from constructions.thresholds import longer_responses_threshold, unconditional_generation_threshold
from constructions.transformer import Linear
from tests.mutation.corpus import SUBJECTS, temperatures
from tests.mutation.float_faults import accumulating, overflowing, tf32
from tests.mutation.methods import FUZZED
from tests.mutation.oracle import cases, violations_and_margin
from tests.mutation.semantic_operators import OPERATORS, Wrap, heated, right
from tests.mutation.table import Cell, Row, Section
from tests.mutation.truth import truth_of
from verify import NumpyArithmetic, RationalArithmetic, Verdict, check, exhaust, fuzz
from verify.arithmetic.structured import StructuredTorchArithmetic
from verify.arithmetic.tensors import TorchArithmetic
from verify.running.model import bind_construction, exact_logits, generate

EXACT = RationalArithmetic()
_TIES = "the last of equal logits wins"
_AT_THE_THRESHOLD = "q at the threshold and not above it"

#: Where a fault shows: in any arithmetic; in exact arithmetic alone, as it is a tie; in floats alone.
Shows = Literal["anywhere", "exactly", "in floats"]


@dataclass(frozen=True)
class SemanticMutant:
    """A right construction in a faulty forward pass.

    Attributes:
        id: subject, temperature and operator.
        operator: what is wrong.
        construction: what runs.
        wrap: makes the faulty arithmetic of a right one.
        shows: where the fault can show.
        keyed: for a fault in the temperature alone, the temperature of each key size.

    """

    id: str
    operator: str
    construction: Construction
    wrap: Wrap
    shows: Shows = "anywhere"
    keyed: Callable[[int], Temperature] | None = None

    @cached_property
    def harmless(self) -> bool:
        """Whether the fault is PROVED to change nothing that is promised, at this size.

        Either every token and every logit of every case is exactly what it is without the fault, and the oracle finds
        the construction without it right (so that every largest logit is the only one, and a rule for ties is never
        asked); or the oracle itself, run with the fault, finds every margin of every case positive.
        """
        if self.shows == "in floats":
            return False
        if self.operator == "hardmax in place of softmax":
            return truth_of(replace(self.construction, temperature=Hardmax())).kind == "harmless"
        if self.operator == "ReLU after every layer":  # of the MLP: only the readout has none
            exact = self.construction.transformer.lowered
            layers = tuple(
                replace(item, activation=RELU) if isinstance(item, Linear) else item for item in exact.layers
            )
            return self._right_by_oracle(transformer=replace(exact, layers=layers))
        if self.keyed is not None:
            return self._right_by_oracle(temperature=self.keyed)
        return self._identical() and self._right_by_oracle()

    def _right_by_oracle(self, *, temperature: Any = None, transformer: Any = None) -> bool:
        temperature = temperature or self.construction.temperature
        broken, margin = violations_and_margin(self.construction, temperature, transformer=transformer)
        return broken is None and margin is not None

    def _identical(self) -> bool:
        faulty, plain = self.wrap(EXACT), EXACT
        layout = self.construction.layout
        models = [(bind_construction(self.construction, each), each) for each in (faulty, plain)]
        for target, user in cases(self.construction):
            virtual, tokens = self.construction.virtual_tokens(target), np.array(user, dtype=np.int64)
            made = []
            for model, each in models:
                found = generate(model, each.prompt(virtual), layout.virtual, tokens, layout.response)
                made.append((found.tokens.tolist(), exact_logits(each, found).tolist()))
            if made[0] != made[1]:
                return False
        return True


def semantic_mutants() -> Iterator[SemanticMutant]:
    """Yield every operator on every construction at every temperature that is exact for it, and the special ones."""
    for subject in SUBJECTS.values():
        for temperature in temperatures(subject):
            kind = "hardmax" if isinstance(temperature, Hardmax) else "softmax"
            construction = replace(subject.construction, temperature=temperature)
            for operator, wrap in OPERATORS.items():
                if subject.name == "longer-inputs" and operator.startswith("temperature"):
                    continue  # its block 2 then has scores that are not whole, and no exact softmax
                yield SemanticMutant(f"{subject.name}/{kind}/{operator}", operator, construction, wrap)
    yield from _thresholds()
    yield from _scalings()
    # the computed default of longer inputs is for the masked form; at hardmax nothing leaks, and the mask is harmless
    masked = LongerInputs(2, 2, temperature=LongerInputs(2, 2).default_temperature(None))
    yield SemanticMutant("longer-inputs/softmax/mask off", "mask off", masked, OPERATORS["mask off"])
    yield from _floats()


def _thresholds() -> Iterator[SemanticMutant]:
    for construction, q in (
        (UnconditionalGeneration(3, 3), unconditional_generation_threshold(3, 3)),
        (UnconditionalGeneration(2, 4), unconditional_generation_threshold(2, 4)),
        (LongerResponses(2, 2), longer_responses_threshold(2, 2)),
    ):
        tied = replace(construction, temperature=RationalSoftmax(Fraction(q)))
        for operator, wrap in ((_AT_THE_THRESHOLD, right), (_TIES, OPERATORS[_TIES])):
            yield SemanticMutant(f"{tied!r}/{operator}", operator, tied, wrap, "exactly")


def _scalings() -> Iterator[SemanticMutant]:
    """Yield wrong scalings of the score where all is rational: ``N = 4`` is the key size of head "self", of root 2."""
    size, root = 4, 2
    q = Fraction(6) ** root
    assert 6 < unconditional_generation_threshold(3, size) < q
    construction = UnconditionalGeneration(3, size, temperature=RationalSoftmax(q))
    for operator, exponents in (("score over k in place of sqrt(k)", Fraction(6)), ("score not over sqrt(k)", q**root)):
        keyed = _keyed(size, RationalSoftmax(exponents), RationalSoftmax(q))
        wrap = heated(_by_key_size(keyed))
        yield SemanticMutant(f"{construction!r}/{operator}", operator, construction, wrap, keyed=keyed)


def _by_key_size(keyed: Callable[[int], Temperature]) -> Callable[[Temperature, int], Temperature]:
    return lambda _, key_size: keyed(key_size)


def _keyed(size: int, there: Temperature, elsewhere: Temperature) -> Callable[[int], Temperature]:
    return lambda key_size: there if key_size == size else elsewhere


#: TF32 has 11 bits; by a sweep of all sizes it is the smallest vocabulary that all three constructions fail at.
TF32_FAILS_AT = 52


def _floats() -> Iterator[SemanticMutant]:
    hot = Softmax(1000.0)  # exp(1000 / sqrt(3)) is beyond float32 in every head
    for subject in SUBJECTS.values():
        construction = replace(subject.construction, temperature=hot)
        operator = "softmax without the largest score taken off"
        yield SemanticMutant(f"{subject.name}/hot/{operator}", operator, construction, overflowing, "in floats")
    operator = "TF32 switched on silently"
    construction = UnconditionalGeneration(TF32_FAILS_AT, 1)
    yield SemanticMutant(f"{construction!r}/{operator}", operator, construction, tf32, "in floats")
    construction = UnconditionalGeneration(TF32_FAILS_AT, 2)
    yield SemanticMutant(f"{construction!r}/{operator}", operator, construction, tf32, "in floats")
    operator = "sums of products held in float16"
    construction = UnconditionalGeneration(TF32_FAILS_AT, 1)
    yield SemanticMutant(f"{construction!r}/{operator}", operator, construction, accumulating, "in floats")


def _rejected(run: Callable[[], Verdict]) -> bool | None:
    """Return whether a verdict is falsified; ``None`` where it is neither that nor shown right."""
    try:
        verdict = run()
    except InvalidArgument:
        return None
    return None if verdict.holds is None else not verdict.holds


def _exhausted(arithmetic: Any) -> Callable[[SemanticMutant], bool | None]:
    return lambda mutant: _rejected(lambda: exhaust(mutant.construction, mutant.wrap(arithmetic)))


def _fuzzed(mutant: SemanticMutant) -> bool | None:
    arithmetic = mutant.wrap(NumpyArithmetic("float32" if mutant.shows == "in floats" else "float64"))
    return _rejected(lambda: fuzz(st.just(mutant.construction), arithmetic, examples=FUZZED, claim="mutant"))


def _checked(mutant: SemanticMutant) -> bool | None:
    """Run the one case that enumeration found, again."""
    verdict = exhaust(mutant.construction, mutant.wrap(EXACT))
    case = verdict.counterexample
    if case is None:
        return _rejected(lambda: verdict)
    return _rejected(
        lambda: check(mutant.construction, rank=case.rank, user_input=case.user_input, arithmetic=mutant.wrap(EXACT))
    )


_Claim = Callable[[SemanticMutant], bool]


def _shows(*places: Shows) -> _Claim:
    return lambda mutant: mutant.shows in places


SEMANTIC_METHODS: dict[str, tuple[Callable[[SemanticMutant], bool | None], _Claim]] = {
    "exhaust, rational": (_exhausted(EXACT), _shows("anywhere", "exactly")),
    "exhaust, numpy float64": (_exhausted(NumpyArithmetic("float64")), _shows("anywhere")),
    "exhaust, numpy float32": (_exhausted(NumpyArithmetic("float32")), _shows("anywhere", "in floats")),
    "exhaust, torch float32": (_exhausted(TorchArithmetic("float32")), _shows("anywhere", "in floats")),
    "exhaust, structured float32": (_exhausted(StructuredTorchArithmetic("float32")), _shows("anywhere")),
    "fuzz, numpy": (
        _fuzzed,
        lambda mutant: mutant.shows != "exactly" and not mutant.id.startswith(("theorem-1/soft", "theorem-2/soft")),
    ),
    # a fault that needs two cases to show is beyond it
    "check, rational": (
        _checked,
        lambda mutant: mutant.shows != "in floats" and mutant.operator != "one prompt for all cases",
    ),
}


def semantic_section(title: str, mutants: Iterator[SemanticMutant]) -> Section:
    """Run every method on every mutant that it claims, and return the table."""
    rows: dict[str, Row] = {}
    wrong = []
    for mutant in mutants:
        row = rows.setdefault(mutant.operator, Row(mutant.operator))
        row.mutants += 1
        row.harmless += mutant.harmless
        for name, (run, claims) in SEMANTIC_METHODS.items():
            cell = row.cells.setdefault(name, Cell())
            if not claims(mutant):
                continue
            rejected = run(mutant)
            if mutant.harmless:
                cell.right, cell.accepted = cell.right + 1, cell.accepted + (rejected is False)
            else:
                cell.claimed, cell.killed = cell.claimed + 1, cell.killed + (rejected is True)
            if rejected is not (not mutant.harmless):
                wrong.append(f"{name} {rejected} {mutant.id}")
    return Section(title, list(SEMANTIC_METHODS), list(rows.values()), wrong)
