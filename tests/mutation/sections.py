"""Every section of the table, by title: what makes it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from constructions import InvalidArgument
from tests.mutation.broken_surroundings import KINDS, surroundings
from tests.mutation.certifier_section import certifier_section
from tests.mutation.corpus import FAMILIES, SUBJECTS, drawn_mutants, mutants
from tests.mutation.forged import forged
from tests.mutation.semantics import SemanticMutant, semantic_mutants, semantic_section
from tests.mutation.table import Cell, Row, Section, weights_section
from tests.mutation.verifier_bugs import BUGS, accepted
from tests.shares import drawn
from verify import Verdict


def _holds(run: Callable[[], Verdict]) -> bool | None:
    try:
        return run().holds
    except InvalidArgument:
        return None


def surroundings_section(title: str) -> Section:
    """Run every kind of evidence on broken surroundings: whatever it says, it must not be that the claim holds."""
    rows: dict[str, Row] = {}
    wrong = []
    for fault, kind, run in surroundings():
        row = rows.setdefault(fault, Row(fault))
        row.mutants += 1
        cell = row.cells.setdefault(kind, Cell())
        cell.claimed += 1
        holds = _holds(run)
        cell.killed += holds is not True
        if holds is True:
            wrong.append(f"{kind} holds although {fault}")
    return Section(title, KINDS, list(rows.values()), wrong)


def forged_section(title: str) -> Section:
    """Read or make every piece of forged evidence: it must not say that the claim holds."""
    rows: dict[str, Row] = {}
    wrong = []
    with TemporaryDirectory() as folder:
        for name, run in forged(Path(folder)):
            kind = name.split(" ", maxsplit=1)[0].removesuffix(":")
            row = rows.setdefault(name, Row(name))
            row.mutants += 1
            holds = run()
            row.cells["verdict"] = Cell(1, int(holds is not True))
            if holds is True:
                wrong.append(f"{kind}: {name}")
    return Section(title, ("verdict",), list(rows.values()), wrong)


def bugs_section(title: str) -> Section:
    """Break the verifier: the canaries are still refused, or they show the bug."""
    rows, wrong = [], []
    for bug in BUGS:
        with pytest.MonkeyPatch.context() as patch:
            bug.patch(patch)
            shown = accepted()
        row = Row(bug.name, 1)
        row.cells[bug.fate] = Cell(1, int(bool(shown) == (bug.fate == "shown")))
        rows.append(row)
        if bool(shown) != (bug.fate == "shown"):
            wrong.append(f"{bug.name} is not {bug.fate}: {shown}")
    return Section(title, ("resisted", "shown"), rows, wrong)


#: The operators of meaning come in parts, each a test of under a minute.
PARTS: Mapping[str, Callable[[SemanticMutant], bool]] = {
    "the forward pass, theorem-1": lambda mutant: mutant.id.startswith("theorem-1/"),
    "the forward pass, theorem-2": lambda mutant: mutant.id.startswith("theorem-2/"),
    "the forward pass, longer-responses": lambda mutant: mutant.id.startswith("longer-responses/"),
    "the forward pass, longer-inputs": lambda mutant: mutant.id.startswith("longer-inputs/"),
    "the forward pass, single cases": lambda mutant: "/" not in mutant.id.split("(", maxsplit=1)[0],
}


def _semantic(title: str) -> Section:
    return semantic_section(title, filter(PARTS[title], semantic_mutants()))


#: Every section of the document, in its order.
SECTIONS: Mapping[str, Callable[[], Section]] = dict(
    chain(
        (
            (
                title := f"{name}: {family}",
                partial(lambda title, *which: weights_section(title, mutants(*which)), title, name, family),
            )
            for name in SUBJECTS
            for family in FAMILIES
        ),
        ((title, partial(_semantic, title)) for title in PARTS),
        ((title, partial(surroundings_section, title)) for title in ("broken surroundings",)),
        ((title, partial(forged_section, title)) for title in ("forged evidence",)),
        ((title, partial(bugs_section, title)) for title in ("bugs in the verifier",)),
        ((title, partial(certifier_section, title)) for title in ("the certifier",)),
    )
)


def drawn_section(title: str, count: int) -> Section:
    """Return a part of a table of mutants of weights or of meaning: those of so many places, drawn."""
    if title in PARTS:
        chosen = drawn(list(filter(PARTS[title], semantic_mutants())), count)
        return semantic_section(title, iter(chosen))
    name, _, family = title.partition(": ")
    return weights_section(title, drawn_mutants(name, family, count))


def parts_cover_everything() -> Iterator[str]:
    """Yield the mutants of meaning that are in no part, or in two."""
    for mutant in semantic_mutants():
        if sum(chosen(mutant) for chosen in PARTS.values()) != 1:
            yield mutant.id
