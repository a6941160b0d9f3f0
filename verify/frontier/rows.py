"""The rows of the frontier's picture; kernels, units, claims and lifts with the same numbers share one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from constructions.encodings import ENCODINGS, LIFTS, READOUTS
from verify.frontier.record import Frontier
from verify.frontier.report import SIZE_LETTERS, kernel_titles, kernels

#: What a group of rows on matrix units adds to the name of their format.
_ON_UNITS = " on matrix units"
#: Formats in the order of the groups; another one comes last.
_FORMATS = (
    *("bfloat16", "float16", "tf32", "float32", "float64"),
    *(f"{word}{_ON_UNITS}" for word in ("bf16", "fp16", "tf32")),
)

#: The setting that names a generation of matrix units.
_UNIT = "unit"
#: Settings of how a token is written and read, with their defaults.
_CODING = {"encoding": "paper", "readout": "paper", "lift": "add"}
_CHOICES: Mapping[str, Sequence[str]] = {"encoding": ENCODINGS, "readout": READOUTS, "lift": LIFTS}


@dataclass(frozen=True)
class Result:
    """The numbers that a row draws.

    Attributes:
        first: the smallest V that was looked at.
        up_to: every V from ``first`` to here is certified.
        open_ended: whether the search ended at its limit, with everything certified.
        fails: the first V without a margin on the kernel.
        values: the most evenly spaced values that the format tells apart.

    """

    first: int
    up_to: int
    open_ended: bool
    fails: int | None
    values: int


@dataclass(frozen=True)
class Row:
    """One bar.

    Attributes:
        dtype: the format, and that a matrix unit multiplies, where it does.
        result: the numbers that are drawn.
        parts: the settings by name, each with all values that give this result.
        kernels: the kernels that give it; none if all of the setting's do.

    """

    dtype: str
    result: Result
    parts: Mapping[str, tuple[str, ...]]
    kernels: tuple[str, ...]

    @property
    def kernel(self) -> str:
        """The kernels in short; nothing where every kernel gives the result."""
        return ", ".join(kernel_titles(self.kernels)).replace(" (emulated)", "")

    @property
    def claims(self) -> tuple[str, ...]:
        """The claims, without their sizes."""
        return tuple(dict.fromkeys(text.split(",")[0] for text in self.parts["claim"]))


def groups(frontiers: Sequence[Frontier]) -> list[tuple[str, list[Row]]]:
    """Return the rows of each format, the paper's coding first.

    Args:
        frontiers: the measurements.

    """
    rows = _merged([row for part in frontiers for row in _rows(part)])
    rows.sort(key=lambda row: (_format_place(row.dtype), *_coding_place(row), row.result.up_to))
    return [(dtype, list(same)) for dtype, same in groupby(rows, key=lambda row: row.dtype)]


def labels(rows: Sequence[Row], usual_claim: str) -> list[str]:
    """Return how each row of a format writes and reads tokens, with sizes only where they tell rows apart.

    Args:
        rows: of one format.
        usual_claim: the claim that need not be named.

    """
    units = {unit for row in rows for unit in row.parts.get(_UNIT, ())}
    rows = [_unnamed(row) if set(row.parts.get(_UNIT, ())) == units else row for row in rows]
    short = [_label(row, usual_claim, sizes=False) for row in rows]
    seen = Counter((text, row.kernel) for text, row in zip(short, rows, strict=True))
    return [
        _label(row, usual_claim, sizes=True) if seen[text, row.kernel] > 1 else text
        for text, row in zip(short, rows, strict=True)
    ]


def usual_claim(frontiers: Sequence[Frontier]) -> str:
    """Return the claim of most of the frontiers."""
    return Counter(str(part.setting.get("claim", "")) for part in frontiers).most_common(1)[0][0]


def _rows(frontier: Frontier) -> Iterator[Row]:
    """Yield a row for each result of a frontier, with the kernels that give it."""
    results: dict[Result, list[str]] = {}
    measured = kernels(frontier)
    for kernel, products in measured:
        certified, edge = frontier.certified[products], frontier.falsified.get(kernel)
        fails = None if edge is None or edge.no_margin is None else edge.no_margin[0]
        found = Result(certified.first, certified.up_to, certified.undecided is None, fails, frontier.values)
        results.setdefault(found, []).append(kernel)
    sizes = ", ".join(f"{letter} = {frontier.setting[name]}" for name, letter in _sizes(frontier))
    parts = {
        name: (str(value),)
        for name, value in (_CODING | dict(frontier.setting)).items()
        if name not in {"dtype", *SIZE_LETTERS} and (name, value) != ("temperature", "default")
    }
    parts["claim"] = (", ".join([str(frontier.setting.get("claim", "")), *([sizes] if sizes else [])]),)
    for result, names in results.items():
        shown = () if len(names) == len(measured) else tuple(names)
        on_units = _ON_UNITS if _UNIT in parts else ""
        yield Row(f"{frontier.setting.get('dtype', '')}{on_units}", result, parts, shown)


def _sizes(frontier: Frontier) -> Iterator[tuple[str, str]]:
    return ((name, letter) for name, letter in SIZE_LETTERS.items() if name in frontier.setting)


def _merged(rows: list[Row]) -> list[Row]:
    """Join rows that differ in one setting alone, for one setting after another."""
    for name in (_UNIT, "lift", "claim"):
        joined: dict[object, Row] = {}
        for row in rows:
            others = frozenset((key, value) for key, value in row.parts.items() if key != name)
            key = (row.dtype, row.result, row.kernels, others)
            before = joined.get(key)
            values = (before.parts.get(name, ()) if before else ()) + row.parts.get(name, ())
            joined[key] = replace(row, parts={**row.parts, name: tuple(dict.fromkeys(values))} if values else row.parts)
        rows = list(joined.values())
    return rows


def _unnamed(row: Row) -> Row:
    """Return a row that says nothing of units."""
    return replace(row, parts={name: values for name, values in row.parts.items() if name != _UNIT})


def _label(row: Row, usual: str, *, sizes: bool) -> str:
    words = [", ".join(" or ".join(row.parts[name]) for name in ("encoding", "readout"))]
    if row.parts["lift"] != (_CODING["lift"],):
        words.append(f"lift {' or '.join(row.parts['lift'])}")
    words += [f"{name} {' or '.join(values)}" for name, values in row.parts.items() if name not in {"claim", *_CODING}]
    claims = row.parts["claim"] if sizes else row.claims
    if sizes or claims != (usual,):
        words.append(" and ".join(claims))
    return words[0] + (f" ({'; '.join(words[1:])})" if words[1:] else "")


def _format_place(dtype: str) -> int:
    return _FORMATS.index(dtype) if dtype in _FORMATS else len(_FORMATS)


def _coding_place(row: Row) -> tuple[int, ...]:
    return tuple(_CHOICES[name].index(row.parts[name][0]) for name in _CODING)
