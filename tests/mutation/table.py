"""A table of methods and operators, made by running every method on every mutant that it claims."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from tests.mutation.corpus import Mutant
from tests.mutation.methods import METHODS


@dataclass
class Cell:
    """What one method did on the mutants of one operator.

    Attributes:
        claimed: how many faulty ones it claims to reject.
        killed: how many of those it rejected.
        right: how many harmless ones it claims to accept.
        accepted: how many of those it accepted.

    """

    claimed: int = 0
    killed: int = 0
    right: int = 0
    accepted: int = 0

    def shown(self) -> str:
        """Return the cell as text; a dash where nothing is claimed."""
        parts = [f"{self.killed}/{self.claimed}"] if self.claimed else []
        parts += [f"{self.accepted}/{self.right} kept"] if self.right else []
        return ", ".join(parts) or "-"


@dataclass
class Row:
    """What was found about the mutants of one operator."""

    operator: str
    mutants: int = 0
    harmless: int = 0
    cells: dict[str, Cell] = field(default_factory=dict)


@dataclass
class Section:
    """A table of the document, and whatever is wrong with it: survivors, and harmless mutants that were rejected.

    Attributes:
        title: of the table.
        methods: the columns.
        rows: the operators.
        wrong: survivors, and harmless mutants that were rejected.
        notes: what stands under the table.

    """

    title: str
    methods: Sequence[str]
    rows: list[Row]
    wrong: list[str]
    notes: str = ""

    def markdown(self) -> str:
        """Return the section as it stands in the document."""
        total = Row("all")
        for row in self.rows:
            total.mutants, total.harmless = total.mutants + row.mutants, total.harmless + row.harmless
            for name, cell in row.cells.items():
                sums = total.cells.setdefault(name, Cell())
                sums.claimed, sums.killed = sums.claimed + cell.claimed, sums.killed + cell.killed
                sums.right, sums.accepted = sums.right + cell.right, sums.accepted + cell.accepted
        lines = [f"### {self.title}", ""]
        lines.append("| operator | mutants | harmless | " + " | ".join(self.methods) + " |")
        lines.append("|---|--:|--:|" + "---|" * len(self.methods))
        for row in [*self.rows, total]:
            cells = " | ".join(row.cells.get(name, Cell()).shown() for name in self.methods)
            lines.append(f"| {row.operator} | {row.mutants} | {row.harmless} | {cells} |")
        return "\n".join(lines) + "\n" + self.notes


def weights_section(title: str, mutants: Iterable[Mutant]) -> Section:
    """Run every method on every mutant that it claims, and return the table."""
    rows: dict[str, Row] = {}
    wrong = []
    for mutant in mutants:
        row = rows.setdefault(mutant.operator, Row(mutant.operator))
        row.mutants += 1
        row.harmless += mutant.truth.kind == "harmless"
        for method in METHODS.values():
            cell = row.cells.setdefault(method.name, Cell())
            if method.claims(mutant):
                cell.claimed += 1
                outcome = method.run(mutant)
                cell.killed += outcome == "rejected"
                if outcome != "rejected":
                    wrong.append(f"{method.name} {outcome} the faulty {mutant.id}")
            if method.accepts(mutant):
                cell.right += 1
                outcome = method.run(mutant)
                cell.accepted += outcome == "accepted"
                if outcome != "accepted":
                    wrong.append(f"{method.name} {outcome} the harmless {mutant.id}")
    names = [name for name in METHODS if any(row.cells[name].shown() != "-" for row in rows.values())]
    return Section(title, names, list(rows.values()), wrong)
