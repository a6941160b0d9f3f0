"""``proofs/MUTANTS.md``: its count is that of its tables, no cell has a hole, and no section is missing."""

from __future__ import annotations

import re

from tests.mutation import document
from tests.mutation.corpus import SUBJECTS
from tests.mutation.methods import METHODS
from tests.mutation.sections import SECTIONS

TEXT = document.PATH.read_text(encoding="utf-8")
#: What the tables must have at least.
WANTED = 300


def test_there_are_enough_mutants_and_the_count_is_that_of_the_tables() -> None:
    mutants, harmless = document.totals(TEXT)
    assert mutants >= WANTED
    assert 0 < harmless < mutants
    assert document.count_line(TEXT) in TEXT


def test_no_cell_has_a_hole() -> None:
    cells = re.findall(r"(\d+)/(\d+)", TEXT)
    assert len(cells) > 1000
    assert all(killed == claimed != "0" for killed, claimed in cells)


def test_every_section_is_there_in_order_and_nothing_else() -> None:
    assert re.findall(r"^### (.*)$", TEXT, flags=re.MULTILINE) == list(SECTIONS)


def test_the_text_around_the_tables_is_current() -> None:
    before, _, tables = TEXT.partition("## The tables\n\n")
    assert document.around(tables) == before


def test_every_method_claims_something_and_what_it_does_not_claim_is_explained() -> None:
    for name, method in METHODS.items():
        assert f" {name} |" in TEXT
        assert name == "exhaust, rational" or f"- {name}: {method.why_not}.\n" in TEXT


def test_every_tolerance_is_confirmed_on_both_sides() -> None:
    """Past it all are faulty and within it all are harmless, by the oracle; the run of the tables says the same."""
    rows = re.findall(r"^\| just (past|within) its tolerance \| (\d+) \| (\d+) \|", TEXT, flags=re.MULTILINE)
    assert len(rows) == 2 * len(SUBJECTS)
    for side, mutants, harmless in rows:
        assert harmless == ("0" if side == "past" else mutants)


def test_every_row_adds_up_and_every_row_is_covered() -> None:
    """Each operator has mutants, and at least one method that rejects them or accepts those that are harmless."""
    for line in TEXT.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) > 4 and cells[1].isdigit() and cells[2].isdigit():
            assert int(cells[1]) >= max(1, int(cells[2])), line
            assert any(cell != "-" for cell in cells[3:]), line
