"""Functions whose result torch's tracer holds as a constant."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

_Function = TypeVar("_Function", bound=Callable[..., Any])


def constant_when_traced(function: _Function) -> _Function:
    """Mark a function as ``torch.compiler.assume_constant_result`` does, and return it.

    That one imports torch's compiler, more than half a second, to set one attribute; a test compares both. Traced or
    not, the function is the same.
    """
    function._dynamo_marked_constant = True  # type: ignore[attr-defined] # the mark that torch's tracer looks for
    return function
