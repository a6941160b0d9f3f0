"""Everything that can be held against a specification, one file each: a transformer, a torch module, any callable."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from constructions.validation import reject
from verify.arithmetic.base import Arithmetic
from verify.backends.base import Backend as Backend
from verify.backends.base import Prepared as Prepared
from verify.backends.callables import CallableBackend as CallableBackend
from verify.backends.program import ProgramBackend as ProgramBackend
from verify.backends.transformer import TransformerBackend as TransformerBackend

if TYPE_CHECKING:
    #: An arithmetic or a backend: an arithmetic stands for a construction's transformer in it.
    Runs = Arithmetic[Any, Any, Any] | Backend
else:
    Runs = Any


def as_backend(runs: Runs) -> Backend:
    """Return a backend; an arithmetic becomes the transformer in it.

    Args:
        runs: an arithmetic, or a backend.

    Raises:
        InvalidArgument: neither.

    """
    if isinstance(runs, Arithmetic):
        return TransformerBackend(runs)
    if not isinstance(runs, Backend):
        reject("backend", "an arithmetic, or a backend such as verify.CallableBackend(kernel),", runs)
    return runs
