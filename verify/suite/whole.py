"""The document of the main job: its verdicts, the strongest of them, when they were made, and from which sources."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from verify.evidence.fingerprint import package_sha256
from verify.evidence.verdict import Verdict
from verify.suite.strongest import strongest_json


def verdicts_json(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """Return several verdicts as JSON values, with the strongest of them."""
    return {"verdicts": [verdict.to_json() for verdict in verdicts], "strongest": strongest_json(verdicts)}


def main_job_json(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """Return the document of the main job, made now: ``made`` is the time (UTC), ``sources`` the digest."""
    made = datetime.now(UTC).isoformat(timespec="seconds")
    return {"made": made, "sources": package_sha256(), **verdicts_json(verdicts)}
