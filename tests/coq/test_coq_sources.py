"""What the Coq sources say, checked without Coq: nothing assumed, every theorem audited, explained and claimed."""

from __future__ import annotations

import re

import pytest

from proofs import CLAIMS
from tests.coq.sources import COQ, GOLDEN, PROOFS, SOURCES, theorem_names, without_comments
from verify.suite.coq_record import CoqRecord, audited, coq_verdict


def test_every_source_is_listed() -> None:
    assert sorted(path.name for path in COQ.glob("*.v")) == sorted(
        [*SOURCES, "export_golden.v", "export_matrix_units.v"]
    )


@pytest.mark.parametrize("name", SOURCES)
def test_nothing_is_assumed(name: str) -> None:
    text = without_comments((COQ / name).read_text())
    words = r"\b(Admitted|admit|give_up|Axioms?|Parameters?|Conjecture|bypass_check|Unset\s+\w+\s+Checking)\b"
    assert re.search(words, text) is None
    sections = len(re.findall(r"^\s*Section ", text, re.MULTILINE))
    assumed = re.findall(r"^\s*(Hypothesis|Variables?|Context)\b", text, re.MULTILINE)
    assert sections > 0 or not assumed  # outside a section these would be axioms


def test_statements_file_has_only_short_proofs() -> None:
    text = without_comments((COQ / "Theorems.v").read_text())
    proofs = re.findall(r"Proof\.(.*?)Qed\.", text, re.DOTALL)
    assert len(proofs) == len(theorem_names())
    assert max(len(proof) for proof in proofs) < 400
    assert re.search(r"^(Lemma|Definition|Fixpoint|Ltac|Notation)\b", text, re.MULTILINE) is None


def test_every_theorem_is_audited_and_explained() -> None:
    names = theorem_names()
    assert len(names) == len(set(names)) > 0
    audited = re.findall(r"^theorem (\w+)$", (COQ / "audit.golden").read_text(), re.MULTILINE)
    assert audited == names
    explained = re.findall(r"^\| `(\w+)` \|", (PROOFS / "TRUST.md").read_text(), re.MULTILINE)
    assert explained == names


def test_axioms_are_the_four_of_the_standard_library_and_trust_md_tells_which() -> None:
    letters = {
        "ClassicalDedekindReals.sig_forall_dec": "D",
        "ClassicalDedekindReals.sig_not_dec": "N",
        "FunctionalExtensionality.functional_extensionality_dep": "F",
        "Classical_Prop.classic": "C",
    }
    audit = (COQ / "audit.golden").read_text()
    table = dict(re.findall(r"^\| `(\w+)` \|.*\| ([DNFC]+) \|$", (PROOFS / "TRUST.md").read_text(), re.MULTILINE))
    for entry in audit.split("theorem ")[1:]:
        name, *lines = entry.splitlines()
        assert lines[0] == "Axioms:"
        used = {line.split(":")[0].strip() for line in lines[1:] if not line.startswith(" ")}
        assert used <= set(letters)
        assert set(table[name]) == {letters[axiom] for axiom in used}


#: The sections of Theorems.v, with the numbers of their theorems, and the claims of those that are about the reals.
SECTIONS = {
    "Theorem 1": ("reals", {"theorem-1"}),
    "Theorem 2": ("reals", {"theorem-2"}),
    "Longer responses": ("reals", {"longer-responses"}),
    "Longer user inputs": ("reals", {"longer-inputs"}),
    "Attention under a prefix": ("reals", {"attention-rescaling", "attention-bias"}),
    "IEEE floating-point arithmetic": ("IEEE formats", None),
    "Matrix units": ("matrix units", None),
}
#: The transformers that statements name, by their claims. The others only say that there is one.
TRANSFORMERS = {
    "theorem-1": r"unconditional_\w+",
    "theorem-2": r"conditional_\w+",
    "longer-responses": r"longer_responses\w*",
    "longer-inputs": r"longer_inputs\w*",
}


def test_the_subject_of_every_theorem_is_as_in_the_sources() -> None:
    text = (COQ / "Theorems.v").read_text()
    found = []
    for section in text.split("(** ** ")[1:]:
        (title,) = (title for title in SECTIONS if section.startswith(title))
        numbers, claims = SECTIONS[title]
        for statement in re.split(r"^Theorem ", without_comments("(*" + section), flags=re.MULTILINE)[1:]:
            name = statement.split()[0]
            theorem = next(each for each in audited() if each.name == name)
            assert theorem.numbers == numbers
            assert claims is None or theorem.claim in claims
            stated = statement.partition("Proof.")[0].removeprefix(name)
            named = [claim for claim, words in TRANSFORMERS.items() if re.search(rf"\b{words}", stated)]
            assert named in ([], [theorem.claim])
            found.append(name)
    table = [line.split(" | ")[0] for line in (COQ / "subjects.txt").read_text().splitlines()[1:]]
    assert found == table == theorem_names()


def test_every_claim_has_theorems_but_for_those_that_sympy_proves_alone() -> None:
    """Those are section 6's expansion, several digits and residual streams."""
    assert {theorem.claim for theorem in audited()} - {None} == set(CLAIMS) - {
        "second-layer-attention",
        "digits",
        "residual-theorem-1",
        "residual-theorem-2",
    }


def test_verdicts_over_the_reals_name_the_theorems_that_trust_md_says_are_about_reals() -> None:
    rows = re.findall(r"^\| `(\w+)` \|.*\| ([^|]+) \| [DNFC]+ \|$", (PROOFS / "TRUST.md").read_text(), re.MULTILINE)
    assert [name for name, _ in rows] == theorem_names()
    verdicts = [coq_verdict(claim, CoqRecord("8.16.1", audited())) for claim in CLAIMS]
    reasons = [str(verdict.reason).partition(": ")[2].partition(";")[0] for verdict in verdicts if verdict is not None]
    named = {name for reason in reasons for name in reason.split(", ")}
    assert named == {name for name, arithmetic in rows if arithmetic.startswith("reals")}


def test_trust_md_ties_every_theorem_to_the_files_of_its_transformer() -> None:
    """A row names what the theorem's text names, and files that are there; what is in no row is said to be untied."""
    text = (PROOFS / "TRUST.md").read_text()
    section = text.split("## Which theorem is tied")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)\{([\w,]+)\}\.txt` \| `(\w+)` \| (.+) \|$", section, re.MULTILINE)
    source = without_comments((COQ / "Theorems.v").read_text())
    statements = dict(zip(theorem_names(), re.split(r"^Theorem \w+", source, flags=re.MULTILINE)[1:], strict=True))
    untied = set(theorem_names())
    files: list[str] = []
    for stem, sizes, definition, theorems in rows:
        about = {name for name, statement in statements.items() if re.search(rf"\b{definition} ", statement)}
        assert about == set(re.findall(r"`(\w+)`", theorems)), definition
        untied -= about
        files += [f"{stem}{size}" for size in sizes.split(",")]
    assert sorted(files) == sorted(path.stem for path in GOLDEN)
    told = section.split("Tied by no file:")[1].split("\n- ")[0]
    assert untied == set(re.findall(r"`(\w+)`", told))
