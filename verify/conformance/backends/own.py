"""A backend of the user's own: a function, a torch module or a backend, by the place where it is."""

from __future__ import annotations

import inspect
from typing import Any, final

from torch import nn

from constructions.construction import Construction
from constructions.validation import InvalidArgument, reject
from verify.backends import Backend, CallableBackend
from verify.backends.callables import Gives
from verify.backends.modules import ModuleBackend
from verify.conformance.backends.base import BackendFactory
from verify.requests.own import module_of


@final
class Own(BackendFactory):
    """What a user has at ``module:NAME`` or ``path/to/file.py:NAME``.

    A function is called as :class:`~verify.CallableBackend` says, with virtual tokens rounded to the format; a
    ``torch.nn.Module`` as :class:`~verify.ModuleBackend` says, in the format of its parameters; a backend, such as a
    :class:`~verify.backends.ProgramBackend`, runs as it is.
    """

    group = "own"
    summary = "your own"

    def __init__(self, where: str, gives: Gives = "logits", *, batched: bool = True) -> None:
        """Import it.

        Args:
            where: ``module:NAME`` or ``path/to/file.py:NAME``.
            gives: what a function gives, ``logits`` or ``tokens``.
            batched: whether a function takes several cases at once.

        Raises:
            InvalidArgument: it is not there, or is nothing that generates.

        """
        self.name, self.gives, self.batched = where, gives, batched
        module = module_of(where, argument="backend", named="NAME")
        place, _, name = where.rpartition(":")
        self.held = getattr(module, name, None)
        if self.held is None:
            raise InvalidArgument(f"backend: expected a name of {place} but it has no {name!r}")
        if inspect.isclass(self.held) or not (callable(self.held) or isinstance(self.held, Backend)):
            reject("backend", "a function, a torch module, or a backend that is made already", self.held)

    def words(self) -> tuple[str, ...]:
        """Return where it is, and how a function is called."""
        gives = () if self.gives == "logits" else ("--gives", self.gives)
        return (*super().words(), *gives, *(() if self.batched else ("--one-by-one",)))

    def make(self, construction: Construction, dtype: str) -> Backend:
        """Return the backend; a function is told the format by the virtual tokens that it gets."""
        return as_own(self.held, dtype, gives=self.gives, batched=self.batched)


def as_own(held: Any, dtype: str, *, gives: Gives = "logits", batched: bool = True) -> Backend:
    """Return the backend that a function, a torch module or a backend of the user's is.

    Args:
        held: any of them.
        dtype: the format that a function computes in.
        gives: what a function gives.
        batched: whether a function takes several cases at once.

    Raises:
        InvalidArgument: none of them, or a module in training.

    """
    if isinstance(held, Backend):
        return held
    if isinstance(held, nn.Module):
        return ModuleBackend(held)
    return CallableBackend(held, gives=gives, batched=batched, dtype=dtype)
