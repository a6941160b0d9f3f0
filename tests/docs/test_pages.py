"""Every page of ``docs/`` runs as it stands there and prints what it shows, see :mod:`tests.docs.pages`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.pages import ROOT, alike, commands, examples_now, extra_of, is_slow, libraries_of, rerun, runs

DOCS = ROOT / "docs"


def _marks(page: Path) -> list[pytest.MarkDecorator]:
    slow = [pytest.mark.heavy] if is_slow(page) else []
    return slow if extra_of(page) is None else [*slow, pytest.mark.extras]


PAGES = [
    pytest.param(page, id=str(page.relative_to(DOCS)), marks=_marks(page))
    for page in sorted(DOCS.rglob("*.md"))
    if runs(page)
]


# peft says so of every prompt, whether a model counts its positions itself or not; and it uses an old name
@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated")
@pytest.mark.filterwarnings("ignore:Position ids are not supported")
@pytest.mark.parametrize("page", PAGES)
@pytest.mark.share(8)  # `make docs` runs every page
def test_a_page_runs_and_prints_what_it_shows(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if (extra := extra_of(page)) is not None:
        for library in libraries_of(extra):
            pytest.importorskip(library)
    monkeypatch.chdir(tmp_path)
    assert rerun(page) == page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("shown", "printed", "same"),
    [
        ("margin  1.23e-04  0.1 s  holds", "margin 1.24e-04   12.0 s  holds", True),
        ("1.23e-04", "1.25e-04", False),
        ("1.23e-04", "1.23e-03", False),
        ("1.23e-04", "-1.23e-04", False),
        ("went on from 2026-01-01T00:00:00+00:00", "went on from 2027-11-01T10:00:00+00:00", True),
        ("margin 5", "margin 6", False),
        ("one line", "one line\nanother", False),
        ("holds", "FALSIFIED", False),
    ],
)
def test_outputs_are_alike_up_to_times_and_the_last_digit_of_measurements(
    shown: str, printed: str, *, same: bool
) -> None:
    assert alike(shown, printed) is same


def test_a_console_block_is_commands_with_their_outputs() -> None:
    assert list(commands("$ one two\nout\n$ three\n")) == [("one two", "out\n"), ("three", "")]


def test_a_wrong_output_a_missing_one_and_an_error_are_seen() -> None:
    assert examples_now(">>> 1 + 1\n3\n>>> 5\n", {}) == ">>> 1 + 1\n2\n>>> 5\n5\n"
    with pytest.raises(ZeroDivisionError):
        examples_now(">>> 1 / 0\n", {})


def test_a_page_that_shows_another_verdict_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "page.md"
    command = "prefixproof exhaust theorem-1 --vocab 2 --context 2 --q 5 --arithmetic rational"
    page.write_text(f"```console\n$ {command}\nholds\n$ echo $?\n0\n```\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    made = rerun(page)
    assert "FALSIFIED" in made
    assert made.endswith("$ echo $?\n1\n```\n")


def test_lines_of_progress_are_no_output_of_a_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the machine is: one comes every hundredth of a second here."""
    monkeypatch.setattr("verify.report.progress.EVERY", 0.01)
    monkeypatch.chdir(tmp_path)
    page = tmp_path / "page.md"
    command = "prefixproof exhaust theorem-1 --vocab 3 --context 4 --arithmetic rational"
    page.write_text(f"```console\n$ {command}\n```\n", encoding="utf-8")
    assert rerun(page).splitlines()[2].startswith("claim ")
