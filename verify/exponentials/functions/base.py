"""A function of a library that is measured on every number of a format."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

#: Another way in which the library computes: its name, what it gave, what the measured values make it, and whether
#: these are values of the function, at the first of the arguments.
Way = tuple[str, torch.Tensor, torch.Tensor, bool]

#: Values in a row that is shorter than any vector register, so that all of them are in the tail of a kernel's loop.
SHORT = 7


@dataclass(frozen=True)
class Function:
    """A function of a library that stands for ``exp`` or for a power of 2.

    Attributes:
        word: its name, as ``--function`` takes it.
        summary: in a few words.
        home: the module that it is made in, which findings depend on.
        base: ``e`` or ``2``.
        computed: the values at arguments, in the format of the arguments.
        ways: the same values by other ways, or what is made of them.
        positive: whether arguments above 0 are measured too.

    """

    word: str
    summary: str
    home: str
    base: str
    computed: Callable[[torch.Tensor], torch.Tensor]
    ways: Callable[[torch.Tensor, torch.Tensor], Iterator[Way]]
    positive: bool = True


def in_short_rows(arguments: torch.Tensor) -> torch.Tensor:
    """Return numbers in rows of :data:`SHORT`, without the last ones that fill none."""
    rows = len(arguments) // SHORT
    return arguments[: rows * SHORT].view(rows, SHORT)
