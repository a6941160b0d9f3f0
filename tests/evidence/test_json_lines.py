"""Results as JSON lines: whole at any time, gone on with, and refused when they are not what was written."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from constructions import InvalidArgument
from verify.files.json_lines import JsonLines


def test_what_was_added_is_taken_over_and_goes_on(tmp_path: Path) -> None:
    path, key = tmp_path / "new" / "results.jsonl", {"of": "this", "sizes": (1, 2)}
    first = JsonLines(path, "output", key)
    assert first.taken_over(5) == []
    first.add([{"a": 1}])
    first.add([{"a": 2}, {"a": 3}])
    first.write()
    second = JsonLines(path, "output", key)
    assert second.taken_over(5) == [{"a": 1}, {"a": 2}, {"a": 3}]
    assert second.sha256 == first.sha256
    second.add([{"a": 4}])
    second.write()
    assert JsonLines(path, "output", key).taken_over(4) == [{"a": 1}, {"a": 2}, {"a": 3}, {"a": 4}]
    lines = path.read_text(encoding="utf-8").splitlines()
    assert json.loads(lines[0]) == {"run": {"of": "this", "sizes": [1, 2]}}
    assert set(json.loads(lines[-1])) == {"saved", "sha256"}


def test_writing_takes_at_most_a_tenth_of_the_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now, written = [0.0], []

    def slow(path: Path, content: str) -> None:
        now[0] += 2.0
        written.append(now[0])

    monkeypatch.setattr("verify.files.json_lines.write_atomically", slow)
    kept = JsonLines(tmp_path / "results.jsonl", "output", {}, clock=lambda: now[0])
    for _ in range(1000):
        kept.add([{}])
        now[0] += 0.1
    gaps = [later - earlier for earlier, later in pairwise(written)]
    assert written[0] == 2.0  # at once
    assert all(20.0 <= gap < 20.2 for gap in gaps)
    kept.write()
    assert len(written) == len(gaps) + 2
    kept.write()
    assert len(written) == len(gaps) + 2  # there is nothing new


def _damaged(text: str) -> Iterator[tuple[str, str]]:
    lines = text.splitlines(keepends=True)
    yield text[:-1], "ok"  # a newline less is the same lines
    yield text[:-5], "it cannot be read"
    yield "".join(lines[:-1]), "its digest is another"
    yield "".join([lines[0], *lines[2:]]), "its digest is another"
    yield text.replace('"a": 1', '"a": 7'), "its digest is another"
    yield lines[-1], "its digest is another"
    yield "", "it cannot be read"
    yield "[1, 2]\n", "its digest is another"
    yield "[" * 10**5, "it cannot be read"


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    kept = JsonLines(path, "output", {})
    kept.add([{"a": 1}, {"a": 2}])
    kept.write()
    for text, said in _damaged(path.read_text(encoding="utf-8")):
        path.write_text(text, encoding="utf-8")
        if said == "ok":
            assert JsonLines(path, "output", {}).taken_over(2) == [{"a": 1}, {"a": 2}]
            continue
        with pytest.raises(InvalidArgument, match=f"output: expected a file of results but .*{said}"):
            JsonLines(path, "output", {}).taken_over(2)


def test_another_runs_file_a_folder_and_too_many_results_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    kept = JsonLines(path, "output", {"length": 3, "batch": 1})
    kept.add([{"a": 1}, {"a": 2}])
    kept.write()
    with pytest.raises(InvalidArgument, match=r"expected the results of this very run but .* differs in length"):
        JsonLines(path, "output", {"length": 4, "batch": 1}).taken_over(2)
    with pytest.raises(InvalidArgument, match="it has 2 results of 1"):
        JsonLines(path, "output", {"length": 3, "batch": 1}).taken_over(1)
    with pytest.raises(InvalidArgument, match="output: expected a regular file"):
        JsonLines(tmp_path, "output", {})
