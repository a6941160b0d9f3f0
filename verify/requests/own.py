"""The claims that a command can name: the registered ones, and a construction of the user's as ``module:Class``."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import importlib.util
import inspect
import re
import sys
import traceback
from collections.abc import Iterator
from importlib.machinery import PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from constructions.construction import Construction
from constructions.validation import InvalidArgument, check_choice, reject
from proofs import CLAIMS, Claim

#: Files and modules of the user's that a command imported, to tell their mistakes from the package's.
_imported: set[str] = set()


def begin_command() -> None:
    """Forget the modules that earlier commands of this process imported: their mistakes are not this command's."""
    _imported.clear()


def is_own(claim: str) -> bool:
    """Say whether a command names a construction of the user's own."""
    return ":" in claim


def claim_of(claim: str, *, built: bool = False) -> Claim:
    """Return the claim that a command names: a registered one, or what a construction of the user's promises.

    Args:
        claim: a claim's id, ``module:Class`` with the module in the current folder or installed, or
            ``path/to/file.py:Class``.
        built: accept claims about a construction alone.

    Raises:
        InvalidArgument: there is none, or it cannot be imported; the message says where.

    """
    if not is_own(claim):
        known = tuple(name for name, made in CLAIMS.items() if made.construction is not None or not built)
        return CLAIMS[check_choice("claim", claim, known)]
    where, _, name = claim.rpartition(":")
    module = module_of(claim)
    found: Any = getattr(module, name, None)
    if not (isinstance(found, type) and issubclass(found, Construction)):
        there = [
            other
            for other, value in vars(module).items()
            if isinstance(value, type) and issubclass(value, Construction) and value.__module__ == module.__name__
        ]
        raise InvalidArgument(
            f"claim: expected a Construction of {where}, which has {', '.join(there) or 'none'}, but got {name!r}"
            f" ({'not there' if found is None else f'type {type(found).__name__}'})"
        )
    if inspect.isabstract(found):
        missing = ", ".join(sorted(found.__abstractmethods__))
        raise InvalidArgument(f"claim: expected a Construction that defines all of it but {name} lacks {missing}")
    title = _title(found)
    return Claim(id=claim, title=title, statement=title, construction=found)


def _title(found: type[Construction]) -> str:
    """Return the first line of a class' own documentation; its name where there is none."""
    lines = (found.__dict__.get("__doc__") or "").strip().splitlines()
    generated = f"{found.__name__}("  # what a dataclass without documentation has
    return lines[0] if lines and not lines[0].startswith(generated) else found.__name__


def names_of(construction: Construction) -> tuple[str, ...]:
    """Return what a claim about a construction is called: the name of its class, and the claims registered for it."""
    kind = type(construction)
    return kind.__name__, *(name for name, claim in CLAIMS.items() if claim.construction is kind)


def module_of(given: str, *, argument: str = "claim", named: str = "Class") -> ModuleType:
    """Return the module of the user's that a command names, imported.

    Args:
        given: ``module:NAME`` with the module in the current folder or installed, or ``path/to/file.py:NAME``.
        argument: the argument of the command, which opens messages.
        named: what NAME is, as messages say it.

    Raises:
        InvalidArgument: it is not there, or cannot be imported; the message says where.

    """
    where, _, _ = given.rpartition(":")
    asked = _Asked(argument, named, given)
    path = Path(where)
    if path.suffix == ".py":
        if not path.is_file():
            raise InvalidArgument(f"{argument}: expected path/to/file.py:{named} but there is no file {where}")
        with _importing(asked, str(path.resolve()), path.resolve().parent):
            return _from_file(path.resolve())
    if not re.fullmatch(r"\w+(\.\w+)*", where):
        reject(argument, f"module:{named} or path/to/file.py:{named}", given)
    with _importing(asked, where, Path.cwd()):
        return importlib.import_module(where)


class _Asked(NamedTuple):
    """What a command asks for: by which argument, what it names there, and how it was given."""

    argument: str
    named: str
    given: str


def _from_file(path: Path) -> ModuleType:
    for module in tuple(sys.modules.values()):  # the same file again is the same class
        if getattr(module, "__file__", None) == str(path):
            return module
    name = _name_of(path)
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None, "a file that ends in .py has a loader"
    assert spec.loader is not None, "the same"
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _name_of(path: Path) -> str:
    """Return the name of a file's module: dataclasses look their module up by it, so that no other one may have it.

    It is the same in a worker, whatever that has imported so far: digests of code hold it.
    """
    name, others = path.stem, [folder for folder in sys.path if Path(folder).resolve() != path.parent]
    taken = name in sys.builtin_module_names or PathFinder.find_spec(name, others) is not None
    if name.isidentifier() and not taken and name not in sys.modules:
        return name
    return f"_file_{hashlib.sha256(str(path).encode()).hexdigest()[:16]}"


@contextlib.contextmanager
def _importing(asked: _Asked, where: str, folder: Path) -> Iterator[None]:
    """Put a folder first on the path, as Python does for a script, and tell what goes wrong as the user's own."""
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
        importlib.invalidate_caches()
    _imported.add(where)
    try:
        with contextlib.redirect_stdout(sys.stderr):  # a document on standard output is ours
            yield
    except ModuleNotFoundError as error:
        if error.name is not None and (where == error.name or where.startswith(f"{error.name}.")):
            raise InvalidArgument(
                f"{asked.argument}: expected module:{asked.named} that can be imported but {asked.given}: there is no"
                f" module {error.name!r} in {folder} or among the installed ones"
            ) from None
        raise InvalidArgument(
            f"{asked.argument}: expected a module that can be imported but {_place(error, where)}"
        ) from error
    except SyntaxError as error:
        raise InvalidArgument(
            f"{asked.argument}: expected a module that can be imported but {error.filename}, line {error.lineno}:"
            f" {error.msg}"
        ) from error
    except (Exception, SystemExit) as error:  # the user's module may raise anything
        raise InvalidArgument(
            f"{asked.argument}: expected a module that can be imported but {_place(error, where)}"
        ) from error


def author_mistake(error: BaseException) -> str | None:
    """Return where the user's own code was when something was raised, and what; ``None`` if it was not there."""
    if not _imported or isinstance(error, MemoryError):
        return None
    place = _last_frame(error)
    return None if place is None else f"{place}: {_said(error)}"


def _place(error: BaseException, where: str) -> str:
    return f"{_last_frame(error) or where}: {_said(error)}"


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _last_frame(error: BaseException) -> str | None:
    """Return the innermost line of the user's own modules."""
    files = {where for where in _imported if where.endswith(".py")}
    files |= {str(getattr(sys.modules.get(where), "__file__", None)) for where in _imported}
    roots = {str(Path(file).parent) for file in files if file != "None"}
    roots |= {str(Path.cwd())} if any(not where.endswith(".py") for where in _imported) else set()
    package = Path(__file__).parents[2]
    ours = tuple(f"{package / part}/" for part in ("constructions", "proofs", "verify"))
    found = None
    for frame in traceback.extract_tb(error.__traceback__):
        installed = "site-packages" in frame.filename or frame.filename.startswith(ours)
        if not installed and any(frame.filename.startswith(f"{root}/") for root in roots):
            found = f"{frame.filename}, line {frame.lineno}"
    return found
