"""What the default tier leaves to the heavy one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.shares import drawn, leave_to_heavy


class _Case(pytest.Item):
    """A case of a test with some marks."""

    def runtest(self) -> None:
        raise AssertionError("nothing runs here")


def _cases(session: pytest.Session, name: str, count: int, *marks: pytest.MarkDecorator) -> Iterator[_Case]:
    for place in range(count):
        case = _Case.from_parent(session, name=f"{name}[{place}]", nodeid=f"{name}[{place}]")
        for mark in marks:
            case.add_marker(mark)
        yield case


def _heavy(cases: list[_Case]) -> int:
    return sum(case.get_closest_marker("heavy") is not None for case in cases)


def test_a_share_of_each_test_is_left(request: pytest.FixtureRequest) -> None:
    shared = list(_cases(request.session, "shared", 9, pytest.mark.share(3)))
    few = list(_cases(request.session, "few", 2, pytest.mark.share(3)))
    whole = list(_cases(request.session, "whole", 4))
    leave_to_heavy([*shared, *few, *whole])
    assert (_heavy(shared), _heavy(few), _heavy(whole)) == (6, 0, 0)
    kept = [case for case in shared if case.get_closest_marker("heavy") is None]
    assert kept == drawn(shared, 3)


def test_what_is_heavy_or_long_already_counts_for_nothing(request: pytest.FixtureRequest) -> None:
    shared = list(_cases(request.session, "shared", 5, pytest.mark.share(2)))
    for case, mark in zip(shared, (pytest.mark.heavy, pytest.mark.long), strict=False):
        case.add_marker(mark)
    leave_to_heavy(shared)
    left = [case for case in shared if not any(map(case.get_closest_marker, ("heavy", "long")))]
    assert len(left) == 2
