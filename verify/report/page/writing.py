"""The page as text: its sections filled in, everything escaped, its style and its script within it."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from markupsafe import Markup, escape

from constructions.validation import InvalidArgument
from proofs import CLAIMS
from verify.evidence.kinds import KINDS
from verify.evidence.verdict import library_versions
from verify.extras import needed
from verify.report.page.documents import Library
from verify.report.page.found import Derived, Found
from verify.report.page.sections import SECTIONS
from verify.report.page.sections.base import Material
from verify.report.page.shapes import written
from verify.report.page.states import HOLDS, NOT_SHOWN, Age, State, Told, age_of, by_claim, reread_all, told_all

_FOLDER = Path(__file__).parent
#: The most bytes of a page: as much as a phone takes in seconds from a slow network.
LARGEST = 5_000_000
#: What the page may load and run: its own style and pictures; beside it its own script, by its digest.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"


@dataclass(frozen=True)
class Page:
    """A page that is ready to be written.

    Attributes:
        text: all of it.
        verdicts: those that are on it.
        age: whether they are of the sources at hand.
        missing: the documents that are not here.

    """

    text: str
    verdicts: Sequence[Told]
    age: Age
    missing: Sequence[str]

    @property
    def without_verdict(self) -> list[str]:
        """The registered claims of which no verdict is on it."""
        return [claim for claim in CLAIMS if claim not in by_claim(self.verdicts)]

    @property
    def holds(self) -> bool:
        """Whether every verdict on it holds, there is one, and they are of the sources at hand."""
        return self.age.current and bool(self.verdicts) and all(told.state is HOLDS for told in self.verdicts)


def make_page(verdicts: Path, library: Library | None = None) -> Page:
    """Return the page of evidence.

    Args:
        verdicts: the file with the output of ``prefixproof verify --json``.
        library: reads the other documents; those of this checkout unless given.

    Raises:
        InvalidArgument: a library is missing, a document is damaged, a verdict claims more than its evidence, or the
            page would be too long.
        OSError: a document cannot be opened.

    """
    environment = _environment()
    library = Library() if library is None else library
    document = library.json(verdicts.name, verdicts)
    assert document is not None, "it is opened wherever it is"
    document = reread_all(document)
    told = told_all(document)
    made = [section(Material(library, told, document)) for section in SECTIONS.values()]
    links = sorted((link for section in made for link in section.links()), key=lambda link: link.level)
    shared = {"links": links, "none_shown": NOT_SHOWN, "check_state": _met}
    filled = []
    for section in made:
        body = environment.get_template(section.template()).render(**section.values(), **shared)
        filled.append({"name": section.name, "title": section.title, "body": Markup(body)})  # noqa: S704 # escaped there
    script = (_FOLDER / "page.js").read_text(encoding="utf-8")
    style = environment.get_template("page.css").render(kinds=list(KINDS.values()))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    now = {"made": datetime.now(UTC).isoformat(timespec="seconds"), "version": library_versions()["prefixproof"]}
    text = environment.get_template("page.html").render(
        sections=filled,
        age=age_of(document),
        style=Markup(style),  # noqa: S704 # our own files
        script=Markup(script),  # noqa: S704 # the same
        policy=f"{_POLICY}; script-src 'sha256-{digest}'",
        made=Found("prefixproof report", "", now),
    )
    if len(text.encode()) > LARGEST:
        raise InvalidArgument(f"page: expected at most {LARGEST:,} bytes but it would have {len(text.encode()):,}")
    return Page(text, told, age_of(document), tuple(library.missing))


def _met(holds: object) -> State:
    """Return the state of an expectation of an experiment."""
    return HOLDS if holds is True else NOT_SHOWN


def _environment() -> Any:
    jinja = needed("jinja2", "report")
    environment = jinja.Environment(
        loader=jinja.FileSystemLoader(_FOLDER), autoescape=True, undefined=jinja.StrictUndefined
    )
    environment.filters |= {"mark": mark, "mark_count": mark_count, "anchor": anchor}
    return environment


def mark(found: Found | Derived, shape: str = "text", tag: str = "span") -> Markup:
    """Return a value as an element that names its document and its place there.

    Args:
        found: the value.
        shape: how it is written, see :data:`~verify.report.page.shapes.SHAPES`.
        tag: of the element.

    """
    derived = isinstance(found, Derived)
    source = found.source if isinstance(found, Derived) else found
    attributes = {"data-file": source.file, "data-at": source.at, "data-as": shape}
    if isinstance(found, Derived):
        attributes |= {"data-way": found.way, "data-of": found.of, "data-where": found.condition}
    said = Markup(" ").join(Markup('{}="{}"').format(name, value) for name, value in attributes.items())
    text = escape(written(found, shape))
    if shape == "prose":
        text = Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(text)))  # noqa: S704 # escaped above
    title = Markup(' title="{}"').format(f"{source.file} {source.at}") if derived or shape == "number" else ""
    return Markup("<{0} {1}{2}>{3}</{0}>").format(Markup(tag), said, title, text)  # noqa: S704 # a name of ours


def mark_count(found: Found) -> Markup:
    """Return how many parts a list has."""
    return mark(Derived(found, "count"), "number")


def anchor(text: str) -> str:
    """Return a text as an anchor: letters, digits and hyphens, and two texts never the same."""
    return text if re.fullmatch(r"[\w-]+", text) else f"x-{hashlib.sha256(text.encode()).hexdigest()[:16]}"
