"""Files that are being written, which are removed when the program is interrupted; this module imports nothing slow."""

from __future__ import annotations

from pathlib import Path

#: Half-written files, each until it takes its place or is given up.
TEMPORARIES: set[Path] = set()


def remove_temporaries() -> None:
    """Remove half-written files, as the program is about to end."""
    for temporary in tuple(TEMPORARIES):
        temporary.unlink(missing_ok=True)
