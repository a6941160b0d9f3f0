"""Which of many cases the heavy tier runs: some that are drawn, the same everywhere. The long tier runs the others."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import pytest

#: The seed of what is drawn.
SEED = 13

_Case = TypeVar("_Case")


def drawn(cases: Sequence[_Case], count: int) -> list[_Case]:
    """Return so many of the cases, in their order."""
    chosen = set(random.Random(SEED).sample(range(len(cases)), min(count, len(cases))))  # not a secret
    return [case for place, case in enumerate(cases) if place in chosen]


def heavy_or_long(cases: Iterable[Any], count: int, values: Callable[[Any], Sequence[Any]] = lambda case: case) -> Any:
    """Return cases as parameters of a test: so many of them, drawn, are heavy, and the others are long.

    Args:
        cases: each a tuple of the parameters, or what ``values`` makes one of.
        count: how many are heavy.
        values: the parameters of a case.

    """
    every = [tuple(values(case)) for case in cases]
    chosen = drawn(range(len(every)), count)
    return [
        pytest.param(*case, marks=pytest.mark.heavy if place in chosen else pytest.mark.long)
        for place, case in enumerate(every)
    ]
