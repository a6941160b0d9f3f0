"""Proofs of obligations kept from one run to the next: in a folder of files, where it is asked for and never otherwise.

Whoever can write a file there can make a proof: sympy leaves nothing that could be checked faster than it is found, and
a key that signed the files would lie beside them. So a verdict takes a proof from there only when the user says so
(``prefixproof verify --cache``), it tells how many it took, and the folder must be the user's alone.

A file is named after the digest of all that a proof rests on: the obligation's id and words, the source of every module
of ``constructions`` and ``proofs``, the versions of Python and of the libraries that these import, and their switches.
Any edit of any of them is another name, under which there is no file yet. A source that changed after this process
started may not be the one that it runs, and then nothing is read or kept. Only discharged obligations are kept, and a
file that is not exactly as it was written counts for nothing.

Python and the libraries are known by their versions alone: who edits an installed library must not use a cache.
"""

from __future__ import annotations

import hashlib
import os
import platform
import stat
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, final

from constructions.validation import InvalidArgument
from proofs import Decision, Obligation, Proof
from verify.files.atomic import write_atomically
from verify.files.strict import canonical, read_canonical

#: The layout of a file; another one is another name.
_FORMAT = 1
#: What the packages below import.
_LIBRARIES = ("sympy", "mpmath", "numpy", "python-flint")
_ROOT = Path(__file__).parents[2]
#: The packages that make the statements and the weights, and decide.
_PACKAGES = ("constructions", "proofs")


def cache_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Return where proofs are kept: in ``prefixproof/obligations`` of the user's folder for caches."""
    given = environment.get("XDG_CACHE_HOME", "")
    # the specification says to ignore one that is not absolute
    root = Path(given) if Path(given).is_absolute() else Path.home() / ".cache"
    return root / "prefixproof" / "obligations"


def sources(root: Path = _ROOT) -> list[Path]:
    """Return the modules that a proof rests on."""
    return sorted(path for package in _PACKAGES for path in (root / package).rglob("*.py"))


def resting_on(root: Path = _ROOT) -> dict[str, str]:
    """Return what a proof rests on beside its obligation: versions, switches, and the digest of the sources."""
    digest = hashlib.sha256()
    for path in sources(root):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(root).as_posix()} {len(content)} ".encode())
        digest.update(content)
    return {
        "sources": digest.hexdigest(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "optimised": str(sys.flags.optimize),  # assertions are left out then
        **{name: version(name) for name in _LIBRARIES},
        **{name: value for name, value in os.environ.items() if name.startswith("SYMPY_")},
    }


@final
class ProofCache:
    """The proofs of earlier runs, by what they rest on."""

    def __init__(self, folder: Path, started: float, root: Path = _ROOT) -> None:
        """Look at the folder and the sources.

        Args:
            folder: where the files are; it is made where it is not there.
            started: when this process started, in seconds of the clock of files, before it imported any source.
            root: where the sources are.

        Raises:
            InvalidArgument: others can write there.
            OSError: it cannot be made.

        """
        self.folder, self._started, self._root = folder, started, root
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not _is_ours_alone(folder):
            raise InvalidArgument(
                f"cache: expected a folder that is yours and that nobody else can write to but got {folder}"
            )
        self._rests_on = resting_on(root)

    def get(self, obligation: Obligation) -> Proof | None:
        """Return the proof of an obligation, ``None`` where there is none to rely on."""
        if not self._current():
            return None
        path = self._path(obligation)
        try:
            if not _is_ours_alone(path):
                return None
            held = read_canonical(path.read_text(encoding="ascii"), "cache")
            decisions = tuple(Decision(item["what"], item["shown"]) for item in held["decisions"])
            proof = Proof(obligation.id, decisions, float.fromhex(held["seconds"]))
        except (OSError, ValueError, KeyError, TypeError, InvalidArgument):  # cut short, edited, or not there
            return None
        return proof if proof.holds and held == self._document(obligation, proof) else None

    def keep(self, obligation: Obligation, proof: Proof) -> None:
        """Write a proof down, whole or not at all.

        Raises:
            OSError: it cannot be written.

        """
        if self._current() and proof.holds:
            write_atomically(self._path(obligation), canonical(self._document(obligation, proof)))
            self._path(obligation).chmod(0o600)

    def _current(self) -> bool:
        """Say whether no source changed since this process started, by the time that nobody can set back."""
        return all(max(path.stat().st_ctime, path.stat().st_mtime) < self._started for path in sources(self._root))

    def _path(self, obligation: Obligation) -> Path:
        return self.folder / f"{_sha256(self._key(obligation))}.json"

    def _key(self, obligation: Obligation) -> dict[str, Any]:
        words = {"id": obligation.id, "statement": obligation.statement, "latex": obligation.latex}
        return {"format": _FORMAT, "obligation": words, "rests on": self._rests_on}

    def _document(self, obligation: Obligation, proof: Proof) -> dict[str, Any]:
        """Return all that the file of a proof says, with a digest by which a damaged one is known."""
        found = {
            **self._key(obligation),
            "decisions": [{"what": each.what, "shown": each.shown} for each in proof.decisions],
            "seconds": proof.seconds.hex(),
        }
        return {**found, "sha256": _sha256(found)}


def _is_ours_alone(path: Path) -> bool:
    """Say whether a file or folder is the user's, is no link, and cannot be written by anybody else."""
    found = path.lstat()
    others = stat.S_IWGRP | stat.S_IWOTH
    return not stat.S_ISLNK(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & others


def _sha256(document: Mapping[str, Any]) -> str:
    return hashlib.sha256(canonical(document).encode()).hexdigest()
