"""Runs of code on unknown tokens, and what it asked of them that bounds cannot answer.

Whatever is not sound for every value between the bounds is refused, and the refusal is written down, so that
``except TypeError`` does not hide it.
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
        refusals: what the code asked that bounds cannot answer, in order.
        open: whether the run still goes on; its tokens are of no use afterwards.

    """

    def __init__(self) -> None:
        self.refusals: list[str] = []
        self.open = True


#: The runs that go on now: a refusal is written down in all of them, whatever token it came from.
_open: list[Run] = []


@contextmanager
def run_on_bounds() -> Iterator[Run]:
    """Start a run of code on unknown tokens; it ends with the ``with`` block."""
    run = Run()
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
