"""What tells the code of a library from that of another version, for digests that do not look at it.

Python's and that of the libraries whose versions a verdict names are told by these, any other one by its distribution's
own record of its files. Where files are decides what a library is. The name of a module does not: a user's file may be
called ``code.py``.
"""

from __future__ import annotations

import hashlib
import sys
import sysconfig
import types
from functools import lru_cache
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any

from verify.evidence.verdict import library_versions

#: The folders of this package: what claims say decides what is run, and so does all else.
OURS = tuple(Path(__file__).parents[2] / name for name in ("constructions", "proofs", "verify"))
#: The folders of Python's own modules, in a virtual environment those that it was made from.
_PYTHONS = tuple({Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib")})
#: The folders in which libraries are installed.
_INSTALLED = frozenset(("site-packages", "dist-packages"))


def library_of(code: type | types.FunctionType) -> str | None:
    """Return what a function or class belongs to, as :func:`library` does of its module.

    Anybody can write the name of a module into a class or function. Where that module does not hold it, the files of
    the code itself decide, if it comes from any: methods that a decorator makes have none.
    """
    known = library(code.__module__)
    if known is None:
        return None
    found: Any = sys.modules.get(code.__module__)
    for name in code.__qualname__.split("."):
        found = getattr(found, name, None)
    held = vars(code).values() if isinstance(code, type) else (code,)
    files = (each.__code__.co_filename for each in held if isinstance(each, types.FunctionType))
    away = found is not code and any(_library_at(file) is None for file in files if not file.startswith("<"))
    return None if away else known


def library(module: str | None) -> str | None:
    """Return what tells the library of a module from other versions of it; ``None`` of a module of the user's.

    Returns:
        The digest of its distribution; empty where a digest of a run holds the version, or the sources, by itself.

    """
    file = None if module is None else getattr(sys.modules.get(module), "__file__", None)
    if file is None:  # built in, typed at a prompt, or code that was made
        return "" if module is not None and module.partition(".")[0] in sys.stdlib_module_names else None
    return _library_at(file)


@lru_cache(maxsize=4096)
def _library_at(file: str) -> str | None:
    """Return the same of a file."""
    path = Path(file)
    if any(path.is_relative_to(folder) for folder in OURS):
        return ""
    place = next((place for place, part in enumerate(path.parts) if part in _INSTALLED), None)
    if place is not None:
        return _distribution(str(Path(*path.parts[: place + 1])), path.parts[place + 1])
    return "" if any(path.resolve().is_relative_to(folder) for folder in _PYTHONS) else None


@lru_cache(maxsize=256)
def _distribution(folder: str, top: str) -> str | None:
    """Return a digest of the distributions that a package or module of a folder came with.

    Args:
        folder: where it is installed.
        top: its name there.

    Returns:
        The digest of their names, versions and files; empty where a verdict names the version; ``None`` where no
        distribution has it.

    """
    if any(_files(held, top) for name in library_versions() for held in distributions(name=name, path=[folder])):
        return ""
    found = [(held.name, held.version, files) for held in distributions(path=[folder]) if (files := _files(held, top))]
    return hashlib.sha256(repr(sorted(found)).encode()).hexdigest() if found else None


def _files(held: Distribution, top: str) -> list[str]:
    """Return the names and digests of a distribution's files, empty where it has nothing of this name.

    What says how it was installed is left out. A system's own packages have no record of their files.
    """
    files = sorted(line for line in (held.read_text("RECORD") or "").splitlines() if ",sha256=" in line)
    if any(line.startswith((f"{top}/", f"{top},")) for line in files):
        return [line for line in files if ".dist-info/" not in line]
    named = (held.read_text("top_level.txt") or "").split()
    return [top] if top.partition(".")[0] in named else []
