"""What tells the code of a library from that of another version, for digests that do not look at it.

Python's and that of the libraries whose versions a verdict names are told by these, any other one by the files of its
distribution. Where files are decides what a library is. The name of a module does not: a user's file may be called
``code.py``.
"""

from __future__ import annotations

import hashlib
import inspect
import sys
import sysconfig
import types
from collections.abc import Iterator
from functools import lru_cache
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any

from verify.evidence.verdict import library_versions

#: The folders of this package: what claims say decides what is run, and so does all else.
OURS = tuple(Path(__file__).parents[2] / name for name in ("constructions", "proofs", "verify"))
#: The flag of types that are written in C, to which nothing can be added: ``Py_TPFLAGS_IMMUTABLETYPE``.
IMMUTABLE = 1 << 8
#: The folders of Python's own modules, in a virtual environment those that it was made from.
_PYTHONS = tuple({Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib")})
#: The folders in which libraries are installed.
_INSTALLED = frozenset(("site-packages", "dist-packages"))


def library_of(code: type | types.FunctionType) -> str | None:
    """Return what a function or class belongs to, as :func:`library` does of its module; ``None`` of the user's.

    Anybody can write the name of a module into a class or function, and ``types.new_class`` writes a wrong one. Where
    that module does not hold it, the files of the code itself decide. Methods that a decorator makes have none, so that
    a class which its module does not hold, as one inside a function, is a library's only where C code made it. What is
    put into a class of a library's from outside is not looked at.
    """
    known = library(code.__module__)
    if known is None or module_holds(code):
        return known
    if isinstance(code, type):
        return known if code.__flags__ & IMMUTABLE else None
    file = code.__code__.co_filename
    return None if file.startswith("<") or library_at(file) is None else known


def module_holds(code: type | types.FunctionType) -> bool:
    """Say whether the module that a class or function names has it under its name."""
    found: Any = sys.modules.get(code.__module__)
    for name in code.__qualname__.split("."):
        found = inspect.getattr_static(found, name, None)
        found = found.__func__ if isinstance(found, (staticmethod, classmethod)) else found
    return found is code


def library(module: str | None) -> str | None:
    """Return what tells the library of a module from other versions of it; ``None`` of a module of the user's.

    Returns:
        The digest of its distribution; empty where a digest of a run holds the version, or the sources, by itself.

    """
    found = None if module is None else sys.modules.get(module)
    file = getattr(found, "__file__", None) or getattr(getattr(found, "__spec__", None), "origin", None)
    return None if file is None else library_at(file)  # without one: typed at a prompt, or code that was made


@lru_cache(maxsize=4096)
def library_at(file: str) -> str | None:
    """Return the same of the file that a module comes from, or of the word that Python has for none."""
    if file in {"built-in", "frozen"}:
        return ""
    path = Path(file)
    if any(path.is_relative_to(folder) for folder in OURS):
        return ""
    place = next((place for place, part in enumerate(path.parts) if part in _INSTALLED), None)
    if place is not None:
        return _installed(Path(*path.parts[: place + 1]), path.parts[place + 1])
    return "" if any(path.resolve().is_relative_to(folder) for folder in _PYTHONS) else None


@lru_cache(maxsize=256)
def _installed(folder: Path, top: str) -> str | None:
    """Return a digest of the files of the distributions that a package or module of a folder came with.

    The record that a distribution has of its files does not change when somebody edits them.

    Args:
        folder: where it is installed.
        top: its name there.

    Returns:
        The digest; empty where a verdict names the version; ``None`` where no distribution has it.

    """
    where = [str(folder)]
    if any(top in _tops(held, folder) for name in library_versions() for held in distributions(name=name, path=where)):
        return ""
    tops = [each for held in distributions(path=where) if top in (each := _tops(held, folder))]
    digest = hashlib.sha256()
    for path in sorted(path for name in set().union(*tops) for path in _files(folder / name)):
        digest.update(f"{path.relative_to(folder).as_posix()} {path.stat().st_size} ".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest() if tops else None


def _tops(held: Distribution, folder: Path) -> set[str]:
    """Return the names in a folder of what a distribution brought; a system's own has no record of its files."""
    if record := (held.read_text("RECORD") or "").splitlines():
        found = {line.partition(",")[0].partition("/")[0] for line in record}
        return {name for name in found - {"..", "__pycache__"} if not name.endswith(".dist-info")}
    named = (held.read_text("top_level.txt") or "").split()
    return {path.name for name in named for path in (*folder.glob(name), *folder.glob(f"{name}.*"))}


def _files(path: Path) -> Iterator[Path]:
    """Yield the files of a package or module, but for what Python compiled of its sources."""
    for each in (path, *path.rglob("*")):
        if "__pycache__" not in each.parts and each.is_file():
            yield each
