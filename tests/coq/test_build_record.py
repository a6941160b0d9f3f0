"""What counts as proved in Coq: a record of a build of these very sources, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from proofs import CLAIMS
from verify.suite.coq_record import SOURCES, CoqRecord, CoqTheorem, audited, coq_verdict, read_record, sources_sha256


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "_CoqProject").write_text("-R . P\n-arg -w\nB.v\nA.v\n", encoding="utf-8")
    (tmp_path / "A.v").write_text("Definition a := 1.\n", encoding="utf-8")
    (tmp_path / "B.v").write_text("Definition b := 2.\n", encoding="utf-8")
    audit = "theorem theorem_1_hardmax\nAxioms:\nclassic : forall P : Prop,\n  P \\/ ~ P\n"
    (tmp_path / "audit.golden").write_text(audit, encoding="utf-8")
    (tmp_path / "subjects.txt").write_text("# a table\ntheorem_1_hardmax | theorem-1 | reals\n", encoding="utf-8")
    return tmp_path


def _write(folder: Path, **changes: Any) -> None:
    record = {
        "format": 1,
        "coq": "8.16.1",
        "sources_sha256": sources_sha256(folder),
        "theorems": [{"name": "theorem_1_hardmax", "file": "Theorems.v", "axioms": ["classic"]}],
    }
    (folder / "build-record.json").write_text(json.dumps({**record, **changes}), encoding="utf-8")


def test_a_record_of_these_sources_is_read(folder: Path) -> None:
    _write(folder)
    record, reason = read_record(folder)
    assert reason is None
    assert record == CoqRecord("8.16.1", (CoqTheorem("theorem_1_hardmax", ("classic",), "theorem-1", "reals"),))


def test_without_a_build_nothing_is_proved(folder: Path) -> None:
    assert read_record(folder) == (None, "the Coq proofs are not built here; `make proofs` builds them")
    assert read_record(folder / "nowhere")[0] is None


@pytest.mark.parametrize("name", ["A.v", "B.v"])
def test_one_changed_character_of_a_source_makes_the_record_worthless(folder: Path, name: str) -> None:
    _write(folder)
    path = folder / name
    path.write_text(path.read_text(encoding="utf-8").replace("1", "3").replace("2", "3"), encoding="utf-8")
    record, reason = read_record(folder)
    assert record is None
    assert reason == "the Coq proofs were built from other sources; `make proofs` builds these"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"format": 2}, "has layout 2, not 1"),
        ({"theorems": [{"name": "theorem_1"}]}, "cannot be read"),
        ({"theorems": None}, "cannot be read"),
    ],
)
def test_a_record_that_is_not_understood_proves_nothing(folder: Path, changes: dict[str, Any], words: str) -> None:
    _write(folder, **changes)
    record, reason = read_record(folder)
    assert record is None
    assert words in (reason or "")


@pytest.mark.parametrize(
    "theorems",
    [
        [],
        [{"name": "theorem_1_hardmax", "axioms": []}],
        [{"name": "theorem_1_hardmax", "axioms": ["classic", "false"]}],
        [{"name": "theorem_2", "axioms": ["classic"]}],
        [{"name": "theorem_1_hardmax", "axioms": ["classic"]}, {"name": "theorem_2", "axioms": []}],
    ],
)
def test_an_edited_record_proves_nothing(folder: Path, theorems: Any) -> None:
    _write(folder, theorems=theorems)
    record, reason = read_record(folder)
    assert record is None
    assert "lists other theorems or axioms than the audit" in (reason or "")


def test_the_committed_audit_is_read() -> None:
    theorems = audited()
    assert len(theorems) == (SOURCES / "audit.golden").read_text(encoding="utf-8").count("theorem ")
    allowed = {"sig_forall_dec", "sig_not_dec", "functional_extensionality_dep", "classic"}
    assert {axiom.split(".")[-1] for theorem in theorems for axiom in theorem.axioms} <= allowed


def test_a_theorem_without_a_subject_is_an_error(folder: Path) -> None:
    (folder / "subjects.txt").write_text("theorem_1 | theorem-1 | reals\n", encoding="utf-8")
    with pytest.raises(KeyError, match="theorem_1_hardmax"):
        audited(folder)


def test_a_broken_file_proves_nothing(folder: Path) -> None:
    (folder / "build-record.json").write_text("{", encoding="utf-8")
    assert read_record(folder)[0] is None


def test_a_verdict_names_its_theorems_and_only_those_over_the_reals() -> None:
    ieee = "IEEE formats"
    rows = [
        ("a", "theorem-1", "reals"),
        ("b", "theorem-1", "reals"),
        ("c", "theorem-1", ieee),
        ("d", "theorem-1", ieee),
    ]
    rows += [("theorem_1_softmax", "theorem-2", "reals")]  # what it is about, no name says
    record = CoqRecord("8.16.1", tuple(CoqTheorem(name, (), claim, numbers) for name, claim, numbers in rows))
    verdict = coq_verdict("theorem-1", record)
    assert verdict is not None
    assert verdict.holds is True
    assert (verdict.method, verdict.arithmetic, verdict.cases) == ("proved", "real", 2)
    assert verdict.reason == "proved in Coq: a, b; and 2 about IEEE formats, see TRUST.md"
    more = CoqRecord("8.16.1", (*record.theorems, CoqTheorem("e", (), "theorem-1", "matrix units")))
    told = coq_verdict("theorem-1", more)
    assert told is not None
    assert (told.reason or "").endswith("; and 2 about IEEE formats, 1 about matrix units, see TRUST.md")
    assert coq_verdict("longer-inputs", record) is None
    assert coq_verdict("theorem-1", CoqRecord("8.16.1", (CoqTheorem("theorem_1", (), "theorem-1", ieee),))) is None
    assert coq_verdict("theorem-1", CoqRecord("8.16.1", (CoqTheorem("theorem_1", (), None, "reals"),))) is None


def test_the_digest_is_of_the_sources_that_the_project_lists() -> None:
    assert (SOURCES / "_CoqProject").exists()
    assert len(sources_sha256()) == 64


def test_no_theorem_about_floats_is_listed_as_one_about_the_reals() -> None:
    """Flocq's numbers rest on classical logic, and so does each theorem about them, whatever its name."""
    record = CoqRecord("8.16.1", audited())
    classical = {theorem.name for theorem in record.theorems if "Classical_Prop.classic" in theorem.axioms}
    verdicts = filter(None, (coq_verdict(claim, record) for claim in CLAIMS))
    said = [str(verdict.reason).removeprefix("proved in Coq: ").partition(";")[0] for verdict in verdicts]
    listed = {name for names in said for name in names.split(", ")}
    assert len(listed) == 19
    assert listed & classical == {"theorem_1_notebook_iff"}
