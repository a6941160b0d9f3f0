"""The evidence of devices: what ran there, and whether it is of the sources at hand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any

from constructions.validation import InvalidArgument
from verify.report.page.documents import Library
from verify.report.page.found import Derived, Found
from verify.report.page.sections.base import Count, Level, Link, Section
from verify.report.page.states import BROKEN, CURRENT, HOLDS, STALE, State, Told, told

_FOLDER = "proofs/evidence"
_SUMMARY = "summary.json"
_VERDICTS = "verify.json"


@dataclass(frozen=True)
class OnDevice:
    """A folder of evidence.

    Attributes:
        folder: its path.
        state: current, stale or broken.
        check: what the check of it said, as a document of its own.
        summary: its summary; ``None`` where it is broken.
        verdicts: those that ran there.
        tasks: the lists of tasks that have them.

    """

    folder: str
    state: State
    check: Found
    summary: Found | None
    verdicts: Sequence[Told] = ()
    tasks: Sequence[Found] = ()

    def of_claim(self, claim: str) -> list[Told]:
        """Return the verdicts of a claim that hold."""
        return [item for item in self.verdicts if item.verdict.claim == claim and item.state is HOLDS]

    def counts(self, claim: str) -> list[Derived]:
        """Return how many verdicts of a claim the device held, step by step; none where there is none."""
        where = {"/state": "held", "/data/verdict/claim": claim, "/data/verdict/holds": True}
        counts = [Derived(tasks, "count", where=where) for tasks in self.tasks]
        return [count for count in counts if count.value]


def folders(library: Library) -> list[OnDevice]:
    """Return the evidence of every device, checked."""
    found = library.folder(_FOLDER, f"*/{_SUMMARY}")
    return [_checked(library, str(PurePosixPath(path).parent)) for path in found]


def on_devices(library: Library, claim: str) -> list[OnDevice]:
    """Return the evidence of devices in which verdicts of a claim hold."""
    return [each for each in folders(library) if each.of_claim(claim)]


def check_json(library: Library, folder: str) -> dict[str, Any]:
    """Return what ``prefixproof gpu-evidence --check`` says of a folder, as JSON values."""
    from verify.device.checking import BrokenError, check_evidence  # noqa: PLC0415 # torch takes seconds to import
    from verify.device.steps import STEPS  # noqa: PLC0415 # the same

    try:
        found = check_evidence(library.root / folder, STEPS, library.root)
    except BrokenError as error:
        return {"state": "broken", "sentence": f"broken: {error}", "changed": []}
    return {
        "state": "stale" if found.changed else "current",
        "sentence": found.sentence(),
        "changed": list(found.changed),
    }


def _checked(library: Library, folder: str) -> OnDevice:
    check = library.made(f"prefixproof gpu-evidence --check {folder}", lambda: check_json(library, folder))
    state = {"stale": STALE, "current": CURRENT}.get(check["state"].value, BROKEN)
    if state is BROKEN:
        return OnDevice(folder, BROKEN, check, None)
    found = OnDevice(folder, state, check, library.json(f"{folder}/{_SUMMARY}"))
    if not library.folder(folder, _VERDICTS):
        return found
    document = library.json(f"{folder}/{_VERDICTS}")
    if document is None:
        return found
    tasks = tuple(step["tasks"] for step in document)
    return replace(found, verdicts=tuple(_verdicts(tasks)), tasks=tasks)


def _verdicts(tasks: Sequence[Found]) -> Iterator[Told]:
    for each in tasks:
        for task in each:
            data = task.get("data")
            if data is not None and "verdict" in data and task["state"].value == "held":
                try:
                    yield told(data["verdict"])
                except InvalidArgument:
                    continue  # it is of an earlier layout, and then nothing is shown


class Devices(Section):
    """Evidence of other sources than these is called stale, whatever it says."""

    name = "devices"
    title = "On devices"

    def values(self) -> Mapping[str, Any]:
        """Return the folders."""
        return {"folders": folders(self.material.library)}

    def links(self) -> Iterator[Link]:
        """Yield a link for each folder of evidence."""
        for each in folders(self.material.library):
            if each.summary is None:
                counts = [Count(each.check["sentence"], "", "text")]
            else:
                steps = each.summary["steps"]
                counts = [
                    Count(Derived(steps, "count", where={"/status": "done"}), " steps done of "),
                    Count(Derived(steps, "count"), ""),
                ]
            yield Link(
                Level.DEVICES,
                f"Runs in {each.folder}",
                counts,
                "A device ran the claims, the sums and the exponentials.",
                each.state,
                "",
                "CI has no such device: it checks the committed files against each other and says when they are stale.",
            )
