"""What a measurement says once it is done: a record as JSON, committed as evidence, and what cites it."""

from __future__ import annotations

import ast
import hashlib
import math
import platform
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import proofs
from constructions.formats import get_format
from constructions.validation import InvalidArgument
from verify.exponentials.findings import COUNTS, Findings, Worst
from verify.files.atomic import read_json

#: Where records are committed.
EVIDENCE = Path(proofs.__file__).parent / "evidence"
#: The modules that findings depend on: another digest is another measurement.
_SOURCES = tuple(f"verify.exponentials.{name}" for name in ("blocks", "findings", "reference", "functions.base"))
#: How the names of the processor's vector instructions begin.
_VECTORS = ("sse", "ssse", "avx", "fma", "amx", "asimd", "sve", "neon")


@dataclass(frozen=True)
class Record:
    """A function of a library, measured on arguments of a format.

    Attributes:
        function: what was measured, a word of :data:`~verify.exponentials.functions.FUNCTIONS`.
        dtype: the format.
        place: what it was measured on and with: the device, versions, the processor, and the digest of the sources.
        patterns: how many bit patterns were measured, from 0 up.
        complete: whether these are all of the format.
        findings: what was found.

    """

    function: str
    dtype: str
    place: Mapping[str, Any]
    patterns: int
    complete: bool
    findings: Findings

    def within(self, ulps: float) -> bool:
        """Return whether what a certificate assumes of ``exp`` holds of all arguments.

        Args:
            ulps: the largest error that it assumes.

        """
        return self.complete and self._every_number and self.findings.within(ulps)

    @property
    def _every_number(self) -> bool:
        """Whether the counts are those of a format: of all its numbers, or of those not above 0, and of its NaNs."""
        fmt, counts = get_format(self.dtype), self.findings.counts
        nans = 2**fmt.precision - 2
        half = (fmt.max_exponent - fmt.min_exponent + 2) * 2 ** (fmt.precision - 1) + 1  # infinity is one
        return self.patterns == 2 * half + nans and counts["nan"] == nans and counts["arguments"] in {half, 2 * half}

    @property
    def where(self) -> str:
        """The library and what it ran on, in a few words."""
        return f"torch {self.place['torch']} on {self.place['name']}"

    def lines(self, ulps: float) -> list[str]:
        """Return the record in words, for a reader.

        Args:
            ulps: the largest error that is assumed.

        """
        found, worst = self.findings, self.findings.worst
        size = f"at least {worst.low:.6f} and at most {worst.high:.6f} units in the last place"
        place = "" if worst.at is None else f", at {worst.at!r} ({worst.at.hex()})"
        counts = {name: count for name, count in found.counts.items() if count and name not in {"arguments", "nan"}}
        done = "all" if self.complete else f"the first {self.patterns:,}"
        return [
            f"{self.function} of {self.dtype} by {self.where}: {done} bit patterns,"
            f" {found.counts['arguments']:,} numbers",
            f"worst error: {size}{place}",
            *(f"errors above {threshold}: {count:,}" for threshold, count in found.above.items() if count),
            *(f"{name}: {count:,}" for name, count in counts.items()),
            *(f"{name}, other values: {count:,}, measured too" for name, count in found.ways.items()),
            *(f"{name}, not made of it: {count:,}" for name, count in found.unlike.items()),
            f"monotone: {'yes' if found.monotone else 'no'}",
            f"within {ulps:g} units, and 1 at 0, and 0 where it must be: {'yes' if self.within(ulps) else 'not shown'}",
        ]

    def to_json(self) -> dict[str, Any]:
        """Return JSON values."""
        return {
            "function": self.function,
            "dtype": self.dtype,
            "place": dict(self.place),
            "patterns": self.patterns,
            "complete": self.complete,
            "monotone": self.findings.monotone,
            **self.findings.to_json(),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Record:
        """Return what was written down.

        Raises:
            KeyError: something is missing.
            TypeError: something is of another type.
            ValueError: a number that no measurement gives.

        """
        findings = Findings.from_json(values)
        if missing := {*COUNTS} - {*values["counts"]}:
            raise KeyError(*sorted(missing))
        for counter in (findings.above, findings.counts, findings.ways, findings.unlike):
            for name, count in counter.items():
                if type(count) is not int or count < 0:
                    raise ValueError(f"{name}: expected a count but got {count!r}")
        for worst in (findings.normal, findings.below):
            _check_worst(worst)
        place = values["place"]
        if not all(isinstance(place[name], str) for name in ("device", "torch", "name", "sources")):
            raise TypeError("place: expected the device, torch, its name and the digest of the sources")
        return cls(
            function=values["function"],
            dtype=get_format(values["dtype"]).name,
            place=place,
            patterns=values["patterns"],
            complete=values["complete"] is True,
            findings=findings,
        )


def _check_worst(worst: Worst) -> None:
    """Refuse NaN, and bounds that do not enclose an error: the larger of two numbers is taken, which loses NaN."""
    if not 0 <= worst.low <= worst.high:
        raise ValueError(f"worst: expected 0 <= low <= high but got {worst.low!r} and {worst.high!r}")


def sources_sha256(home: str) -> str:
    """Return the digest of the modules that findings depend on, without their docstrings and comments.

    Args:
        home: the module that the function is made in.

    """
    digest = hashlib.sha256()
    for name in (*_SOURCES, home):
        path = Path(__file__).parents[2].joinpath(*name.split(".")).with_suffix(".py")
        digest.update("\n".join(_code(path.read_text(encoding="utf-8"))).encode())
    return digest.hexdigest()


def _code(source: str) -> list[str]:
    said = {
        line
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    lines = enumerate(source.splitlines(), 1)
    return [line for at, line in lines if at not in said and line.strip() and not line.lstrip().startswith("#")]


def place_of(device: str, home: str) -> dict[str, Any]:
    """Return what a measurement on a device depends on.

    Args:
        device: as torch names it, such as ``cpu`` or ``cuda``.
        home: the module that the function is made in.

    """
    import torch  # noqa: PLC0415 # torch takes seconds to import

    kind = torch.device(device).type
    found: dict[str, Any] = {"device": kind, "torch": version("torch"), "sources": sources_sha256(home)}
    if kind == "cuda":
        return found | {
            "name": torch.cuda.get_device_name(device),
            "capability": list(torch.cuda.get_device_capability(device)),
            "cuda": torch.version.cuda,
        }
    processor = _processor()
    capability = torch.backends.cpu.get_cpu_capability()
    return found | {"name": f"a CPU with {capability}", "capability": capability, **processor}


def _processor() -> dict[str, Any]:
    """Return the model of the processor and its vector instructions, as far as the system says."""
    found: dict[str, Any] = {"machine": platform.machine()}
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return found
    for line in lines:
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            found.setdefault("processor", value.strip())
        elif name.strip() in {"flags", "Features"}:
            found.setdefault("flags", sorted(flag for flag in value.split() if flag.startswith(_VECTORS)))
    return found


@lru_cache(maxsize=4)
def records(folder: Path = EVIDENCE) -> tuple[Record, ...]:
    """Return the records in a folder, in the order of their names.

    Args:
        folder: where they are; files of other evidence are left alone.

    Raises:
        InvalidArgument: one cannot be read.

    """
    found = []
    for path in sorted(folder.glob("exp-*.json")):
        values = read_json(path, "evidence")
        try:
            found.append(Record.from_json(values))
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise InvalidArgument(f"evidence: expected a record of exp in {path} but got none: {error!r}") from error
    return tuple(found)


def cited(dtype: str, ulps: float, found: Iterable[Record] | None = None) -> str:
    """Return the measurements that bear an assumption out, in brackets; nothing where there is none.

    Args:
        dtype: the format.
        ulps: the largest error that is assumed; a record that does not hold for it is not cited.
        found: the records; those that are committed unless given.

    """
    held = [record for record in (records() if found is None else found) if record.dtype == dtype]
    places: dict[str, list[Record]] = {}
    for record in held:
        if record.function in _OF_SOFTMAX:
            places.setdefault(record.where, []).append(record)
    shown = [
        f"{math.ceil(100 * max(record.findings.worst.high for record in there)) / 100:.2f} by {where}"
        for where, there in places.items()
        if {record.function for record in there} == set(_OF_SOFTMAX) and all(record.within(ulps) for record in there)
    ]
    return f" (all {dtype} measured: at most {', '.join(shown)})" if shown else ""


#: The functions that softmax may be made of: ``torch.exp``, and the one inside torch's own softmax.
_OF_SOFTMAX = ("exp", "softmax")
