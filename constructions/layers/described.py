"""What an option of a layer holds, in words that go into digests: the same in every process."""

from __future__ import annotations

import gc
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from fractions import Fraction
from functools import cached_property, partial
from types import (
    BuiltinFunctionType,
    CodeType,
    FunctionType,
    MemberDescriptorType,
    MethodType,
    MethodWrapperType,
    ModuleType,
    SimpleNamespace,
)
from typing import Any

import numpy as np
import sympy as sp

#: What :func:`_code` reads.
_FUNCTIONS = (partial, MethodType, BuiltinFunctionType, MethodWrapperType, FunctionType, CodeType, np.ufunc)
#: Instances of these classes themselves have no attributes.
_PLAIN = frozenset({str, bytes, int, float, bool, type(None)})
#: The ``repr`` of these tells an instance whole; that of a subclass may not.
_TOLD = (str, bytes, int, float, complex, Fraction)


def kind_of(value: Any) -> str:
    """Return the name of a value's class, with its module."""
    return _name(type(value))


def _name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def described(value: Any, around: tuple[Any, ...] = ()) -> str:
    """Return an option by what it holds: its ``repr`` may be a shared name, or leave out most of an array.

    Args:
        value: the option, or something in it.
        around: what it is in, the outermost first; one that is in itself is named by its place there.

    """
    if type(value) in _PLAIN:
        return f"{kind_of(value)}({value!r})"
    if isinstance(value, type):
        return _name(value)
    if isinstance(value, ModuleType):  # what is in one is global
        return f"module {value.__name__}"
    for place, outer in enumerate(around):
        if value is outer:
            return f"again {place}"

    def inside(part: Any) -> str:
        return described(part, (*around, value))

    if type(value) is tuple:
        return f"[{', '.join(map(inside, value))}]"
    if isinstance(value, Mapping):
        items = (f"{repr(key) if type(key) is str else inside(key)}: {inside(part)}" for key, part in value.items())
        said = f"{{{', '.join(items)}}}"
    elif isinstance(value, (set, frozenset)):
        said = f"{{{', '.join(sorted(map(inside, value)))}}}"
    elif isinstance(value, (tuple, list)):
        said = f"[{', '.join(map(inside, value))}]"
    elif isinstance(value, _FUNCTIONS):
        said = ", ".join(map(inside, _code(value)))
    elif isinstance(value, np.ndarray):
        entries = np.ndarray.view(value, np.ndarray).tolist()
        said = f"{value.dtype} {value.shape} {inside(entries) if value.dtype.hasobject else repr(entries)}"
    elif _is_tensor(value):
        said = f"{value.dtype} {tuple(value.shape)} {value.detach().cpu().tolist()!r}"
    else:
        said = repr(_shown(value))
    held = [f"{name!r}={inside(part)}" for name, part in sorted(_attributes(value).items())]
    return f"{kind_of(value)}({said}{', '.join(held)})"


def _is_tensor(value: Any) -> bool:
    """Say whether a value is a tensor of torch, which is not imported for it, or of a subclass."""
    return any(kind.__module__.partition(".")[0] == "torch" for kind in type(value).__mro__) and hasattr(
        value, "detach"
    )


def _shown(value: Any) -> str:
    """Return the ``repr`` of an object, which may say more than its attributes.

    Python's own says where the object is, and that of a dataclass where the functions in it are: they say no more.
    """
    if isinstance(value, (sp.Basic, sp.MatrixBase)):
        return str(sp.srepr(value))  # a symbol's assumptions too, and the shape of a matrix
    for kind in _TOLD:
        if isinstance(value, kind):
            return kind.__repr__(value)
    own: Any = type(value).__repr__
    if own in {object.__repr__, SimpleNamespace.__repr__}:
        return ""
    shown = repr(value)
    if is_dataclass(value):
        said = ", ".join(f"{item.name}={getattr(value, item.name)!r}" for item in fields(value) if item.repr)
        if shown == f"{type(value).__qualname__}({said})":
            return ""
    return shown


def _without_lazy(value: object) -> dict[str, Any]:
    """Return what is in the dictionary of an object but what is computed when it is first asked for."""
    classes = type(value).__mro__
    lazy = {name for kind in classes for name, held in vars(kind).items() if isinstance(held, cached_property)}
    return {name: held for name, held in getattr(value, "__dict__", {}).items() if name not in lazy}


def _attributes(value: Any) -> dict[str, Any]:
    """Return the attributes of an object: in its dictionary, in slots, in members of C, and computed fields."""
    found = _without_lazy(value)
    for kind in type(value).__mro__:
        if kind in _FUNCTIONS or kind.__module__.partition(".")[0] == "sympy":  # whose slots hold caches, too
            continue
        for name, place in vars(kind).items():
            # read by its place: a class can change `__slots__` afterwards, and one below can hide the name
            if isinstance(place, MemberDescriptorType) and name != "__dict__":
                try:
                    found[f"{name} of {_name(kind)}" if name in found else name] = place.__get__(value)
                except AttributeError:  # nothing is in it
                    continue
    computed = fields(value) if is_dataclass(value) else ()
    return {item.name: getattr(value, item.name, None) for item in computed if item.name not in found} | found


def _code(value: Any) -> tuple[Any, ...]:
    """Return what a function computes, whose ``repr`` says where it is.

    What it finds by global names is not looked at, as the code of a class is not.
    """
    if isinstance(value, partial):
        return value.func, value.args, value.keywords
    if isinstance(value, MethodType):
        return value.__func__, value.__self__
    if isinstance(value, BuiltinFunctionType):
        held = None if isinstance(value.__self__, ModuleType) else value.__self__
        return value.__module__, value.__qualname__, held
    if isinstance(value, MethodWrapperType):
        return value.__qualname__, value.__self__
    if isinstance(value, np.ufunc):  # numpy shows no other way to the function that one calls
        return repr(value), [part for part in gc.get_referents(value) if type(part) is not dict]
    if isinstance(value, FunctionType):
        cells = [_content(cell) for cell in value.__closure__ or ()]
        return value.__module__, value.__qualname__, value.__code__, value.__defaults__, value.__kwdefaults__, cells
    assert isinstance(value, CodeType), "the last of them"
    counts = value.co_argcount, value.co_posonlyargcount, value.co_kwonlyargcount, value.co_flags
    return value.co_code, value.co_exceptiontable, value.co_names, value.co_varnames, value.co_consts, *counts


def _content(cell: Any) -> Any:
    """Return what is in a cell of a closure, an empty tuple of it, and nothing where the name has no value yet."""
    try:
        return (cell.cell_contents,)
    except ValueError:
        return ()
