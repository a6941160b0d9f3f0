"""The documents that a page is made of: read once, checked, and named with their digests."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from constructions.validation import InvalidArgument
from verify.files.atomic import read_text
from verify.files.strict import read_strict
from verify.report.page.found import Found

#: The folder that has the documents: of a checkout, or of an installation, which has only some of them.
ROOT = Path(__file__).parents[3]


@dataclass
class Library:
    """The documents, each read when it is first asked for.

    Attributes:
        root: the folder with ``proofs`` in it.
        read: the digest and the size of each file that was read, by its name on the page.
        missing: the files that were asked for and are not there.

    """

    root: Path = ROOT
    read: dict[str, dict[str, Any]] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    _held: dict[str, Found] = field(default_factory=dict)

    def json(self, name: str, path: Path | None = None) -> Found | None:
        """Return a JSON document, ``None`` where it is not there.

        Args:
            name: its path below the root, and its name on the page.
            path: where it is, if not there.

        Raises:
            InvalidArgument: it cannot be read: not JSON, cut off, a key that comes twice, NaN, a lone surrogate.

        """
        return self._document(name, path, _json)

    def markdown(self, name: str) -> Found | None:
        """Return a Markdown document as its sections, see :func:`markdown_sections`; ``None`` where it is not there."""
        return self._document(name, None, lambda text, _: markdown_sections(text))

    def lines(self, name: str, parse: Callable[[str], Any]) -> Found | None:
        """Return a text document as ``parse`` reads it, ``None`` where it is not there."""
        return self._document(name, None, lambda text, _: parse(text))

    def made(self, name: str, value: Callable[[], Any]) -> Found:
        """Return a document that this package makes of itself; it has no digest.

        Args:
            name: the Python expression or module that it is about.
            value: makes it, as JSON values.

        """
        if name not in self._held:
            self._held[name] = Found(name, "", value())
        return self._held[name]

    def folder(self, name: str, pattern: str) -> list[str]:
        """Return the names of the files in a folder that fit a pattern, in order."""
        return sorted(path.relative_to(self.root).as_posix() for path in (self.root / name).glob(pattern))

    def picture(self, name: str) -> bytes | None:
        """Return the bytes of a picture; ``None`` where it is not there."""
        path = self.root / name
        if not path.is_file():
            self._miss(name)
            return None
        content = path.read_bytes()
        self._note(name, content)
        return content

    def _document(self, name: str, path: Path | None, parse: Callable[[str, str], Any]) -> Found | None:
        if name in self._held:
            return self._held[name]
        place = self.root / name if path is None else path
        if path is None and not place.is_file():
            self._miss(name)
            return None
        text = read_text(place, name)
        self._note(name, text.encode())
        self._held[name] = Found(name, "", parse(text, name))
        return self._held[name]

    def _note(self, name: str, content: bytes) -> None:
        self.read[name] = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}

    def _miss(self, name: str) -> None:
        if name not in self.missing:
            self.missing.append(name)


def _json(text: str, name: str) -> Any:
    found = read_strict(text, name)
    try:
        json.dumps(found, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise InvalidArgument(f"{name}: expected Unicode that UTF-8 can write but it has a lone surrogate") from None
    return found


def markdown_sections(text: str) -> list[dict[str, Any]]:
    r"""Return the sections of a document of ours: of each the title, its paragraphs and lists, and its tables.

    A table is its headings and its rows, and a row the words of its cells; a vertical bar after a backslash stands
    for itself.

    Example:
        >>> markdown_sections("# Bugs\n\nTwo.\n\n| bug | test |\n|---|---|\n| a \\| b | c |\n")
        [{'title': 'Bugs', 'text': ['Two.'], 'tables': [{'headings': ['bug', 'test'], 'rows': [['a | b', 'c']]}]}]

    """
    sections: list[dict[str, Any]] = []
    for block in re.split(r"\n\s*\n", text):
        lines = [line for line in block.splitlines() if line.strip()]
        while lines:
            title = re.match(r"#+ +(.+)", lines[0])
            if title is not None or not sections:
                sections.append({"title": title[1].strip() if title else "", "text": [], "tables": []})
            if title is not None:
                lines.pop(0)
            elif lines[0].startswith("|") and len(lines) > 1 and re.fullmatch(r"[|:\- ]+", lines[1]):
                rows = [_cells(line) for line in lines if line.startswith("|")]
                sections[-1]["tables"].append({"headings": rows[0], "rows": rows[2:]})
                break
            else:
                sections[-1]["text"] += _paragraphs(lines)
                break
    return sections


def _cells(line: str) -> list[str]:
    inner = line.strip().removeprefix("|").removesuffix("|")
    return [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", inner)]


def _paragraphs(lines: list[str]) -> list[str]:
    """Return a paragraph in one line, or each point of a list."""
    found: list[str] = []
    for line in lines:
        if line.startswith(("- ", "* ")) or not found:
            found.append(line.strip())
        else:
            found[-1] += f" {line.strip()}"
    return found


def rows(section: Found, *, table: int = 0) -> list[Mapping[str, Found]]:
    """Return the rows of a section's table, each as its cells by their headings.

    Raises:
        InvalidArgument: a row has more or fewer cells than there are headings.

    """
    held = section["tables"][table]
    headings = [str(part.value) for part in held["headings"]]
    found: list[Mapping[str, Found]] = []
    for row in held["rows"]:
        if len(row.value) != len(headings):
            raise InvalidArgument(f"{row.file}: expected {len(headings)} cells in the row {row.value[0]!r:.40}")
        found.append(dict(zip(headings, row, strict=True)))
    return found
