"""The methods of evidence: how each is run on a mutant, and which mutants it claims to reject.

A method is one entry of :data:`METHODS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal

import hypothesis.strategies as st

from constructions import Construction, InvalidArgument
from proofs import CLAIMS, ObligationError
from tests.coq import golden_weights
from tests.mutation.corpus import SUBJECTS, Mutant
from verify import NumpyArithmetic, RationalArithmetic, Verdict, check, exhaust, fuzz, sweep
from verify.arithmetic import Arithmetic
from verify.arithmetic.structured import StructuredTorchArithmetic
from verify.arithmetic.tensors import TorchArithmetic
from verify.certificates import BallArithmetic, certificate_arithmetic, certify
from verify.certificates.enclosing import EnclosingArithmetic

#: Cases that fuzzing draws: more than twice as many as the largest space of the subjects has.
FUZZED = 200

#: ``rejected``: falsified with a counterexample, or refused as bad input; ``accepted``: shown right; ``unknown``.
Outcome = Literal["rejected", "accepted", "unknown"]


@dataclass(frozen=True)
class Method:
    """A method of evidence.

    Attributes:
        name: the head of its column.
        run: what it says of a mutant.
        claims: whether it claims to reject a mutant that is broken (or refused).
        accepts: whether it claims to accept a mutant that is harmless.
        why_not: the mutants that it does not claim, and why.

    """

    name: str
    run: Callable[[Mutant], Outcome]
    claims: Callable[[Mutant], bool]
    accepts: Callable[[Mutant], bool]
    why_not: str


def _outcome(verdict: Callable[[], Verdict]) -> Outcome:
    try:
        holds = verdict().holds
    except InvalidArgument:
        return "rejected"
    return "unknown" if holds is None else "accepted" if holds else "rejected"


def _never(_: Mutant) -> bool:
    return False


def _faulty(mutant: Mutant) -> bool:
    return mutant.truth.kind != "harmless"


def _faulty_in(dtype: str, *, constant: bool = False) -> Callable[[Mutant], bool]:
    def claimed(mutant: Mutant) -> bool:
        truth = mutant.truth
        return truth.kind == "refused" or (
            truth.kind == "broken" and not mutant.at_a_tie and truth.shown_in(dtype, constant=constant)
        )

    return claimed


def _harmless(mutant: Mutant) -> bool:
    return mutant.truth.kind == "harmless"


def _harmless_in(dtype: str) -> Callable[[Mutant], bool]:
    return lambda mutant: _harmless(mutant) and not mutant.at_a_tie and mutant.truth.shown_in(dtype)


def _exhaustive(arithmetic: Arithmetic[Any, Any, Any]) -> Callable[[Mutant], Outcome]:
    return lambda mutant: _outcome(lambda: exhaust(mutant.construction, arithmetic))


def _swept(mutant: Mutant) -> Outcome:
    size = mutant.construction.vocab_size

    def build(vocab_size: int) -> Construction:
        right = mutant.construction.right
        return mutant.construction if vocab_size == size else replace(right, vocab_size=vocab_size)

    return _outcome(lambda: sweep(build, NumpyArithmetic(), max_vocab_size=size, claim=mutant.subject))


def _fuzzed(mutant: Mutant) -> Outcome:
    return _outcome(
        lambda: fuzz(st.just(mutant.construction), NumpyArithmetic(), examples=FUZZED, claim=mutant.subject)
    )


def _certified(arithmetic: EnclosingArithmetic[Any, Any, Any]) -> Callable[[Mutant], Outcome]:
    """Return what a certificate says: what it leaves open it has not accepted, which is all that it promises."""

    def run(mutant: Mutant) -> Outcome:
        outcome = _outcome(lambda: certify(mutant.construction, arithmetic))
        return "rejected" if outcome == "unknown" else outcome

    return run


def _checked(mutant: Mutant) -> Outcome:
    violation = mutant.truth.violation
    if violation is None:
        return _outcome(lambda: check(mutant.construction, rank=0, user_input=[0] * mutant.construction.layout.user))
    target, user = violation.target, violation.user_input
    return _outcome(lambda: check(mutant.construction, target=target, user_input=user))


@lru_cache(maxsize=8)
def _golden_file(construction: Construction) -> tuple[Any, Any]:
    for path in golden_weights.FOLDER.glob("*.txt"):
        found, matrices, layers = golden_weights.parse(path)
        if found == construction:
            return matrices, layers
    raise AssertionError(f"no golden file of {construction}")


def _tied(mutant: Mutant) -> Outcome:
    """Compare the mutant's weights, at a size that Coq has printed, with the file that Coq printed."""
    assert mutant.golden is not None
    matrices, layers = _golden_file(replace(mutant.golden.right, temperature=None, mask="causal"))
    try:
        ours, our_layers = golden_weights.from_python(mutant.golden.transformer.lowered)
    except InvalidArgument:
        return "rejected"
    target = golden_weights.golden_target(mutant.golden.right)
    rows = mutant.golden.virtual_tokens(target).to_fractions()
    entries = {(i, j): value for i, row in enumerate(rows) for j, value in enumerate(row) if value}
    ours["virtual_tokens"] = ((len(rows), len(rows[0])), entries)
    return "accepted" if (ours, our_layers) == (matrices, layers) else "rejected"


def _dense(mutant: Construction) -> Any:
    lowered = mutant.transformer.lowered
    layers = [layer.describe() for layer in lowered.layers]  # activations among it
    return [matrix.to_fractions() for matrix in lowered.matrices().values()], layers


_right_weights = lru_cache(maxsize=32)(_dense)


def changes_weights(mutant: Mutant) -> bool:
    """Return whether a weight, or the virtual token of some target, differs at the size of the golden file."""
    if mutant.golden is None:
        return False
    try:
        weights = _dense(mutant.golden)
    except InvalidArgument:
        return True
    right = mutant.golden.right
    target = golden_weights.golden_target(right)
    ours, theirs = (subject.virtual_tokens(target).to_fractions() for subject in (mutant.golden, right))
    return weights != _right_weights(right) or ours != theirs


def _discharged(mutant: Mutant) -> Outcome:
    assert mutant.obligation is not None
    name, change = mutant.obligation
    obligation = next(item for item in CLAIMS[mutant.subject].obligations if item.id == name)
    try:
        obligation.discharge(change(obligation.subject()))
    except ObligationError:
        return "rejected"
    return "accepted"


METHODS: Mapping[str, Method] = {
    method.name: method
    for method in (
        Method(
            "sympy",
            _discharged,
            lambda mutant: mutant.obligation is not None,
            _never,
            "obligations are about symbolic weights of every size; a mutant of one entry at one size has none",
        ),
        Method(
            "Coq tie",
            _tied,
            changes_weights,
            _never,
            "the golden files hold weights and virtual tokens of named sizes, no arithmetic and no temperature",
        ),
        Method("exhaust, rational", _exhaustive(RationalArithmetic()), _faulty, _harmless, ""),
        Method(
            "exhaust, numpy float64",
            _exhaustive(NumpyArithmetic("float64")),
            _faulty_in("float64"),
            _harmless_in("float64"),
            "where the exact truth rests on a tie or a margin within the bound on rounding, floats may go either way",
        ),
        Method(
            "exhaust, torch float32",
            _exhaustive(TorchArithmetic("float32")),
            _faulty_in("float32"),
            _harmless_in("float32"),
            "as for float64",
        ),
        Method(
            "exhaust, structured float32",
            _exhaustive(StructuredTorchArithmetic("float32")),
            _faulty_in("float32"),
            _harmless_in("float32"),
            "as for float64",
        ),
        Method(
            "sweep, numpy float64",
            _swept,
            lambda mutant: mutant.truth.kind == "broken" and _faulty_in("float64", constant=True)(mutant),
            _harmless_in("float64"),
            "as for float64; it looks at the targets that are one token everywhere, and what is refused stays unknown",
        ),
        Method(
            "fuzz, numpy float64",
            _fuzzed,
            lambda mutant: mutant.fuzzed and _faulty_in("float64")(mutant),
            lambda mutant: mutant.fuzzed and _harmless_in("float64")(mutant),
            "it runs on the first mutant of each operator and construction, to save time",
        ),
        Method(
            "certify, ball",
            _certified(BallArithmetic()),
            _faulty,
            _never,
            "it must certify no faulty mutant, and may leave harmless ones uncertified",
        ),
        Method(
            "certify, rounded float32",
            _certified(certificate_arithmetic("rounded", "float32")),
            _faulty_in("float32"),
            _never,
            "as for balls; where floats may go either way it may be right to certify",
        ),
        Method("check, rational", _checked, _faulty, _harmless, "it is given the case that the oracle found"),
    )
}
assert set(SUBJECTS) <= set(CLAIMS)
