"""The measured frontier in ``proofs/frontier.json``: its settings, and how they are measured.

``python -m docs.figures.measured_frontier`` measures the settings that are missing from the file, one after another;
all of them take tens of minutes on one core. A setting whose search starts above V = 1 says nothing of smaller sizes;
the tables say so.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from constructions.temperature import Softmax
from constructions.validation import InvalidArgument
from verify.arithmetic.tensors import Bias
from verify.files.atomic import read_json, write_atomically
from verify.frontier.family import Family
from verify.frontier.record import Frontier
from verify.frontier.search import KERNELS, find_frontier

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
        kernels: which kernels.

    """

    family: Family
    dtype: str
    limit: int
    first: int = 1
    kernels: tuple[Bias, ...] = KERNELS

    @property
    def name(self) -> str:
        """The setting's own name."""
        parts = [f"{name} {value}" for name, value in self.family.setting().items()]
        return ", ".join([self.dtype, *parts, f"from {self.first}"])


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
    """Return the measured frontiers by the names of their settings.

    Raises:
        InvalidArgument: not such a file.

    """
    record = read_json(path, "frontier") if path.exists() else {}
    if not isinstance(record, dict):
        raise InvalidArgument(f"frontier: expected a JSON object in {path}")
    return {name: Frontier.from_json(part) for name, part in record.items()}


def measure(path: Path = DATA, *, names: tuple[str, ...] = ()) -> None:
    """Measure the settings that are missing from a file, and write it after each.

    Args:
        path: the file.
        names: only settings whose name contains one of these; all of them if there is none.

    """
    for setting in settings():
        if setting.name in load(path) or (names and not any(name in setting.name for name in names)):
            continue
        family = setting.family
        found = find_frontier(
            family,
            dtype=setting.dtype,
            limit=setting.limit,
            first=setting.first,
            kernels=setting.kernels,
            setting=family.setting(),
            command=family.command,
            checkpoint=path.with_suffix(".checkpoint"),
        )
        record: dict[str, Any] = {name: part.to_json() for name, part in load(path).items()}
        record[setting.name] = found.to_json() | {"seconds": 0.0}  # of this machine, not of the frontier
        write_atomically(path, json.dumps(record, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    measure(names=tuple(sys.argv[1:]))
