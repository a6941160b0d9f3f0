"""Documents that were forged, cut off or filled with markup: refused in one line, or shown as what they are."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from constructions import InvalidArgument
from proofs import CLAIMS
from tests.report.pages import document, parsed, verdicts, written
from verify.cli.app import run
from verify.evidence.verdict import Verdict
from verify.report.page import Library, make_page
from verify.report.page.documents import ROOT
from verify.report.page.found import Found
from verify.report.page.sections.base import Material
from verify.report.page.sections.claims import Claims
from verify.report.page.states import HOLDS, NOT_SHOWN, Told, told_all, worst
from verify.suite.strongest import strongest_json

SCRIPT = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'`&"


@pytest.fixture(scope="module")
def real() -> dict[str, Any]:
    return document()


def changed(held: dict[str, Any], change: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    """Return a copy of a document, changed."""
    copy = json.loads(json.dumps(held))
    change(copy)
    return dict(copy)


def resumed(held: dict[str, Any], place: int, **values: Any) -> dict[str, Any]:
    """Return a copy in which a verdict says something else, with a summary that follows from it."""
    copy = changed(held, lambda made: made["verdicts"][place].update(values))
    return copy | {"strongest": strongest_json(map(Verdict.from_json, copy["verdicts"]))}


FORGERIES: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "no verdicts": (lambda made: made.update(verdicts=[]), "but it has no verdict"),
    "verdicts in no list": (lambda made: made.update(verdicts={}), "expected the output of prefixproof verify --json"),
    "no summary": (lambda made: made.pop("strongest"), "expected the output of prefixproof verify --json"),
    "another summary": (lambda made: made["strongest"].clear(), "its strongest verdicts are not those of its verdicts"),
    "a date that is not a text": (lambda made: made.update(made=5), "but made is not a text"),
    "true in place of null": (lambda made: made["verdicts"][5].update(holds=True), "expected every case of the space"),
    "true in place of false": (lambda made: made["verdicts"][6].update(holds=True), "at /verdicts/6"),
    "holds is a word": (lambda made: made["verdicts"][0].update(holds="true"), "at /verdicts/0"),
    "true without a margin": (lambda made: made["verdicts"][2].update(margin=None), "expected a margin at /verdicts/2"),
    "a margin of NaN": (lambda made: made["verdicts"][2].update(margin="nan"), "expected a positive margin"),
    "a margin of 0": (lambda made: made["verdicts"][2].update(margin="0"), "expected a positive margin"),
    "a margin that is a list": (lambda made: made["verdicts"][2].update(margin=[1]), "at /verdicts/2"),
    "no case": (lambda made: made["verdicts"][7].update(cases="0"), "at /verdicts/7"),
    "a key too many": (lambda made: made["verdicts"][1].update(more=1), "expected a JSON object with exactly the keys"),
    "no counterexample": (lambda made: made["verdicts"][6].update(counterexample=None), "at /verdicts/6"),
    "an unknown method": (lambda made: made["verdicts"][0].update(method="believed"), "at /verdicts/0"),
    "a claim that is a list": (lambda made: made["verdicts"][0].update(claim=[]), "at /verdicts/0"),
    "numbers that are a list": (lambda made: made["verdicts"][0].update(arithmetic=[]), "at /verdicts/0"),
    "a lone surrogate": (
        lambda made: made["verdicts"][0].update(device="\ud800"),
        "expected Unicode that UTF-8 can write",
    ),
    "half of a certificate": (lambda made: made["verdicts"][4].update(cases="2"), "to be certified for True"),
    "half of a proof": (lambda made: made["verdicts"][1].update(cases="3"), "to be proved for True"),
    "drawn without a seed": (lambda made: made["verdicts"][7].update(seed=None), "expected the seed of what was drawn"),
    "a seed that is a word": (lambda made: made["verdicts"][7].update(seed="5"), "at /verdicts/7"),
    "seconds that are a word": (lambda made: made["verdicts"][2].update(seconds="5"), "at /verdicts/2"),
    "less than no time": (lambda made: made["verdicts"][2].update(seconds=-1), "at /verdicts/2"),
    "a reason that is a list": (lambda made: made["verdicts"][2].update(reason=["x"]), "at /verdicts/2"),
    "taken over from nowhere": (lambda made: made["verdicts"][2].update(resumed={"cases": "2"}), "at /verdicts/2"),
    "versions that are a list": (lambda made: made["verdicts"][2].update(versions=[]), "at /verdicts/2"),
    "a counterexample that is right": (
        lambda made: made["verdicts"][6]["counterexample"].update(produced=2, margin="1"),
        "expected a case that is not as promised",
    ),
    "cases as a number": (lambda made: made["verdicts"][0].update(cases=36), "as it is written at /verdicts/0"),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forged_document_is_refused_in_one_line(
    name: str, real: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change, words = FORGERIES[name]
    path = written(tmp_path, changed(real, change))
    assert run(["report", str(tmp_path / "page"), "--verdicts", str(path)]) == 2
    told = capsys.readouterr().err
    assert words in told
    assert told.startswith("error: verdicts.json: ")
    assert told.count("\n") == 1
    assert not (tmp_path / "page" / "index.html").exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "expected JSON but it cannot be read"),
        ('{"verdicts": [', "expected JSON but it cannot be read"),
        ('{"verdicts": [], "verdicts": [], "strongest": {}}', "expected every key once"),
        ('{"verdicts": [{"margin": NaN}], "strongest": {}}', "expected JSON, which has no NaN"),
        ('{"error": "no"}', "expected the output of prefixproof verify --json"),
        ("[" * 100_000, "expected JSON but it cannot be read"),
        ("5", "expected the output of prefixproof verify --json"),
    ],
)
def test_what_is_no_such_document_is_refused_in_one_line(text: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match=re.escape(words)):
        make_page(written(tmp_path, text), Library(tmp_path))


def test_a_file_that_is_not_there_and_a_place_that_is_no_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["report", str(tmp_path / "page"), "--verdicts", str(tmp_path / "nothing.json")]) == 2
    assert "nothing.json: No such file or directory" in capsys.readouterr().err
    (tmp_path / "file").write_text("", encoding="utf-8")
    assert run(["report", str(tmp_path / "file"), "--verdicts", "-"]) == 2
    assert "dir: expected a folder but" in capsys.readouterr().err


def test_every_text_is_escaped(real: dict[str, Any], tmp_path: Path) -> None:
    held = resumed(
        real, 0, claim=SCRIPT, reason=SCRIPT, arithmetic="real", parameters={"sizes": SCRIPT, "prover": SCRIPT}
    )
    held["verdicts"][6]["counterexample"] |= {"construction": SCRIPT, "reproduce": SCRIPT}
    held["verdicts"][6]["device"] = SCRIPT
    held["made"] = held["sources"] = SCRIPT
    (tmp_path / "proofs").mkdir()
    (tmp_path / "proofs/BUGS.md").write_text(
        f"# Bugs\n\n## {SCRIPT}\n\n| bug | test |\n|---|---|\n| {SCRIPT} | `{SCRIPT}` |\n"
    )
    (tmp_path / "proofs/MUTANTS.md").write_text(f"# M\n\n**9 mutants: {SCRIPT}**\n", encoding="utf-8")
    page = make_page(written(tmp_path, held), Library(tmp_path))
    found = parsed(page.text)
    assert [element.tag for element in found.elements if element.tag == "script"] == ["script"]
    assert [element for element in found.elements if element.tag == "img"] == []
    assert [name for element in found.elements for name in element.attributes if name.startswith("on")] == []
    assert sum(SCRIPT in text for text, _ in found.texts) >= 6
    assert any(element.attributes.get("data-claim") == SCRIPT for element in found.elements)


def test_the_page_lets_no_script_run_but_its_own(real: dict[str, Any], tmp_path: Path) -> None:
    page = make_page(written(tmp_path, real), Library(tmp_path))
    policy = next(
        e.attributes["content"] for e in parsed(page.text).elements if "Content-Security" in str(e.attributes)
    )
    assert policy.startswith("default-src 'none'; ")
    assert re.search(r"script-src 'sha256-[\w+/=]{44}'$", policy)


def test_old_sources_are_called_stale_and_those_at_hand_current(real: dict[str, Any], tmp_path: Path) -> None:
    def age(held: dict[str, Any]) -> str:
        return make_page(written(tmp_path, held), Library(tmp_path)).age.word

    assert age(real) == "current"
    assert age(real | {"sources": "0" * 64}) == "stale"
    old = make_page(written(tmp_path, real | {"sources": "0" * 64}), Library(tmp_path)).text
    assert "Nothing is shown of the sources at hand until the verdicts are gathered again" in old
    assert 'class="of-stale"' in old
    assert age({name: value for name, value in real.items() if name != "sources"}) == "stale"


def test_a_claim_that_nobody_registered_is_shown_as_one(real: dict[str, Any], tmp_path: Path) -> None:
    page = make_page(written(tmp_path, resumed(real, 2, claim="CaesarCipher")), Library(tmp_path))
    assert "This claim is not registered" in page.text


def _coq(real: dict[str, Any], **values: Any) -> dict[str, Any]:
    """Return the document with something else said of the proofs in Coq, and nothing else."""
    kept = [one for one in real["verdicts"] if str(one["parameters"].get("prover")).startswith("Coq")]
    held = [{**one, **values} for one in kept]
    return {**real, "verdicts": held, "strongest": strongest_json(map(Verdict.from_json, held))}


NINTH = "proved in Coq: theorem_9"
FORGED_PROOFS: dict[str, tuple[dict[str, Any], str]] = {
    "a theorem that is not audited": (
        {"reason": NINTH, "cases": "1", "space": "1"},
        "its cases and space and reason are not as in the audited list of theorems",
    ),
    "of another claim": ({"claim": "digits"}, "no theorem in the audited list is about digits"),
    "of no claim": ({"claim": "CaesarCipher"}, "no theorem in the audited list is about CaesarCipher"),
    "with assumptions": ({"assumptions": "P = NP"}, "its assumptions is not as in the audited list of theorems"),
    "in floats": ({"arithmetic": "torch float32"}, "its arithmetic is not as in the audited list of theorems"),
    "with a margin": ({"margin": "1"}, "its margin is not as in the audited list of theorems"),
    "of more sizes": (
        {"parameters": {"sizes": "more than all", "prover": "Coq 8.16.1"}},
        "its parameters is not as in the audited list of theorems",
    ),
    "another prover": ({"parameters": {"sizes": "all", "prover": "Lean 4"}}, "this package has no such prover"),
    "no prover": ({"parameters": {"sizes": "all"}}, "an unnamed prover proved it, but this package has no such prover"),
    "sympy, of other obligations": (
        {"parameters": {"sizes": "all", "prover": "sympy"}, "cases": "37", "space": "37"},
        "theorem-1 has 36 obligations here, not 37",
    ),
    "sympy, of nothing": (
        {"parameters": {"sizes": "all", "prover": "sympy"}, "claim": "CaesarCipher", "cases": "1", "space": "1"},
        "CaesarCipher has 0 obligations here, not 1",
    ),
    "sympy, of some sizes": (
        {"parameters": {"sizes": "some", "prover": "sympy"}, "cases": "36", "space": "36"},
        "a proof is about all sizes in real arithmetic, and has no margin",
    ),
}


@pytest.mark.parametrize("name", FORGED_PROOFS)
def test_a_proof_that_this_package_does_not_have_is_not_shown(name: str, real: dict[str, Any], tmp_path: Path) -> None:
    values, words = FORGED_PROOFS[name]
    page = make_page(written(tmp_path, _coq(real, **values)), Library(tmp_path))
    assert [item.state for item in page.verdicts] == [NOT_SHOWN]
    assert not page.holds
    said = [text for text, _ in parsed(page.text).texts]
    assert any(text.startswith("the file says that ") and text.endswith(words) for text in said)
    assert not any(text.startswith("proved by") or NINTH in text for text in said)


def test_a_proof_that_this_package_has_is_shown(real: dict[str, Any], tmp_path: Path) -> None:
    for held in (_coq(real), real | {"verdicts": real["verdicts"][:2]}):
        document = held | {"strongest": strongest_json(map(Verdict.from_json, held["verdicts"]))}
        page = make_page(written(tmp_path, document), Library(tmp_path))
        assert {item.state for item in page.verdicts} == {HOLDS}
        assert page.holds


def test_without_the_audit_nothing_is_proved_in_coq(
    real: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing() -> None:
        raise FileNotFoundError("audit.golden")

    monkeypatch.setattr("verify.suite.reread.audited", missing)
    page = make_page(written(tmp_path, _coq(real)), Library(tmp_path))
    assert [item.state for item in page.verdicts] == [NOT_SHOWN]
    assert "the audited list of theorems is not here" in str(page.verdicts[0].verdict.reason)


def test_claims_without_a_verdict_are_named(
    real: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, _coq(real))
    without = [claim for claim in CLAIMS if claim != "theorem-1"]
    page = make_page(path, Library(tmp_path))
    assert page.without_verdict == without
    text = " ".join(text for text, _ in parsed(page.text).texts)
    assert f"No verdict here, so nothing is shown of these claims: {' , '.join(without)}" in " ".join(text.split())
    assert run(["report", str(tmp_path / "page"), "--verdicts", str(path)]) == 0
    said = f"no verdict here, so nothing is shown of them: {', '.join(without)}"
    assert said in " ".join(capsys.readouterr().out.split())
    assert run(["report", str(tmp_path / "page"), "--verdicts", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["without_verdict"] == without


def _copied(tmp_path: Path, *names: str) -> Library:
    for name in names:
        place = tmp_path / name
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, place)
    return Library(tmp_path)


RESULT = "proofs/evidence/experiments/sorting-cpu/result.json"


def _result(change: Callable[[dict[str, Any]], Any]) -> str:
    return json.dumps(changed(json.loads((ROOT / RESULT).read_text(encoding="utf-8")), change))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (_result(lambda made: made["shares"]["prefix"].update(descending=[99.0])), "its checks do not follow"),
        (_result(lambda made: made["checks"][0].update(holds=True, found=99)), "its checks do not follow"),
        (_result(lambda made: made["paper"]["prefix"].update(descending=1.0)), "other numbers of the paper"),
        (_result(lambda made: made["shares"]["prefix"].update(ascending=[101])), "a share is not between 0 and 100"),
        (_result(lambda made: made.update(experiment=SCRIPT)), "expected a result of an experiment"),
        (_result(lambda made: made.update(experiment=["sorting"])), "expected a result of an experiment"),
        (_result(lambda made: made.update(seeds=[0, 1, 2, 3])), "its shares are not one for each seed"),
        (_result(lambda made: made.update(pictures=[5])), "the name of a picture beside it"),
        (_result(lambda made: made.update(device="x")).replace('"x"', "1e999"), "is beyond the floats"),
        (_result(lambda made: made.pop("after")), "expected a result as an experiment writes it"),
        (_result(lambda made: made.update(pictures=["../../../../secret.png"])), "the name of a picture beside it"),
        (
            _result(lambda made: made["shares"]["prefix"].update(ascending=[0.0])).replace("[0.0]", "[NaN]", 1),
            "has no NaN",
        ),
        ("{", "cannot be read"),
    ],
)
def test_a_result_that_does_not_follow_from_its_numbers_is_refused(
    text: str, words: str, real: dict[str, Any], tmp_path: Path
) -> None:
    library = _copied(tmp_path, RESULT)
    (tmp_path / RESULT).write_text(text, encoding="utf-8")
    with pytest.raises(InvalidArgument, match=re.escape(words)) as refused:
        make_page(written(tmp_path, real), library)
    assert str(refused.value).startswith(f"{RESULT}: ")


def test_a_result_of_other_training_code_is_stale_whatever_came_out(real: dict[str, Any], tmp_path: Path) -> None:
    library = _copied(tmp_path, RESULT)
    (tmp_path / RESULT).write_text(_result(lambda made: made.update(sources="0" * 64)), encoding="utf-8")
    page = make_page(written(tmp_path, real), library)
    heading = page.text.partition("preset <span")[2].partition("</h3>")[0]
    assert "stale" in heading
    assert "holds" not in heading


def test_a_picture_that_is_none_is_refused(real: dict[str, Any], tmp_path: Path) -> None:
    library = _copied(tmp_path, RESULT)
    for name in ("accuracy.png", "attention.png"):
        (tmp_path / RESULT).with_name(name).write_text("<svg onload='alert(1)'/>", encoding="utf-8")
    with pytest.raises(InvalidArgument, match="expected a picture in PNG"):
        make_page(written(tmp_path, real), library)


def test_edited_evidence_of_a_device_is_called_broken_and_shows_nothing(real: dict[str, Any], tmp_path: Path) -> None:
    folder = "proofs/evidence/nvidia-h200"
    library = _copied(tmp_path, *(f"{folder}/{path.name}" for path in (ROOT / folder).iterdir()))
    path = tmp_path / folder / "verify.json"
    path.write_text(path.read_text().replace('"refuted"', '"held"').replace("18", "19", 1), encoding="utf-8")
    page = make_page(written(tmp_path, real), library)
    assert "broken: verify.json is not the file that summary.json was written with" in page.text
    assert "on a device" not in page.text


def test_a_frontier_that_is_none_is_refused(real: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "proofs").mkdir()
    (tmp_path / "proofs/frontier.json").write_text('{"one": {"setting": 5}}', encoding="utf-8")
    with pytest.raises(InvalidArgument, match=r"proofs/frontier.json: expected a frontier at /one"):
        make_page(written(tmp_path, real), Library(tmp_path))


def test_a_page_that_is_too_long_is_refused(
    real: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("verify.report.page.writing.LARGEST", 1000)
    with pytest.raises(InvalidArgument, match="page: expected at most 1,000 bytes but it would have"):
        make_page(written(tmp_path, real), Library(tmp_path))


def test_a_verdict_without_a_margin_is_not_shown_wherever_it_comes_from(real: dict[str, Any]) -> None:
    record = changed(real["verdicts"][2], lambda made: made.update(margin=None))
    verdict = Verdict.from_json(record)
    assert verdict.holds is True
    assert Told(Found("f", "", record), verdict, 0).state is NOT_SHOWN
    assert [told.state for told in told_all(Found("f", "", real))][7] is HOLDS  # an identity, exactly


def test_a_claim_holds_only_with_every_kind_of_evidence_that_its_plan_gathers(tmp_path: Path) -> None:
    def state(found: list[Verdict]) -> str:
        material = Material(Library(tmp_path), told_all(Found("f", "", document(found))), Found("f", "", {}))
        return next(card.state.word for card in Claims(material).cards if card.id == "attention-bias")

    sympy, *_, fuzzed = verdicts()
    proved = replace(sympy, claim="attention-bias")
    assert state([proved, fuzzed]) == "holds"
    assert state([fuzzed]) == "not shown"
    assert state([proved]) == "not shown"


def test_of_no_verdict_nothing_is_shown() -> None:
    assert worst([]) is NOT_SHOWN


def test_a_row_with_cells_too_many_is_refused(real: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "proofs").mkdir()
    (tmp_path / "proofs/BUGS.md").write_text("# B\n\n| bug | test |\n|---|---|\n| a | b | c |\n", encoding="utf-8")
    with pytest.raises(InvalidArgument, match=r"proofs/BUGS.md: expected 2 cells in the row 'a'"):
        make_page(written(tmp_path, real), Library(tmp_path))
