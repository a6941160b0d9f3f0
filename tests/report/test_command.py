"""The command that writes the page: its files, its exit status, and the verdicts that it gathers itself."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from proofs import CLAIMS
from tests.docs.pages import ROOT
from tests.report.pages import document, verdicts, written
from verify.cli.app import run
from verify.report.page import Library
from verify.report.page.sections.claims import claims_json


@pytest.fixture(autouse=True)
def _nothing_else_is_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read no other documents, which other tests do."""
    monkeypatch.setattr("verify.report.page.writing.Library", lambda: Library(tmp_path))


def test_status_0_needs_every_verdict(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path, document([one for one in verdicts() if one.holds is True]))
    assert run(["report", str(tmp_path / "page"), "--verdicts", str(path)]) == 0
    assert "6 of 6 verdicts hold; their sources: current" in capsys.readouterr().out
    path = written(tmp_path, document([one for one in verdicts() if one.holds is True]) | {"sources": "0" * 64})
    assert run(["report", str(tmp_path / "page"), "--verdicts", str(path)]) == 1
    assert "6 of 6 verdicts hold; their sources: stale" in capsys.readouterr().out
    path = written(tmp_path, document())
    assert run(["report", str(tmp_path / "page"), "--verdicts", str(path), "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    page = tmp_path / "page" / "index.html"
    assert told["page"] == str(page)
    assert told["bytes"] == page.stat().st_size
    assert (told["verdicts"], told["holds"], told["sources"]) == (8, 6, "current")
    assert "proofs/BUGS.md" in told["missing"]
    assert [file.name for file in page.parent.iterdir()] == ["index.html"]


def test_without_a_file_the_verdicts_are_gathered_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("verify.cli.report.CLAIMS", {"attention-bias": CLAIMS["attention-bias"]})
    assert run(["report", str(tmp_path / "page"), "--jobs", "1"]) == 0
    kept = json.loads((tmp_path / "page" / "verdicts.json").read_text(encoding="utf-8"))
    assert {verdict["claim"] for verdict in kept["verdicts"]} == {"attention-bias"}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", kept["made"])


def test_verify_says_when_and_from_what_it_was_made(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["verify", "attention-bias", "--json", "--jobs", "1", "--examples", "2"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert list(made) == ["made", "sources", "verdicts", "strongest"]
    assert re.fullmatch(r"[0-9a-f]{64}", made["sources"])


def test_the_table_of_the_readme_has_the_claims_of_the_page() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8").partition("## What is claimed")[2]
    assert re.findall(r"^\| `([\w-]+)` \|", text, flags=re.MULTILINE) == list(claims_json())


def test_what_a_claim_extends_is_a_claim() -> None:
    for claim in CLAIMS.values():
        assert set(claim.extends) <= set(CLAIMS) - {claim.id}
