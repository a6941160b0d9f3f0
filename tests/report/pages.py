"""A page for tests: verdicts of all states, made in a second, and an HTML parser that knows where each text stands."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from fractions import Fraction
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from constructions import ConditionalGeneration, RationalSoftmax, UnconditionalGeneration
from verify import RationalArithmetic, TorchArithmetic, exhaust
from verify.certificates import certificate_arithmetic, certify
from verify.evidence.verdict import Verdict
from verify.prefixes import fuzz_layers
from verify.suite.coq_record import CoqRecord, audited, coq_verdict
from verify.suite.whole import main_job_json

#: Elements of HTML without an end.
VOID = {"meta", "link", "br", "img", "input", "hr"}


def verdicts() -> list[Verdict]:
    """Return verdicts that hold by several kinds of evidence, one that is false and one that is not shown."""
    exact, small = RationalArithmetic(), UnconditionalGeneration(2, 2)
    proved = coq_verdict("theorem-1", CoqRecord("8.16.1", audited()))
    assert proved is not None
    sympy = replace(proved, parameters={"sizes": "all", "prover": "sympy"}, cases=36, space=36, reason=None)
    return [
        sympy,
        proved,
        exhaust(small, exact, claim="theorem-1"),
        exhaust(small, TorchArithmetic("float32"), claim="theorem-1"),
        certify(small, certificate_arithmetic("rounded", "float64"), claim="theorem-1"),
        exhaust(ConditionalGeneration(3), exact, claim="theorem-2", limit=5),
        exhaust(UnconditionalGeneration(3, 3, temperature=RationalSoftmax(Fraction(18))), exact, claim="digits"),
        fuzz_layers("attention-bias", exact, examples=3),
    ]


def document(found: list[Verdict] | None = None) -> dict[str, Any]:
    """Return the document of the main job with these verdicts."""
    return main_job_json(verdicts() if found is None else found)


def written(folder: Path, held: Any, name: str = "verdicts.json") -> Path:
    """Write a document as a file."""
    path = folder / name
    path.write_text(held if isinstance(held, str) else json.dumps(held), encoding="utf-8")
    return path


@dataclass(eq=False, repr=False)
class Element:
    """An element with its attributes and all text in it."""

    tag: str
    attributes: dict[str, str]
    above: Element | None
    text: str = ""

    def within(self, name: str) -> Element | None:
        """Return the nearest element around, or this one, that has an attribute."""
        place: Element | None = self
        while place is not None and name not in place.attributes:
            place = place.above
        return place

    def inside(self, *tags: str) -> bool:
        """Say whether it is one of these elements, or inside of one."""
        return self.tag in tags or (self.above is not None and self.above.inside(*tags))


@dataclass(eq=False, repr=False)
class Parsed(HTMLParser):
    """A page as its elements, and its texts with the element that each stands in."""

    elements: list[Element] = field(default_factory=list)
    texts: list[tuple[str, Element]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open = [Element("", {}, None)]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        made = Element(tag, {name: value or "" for name, value in attrs}, self.open[-1])
        self.elements.append(made)
        if tag not in VOID:
            self.open.append(made)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(Element(tag, {name: value or "" for name, value in attrs}, self.open[-1]))

    def handle_endtag(self, tag: str) -> None:
        if tag in VOID:
            return
        assert self.open[-1].tag == tag, f"</{tag}> closes <{self.open[-1].tag}>"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        place: Element | None = self.open[-1]
        self.texts.append((data, self.open[-1]))
        while place is not None:
            place.text += data
            place = place.above


def parsed(text: str) -> Parsed:
    """Return a page, every element of which must be closed."""
    page = Parsed()
    page.feed(text)
    page.close()
    assert [element.tag for element in page.open] == [""]
    return page
