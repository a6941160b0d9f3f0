"""``proofs/MUTANTS.md``, written from a run: ``python -m tests.mutation.document [TITLE...]``, all by default."""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path

from tests.mutation.methods import METHODS
from tests.mutation.sections import SECTIONS
from tests.mutation.table import Section

PATH = Path(__file__).parents[2] / "proofs" / "MUTANTS.md"

INTRODUCTION = """# What the verifier rejects

Systematic mutants of the weights, of the meaning and of the verifier itself, and the answer of each method of evidence.
This file is made by `python -m tests.mutation.document`; `make test-heavy` (for the tables that take minutes `make
test-long`) makes every table again and compares it, and `make test` compares the count below with the tables.

{count}

How to read a cell: `12/12`, the method rejected 12 of the 12 faulty mutants that it claims; `3/3 kept`, it accepted 3
of the 3 harmless ones that it claims to accept; a dash, it claims none. A cell of fewer would be a hole; none has one.

An oracle that shares no code with `verify` decides the truth about a mutant of the weights: exact rationals, every
target with every user input, every step a pass over all positions (`tests/mutation/oracle.py`). A mutant is *faulty* if
some case breaks the promise, a tie included, and *harmless* if the oracle finds every margin positive, which proves it
at this size. A method in floats claims the mutants whose exact margin exceeds a bound on rounding, computed for each
mutant. A weight's *tolerance* is the largest error that it may have, alone and in one direction, found by bisection: a
512th more must break the promise, and a 512th less must keep it.

A mutant of the forward pass is harmless if every token and every logit is exactly what it is without the fault, or if
the oracle, run with the fault, finds every margin positive.

The obligations and the tie to Coq's files are about the weights themselves, and reject harmless changes too.

The sizes are small: V = 3, N = 3 (Theorem 1), V = 3 (Theorem 2), V = 2, N0 = 2 (longer responses), V = 2 and two user
tokens (longer inputs), at hardmax and, where scores stay whole, at an exact q. The mutants that a method leaves out:

"""


def totals(text: str) -> tuple[int, int]:
    """Return how many mutants a document's tables have, and how many of them are harmless."""
    found = re.findall(r"^\| all \| (\d+) \| (\d+) \|", text, flags=re.MULTILINE)
    return sum(int(mutants) for mutants, _ in found), sum(int(harmless) for _, harmless in found)


def count_line(text: str) -> str:
    """Return the sentence that says how many mutants the tables have."""
    mutants, harmless = totals(text)
    return (
        f"**{mutants} mutants: {mutants - harmless} faulty, each rejected by every method that claims it;"
        f" {harmless} harmless, each proved so.**"
    )


def in_document(title: str) -> str:
    """Return the section of a title as it stands in the document."""
    text = PATH.read_text(encoding="utf-8")
    start = text.index(f"### {title}\n")
    end = text.find("\n###", start + 1)
    return (text[start:] if end < 0 else text[start:end]).rstrip("\n") + "\n"


def around(tables: str) -> str:
    """Return what stands before the tables."""
    reasons = "".join(f"- {method.name}: {method.why_not}.\n" for method in METHODS.values() if method.why_not)
    return INTRODUCTION.format(count=count_line(tables)) + reasons + "\n"


def document(sections: list[str]) -> str:
    """Return the whole text."""
    tables = "\n".join(sections)
    return around(tables) + "## The tables\n\n" + tables


def main(remade: list[str]) -> int:
    """Run everything, or the tables of the titles given, and write the document; fail if anything is wrong."""
    tables, wrong = [], []
    for title, make in SECTIONS.items():
        if remade and title not in remade:
            tables.append(in_document(title))
            continue
        started = time.perf_counter()
        section: Section = make()
        tables.append(section.markdown())
        wrong += section.wrong
        print(f"{title}: {time.perf_counter() - started:.1f} s, {section.wrong or 'no hole'}")  # noqa: T201 # a report
    PATH.write_text(document(tables), encoding="utf-8")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
