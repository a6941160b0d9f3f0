"""What an option of a layer holds, in words that go into digests: the same in every process."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from numbers import Number
from types import BuiltinFunctionType, CellType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
import sympy as sp


def kind_of(value: Any) -> str:
    """Return the name of a value's class, with its module."""
    return f"{type(value).__module__}.{type(value).__qualname__}"


def described(value: Any, around: tuple[Any, ...] = ()) -> str:
    """Return an option by what it holds: its ``repr`` may be a shared name, or leave out most of an array.

    Args:
        value: the option, or something in it.
        around: what it is in, the outermost first; one that is in itself is named by its place there.

    """
    if isinstance(value, type):
        return f"{value.__module__}.{value.__qualname__}"
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {value.tolist()!r}"
    if type(value).__module__.partition(".")[0] == "torch" and hasattr(value, "detach"):  # without importing torch
        return f"{value.dtype} {value.detach().cpu().tolist()!r}"
    for place, outer in enumerate(around):
        if value is outer:
            return f"again {place}"

    def inside(part: Any) -> str:
        return described(part, (*around, value))

    if isinstance(value, (tuple, list)):
        return f"[{', '.join(map(inside, value))}]"
    if isinstance(value, (set, frozenset)):
        return f"{{{', '.join(sorted(map(inside, value)))}}}"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key!r}: {inside(part)}' for key, part in value.items())}}}"
    if (code := _code(value)) is not None:
        return f"{kind_of(value)}({', '.join(map(inside, code))})"
    held = _attributes(value)
    # what an object has no attributes for, its repr may still say; that of Python's own says where it is
    own: Any = type(value).__repr__
    shown = "" if own is object.__repr__ else repr(value)
    return f"{kind_of(value)}({shown}{', '.join(f'{name}={inside(part)}' for name, part in sorted(held.items()))})"


def _attributes(value: Any) -> dict[str, Any]:
    """Return the attributes of an object, those in slots too; of a number and of an expression the repr says all."""
    found = dict(getattr(value, "__dict__", {}))
    if isinstance(value, (Number, sp.Basic)):
        return found
    for kind in type(value).__mro__:
        slots = vars(kind).get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            private = name.startswith("__") and not name.endswith("__")
            where = f"_{kind.__name__.lstrip('_')}{name}" if private else name
            if name not in {"__dict__", "__weakref__"} and hasattr(value, where):
                found[where] = getattr(value, where)
    return found


def _code(value: Any) -> tuple[Any, ...] | None:
    """Return what a function computes, whose repr says where it is; ``None`` of anything else.

    What it finds by global names is not looked at, as the code of a class is not.
    """
    if isinstance(value, partial):
        return value.func, value.args, value.keywords
    if isinstance(value, MethodType):
        return value.__func__, value.__self__
    if isinstance(value, BuiltinFunctionType):
        return value.__qualname__, None if isinstance(value.__self__, ModuleType) else value.__self__
    if isinstance(value, FunctionType):
        cells = [cell.cell_contents for cell in value.__closure__ or () if cell != CellType()]
        return value.__module__, value.__qualname__, value.__code__, value.__defaults__, value.__kwdefaults__, cells
    if isinstance(value, CodeType):
        taken = value.co_argcount, value.co_posonlyargcount, value.co_kwonlyargcount, value.co_flags
        return value.co_code, value.co_names, value.co_consts, *taken
    return None
