"""The document of the main job: its verdicts, the strongest of them, when they were made, and from which sources."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from verify.evidence.fingerprint import package_sha256
from verify.evidence.verdict import Verdict
from verify.suite.strongest import strongest_json


@lru_cache(maxsize=1)
def sources_sha256() -> str:
    """Return a digest of the Python sources on which verdicts rest: of all three packages."""
    digest = hashlib.sha256(package_sha256().encode())
    folder = Path(__file__).parents[2] / "proofs"
    for path in sorted(folder.rglob("*.py")):
        digest.update(f"{path.relative_to(folder).as_posix()} {path.stat().st_size} ".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def verdicts_json(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """Return several verdicts as JSON values, with the strongest of them."""
    return {"verdicts": [verdict.to_json() for verdict in verdicts], "strongest": strongest_json(verdicts)}


def main_job_json(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """Return the document of the main job, made now: ``made`` is the time (UTC), ``sources`` the digest."""
    made = datetime.now(UTC).isoformat(timespec="seconds")
    return {"made": made, "sources": sources_sha256(), **verdicts_json(verdicts)}
