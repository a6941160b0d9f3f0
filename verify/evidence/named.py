"""What the code of a function names: globals, attributes, and the modules that it imports as it runs."""

from __future__ import annotations

import dis
import importlib
import importlib.util
import types
from collections.abc import Mapping
from typing import Any

from verify.evidence.libraries import library_at


def names(code: types.CodeType) -> set[str]:
    """Return the names that a function's code mentions, and those that functions inside it do."""
    nested = (constant for constant in code.co_consts if isinstance(constant, types.CodeType))
    return set(code.co_names).union(*(names(one) for one in nested))


def imported(code: types.CodeType, around: Mapping[str, Any]) -> set[str]:
    """Return the modules that a function imports as it runs, and those that functions inside it do.

    Args:
        code: of the function.
        around: the names of its module.

    """
    found, seen = set[str](), list(dis.Bytecode(code))
    for place, step in enumerate(seen):
        if step.opname == "IMPORT_NAME":  # the two before it say how many packages up, and which names of it
            level, names = (each.argval for each in seen[place - 2 : place])
            package = around.get("__package__")
            module = importlib.util.resolve_name("." * level + step.argval, package) if package else step.argval
            found |= {module, *(f"{module}.{name}" for name in names or ())}  # a name of it may be a module, too
    return found.union(*(imported(each, around) for each in code.co_consts if isinstance(each, types.CodeType)))


def module_of(name: str) -> object:
    """Return a module of the user's, imported, and what tells that of a library from another version."""
    try:
        top = importlib.util.find_spec(name.partition(".")[0])
        known = None if top is None or top.origin is None else library_at(top.origin)
        return known if known is not None else importlib.import_module(name)
    except (Exception, SystemExit):  # noqa: BLE001 # whatever a module's own code raises: the function meets it as it runs
        return None
