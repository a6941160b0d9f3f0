"""A digest of what a run depends on that no number of it shows: the code of a construction, and this package's own.

Python cannot tell in general what a function depends on. What is looked at: its compiled code with constants, defaults,
nested functions and closures; the values of the module globals that it names, and of the attributes that it names of
modules; of functions and classes among them their code in turn; the methods of every class of a construction and the
source of its module; and the fields of the construction, those that its ``repr`` hides too. What is not: files, clocks,
the state of random generators, and what is reached by names that are computed.

Code of a library is not looked at, but told from that of another version: see :mod:`verify.evidence.libraries`.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import pickle
import sys
import types
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from fractions import Fraction
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from constructions.specification import Specification
from verify.evidence.libraries import OURS, library, library_of
from verify.evidence.verdict import library_versions

#: Types of values that are written out as they are.
_PLAIN = (type(None), bool, int, float, complex, str, bytes, Fraction, range, slice, type(Ellipsis), Enum)

#: Attributes of a class that say where it is, or that Python keeps for itself.
_NOT_CODE = frozenset(
    (
        "__dict__",
        "__weakref__",
        "__doc__",
        "__module__",
        "__abstractmethods__",
        "_abc_impl",
        "__firstlineno__",
        "__static_attributes__",
        "__dataclass_params__",
    )
)


@lru_cache(maxsize=1)
def package_sha256() -> str:
    """Return a digest of the sources of this package, which a version does not name between releases."""
    digest = hashlib.sha256()
    for folder in OURS:
        for path in sorted(folder.rglob("*.py")):
            digest.update(f"{path.relative_to(folder).as_posix()} {path.stat().st_size} ".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def surroundings() -> Mapping[str, str]:
    """Return the versions that a run depends on, and the digest of this package."""
    return {**library_versions(), "sources": package_sha256()}


def code_sha256(construction: Specification, *others: object, whole: tuple[object, ...] = ()) -> str:
    """Return a digest of the code of a construction, see the module's docstring.

    Args:
        construction: whose classes and fields are looked at.
        others: further objects, of which the class and the plain attributes are looked at, such as an arithmetic.
        whole: further objects, of which everything is looked at, such as a callable.

    """
    feeder = _Feeder()
    for kind in (type(construction), *(type(other) for other in others)):
        feeder.feed(kind)
        feeder.module_source(kind.__module__)
    feeder.feed(_without_lazy(construction))
    for other in others:  # what it is made with, and not what it keeps
        feeder.feed({name: held for name, held in vars(other).items() if isinstance(held, _PLAIN)})
    feeder.feed(whole)
    return feeder.digest.hexdigest()


def _without_lazy(value: object) -> dict[str, Any]:
    """Return the attributes of an object but those that are computed when they are first asked for."""
    classes = type(value).__mro__
    lazy = {name for kind in classes for name, held in vars(kind).items() if isinstance(held, cached_property)}
    return {name: held for name, held in vars(value).items() if name not in lazy}


class _Feeder:
    """Feeds values to a digest, each mutable one once."""

    def __init__(self) -> None:
        self.digest = hashlib.sha256()
        self.places: dict[int, int] = {}
        self.kept: list[object] = []  # so that no number of an object is used twice

    def text(self, *parts: object) -> None:
        for part in parts:
            data = str(part).encode("utf-8", "surrogatepass")
            self.digest.update(f"{len(data)}:".encode())
            self.digest.update(data)

    def module_source(self, module: str) -> None:
        """Feed the source of a module of the user's, where it has any."""
        found = sys.modules.get(module)
        if found is None or library(module) == "":
            return
        try:
            self.text("source", inspect.getsource(found))
        except (OSError, TypeError):  # typed at a prompt, or compiled
            self.text("no source", module)

    def feed(self, value: object) -> None:
        """Feed any value."""
        if isinstance(value, _PLAIN):
            self.text(type(value).__name__, repr(value))
            return
        # equal ones of these may be one object in one process and several in another
        if not isinstance(value, (tuple, frozenset, types.CodeType)):
            if id(value) in self.places:
                self.text("again", self.places[id(value)])
                return
            self.places[id(value)] = len(self.places)
            self.kept.append(value)
        self.text(type(value).__qualname__)
        if isinstance(value, np.ndarray):
            self._array(value)
        elif isinstance(value, (list, tuple)):
            self.text(len(value))
            for part in value:
                self.feed(part)
        elif isinstance(value, (set, frozenset)):
            self._unordered(dict.fromkeys(value))
        elif isinstance(value, Mapping):
            self._unordered(value)
            self.feed(getattr(value, "default_factory", None))
        elif isinstance(value, types.CodeType):
            self._code(value)
        elif isinstance(value, types.ModuleType):
            self.text(value.__name__, getattr(value, "__version__", ""), library(value.__name__) or "")
        elif isinstance(value, type):
            self._class(value)
        elif not self._callable(value):
            self._object(value)

    def _array(self, value: np.ndarray[Any, Any]) -> None:
        self.text(value.dtype, value.shape)
        if value.dtype == object:
            self.feed(value.reshape(-1).tolist())
        else:
            self.digest.update(np.ascontiguousarray(value).tobytes())

    def _unordered(self, items: Mapping[Any, Any]) -> None:
        """Feed what has no order to rely on, in the order of its keys or of their digests."""
        keys: list[tuple[str, Any]] = []
        for key in items:
            if isinstance(key, _PLAIN):
                keys.append((f"{type(key).__name__} {key!r}", key))
            else:
                other = _Feeder()
                other.places = dict(self.places)
                other.feed(key)
                keys.append((other.digest.hexdigest(), key))
        self.text(len(keys))
        for shown, key in sorted(keys, key=lambda pair: pair[0]):
            self.text(shown)
            self.feed(items[key])

    def _code(self, code: types.CodeType) -> None:
        self.text(code.co_name, code.co_code.hex(), code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
        self.text(code.co_argcount, code.co_kwonlyargcount, code.co_flags)
        for constant in code.co_consts:
            self.feed(constant)

    def _class(self, kind: type) -> None:
        self.text(kind.__module__, kind.__qualname__)
        if (known := library_of(kind)) is not None:
            self.text(known)
            return
        for base in kind.__mro__[1:]:
            self.feed(base)
        for name in sorted(vars(kind)):
            if name in _NOT_CODE:
                continue
            self.text(name)
            self.feed(vars(kind)[name])

    def _callable(self, value: object) -> bool:
        """Feed what holds functions; return whether it was such a thing."""
        if isinstance(value, types.FunctionType):
            self._function(value)
        elif isinstance(value, types.MethodType):
            self.feed(value.__func__)
            self.feed(value.__self__)
        elif isinstance(value, (staticmethod, classmethod)):
            self.feed(value.__func__)
        elif isinstance(value, property):
            self.feed((value.fget, value.fset, value.fdel))
        elif isinstance(value, cached_property):
            self.feed(value.func)
        elif isinstance(value, functools.partial):
            self.feed((value.func, value.args, value.keywords))
        elif isinstance(getattr(value, "__wrapped__", None), types.FunctionType):  # a cache around a function
            self.feed(value.__wrapped__)  # type: ignore[attr-defined] # it was there just now
        elif isinstance(value, (types.BuiltinFunctionType, np.ufunc)):
            self.text(getattr(value, "__module__", ""), getattr(value, "__qualname__", value.__name__))
        else:
            return False
        return True

    def _function(self, function: types.FunctionType) -> None:
        self.text(function.__module__, function.__qualname__)
        if (known := library_of(function)) is not None:
            self.text(known)
            return
        self.feed(function.__code__)
        self.feed((function.__defaults__, function.__kwdefaults__))
        for cell in function.__closure__ or ():
            try:
                self.feed(cell.cell_contents)
            except ValueError:  # not set yet
                self.text("empty")
        for name in sorted(_names(function.__code__)):
            if name in function.__globals__:
                self.text(name)
                held = function.__globals__[name]
                self.feed(held)
                if isinstance(held, types.ModuleType) and library(held.__name__) is None:
                    self._attributes(held, function.__code__)

    def _attributes(self, module: types.ModuleType, code: types.CodeType) -> None:
        """Feed those attributes of a module of the user's that a function may mean."""
        self.module_source(module.__name__)
        for name in sorted(_names(code) & set(vars(module))):
            self.text(name)
            self.feed(vars(module)[name])

    def _object(self, value: object) -> None:
        """Feed an object by its class and attributes, by its pickle, by what that would be, or by its class alone."""
        self.feed(type(value))
        named = {item.name: getattr(value, item.name, None) for item in fields(value)} if is_dataclass(value) else {}
        users = hasattr(value, "__dict__") and library_of(type(value)) is None
        if is_dataclass(value) or users:  # what an author's own keeps beside its fields may decide, too
            self.feed(named | (_without_lazy(value) if users else {}))
            return
        try:
            self.digest.update(pickle.dumps(value, protocol=4))
        except Exception:  # noqa: BLE001 # whatever an object's own code raises, it has no pickle
            self._reduced(value)

    def _reduced(self, value: object) -> None:
        """Feed what an object would be pickled as, where that holds a function of no module, which has no pickle."""
        try:
            parts = value.__reduce_ex__(4)
        except Exception:  # noqa: BLE001 # as above
            self.text("no pickle")
            return
        self.feed(tuple(list(part) if isinstance(part, Iterator) else part for part in parts))


def _names(code: types.CodeType) -> set[str]:
    """Return the names that a function's code mentions, and those that functions inside it do."""
    nested = (constant for constant in code.co_consts if isinstance(constant, types.CodeType))
    return set(code.co_names).union(*(_names(one) for one in nested))
