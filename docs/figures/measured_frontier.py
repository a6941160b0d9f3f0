"""The measured frontier in ``proofs/frontier.json`` and, on matrix units, in ``frontier-units.json`` beside it.

``python -m docs.figures.measured_frontier`` measures the settings that are missing from the files, one after another;
all of them take tens of minutes on one core. With words, it measures those whose names contain one of them, such as
``"unit hopper"``. A setting whose search starts above V = 1 says nothing of smaller sizes; the tables say so.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from constructions.temperature import Softmax
from constructions.validation import InvalidArgument
from verify.files.atomic import read_json, write_atomically
from verify.frontier.family import Family
from verify.frontier.record import Frontier
from verify.frontier.search import find_frontier
from verify.matrix_units import GENERATIONS

#: The file of the measured frontier.
DATA = Path(__file__).parents[2] / "proofs" / "frontier.json"


@dataclass(frozen=True)
class Setting:
    """One search.

    Attributes:
        family: the constructions.
        dtype: the format.
        limit: the largest V to look at.
        first: the smallest.
        kernels: which kernels; ``None`` for all.
        unit: the generation of a matrix unit, ``None`` for torch on the CPU.

    """

    family: Family
    dtype: str
    limit: int
    first: int = 1
    kernels: tuple[str, ...] | None = None
    unit: str | None = None

    @property
    def name(self) -> str:
        """The setting's own name."""
        parts = [f"{name} {value}" for name, value in self.family.setting().items()]
        unit = [] if self.unit is None else [f"unit {self.unit}"]
        return ", ".join([self.dtype, *unit, *parts, f"from {self.first}"])

    def found(self, checkpoint: Path | None = None) -> Frontier:
        """Search, and go on from a checkpoint where there is one."""
        return find_frontier(
            self.family,
            dtype=self.dtype,
            limit=self.limit,
            first=self.first,
            kernels=self.kernels,
            arithmetic="torch" if self.unit is None else "matrix-unit",
            unit=self.unit,
            setting=self.family.setting(),
            command=self.family.command,
            checkpoint=checkpoint,
        )


def settings() -> Iterator[Setting]:
    """Yield the settings of the file, the cheap ones first."""
    for claim, sizes in (("theorem-1", {"context": 4}), ("theorem-2", {})):
        for dtype in ("bfloat16", "float16"):
            yield Setting(Family(claim, sizes), dtype, 64)
    yield Setting(Family("theorem-1", {"context": 4}), "tf32", 64, kernels=("separate", "linear"))
    for dtype, limit in (("bfloat16", 300), ("float16", 120)):
        for options in _CODINGS:
            family = Family("theorem-1", {"context": 2}, None, options)
            if dtype == "bfloat16" or options.get("readout") not in _WIDE:
                first = 250 if options.get("readout") == "hat" else 1
                yield Setting(family, dtype, limit, first, ("separate", "linear"))
    yield Setting(Family("theorem-1", {"context": 4}), "float32", 3000)
    for temperature, first_of in _TEMPERATURES.items():
        for context, first in first_of.items():
            family = Family("theorem-1", {"context": context}, Softmax(temperature, "length"))
            yield Setting(family, "float32", 3000, first, ("separate",))
    yield Setting(Family("theorem-1", {"context": 4}), "float64", 1000, kernels=("separate", "linear"))
    for unit, generation in GENERATIONS.items():
        for dtype in ("bf16", "fp16", "tf32"):
            if dtype in generation.formats:
                yield from _on_unit(unit, dtype)


def _on_unit(unit: str, dtype: str) -> Iterator[Setting]:
    """Yield the settings of a matrix unit in a format."""
    yield Setting(Family("theorem-1", {"context": 4}), dtype, 64, unit=unit)
    if dtype != "tf32":
        yield Setting(Family("theorem-2"), dtype, 64, unit=unit)
    limit, firsts = _UNIT_FIRSTS[dtype]
    for options, first in zip(_CODINGS, firsts, strict=True):
        if first is not None:
            yield Setting(Family("theorem-1", {"context": 2}, None, options), dtype, limit, first, unit=unit)


#: Format of a unit -> the largest V, and for each of the codings the smallest V that is looked at: 1 where that takes
#: seconds, close below the edge where it would take minutes; ``None`` where one V takes minutes.
_UNIT_FIRSTS: Mapping[str, tuple[int, Sequence[int | None]]] = {
    "bf16": (300, (1, 1, 1, 1, 200, 250)),
    "fp16": (120, (1, 1, 1, 1, None, None)),
    "tf32": (2100, (1000, 1000, 1000, 2040, None, None)),
}


#: Encodings, lifts and readouts beside the paper's.
_CODINGS: tuple[Mapping[str, str], ...] = (
    {"encoding": "integer"},
    {"encoding": "integer", "readout": "centred"},
    {"encoding": "integer", "readout": "split"},
    {"encoding": "integer", "lift": "mask", "readout": "split"},
    {"encoding": "integer", "lift": "mask", "readout": "banded"},
    {"encoding": "dyadic", "lift": "mask", "readout": "hat"},
)

#: Readouts that carry float16 to V = 2,049, each V of which takes minutes there.
_WIDE = ("banded", "hat")

#: Temperature (over the square root of the length) -> context size -> the smallest V that is looked at: 1 where that
#: takes minutes, a few per cent below the edge where it would take hours.
_TEMPERATURES: Mapping[float, Mapping[int, int]] = {
    50.0: {64: 1, 32: 1, 20: 820, 16: 1860, 8: 2400, 4: 2500},
    100.0: {64: 900, 32: 2400, 20: 2500, 16: 2500, 8: 2500, 4: 2500},
    1000.0: {64: 2530, 32: 2530, 20: 2530, 16: 2530, 8: 2530, 4: 2500},
}


def load(path: Path = DATA) -> dict[str, Frontier]:
    """Return the measured frontiers by the names of their settings, those of matrix units last.

    Raises:
        InvalidArgument: not such a file.

    """
    return {name: Frontier.from_json(part) for file in (path, _of_units(path)) for name, part in _records(file).items()}


def _of_units(path: Path) -> Path:
    """Return the file of the settings of matrix units."""
    return path.with_name(f"{path.stem}-units{path.suffix}")


def _records(path: Path) -> dict[str, Any]:
    record = read_json(path, "frontier") if path.exists() else {}
    if not isinstance(record, dict):
        raise InvalidArgument(f"frontier: expected a JSON object in {path}")
    return record


def measure(path: Path = DATA, *, names: tuple[str, ...] = ()) -> None:
    """Measure the settings that are missing from a file, and write it after each.

    Args:
        path: the file; settings of matrix units are in the one beside it, a line for each.
        names: only settings whose name contains one of these; all of them if there is none.

    """
    for setting in settings():
        if setting.name in load(path) or (names and not any(name in setting.name for name in names)):
            continue
        found = setting.found(path.with_suffix(".checkpoint"))
        file = path if setting.unit is None else _of_units(path)
        record = _records(file)
        record[setting.name] = found.to_json() | {"seconds": 0.0}  # of this machine, not of the frontier
        write_atomically(file, _indented(record) if setting.unit is None else _lines(record))


def _indented(record: Mapping[str, Any]) -> str:
    return json.dumps(record, indent=1, ensure_ascii=False) + "\n"


def _lines(record: Mapping[str, Any]) -> str:
    """Return JSON with a line for each setting."""
    lines = (f"{json.dumps(name)}: {json.dumps(part, ensure_ascii=False)}" for name, part in record.items())
    return "{\n" + ",\n".join(lines) + "\n}\n"


if __name__ == "__main__":
    measure(names=tuple(sys.argv[1:]))
