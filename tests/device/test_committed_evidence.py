"""Committed evidence is whole, and its judgements follow from its data."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import proofs
from verify.device.checking import check_evidence
from verify.device.process import state_of
from verify.device.steps import STEPS

_FOLDER = Path(proofs.__file__).parent / "evidence"
_COMMITTED = sorted(path.parent for path in _FOLDER.glob("*/summary.json"))


@pytest.mark.parametrize("path", _COMMITTED or [None], ids=lambda path: "none" if path is None else path.name)
def test_committed_evidence_is_whole_and_current(path: Path | None) -> None:
    if path is None:
        pytest.skip("no evidence of a device is committed")
    found = check_evidence(path, STEPS)
    assert found.summary["preset"] == "full"
    if found.changed:
        pytest.skip(found.sentence())


@pytest.mark.parametrize("path", _COMMITTED, ids=lambda path: path.name)
def test_judgements_still_follow_from_the_data_when_the_evidence_is_stale(path: Path) -> None:
    """The sentences may be worded in another way by now; the states stay."""
    judged = 0
    for row in json.loads((path / "summary.json").read_text(encoding="utf-8"))["steps"]:
        record = json.loads((path / row["file"]).read_text(encoding="utf-8"))[row["step"]]
        for task in record["tasks"]:
            if task["state"] in {"held", "noted", "refuted"}:
                judged += 1
                assert state_of(STEPS[row["step"]].judge(task["data"])) == task["state"], task["name"]
    assert judged > 0


def test_the_readme_counts_the_sums_that_the_evidence_holds() -> None:
    tasks = [
        task
        for step in json.loads((_FOLDER / "nvidia-h200" / "matrix-unit.json").read_text(encoding="utf-8")).values()
        for task in step["tasks"]
    ]
    assert not [task["name"] for task in tasks if task["state"] not in {"held", "noted"}]
    held, unknown = (
        sum(int(count[1].replace(",", "")) for task in tasks if (count := re.match(words, task["said"])))
        for words in (r"0 of ([\d,]+) sums differ", r"no order tried explains ([\d,]+) sums")
    )
    readme = (Path(proofs.__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    shown = f"{held:,} sums, each bit as in our exact unit. The order of another {unknown:,} sums is unknown."
    assert shown in " ".join(readme.split())
