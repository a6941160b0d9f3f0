"""Every number on the page of evidence is followed back to the document that it names, and nothing is shown unread."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from statistics import mean
from typing import Any

import pytest

from proofs import CLAIMS
from tests.report.pages import Element, Parsed, document, parsed, written
from verify.device.checking import check_evidence
from verify.device.steps import STEPS
from verify.evidence.verdict import Verdict, library_versions
from verify.experiments import EXPERIMENTS
from verify.report import tables
from verify.report.page import Library, Page, make_page
from verify.report.page.documents import ROOT, markdown_sections
from verify.report.page.shapes import SHAPES
from verify.report.page.writing import LARGEST


@pytest.fixture(scope="module")
def verdicts_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("verdicts"), document())


@pytest.fixture(scope="module")
def page(verdicts_file: Path) -> Page:
    return make_page(verdicts_file)


@pytest.fixture(scope="module")
def parts(page: Page) -> Parsed:
    return parsed(page.text)


def _pointed(value: Any, pointer: str) -> Any:
    """Return the value at a JSON pointer, by code of its own."""
    for word in pointer.split("/")[1:]:
        value = value[int(word)] if isinstance(value, list) else value[word.replace("~1", "/").replace("~0", "~")]
    return value


def _readout() -> list[dict[str, Any]]:
    """Return the lines of the paper's readout for V = 10: slope 2v/V - 1, offset 1/4 - (v/V)^2."""
    grid = [Fraction(token, 10) for token in range(10)]
    return [{"token": v, "slope": str(2 * x - 1), "offset": str(Fraction(1, 4) - x * x)} for v, x in enumerate(grid)]


def _check(folder: str) -> dict[str, Any]:
    changed = list(check_evidence(ROOT / folder, STEPS).changed)
    count = len(changed)
    sentence = f"stale: {count} file{'' if count == 1 else 's'} changed since" if count else "current"
    return {"state": sentence.split(":", maxsplit=1)[0], "sentence": sentence, "changed": changed}


def _claims() -> dict[str, Any]:
    return {
        name: {**{key: getattr(claim, key) for key in ("id", "title", "statement", "source", "caveat")}}
        | {"extends": list(claim.extends), "obligations": [vars(item) for item in claim.obligations]}
        for name, claim in CLAIMS.items()
    }


def _experiments() -> dict[str, Any]:
    return {
        name: {"name": item.name, "absent": dict(item.absent), "presets": list(item.presets)}
        for name, item in EXPERIMENTS.items()
    }


def _files(verdicts_file: Path, names: list[str]) -> dict[str, Any]:
    found = {}
    for name in names:
        content = (verdicts_file if name == verdicts_file.name else ROOT / name).read_bytes()
        found[name] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    return found


def _document(name: str, verdicts_file: Path, page: Page, parts: Parsed) -> Any:
    """Return a document that the page names, read here again."""
    if name == verdicts_file.name:
        return json.loads(verdicts_file.read_text())
    if name.endswith(".json"):
        return json.loads((ROOT / name).read_text())
    if name.endswith(".md"):
        return markdown_sections((ROOT / name).read_text())
    if name.startswith("prefixproof gpu-evidence --check "):
        return _check(name.rpartition(" ")[2])
    listed = [element.attributes["data-name"] for element in parts.elements if "data-name" in element.attributes]
    made = next(
        text for text, where in parts.texts if where.attributes.get("data-at") == "/made" and where.inside("footer")
    )
    caption = next(text for text, _ in parts.texts if text.startswith("A^pt"))
    made_here: dict[str, Callable[[], Any]] = {
        "proofs.CLAIMS": _claims,
        "constructions.UnconditionalGeneration(10, 1)": _readout,
        "verify.experiments.EXPERIMENTS": _experiments,
        "prefixproof verify": lambda: {told.verdict.claim: None for told in page.verdicts},
        "prefixproof report": lambda: {"made": made, "version": library_versions()["prefixproof"]},
        "verify.report.page.drawing.draw_prefix": lambda: {"caption": caption},
        "proofs/coq/golden/*.txt": lambda: [str(path) for path in (ROOT / "proofs/coq/golden").glob("*.txt")],
        "proofs/coq/audit.golden": lambda: re.findall(r"^theorem ", (ROOT / name).read_text(), flags=re.MULTILINE),
        "files": lambda: _files(
            verdicts_file, [word for word in listed if (ROOT / word).is_file() or word == verdicts_file.name]
        ),
    }
    return made_here[name]()


def _number(value: Any) -> str:
    text = str(value)
    return f"{int(text):,}" if len(text) <= 15 else f"~{text[0]}.{text[1:3]}e{len(text) - 1}"


def _margin(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, str):
        return value if len(value) <= 15 else f"~{float(Fraction(value)):.2e}"
    return f"{value:.2e}"


def _prose(value: str) -> str:
    plain = re.sub(r"\[([^\]]+)\]\([^)]+\)", r"\1", value)
    return plain.replace("**", "").replace("`", "").removeprefix("- ")


#: How each shape is written, by code of its own where that is short; a verdict's words are those of the terminal.
WRITTEN = {
    "text": str,
    "prose": _prose,
    "list": lambda value: ", ".join(map(str, value)),
    "pairs": lambda value: ", ".join(f"{name} {part}" for name, part in value.items()),
    "number": _number,
    "share": lambda value: f"{value:.1f} %",
    "measured": lambda value: f"{value:.4g}",
    "seconds": lambda value: f"{value:.1f} s",
    "margin": _margin,
    "digest": lambda value: value[:12],
    "evidence": lambda value: tables.evidence(Verdict.from_json(value)),
    "parameters": lambda value: tables.parameters(Verdict.from_json(value)),
    "word": lambda value: (
        "proved by " + value["parameters"]["prover"] if value["method"] == "proved" else value["method"]
    ),
    "case": lambda value: Verdict.from_json(value).case.sentence(),  # type: ignore[union-attr] # it has one
}
WAYS = {"count": len, "sum": lambda values: sum(map(int, values)), "mean": mean, "smallest": min, "largest": max}


def _followed(element: Element, held: Any) -> str:
    """Return what must stand in an element, from the document that it names."""
    marks = element.attributes
    if marks["data-file"] == "prefixproof verify":
        return f"prefixproof verify {marks['data-at'][1:]}"
    value = _pointed(held, marks["data-at"])
    if "data-way" in marks:
        wanted = json.loads(marks["data-where"])

        def fits(part: Any) -> bool:
            return all(_pointed(part, place) == want for place, want in wanted.items())

        parts = value if isinstance(value, list) else value.values()
        counted = [part for part in parts if _has(part, wanted) and fits(part)]
        chosen = [_pointed(part, marks["data-of"]) for part in counted]
        value = WAYS[marks["data-way"]](chosen)  # type: ignore[operator] # each takes a list
    return WRITTEN[marks["data-as"]](value)  # type: ignore[no-any-return, operator] # each returns a text


def _has(part: Any, wanted: dict[str, Any]) -> bool:
    for place in wanted:
        try:
            _pointed(part, place)
        except (KeyError, TypeError):
            return False
    return True


def test_every_value_is_what_its_document_says_at_its_place(page: Page, parts: Parsed, verdicts_file: Path) -> None:
    held: dict[str, Any] = {}
    followed: Counter[str] = Counter()
    for element in parts.elements:
        if "data-at" not in element.attributes:
            continue
        name = element.attributes["data-file"]
        if name not in held:
            held[name] = _document(name, verdicts_file, page, parts)
        assert element.text == _followed(element, held[name]), element.attributes
        followed[name] += 1
    assert followed[verdicts_file.name] > 50
    assert set(WRITTEN) == set(SHAPES)
    assert {"proofs/frontier.json", "proofs/BUGS.md", "proofs/TRUST.md", "proofs/MUTANTS.md"} <= set(followed)
    assert any(name.startswith("proofs/evidence/experiments/") for name in followed)
    assert any(name.startswith("proofs/evidence/nvidia") for name in followed)


def test_no_digit_stands_on_the_page_that_names_no_document(parts: Parsed) -> None:
    """Pictures are drawn from the document that they name; words of choices and of names are looked at below."""
    loose = [
        text
        for text, where in parts.texts
        if re.search(r"\d", text)
        and where.within("data-at") is None
        and where.within("data-name") is None
        and not where.inside("style", "script", "option")
        and (where.within("class") is None or not _in_picture(where))
    ]
    assert loose == []


def _in_picture(where: Element) -> bool:
    place: Element | None = where
    while place is not None:
        if place.attributes.get("role") == "img" and "data-file" in place.attributes:
            return True
        place = place.above
    return False


def test_names_and_choices_with_digits_are_those_of_the_documents(page: Page, parts: Parsed) -> None:
    raw = " ".join(
        path.read_text() for path in (ROOT / "proofs").rglob("*") if path.suffix in {".json", ".md", ".txt", ".golden"}
    )
    raw += " ".join(EXPERIMENTS) + " ".join(told.verdict.arithmetic for told in page.verdicts)
    raw += " ".join(path.relative_to(ROOT).as_posix() for path in (ROOT / "proofs").rglob("*")) + " ".join(CLAIMS)
    names = [element for element in parts.elements if "data-name" in element.attributes or element.tag == "option"]
    for element in names:
        for word in re.findall(r"\S*\d\S*", element.text):
            assert word.strip(",;:").partition(":")[0] in raw, element.text


def test_the_page_is_whole_and_loads_nothing(page: Page, parts: Parsed) -> None:
    assert len(page.text.encode()) < LARGEST
    anchors = [element.attributes["id"] for element in parts.elements if "id" in element.attributes]
    assert [name for name, count in Counter(anchors).items() if count > 1] == []
    links = [element.attributes["href"] for element in parts.elements if element.tag == "a"]
    assert links
    assert {link for link in links if not link.startswith("#") or link[1:] not in anchors} == set()
    loaded = [
        value
        for element in parts.elements
        for name, value in element.attributes.items()
        if name in {"src", "href", "xlink:href", "srcset", "data", "action"} and element.tag != "a"
    ]
    assert {value.partition(",")[0].partition("base64")[0][:5] for value in loaded} <= {"data:"} | {
        value[:5] for value in loaded if value.startswith("#")
    }
    assert not [element for element in parts.elements if any(name.startswith("on") for name in element.attributes)]
    assert "http" not in re.sub(r'xmlns(:\w+)?="[^"]*"', "", page.text).replace("http-equiv", "")


def test_each_verdict_is_called_what_it_is(page: Page, parts: Parsed) -> None:
    called = [element for element in parts.elements if "data-state" in element.attributes]
    assert Counter(element.attributes["data-state"] for element in called) == {"holds": 6, "false": 1, "not-shown": 1}
    words = {"holds": "✓ holds", "false": "✗ false", "not-shown": "○ not shown"}
    assert all(words[element.attributes["data-state"]] in element.text for element in called)
    assert not page.holds


def test_a_claim_is_called_by_its_worst_verdict_and_without_one_not_shown(parts: Parsed) -> None:
    cards = {
        element.attributes["data-claim"]: element.text
        for element in parts.elements
        if "data-claim" in element.attributes
    }
    states = {name: re.search(r"[✓✗○] (holds|false|not shown)", text) for name, text in cards.items()}
    assert {name: found and found[1] for name, found in states.items()} == {
        **dict.fromkeys(CLAIMS, "not shown"),
        "digits": "false",
    }
    assert "the document has no verdict of these kinds: fuzzed, swept." in cards["theorem-1"]
    assert "the document has no verdict of these kinds: proved." in cards["attention-bias"]


def test_the_graph_says_in_words_what_it_draws(parts: Parsed) -> None:
    boxes = [
        element for element in parts.elements if element.tag == "g" and "state-" in element.attributes.get("class", "")
    ]
    assert len(boxes) == len(CLAIMS)
    said = {re.sub(r"\s+", " ", box.text).strip() for box in boxes}
    assert any(
        text.startswith("theorem-1 real: proved by sympy, proved by Coq 8.16.1 floats: exhausted") for text in said
    )
    assert any(text.startswith("digits real: ○ not shown") and text.endswith("✗ false") for text in said)
    assert any(text.startswith("theorem-2 real: ○ not shown floats: ○ not shown") for text in said)


def test_the_trusted_base_and_the_command_stand_with_each_claim(parts: Parsed) -> None:
    card = next(element for element in parts.elements if element.attributes.get("data-claim") == "theorem-1")
    assert "prefixproof verify theorem-1" in card.text
    assert "Coq's kernel with the axioms of its standard library" in card.text
    assert "Left to the reader" not in card.text


def test_what_ci_does_not_establish_is_listed(page: Page) -> None:
    listed = page.text.partition('id="not-by-ci"')[2].partition("</ul>")[0]
    for words in ("nvidia-h200", "The frontier", "preset paper", "make test-long", "recorded sums"):
        assert words in listed


def test_a_folder_without_documents_shows_that_they_are_not_there(verdicts_file: Path, tmp_path: Path) -> None:
    page = make_page(verdicts_file, Library(tmp_path))
    assert {"proofs/BUGS.md", "proofs/TRUST.md", "proofs/frontier.json"} <= set(page.missing)
    assert "No result of an experiment is here." in page.text
    assert "The list of bugs is not here." in page.text
