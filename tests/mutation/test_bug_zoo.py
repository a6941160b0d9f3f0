"""Every entry of ``proofs/BUGS.md`` names tests, and every test that it names exists."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "proofs" / "BUGS.md").read_text(encoding="utf-8")
ENTRIES = [
    line
    for line in TEXT.splitlines()
    if line.startswith("|") and not line.startswith(("|---", "| bug |", "| mistake |"))
]


def named(entry: str) -> list[tuple[str, str]]:
    """Return the tests that an entry names, as file and function."""
    return re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", entry)


@cache
def _functions(file: str) -> frozenset[str]:
    path = ROOT / file
    if not path.exists():
        return frozenset()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return frozenset(item.name for item in tree.body if isinstance(item, ast.FunctionDef))


def is_a_test(file: str, function: str) -> bool:
    return function in _functions(file)


def test_there_are_entries() -> None:
    assert len(ENTRIES) >= 30


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry[2:40])
def test_an_entry_names_tests_that_exist(entry: str) -> None:
    cells = entry.strip("|").split(" | ")
    assert len(cells) == 2
    tests = named(cells[1])
    assert tests
    assert cells[1].count("`") == 2 * len(tests)  # nothing else stands there
    for file, function in tests:
        assert function.startswith("test_")
        assert is_a_test(file, function), f"{file}::{function}"


def test_a_test_that_does_not_exist_is_noticed() -> None:
    assert not is_a_test("tests/mutation/test_bug_zoo.py", "test_that_is_not_there")
    assert not is_a_test("tests/mutation/no_such_file.py", "test_there_are_entries")
    assert is_a_test("tests/mutation/test_bug_zoo.py", "test_there_are_entries")
