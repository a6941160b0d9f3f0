"""The README is short, its Python and its commands run as they stand there, and its links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, languages, rerun

README = ROOT / "README.md"
TEXT = README.read_text(encoding="utf-8")
#: Targets of links and pictures that are files of the repository.
LINKS = [link for link in re.findall(r"\]\(([^)]+)\)", TEXT) if not link.startswith("https://")]


def test_it_runs_and_prints_what_it_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert rerun(README) == TEXT
    assert sorted(languages(README)) == ["bibtex", "console", "console", "python", "sh"]


def test_it_is_about_a_hundred_lines() -> None:
    assert len(TEXT.splitlines()) <= 140


def test_it_names_the_two_commands_that_the_makefile_has() -> None:
    made = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.findall(r"^make (\S+)", TEXT, flags=re.MULTILINE)
    assert targets == ["verify", "test"]
    assert all(f"\n{target}: " in made for target in targets)


@pytest.mark.parametrize("link", LINKS)
def test_a_link_leads_to_a_file_and_to_a_heading_of_it(link: str) -> None:
    path, _, heading = link.partition("#")
    file = ROOT / path
    assert file.is_file()
    if heading:
        headings = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), flags=re.MULTILINE)
        assert heading in {title.lower().replace(" ", "-") for title in headings}
