"""A section of the page: its heading, its words, and what it adds to the chain of trust."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, ClassVar

from verify.report.page.documents import Library
from verify.report.page.found import Derived, Found
from verify.report.page.states import State, Told


class Level(IntEnum):
    """Where a link stands in the chain of trust, from what is proved down to silicon, and beside it."""

    THEOREMS = 0
    OBLIGATIONS = 1
    WEIGHTS = 2
    CERTIFICATES = 3
    RUNS = 4
    ARITHMETIC = 5
    DEVICES = 6
    CHECKERS = 7
    TRAINING = 8


@dataclass(frozen=True)
class Count:
    """A count with the words around it; either may be empty.

    Attributes:
        number: of a document; ``None`` for words alone.
        after: the words behind it.
        shape: how it is written, see :mod:`verify.report.page.shapes`.

    """

    number: Found | Derived | None
    after: str = ""
    shape: str = "number"


@dataclass(frozen=True)
class Link:
    """A link of the chain of trust.

    Attributes:
        level: where it stands.
        title: what it is.
        counts: what was counted there.
        says: what it ties to what.
        state: how it stands now, ``None`` where there is nothing to call.
        why: a sentence about the state, which a document or a check gave.
        not_by_ci: why CI does not establish it again; empty where it does.

    """

    level: Level
    title: str
    counts: Sequence[Count]
    says: str
    state: State | None = None
    why: str = ""
    not_by_ci: str = ""


@dataclass(frozen=True)
class Material:
    """What a section is made of.

    Attributes:
        library: reads documents.
        verdicts: those of the main job.
        document: the document that they were read from.

    """

    library: Library
    verdicts: Sequence[Told]
    document: Found


class Section(ABC):
    """A section; one is made for each page. A new one is a class in a file of its own, and a line in ``SECTIONS``.

    Below its heading stands the template beside that file, of the same name and for Jinja; :meth:`values` has the
    values that it names.

    Attributes:
        name: its anchor.
        title: its heading.

    """

    name: ClassVar[str]
    title: ClassVar[str]

    def __init__(self, material: Material) -> None:
        """Read what the section shows.

        Args:
            material: what the page is made of.

        Raises:
            InvalidArgument: a document is damaged.

        """
        self.material = material

    @classmethod
    def template(cls) -> str:
        """Return the file of the template, below the folder of the page."""
        return f"sections/{cls.__module__.rpartition('.')[2]}.html"

    @abstractmethod
    def values(self) -> Mapping[str, Any]:
        """Return what the template names."""

    def links(self) -> Iterator[Link]:
        """Yield what the section adds to the chain of trust."""
        return iter(())
