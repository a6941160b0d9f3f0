"""The certifier's table: every mutant of its source is killed by the killers that are named, or proved harmless."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from tests.mutation.certifier_killers import by_name
from tests.mutation.certifier_mutant import Mutant
from tests.mutation.certifier_mutants import MUTANTS
from tests.mutation.certifier_runner import ROOT
from tests.mutation.certifier_unsettled import UNSETTLED, Unsettled
from tests.mutation.table import Cell, Row, Section

#: The columns of the table, and what each of them is.
COLUMNS = ("primitives", "operations", "networks", "balls", "constructions", "argument")
EXPLAINED = """\
The columns: *primitives*: rounding, places of floats and assumptions against exact rationals; *operations*:
sums, attention and the rest on boxes against kernels of the tests' own, in drawn orders; *networks*: random networks at
the edge of what is certified, contradicted by an execution, and networks built for one rule; *balls*: the same in exact
rationals; *constructions*: code that lies, overflows or depends on more than it shows; *argument*: why a change is
harmless, which a check confirms on a finite domain (of absorption: in drawn orders, three terms, bfloat16).

The list of mutants was chosen and pruned by hand. "No hole" is a statement about this list, and says nothing of other
changes of the certifier.
"""


def outcomes(names: Sequence[str] = ()) -> Mapping[str, Mapping[str, Any]]:
    """Return what the killers of some mutants (by default of all) found, by the mutant's name.

    Args:
        names: of mutants; ``none:KILLER`` runs a killer on the certifier as it is.

    """
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "tests.mutation.certifier_runner", *names]
    made = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, check=True)
    lines = [json.loads(line) for line in made.stdout.splitlines()]
    return {line["name"]: line["killers"] for line in lines}


def contradicted(found: Mapping[str, Any], killer: str) -> bool:
    """Return whether a killer contradicted a mutant: it found something, and did not merely fail on it."""
    texts = found.get(killer, {}).get("found", [])
    return bool(texts) and not texts[0].startswith("raised: ")


def wrong(mutant: Mutant, found: Mapping[str, Any]) -> list[str]:
    """Return what is not as it should be: a killer that does not kill, an argument that does not stand."""
    if mutant.argument:
        proved = found.get(mutant.proof, {})
        sound = proved.get("found") == [] and not proved.get("unused")
        return [] if sound else [f"{mutant.proof} refutes that {mutant.name} is harmless"]
    return [f"{killer} does not kill {mutant.name}" for killer in mutant.killers if not contradicted(found, killer)]


def certifier_section(title: str) -> Section:
    """Run every mutant, and return the table with the harmless ones' arguments."""
    columns = {name: method.column for name, method in by_name().items()}
    rows: dict[str, Row] = {}
    holes: list[str] = []
    notes = [EXPLAINED]
    for name, found in outcomes().items():
        mutant = next(each for each in MUTANTS if each.name == name)
        row = rows.setdefault(mutant.rule, Row(f"{mutant.rule} (`{_home(mutant.rule)}`)"))
        row.mutants += 1
        holes += wrong(mutant, found)
        if mutant.argument:
            row.harmless += 1
            cell = row.cells.setdefault("argument", Cell())
            cell.right, cell.accepted = cell.right + 1, cell.accepted + (not wrong(mutant, found))
            notes.append(f"- harmless: {mutant.name}. {mutant.argument}\n")
            continue
        for column in {columns[killer] for killer in mutant.killers}:
            killers = [killer for killer in mutant.killers if columns[killer] == column]
            cell = row.cells.setdefault(column, Cell())
            cell.claimed += 1
            cell.killed += all(contradicted(found, killer) for killer in killers)
    notes += ["\nNot settled:\n\n", *(_unsettled(each) for each in UNSETTLED)] if UNSETTLED else []
    return Section(title, COLUMNS, list(rows.values()), holes, "\n" + notes[0] + "\n" + "".join(notes[1:]))


def _home(rule: str) -> str:
    """Return the module that a rule is in, or the package that all its modules are in."""
    modules = [mutant.module.split(".") for mutant in MUTANTS if mutant.rule == rule]
    same = itertools.takewhile(lambda parts: len(set(parts)) == 1, zip(*modules, strict=False))
    return ".".join(parts[0] for parts in same)


def _unsettled(each: Unsettled) -> str:
    return f"- {each.name} (`{each.module}`): `{each.old}` becomes `{each.new}`. Tried without effect: {each.tried}.\n"
