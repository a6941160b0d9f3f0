"""No hole: every method of evidence rejects the faulty mutants that it claims, and accepts the harmless ones.

Everything is in the heavy tier, or in the long one where a table takes minutes; one mutant in so many is in the default
one.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import islice

import pytest

from tests.mutation import document
from tests.mutation.corpus import FAMILIES, SUBJECTS, Mutant, mutants
from tests.mutation.methods import METHODS, Outcome
from tests.mutation.sections import SECTIONS, drawn_section, forged_section, parts_cover_everything
from tests.mutation.semantics import semantic_mutants, semantic_section
from tests.mutation.table import Section, weights_section
from tests.mutation.verifier_bugs import accepted

#: The default tier takes one mutant in so many.
STRIDE = 134


def test_no_method_has_a_hole_on_a_part_of_the_weights() -> None:
    chosen = [mutant for family in ("entries", "symbolic weights") for mutant in mutants("theorem-1", family)][::STRIDE]
    section = weights_section("part", chosen)
    assert section.wrong == []
    assert sum(row.mutants for row in section.rows) == len(chosen) > 1


def test_no_method_has_a_hole_on_a_part_of_the_forward_pass() -> None:
    chosen = (mutant for mutant in semantic_mutants() if mutant.id.startswith("theorem-2/hardmax/"))
    section = semantic_section("part", islice(chosen, 0, None, 18))
    assert section.wrong == []
    assert sum(row.mutants for row in section.rows) == 2


def test_forged_evidence_never_holds() -> None:
    assert forged_section("all").wrong == []


def test_without_a_bug_every_canary_is_refused() -> None:
    assert accepted() == []


def test_a_survivor_and_a_harmless_mutant_that_is_rejected_are_reported() -> None:
    """The table itself must be able to fail: methods of the wrong polarity have holes everywhere."""
    chosen = list(islice(mutants("theorem-2", "matrices, layers, virtual tokens"), 8))
    kinds = {mutant.truth.kind for mutant in chosen}
    assert kinds == {"broken", "harmless"}
    right = METHODS["exhaust, rational"]

    def opposite(mutant: Mutant) -> Outcome:
        return "accepted" if right.run(mutant) == "rejected" else "rejected"

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tests.mutation.table.METHODS", {right.name: replace(right, run=opposite)})
        section = weights_section("broken", chosen)
    assert len(section.wrong) == len(chosen)


def test_every_mutant_of_meaning_is_in_one_table() -> None:
    assert list(parts_cover_everything()) == []


@pytest.mark.heavy
def test_ids_are_unique() -> None:
    for name in SUBJECTS:
        ids = [mutant.id for family in FAMILIES if family != "tolerances" for mutant in mutants(name, family)]
        assert len(set(ids)) == len(ids)
    ids = [mutant.id for mutant in semantic_mutants()]
    assert len(set(ids)) == len(ids)


#: Half a minute and more each: longer inputs and longer responses have the deepest transformers, Theorem 1 the most
#: entries, and the certifier the most mutants.
_LONG = (
    "longer-inputs: ",
    "longer-responses: ",
    "theorem-1: entries",
    "theorem-1: tolerances",
    "theorem-1: matrices",
    "theorem-2: tolerances",
    "theorem-2: matrices",
    "theorem-2: entries",
    "the forward pass, longer-responses",
    "the forward pass, theorem-2",
    "the certifier",
)
#: The certifier has a sample of its own in the default tier, see tests/mutation/test_certifier.py.
_DRAWN = [title for title in SECTIONS if title.startswith(_LONG) and title != "the certifier"]
#: How many mutants of each of them the heavy tier draws.
_COUNT = 5


@pytest.mark.heavy
@pytest.mark.parametrize("title", _DRAWN)
def test_a_drawn_part_of_a_long_table_has_no_hole(title: str) -> None:
    section = drawn_section(title, _COUNT)
    assert section.wrong == []
    assert sum(row.mutants for row in section.rows) >= 2


@pytest.mark.parametrize(
    "title",
    [
        pytest.param(title, marks=pytest.mark.long if title.startswith(_LONG) else pytest.mark.heavy)
        for title in SECTIONS
    ],
)
def test_a_table_of_the_document_is_what_a_run_gives(title: str) -> None:
    section: Section = SECTIONS[title]()
    assert section.wrong == []
    assert section.markdown() == document.in_document(title)
    for row in section.rows:  # past every tolerance the promise is broken, within it is kept, by the oracle
        if row.operator in {"just past its tolerance", "just within its tolerance"}:
            assert row.harmless == (0 if row.operator == "just past its tolerance" else row.mutants)
