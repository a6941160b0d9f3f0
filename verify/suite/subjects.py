"""What a command is about: a claim of the package's, or a construction of the user's as ``module:Class``."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import inspect
import re
import sys
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from types import ModuleType
from typing import Any

from constructions.construction import Construction
from constructions.validation import InvalidArgument, check_choice, check_integer, reject
from proofs import CLAIMS

#: Fields that every construction has and that are options, not sizes.
_OPTIONS = {"temperature", "mask"}

#: Digits of a size that are read; no size that a construction accepts has more.
_DIGITS = 9

#: Files and modules of the user's that were imported, to tell their mistakes from the package's.
_imported: set[str] = set()


@dataclass(frozen=True)
class Subject:
    """A family of constructions by its sizes.

    Attributes:
        id: as the command line names it.
        construction: the class.
        sizes: the fields that are sizes, in their order; the value is the default, or ``MISSING``.
        own: whether it is the user's own, of which the package knows nothing but its code.

    """

    id: str
    construction: type[Construction]
    sizes: Mapping[str, Any] = field(default_factory=dict)
    own: bool = False

    @property
    def names(self) -> str:
        """The sizes as a message lists them: short where they have a short name."""
        return ", ".join(short(name) for name in self.sizes) or "no sizes"

    @property
    def title(self) -> str:
        """The claim's title, or the first line of the class' own documentation."""
        if not self.own:
            return CLAIMS[self.id].title
        lines = (self.construction.__dict__.get("__doc__") or "").strip().splitlines()
        generated = f"{self.construction.__name__}("  # what a dataclass without documentation has
        return lines[0] if lines and not lines[0].startswith(generated) else self.construction.__name__

    def field_of(self, name: str) -> str:
        """Return the field that a size is given for: ``vocab`` is short for ``vocab_size``.

        Raises:
            InvalidArgument: the construction has no such size.

        """
        for known in (name, f"{name}_size"):
            if known in self.sizes:
                return known
        raise InvalidArgument(f"{name}: expected one of the sizes of {self.id} ({self.names})")

    def complete(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return sizes by field, in the order of the fields; those with a default may be left out.

        Args:
            given: by field or short name; ``None`` counts as not given.

        Raises:
            InvalidArgument: one that is missing, unknown, or given twice.

        """
        found: dict[str, Any] = {}
        for name, value in given.items():
            if value is not None:
                known = self.field_of(name)
                if known in found:
                    raise InvalidArgument(f"{short(known)}: expected it once but got it twice")
                found[known] = value
        for name, default in self.sizes.items():
            if name not in found and default is MISSING:
                raise InvalidArgument(f"{short(name)}: expected a value, as {self.id} needs {self.names}")
        return {name: found[name] for name in self.sizes if name in found}

    def build(self, given: Mapping[str, Any]) -> Construction:
        """Return the construction of the given sizes.

        Raises:
            InvalidArgument: see :meth:`complete`; or the construction refuses them.

        """
        return self.construction(**self.complete(given))


def short(name: str) -> str:
    """Return the short name of a size: ``vocab`` for ``vocab_size``."""
    return name.removesuffix("_size")


def get_subject(claim: str) -> Subject:
    """Return the claim, or the construction of the user's, that a command names.

    Args:
        claim: a claim's id, ``module:Class`` with the module in the current folder or installed, or
            ``path/to/file.py:Class``.

    Raises:
        InvalidArgument: there is none, or it cannot be imported; the message says where.

    """
    if ":" not in claim:
        made = CLAIMS[check_choice("claim", claim, tuple(CLAIMS))]
        return Subject(claim, made.construction, dict.fromkeys((f"{name}_size" for name in made.sizes), MISSING))
    where, _, name = claim.rpartition(":")
    module = _module(claim, where)
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
    return Subject(claim, found, _sizes(found), own=True)


def _sizes(found: type[Construction]) -> dict[str, Any]:
    """Return the fields that are sizes: whole numbers, by their default, or by their annotation where they have none.

    A field of another kind is an option; without a default there is no construction to build from words, which the
    construction itself says then.
    """
    sizes = {}
    for item in fields(found):
        annotation = item.type if isinstance(item.type, str) else getattr(item.type, "__name__", "")
        whole = annotation == "int" if item.default is MISSING else type(item.default) is int
        if item.init and whole and item.name not in _OPTIONS:
            sizes[item.name] = item.default
    return sizes


def _module(claim: str, where: str) -> ModuleType:
    path = Path(where)
    if path.suffix == ".py":
        if not path.is_file():
            raise InvalidArgument(f"claim: expected path/to/file.py:Class but there is no file {where}")
        with _importing(claim, str(path.resolve()), path.resolve().parent):
            return _from_file(path.resolve())
    if not re.fullmatch(r"\w+(\.\w+)*", where):
        reject("claim", "module:Class or path/to/file.py:Class", claim)
    with _importing(claim, where, Path.cwd()):
        return importlib.import_module(where)


def _from_file(path: Path) -> ModuleType:
    for module in tuple(sys.modules.values()):  # the same file again is the same class
        if getattr(module, "__file__", None) == str(path):
            return module
    # dataclasses look their module up by its name, which must be no other module's
    name = path.stem if path.stem.isidentifier() and path.stem not in sys.modules else f"_file_{len(sys.modules)}"
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


@contextlib.contextmanager
def _importing(claim: str, where: str, folder: Path) -> Iterator[None]:
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
                f"claim: expected module:Class that can be imported but {claim}: there is no module {error.name!r} in"
                f" {folder} or among the installed ones"
            ) from None
        raise InvalidArgument(f"claim: expected a module that can be imported but {_place(error, where)}") from error
    except SyntaxError as error:
        raise InvalidArgument(
            f"claim: expected a module that can be imported but {error.filename}, line {error.lineno}: {error.msg}"
        ) from error
    except (Exception, SystemExit) as error:  # the user's module may raise anything
        raise InvalidArgument(f"claim: expected a module that can be imported but {_place(error, where)}") from error


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


def parse_sizes(texts: list[str]) -> dict[str, tuple[int | None, int]]:
    """Return the first and the last value of ``NAME=A..B`` and ``NAME=B``, which has no first; or several, with commas.

    Raises:
        InvalidArgument: written in another way, or one name twice.

    """
    ranges: dict[str, tuple[int | None, int]] = {}
    for text in (part for whole in texts for part in whole.split(",")):
        number = rf"(-?[0-9]{{1,{_DIGITS}}})"
        match = re.fullmatch(rf"\s*(\w+)=(?:{number}\.\.)?{number}\s*", text)
        if match is None:
            reject("size", "NAME=B or NAME=A..B, such as vocab=6 or vocab=1..6", text)
        name, first = match[1], None if match[2] is None else int(match[2])
        if name in ranges:
            raise InvalidArgument(f"{name}: expected it once but got it twice")
        ranges[name] = first, int(match[3]) if first is None else check_integer(name, int(match[3]), first)
    return ranges
