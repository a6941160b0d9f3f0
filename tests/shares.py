"""Which of many cases a tier runs: some that are drawn, the same everywhere. The next longer tier runs the others."""

from __future__ import annotations

import random
from collections import defaultdict
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


def few_or_all(few: int) -> pytest.MarkDecorator:
    """Return a parameter ``count`` of a test: so many in the heavy tier, and in the long one ``None``, which is all."""
    return pytest.mark.parametrize(
        "count", [pytest.param(few, marks=pytest.mark.heavy), pytest.param(None, marks=pytest.mark.long)]
    )


def leave_to_heavy(items: Iterable[pytest.Item]) -> None:
    """Mark cases of the tests that are marked ``share(count)``: so many are drawn, and the others are heavy.

    A case that is heavy or long already counts for nothing here, and one that is named by itself runs.
    """
    tests: dict[str, list[pytest.Item]] = defaultdict(list)
    for item in items:
        if item.get_closest_marker("share") and not any(map(item.get_closest_marker, ("heavy", "long"))):
            tests[item.nodeid.partition("[")[0]].append(item)
    for cases in tests.values():
        share = cases[0].get_closest_marker("share")
        assert share is not None
        chosen = drawn(range(len(cases)), *share.args)
        for place in set(range(len(cases))) - set(chosen):
            cases[place].add_marker(pytest.mark.heavy)
