"""Runs of code on unknown tokens, and the questions of that code that bounds cannot answer.

An operation that is not sound for every value between the bounds is refused. The refusal is written down as well:
``except TypeError`` cannot hide it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn


class UnknownValue(TypeError):
    """Code asked for the value of a token that is known only by its bounds."""


class Run:
    """One run of code on unknown tokens.

    Attributes:
        refusals: the questions that bounds cannot answer, in the order they were asked.
        open: whether the run still goes on; its tokens are useless afterwards.
        moves: whether tokens may only be moved about: everything that computes with them is refused.

    """

    def __init__(self, *, moves: bool = False) -> None:
        self.refusals: list[str] = []
        self.open = True
        self.moves = moves


#: The open runs: a refusal is written down in all of them, from whichever token it came.
_open: list[Run] = []


@contextmanager
def run_on_bounds(*, moves: bool = False) -> Iterator[Run]:
    """Start a run of code on unknown tokens; it ends with the ``with`` block.

    Args:
        moves: see :class:`Run`.

    """
    run = Run(moves=moves)
    _open.append(run)
    try:
        yield run
    finally:
        run.open = False
        _open.remove(run)


def refuse(what: str) -> NoReturn:
    """Write down that the code asked for ``what``, and raise :class:`UnknownValue`."""
    for run in _open:
        run.refusals.append(what)
    raise UnknownValue(f"{what} (of an unknown token only bounds are known)")
