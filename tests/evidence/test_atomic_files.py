"""Writing files: readers see the old file or the new one, never half of one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from verify.files.atomic import write_atomically


def test_content_is_written_as_utf_8_and_folders_are_made(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "verdict.json"
    write_atomically(path, "ä🙂\n")
    assert path.read_bytes() == "ä🙂\n".encode()
    assert list(path.parent.iterdir()) == [path]


def test_old_content_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "verdict.json"
    write_atomically(path, "a longer old text")
    write_atomically(path, "new")
    assert path.read_text(encoding="utf-8") == "new"


@pytest.mark.parametrize("failing", ["fsync", "replace"])
@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_old_content_survives_a_failure_in_the_middle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str, error: type[BaseException]
) -> None:
    path = tmp_path / "verdict.json"
    path.write_text("old", encoding="utf-8")

    def fail(*_: object) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(os if failing == "fsync" else Path, failing, fail)
        with pytest.raises(error):
            write_atomically(path, "new")
    assert path.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [path]  # no temporary file is left


def test_text_that_cannot_be_encoded_leaves_the_old_content(tmp_path: Path) -> None:
    path = tmp_path / "verdict.json"
    path.write_text("old", encoding="utf-8")
    with pytest.raises(UnicodeEncodeError):
        write_atomically(path, "new \ud800")
    assert path.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_in_the_way_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "verdict.json").mkdir()
    with pytest.raises(OSError, match="verdict"):
        write_atomically(tmp_path / "verdict.json", "new")
    assert list(tmp_path.iterdir()) == [tmp_path / "verdict.json"]
