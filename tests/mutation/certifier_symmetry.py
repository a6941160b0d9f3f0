"""Killers of certificates in which one user input stands for all: what is no reason to believe so."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import numpy as np
import sympy as sp

from constructions.bounded_runs import run_on_bounds
from constructions.conditional_generation import ConditionalGeneration
from constructions.domain import Domain
from constructions.exact_matrix import ExactMatrix
from constructions.layers.permuted import TokenCoordinates
from constructions.lowering import lower
from constructions.unknown_tokens import dependence, unknown_tokens
from tests.redteam.one_for_all import TOKEN, V, believed
from tests.redteam.test_symmetric_weights import ENTRIES, FORMS, KINDS, Changed, Few, Fickle, Permuted, Rebuilt
from tests.redteam.test_symmetry import ANSWERS, BY_NUMBER, ENCODINGS, Coded, inputs_asked
from verify.certificates import certificate_arithmetic, certify
from verify.certificates.handed_on import UnlikeError
from verify.certificates.symmetry import check_form, check_weights


def weights() -> list[str]:
    """Return entries of weights whose change is overlooked, and wrong constructions that are certified."""
    found = [
        f"{weight} at {at} of {lift} is overlooked"
        for (weight, at), lift in product(ENTRIES, ("add", "mask"))
        if believed(Changed(V, lift=lift, weight=weight, at=at, by=Fraction(1, 2**30)))  # type: ignore[arg-type] # a word
    ]
    wrong = Changed(V, weight="select.bias", at=(TOKEN, 0), by=Fraction(-1)).transformer
    found += [
        f"weights that are right once, as number {honest + 1} that is asked for, are certified"
        for honest in range(8)
        if certify(Fickle(V, wrong=wrong, honest=honest), certificate_arithmetic("rounded"), budget=V * V - 1).holds
    ]
    return found + (["logits may be permuted"] if believed(Permuted(V)) else [])


def commuting() -> list[str]:
    """Return matrices of which it is wrongly said whether permutations change them."""
    three, tail = TokenCoordinates(3, 3, (0,)), TokenCoordinates(4, 3, (0,))
    turned = np.array([[0, 1, 0], [0, 0, 1], [1, 0, 0]])
    swapped = np.array([[1, 1, 0], [1, 1, 0], [0, 0, 2]])
    across = ExactMatrix((4,), (4,), lower(sp.Identity(4), {}).leaves)
    wide = ExactMatrix((1, 3), (3, 1), {(1, 0): lower(sp.Identity(3), {}).leaves[0, 0]})
    cut = lower(sp.BlockMatrix([[sp.OneMatrix(3, 2), sp.ZeroMatrix(3, 1)]]), {})
    later = TokenCoordinates(4, 3, (1,))
    cases: dict[str, tuple[TokenCoordinates, ExactMatrix, TokenCoordinates, bool]] = {
        "a turn": (three, lower(turned.tolist(), {}), three, False),
        "a swap": (three, lower(swapped.tolist(), {}), three, False),
        "both": (three, lower((2 * np.eye(3, dtype=int) + 1).tolist(), {}), three, True),
        "an identity over a run and one more": (tail, across, tail, True),
        "an identity from one run to a later one": (tail, across, later, False),
        "an identity between runs": (later, wide, tail, True),
        "an identity from a run to what stays": (TokenCoordinates(4, 3), wide, tail, False),
        "a constant over a part of a run": (three, cut, three, False),
        "another size": (tail, lower(sp.Identity(3), {}), tail, False),
    }
    return [
        f"{name} is said {'not ' if known else ''}to commute"
        for name, (rows, matrix, columns, known) in cases.items()
        if rows.commutes(matrix, columns) is not known
    ]


def code() -> list[str]:
    """Return encodings and answers that are wrongly believed."""
    found = [
        f"{name} is believed" for name, encoding in ENCODINGS.items() if believed(Coded(V, encoding_code=encoding))
    ]
    found += [f"code is believed: {name}" for name, own in BY_NUMBER.items() if believed(own)]
    if inputs_asked(40, 4) != set(range(40)):
        found.append("members are not asked at every input")
    return found + [f"{name} is believed" for name, own in ANSWERS.items() if believed(Coded(V, answer_code=own))]


def parts() -> list[str]:
    """Return parts, forms, kernels and inputs that are wrongly believed."""
    found = [] if believed(Rebuilt(V)) else ["theorem 2 is not believed"]
    for kind in KINDS:
        try:
            check_weights(Rebuilt(V, kind=kind).transformer.lowered)
        except UnlikeError:
            continue
        found.append(f"the weights of {kind} are believed")
    for construction, reason in FORMS:
        try:
            check_form(construction)
        except UnlikeError:
            continue
        found.append(f"{construction!r} is of the form, though refused for {reason}")
    found += [
        f"last to first with tf32 {tf32} is believed"
        for tf32 in (False, True)
        if believed(ConditionalGeneration(V), certificate_arithmetic("rounded", products="reversed", tf32=tf32))
    ]
    few, few_cells = Few(V, allowed=Domain((range(2),))), 2 * V
    all_cells = ConditionalGeneration(V), V * V
    for construction, cells in ((few, few_cells), all_cells):
        for budget in (cells, *((cells - 1, V - 1) if construction is few else ())):
            verdict = certify(construction, certificate_arithmetic("rounded"), budget=budget)
            if "stands for all" in str(verdict.reason):
                found.append(f"one input stands for all of {construction!r} with a budget of {budget}")
    one, more, less = np.broadcast_to(np.int64(1), (3,)), np.array([1, 1, 2]), np.array([1, 0, 1])
    with run_on_bounds() as run:
        for low, high in ((one, more), (less, one)):
            named = dependence(unknown_tokens(run, low, high, np.array([1, 2, 4])))
            if named.tolist() != np.where(low == high, 0, [1, 2, 4]).tolist():
                found.append(f"what {low} and {high} depend on is lost")
    return found
