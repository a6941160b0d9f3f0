"""What a digest of code looks at, in values, functions and classes.

Of a function: its compiled code with constants, defaults, attributes, nested functions and closures; the values of the
module globals that it names, of the attributes that it names of modules, and of the modules that it imports; of
functions and classes among them their code in turn. Of a class: its methods, bases and metaclass. Of an object: its
class and attributes, those that its ``repr`` hides too. Of a compiled module: its file.

Not looked at are files, clocks, the state of random generators, what only weak references keep, what is put into
a library from outside, the other libraries that a library uses, and names that are computed.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import io
import sys
import types
import weakref
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from fractions import Fraction
from functools import cached_property
from importlib.machinery import SOURCE_SUFFIXES
from pathlib import Path
from typing import Any

import numpy as np

from verify.evidence.held import Pickler, attributes, held_in_c, is_tensor, reduction, tensor_bytes, wrapped
from verify.evidence.libraries import IMMUTABLE, library, library_of, module_holds
from verify.evidence.named import imported, module_of, names

#: Types of values that are written out as they are.
PLAIN = (type(None), bool, int, float, complex, str, bytes, Fraction, range, slice, type(Ellipsis), Enum)

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
        "__slotnames__",  # kept when an object of the class is first copied
    )
)

#: Collections that keep nothing alive: caches, which differ from process to process.
_WEAK = (weakref.ref, weakref.WeakKeyDictionary, weakref.WeakValueDictionary, weakref.WeakSet)


class Feeder:
    """Feeds values to a digest, each mutable one once."""

    def __init__(self) -> None:
        self.digest = hashlib.sha256()
        self.places: dict[int, int] = {}
        self.kept: list[object] = []  # so that no number of an object is used twice
        self.users: dict[type, bool] = {}

    def text(self, *parts: object) -> None:
        """Feed words."""
        for part in parts:
            data = str(part).encode("utf-8", "surrogatepass")
            self.digest.update(f"{len(data)}:".encode())
            self.digest.update(data)

    def module_source(self, module: str) -> None:
        """Feed the source of a module of the user's, or its file where it has none."""
        found = sys.modules.get(module)
        if found is None or library(module) is not None:
            return
        try:
            self.text("source", inspect.getsource(found))
        except (OSError, TypeError):  # typed at a prompt, or compiled
            self.text("no source", module)
            if (file := getattr(found, "__file__", None)) is not None and Path(file).is_file():
                self.digest.update(hashlib.sha256(Path(file).read_bytes()).digest())

    def is_users(self, kind: type) -> bool:
        """Say whether a class is the user's own."""
        if kind not in self.users:
            self.users[kind] = library_of(kind) is None
        return self.users[kind]

    def feed(self, value: object) -> None:
        """Feed any value."""
        kind = type(value)
        plain = next((base for base in kind.__mro__ if base in PLAIN), None)
        users = kind is not plain and self.is_users(kind)
        if plain is not None and not users:
            self.text(kind.__name__, repr(value))
            return
        # equal ones of these may be one object in one process and several in another
        if kind not in {tuple, frozenset, types.CodeType}:
            if id(value) in self.places:
                self.text("again", self.places[id(value)])
                return
            self.places[id(value)] = len(self.places)
            self.kept.append(value)
        self.text(kind.__qualname__)
        self._compiled(value)
        if users:  # its methods decide, and what it keeps beside what it contains
            self.feed(kind)
            self.feed(attributes(value))
        if plain is not None and plain is not Enum:  # whose repr may be the user's
            self.text(plain.__repr__(value))  # type: ignore[call-arg] # the value is one of this class
        elif self._contents(value) or self._callable(value):
            return
        elif not users:
            self._object(value)
        elif any(base.__flags__ & IMMUTABLE for base in kind.__mro__ if base is not object):
            self._reduced(value, kept=False)  # as C code holds it, in a deque, say; what else it keeps was fed

    def _compiled(self, value: object) -> None:
        """Feed the module that a value, or its class, comes from where it has no source: C code holds what it does."""
        name = getattr(value, "__module__", None)
        module = sys.modules.get(name) if isinstance(name, str) else None
        file = getattr(module, "__file__", None)
        if isinstance(file, str) and not file.endswith(tuple(SOURCE_SUFFIXES)):
            self.feed(module)

    def _contents(self, value: object) -> bool:
        """Feed what contains others, as code, modules and classes do; return whether it was such a thing."""
        if isinstance(value, _WEAK):
            return True
        if isinstance(value, np.ndarray):
            if not isinstance(value, np.ma.MaskedArray):
                self._array(value)
                return True
            self.feed((value.data, value.mask, value.fill_value))
        elif is_tensor(value):
            self.digest.update(tensor_bytes(value))
        elif isinstance(value, (list, tuple)):
            self.text(len(value))
            for part in value:
                self.feed(part)
        elif isinstance(value, (set, frozenset)):
            self._unordered(value)
        elif isinstance(value, Mapping):
            self.text(len(value))
            for key in value:  # code may go by their order
                self.feed(key)
                self.feed(value[key])
            self.feed(getattr(value, "default_factory", None))
        elif isinstance(value, types.CodeType):
            self._code(value)
        elif isinstance(value, types.ModuleType):
            self.text(value.__name__, getattr(value, "__version__", ""), library(value.__name__) or "")
            self.module_source(value.__name__)
        elif isinstance(value, type):
            self._class(value)
        else:
            return False
        return True

    def _array(self, value: np.ndarray[Any, Any]) -> None:
        self.text(value.dtype, value.shape)
        if value.dtype.hasobject:
            self.feed(value.reshape(-1).tolist())
        else:
            self.digest.update(np.ascontiguousarray(value).tobytes())

    def _unordered(self, items: set[Any] | frozenset[Any]) -> None:
        """Feed what has no order to rely on, in the order of its digests."""
        digests = list[str]()
        for key in items:
            other = Feeder()
            other.places = dict(self.places)
            other.feed(key)
            digests.append(other.digest.hexdigest())
        self.text(*sorted(digests))

    def _code(self, code: types.CodeType) -> None:
        self.text(code.co_name, code.co_code.hex(), code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
        self.text(code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags)
        self.text(code.co_exceptiontable.hex())
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
        elif isinstance(value, types.GeneratorType):
            self.feed((value.gi_code, inspect.getgeneratorlocals(value)))
        elif (inside := wrapped(value)) is not None:  # a cache around it
            self.feed(inside)
        elif isinstance(value, types.BuiltinFunctionType):
            self.text(getattr(value, "__module__", ""), value.__qualname__)
            self.feed(value.__self__)  # the module, or what it is a method of
        elif isinstance(value, np.ufunc):
            self.text(value.__name__)
            self.feed(held_in_c(value))  # np.frompyfunc makes one from any function
        else:
            return False
        return True

    def _function(self, function: types.FunctionType) -> None:
        self.text(function.__module__, function.__qualname__)
        known = library_of(function)
        if known is None or not module_holds(function):  # one that a library made around a user's, too
            self.feed((function.__defaults__, function.__kwdefaults__, vars(function)))
            for cell in function.__closure__ or ():
                try:
                    self.feed(cell.cell_contents)
                except ValueError:  # not set yet
                    self.text("empty")
        if known is not None:
            self.text(known)
            return
        self.feed(function.__code__)
        for name in sorted(names(function.__code__)):
            if name in function.__globals__:
                self.text(name)
                self._named(function.__globals__[name], function.__code__)
        for name in sorted(imported(function.__code__, function.__globals__)):
            self.text(name)
            self._named(module_of(name), function.__code__)

    def _named(self, held: object, code: types.CodeType) -> None:
        """Feed what a function names; of a module of the user's those attributes too that the function may mean."""
        self.feed(held)
        if not isinstance(held, types.ModuleType) or library(held.__name__) is not None:
            return
        for name in sorted(names(code) & set(vars(held))):
            self.text(name)
            part = vars(held)[name]
            # one that is in itself, or that imports the one it is in, was looked at
            self.feed(part) if id(part) in self.places else self._named(part, code)

    def _object(self, value: object) -> None:
        """Feed an object of a library's, by its fields, by its pickle, by what that would be, or by its class alone."""
        self.feed(type(value))
        if is_dataclass(value):
            self.feed({item.name: getattr(value, item.name, None) for item in fields(value)})
            return
        pickled = io.BytesIO()
        try:
            Pickler(pickled, self._by_name).dump(value)
        except Exception:  # noqa: BLE001 # whatever an object's own code raises, it has no pickle
            self._reduced(value)
        else:
            self.digest.update(pickled.getvalue())

    def _reduced(self, value: object, *, kept: bool = True) -> None:
        """Feed what an object would be pickled as, where that holds something which has no pickle.

        Args:
            value: the object.
            kept: also what it keeps, its state.

        """
        parts = reduction(value)
        if parts is None or isinstance(parts, str):  # no pickle, or a name
            self.feed((parts, held_in_c(value)))
            return
        fed = parts if kept else (*parts[:2], *parts[3:])
        self.feed(tuple(list(part) if isinstance(part, Iterator) else part for part in fed))

    def _by_name(self, value: object) -> int | None:
        """Feed by itself what a pickle names or has in no order, or the user's code would pickle; return its place."""
        kinds = (types.FunctionType, types.BuiltinFunctionType, type, types.ModuleType, np.ufunc, set, frozenset)
        if isinstance(value, kinds) or is_tensor(value) or wrapped(value) is not None or self.is_users(type(value)):
            self.feed(value)
            return self.places.get(id(value), -1)
        return None
