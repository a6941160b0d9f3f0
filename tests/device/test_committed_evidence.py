"""Evidence that is committed is whole, and says nothing else than its files do."""

from __future__ import annotations

from pathlib import Path

import pytest

import proofs
from verify.device.checking import check_evidence
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
