"""The experiments on trained models, beside the paper's numbers."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any

from constructions.validation import InvalidArgument
from verify.report.page.documents import Library
from verify.report.page.found import Derived, Found
from verify.report.page.sections.base import Count, Level, Link, Section
from verify.report.page.states import CURRENT, HOLDS, NOT_SHOWN, STALE, State

_FOLDER = "proofs/evidence/experiments"
#: The first bytes of a picture in PNG, the one format that experiments draw.
_PNG = b"\x89PNG\r\n\x1a\n"
#: The document that the registry of experiments makes of itself.
_KNOWN = "verify.experiments.EXPERIMENTS"


@dataclass(frozen=True)
class Picture:
    """A picture of a result.

    Attributes:
        file: its path.
        name: in words.
        data: its bytes, in base64.

    """

    file: str
    name: str
    data: str


@dataclass(frozen=True)
class Ran:
    """A result.

    Attributes:
        found: its document.
        state: whether everything came out that must.
        age: whether its training code is the code at hand.
        rows: phase by phase and task by task, the shares and the paper's share.
        pictures: all of them.

    """

    found: Found
    state: State
    age: State
    rows: Sequence[Mapping[str, Any]]
    pictures: Sequence[Picture]

    @property
    def shown(self) -> State:
        """What the page calls it: of other training code, it is stale whatever came out."""
        return self.state if self.age is CURRENT else self.age


def known_json() -> dict[str, Any]:
    """Return what the experiments say of themselves, as JSON values."""
    from verify.experiments import EXPERIMENTS  # noqa: PLC0415 # torch takes seconds to import

    return {
        name: {
            "name": name,
            "summary": item.summary,
            "source": item.source,
            "presets": [*item.presets],
            "absent": dict(item.absent),
        }
        for name, item in EXPERIMENTS.items()
    }


class Experiments(Section):
    """A result whose checks do not follow from its shares is refused."""

    name = "experiments"
    title = "Experiments beside the paper"

    @cached_property
    def _ran(self) -> list[Ran]:
        library = self.material.library
        names = library.folder(_FOLDER, "*/result.json")
        ran = [_read(library, found) for name in names if (found := library.json(name)) is not None]
        order = list(library.made(_KNOWN, known_json).value)
        return sorted(ran, key=lambda item: order.index(item.found["experiment"].value))

    @cached_property
    def _not_run(self) -> list[Mapping[str, Any]]:
        """The presets of which there is no result, with the reason where the experiment has one."""
        from verify.experiments.base import TINY  # noqa: PLC0415 # as above

        known = self.material.library.made(_KNOWN, known_json)
        ran = {(item.found["experiment"].value, item.found["preset"].value) for item in self._ran}
        rows: list[Mapping[str, Any]] = []
        for name, item in known.named():
            words = {**dict.fromkeys(item["presets"].value), **item["absent"].value}
            for preset in words:
                if preset != TINY and (name, preset) not in ran:
                    why = item["absent"].get(preset)
                    rows.append({"experiment": item["name"], "preset": preset, "why": why})
        return rows

    def values(self) -> Mapping[str, Any]:
        """Return the results, and what was not run."""
        return {"ran": self._ran, "not_run": self._not_run}

    def links(self) -> Iterator[Link]:
        """Yield a link for the results."""
        for item in self._ran:
            checks = item.found["checks"]
            yield Link(
                Level.TRAINING,
                f"Trained models: {item.found['experiment'].value}",
                [
                    Count(Derived(checks, "count", where={"/holds": True}), " expectations met of "),
                    Count(Derived(checks, "count"), ""),
                ],
                "Learnt weights: the only proofs about them are those of the identities, layer by layer.",
                item.shown,
                "",
                "The result is committed. CI trains the tiny preset alone, and checks what follows from the result.",
            )
        for row in self._not_run:
            yield Link(
                Level.TRAINING,
                f"Trained models: {row['experiment'].value}, preset {row['preset']}",
                [] if row["why"] is None else [Count(row["why"], "", "text")],
                "There is no result.",
                NOT_SHOWN,
                "",
                "It was not run, or its result is not committed.",
            )


def _read(library: Library, found: Found) -> Ran:
    """Return a result, held against its own numbers and against the experiment."""
    from verify.experiments import EXPERIMENTS  # noqa: PLC0415 # torch takes seconds to import
    from verify.experiments.running import FORMAT, holds, training_sha256  # noqa: PLC0415 # the same

    result = found.value
    if (
        not isinstance(result, dict)
        or result.get("format") != FORMAT
        or str(result.get("experiment")) not in EXPERIMENTS
    ):
        raise InvalidArgument(f"{found.file}: expected a result of an experiment but got another document")
    try:
        why = _objection(result)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, ArithmeticError) as error:
        why = repr(error)
    if why is not None:
        raise InvalidArgument(f"{found.file}: expected a result as an experiment writes it but {why}")
    age = CURRENT if result.get("sources") == training_sha256() else STALE
    return Ran(found, HOLDS if holds(result) else NOT_SHOWN, age, _rows(found), _pictures(library, found))


def _objection(result: Mapping[str, Any]) -> str | None:
    """Return why a result does not follow from its own numbers, ``None`` where it does."""
    from verify.experiments import EXPERIMENTS  # noqa: PLC0415 # torch takes seconds to import
    from verify.experiments.base import Results  # noqa: PLC0415 # the same

    experiment = EXPERIMENTS[result["experiment"]]
    shares = [number for tasks in result["shares"].values() for each in tasks.values() for number in each]
    if not all(isinstance(number, (int, float)) and 0 <= number <= 100 for number in shares):
        return "a share is not between 0 and 100"
    checks = experiment.judge(Results(result["shares"], result["after"], result["questions"]))
    if [check.to_json() for check in checks] != result["checks"]:
        return "its checks do not follow from its numbers"
    if any(len(each) != len(result["seeds"]) for tasks in result["shares"].values() for each in tasks.values()):
        return "its shares are not one for each seed"
    return None if result["paper"] == experiment.paper else "it names other numbers of the paper"


def _rows(found: Found) -> list[Mapping[str, Any]]:
    rows: list[Mapping[str, Any]] = []
    for phase, tasks in found["shares"].named():
        paper = found["paper"].get(phase)
        for task, shares in tasks.named():
            if any(not math.isfinite(each) for each in shares.value) or not shares.value:
                raise InvalidArgument(f"{found.file}: expected shares at {shares.at}")
            rows.append(
                {
                    "phase": phase,
                    "task": task,
                    "mean": Derived(shares, "mean"),
                    "least": Derived(shares, "smallest"),
                    "most": Derived(shares, "largest"),
                    "several": len(shares.value) > 1,
                    "paper": None if paper is None else paper.get(task),
                }
            )
    return rows


def _pictures(library: Library, found: Found) -> list[Picture]:
    folder, pictures = PurePosixPath(found.file).parent, []
    for name in found["pictures"].value:
        if not isinstance(name, str) or PurePosixPath(name).name != name:
            raise InvalidArgument(f"{found.file}: expected the name of a picture beside it but got {name!r}")
        content = library.picture(str(folder / name))
        if content is None:
            continue
        if not content.startswith(_PNG):
            raise InvalidArgument(f"{folder / name}: expected a picture in PNG but got another file")
        pictures.append(Picture(str(folder / name), PurePosixPath(name).stem, base64.b64encode(content).decode()))
    return pictures
