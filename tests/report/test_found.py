"""Values of documents: each has its place, and a shape that it can be shown in."""

from __future__ import annotations

from typing import Any

import pytest

from constructions import InvalidArgument
from verify.report.page.documents import markdown_sections
from verify.report.page.found import Derived, Found
from verify.report.page.shapes import written as shaped


@pytest.mark.parametrize(
    ("value", "shape"),
    [
        (True, "number"),
        ("nine", "number"),
        (1.5, "number"),
        ("9", "share"),
        (True, "share"),
        ({"a": 1}, "margin"),
        ([{}], "list"),
        (None, "text"),
        (True, "text"),
        ("a", "pairs"),
        ({}, "evidence"),
        ("1/0", "margin"),
    ],
)
def test_a_value_of_another_shape_is_refused(value: Any, shape: str) -> None:
    with pytest.raises(InvalidArgument, match=rf"file: expected a value that can be shown as {shape} at its top"):
        shaped(Found("file", "", value), shape)


def test_a_number_of_nothing_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="expected a value that can be shown as share"):
        shaped(Derived(Found("file", "", []), "mean"), "share")


@pytest.mark.parametrize("key", ["b", 0, -1, 5])
def test_a_place_that_is_not_there_is_refused(key: str | int) -> None:
    with pytest.raises(InvalidArgument, match=f"file: expected {key!r} at its top but there is none"):
        Found("file", "", {"a": 1} if isinstance(key, str) or key == 0 else [1])[key]


def test_keys_with_slashes_have_pointers_of_the_standard() -> None:
    assert Found("file", "", {"a/b~": 1})["a/b~"].at == "/a~1b~0"


def test_paragraphs_and_points_of_markdown_are_read_whole() -> None:
    (section,) = markdown_sections("# T\n\nOne\ntwo.\n\n- a\n  b\n- c\n")
    assert section["text"] == ["One two.", "- a b", "- c"]
