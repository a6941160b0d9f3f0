"""Values that know where they were read: in which document, and at which place of it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from constructions.validation import InvalidArgument

_ANY: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True)
class Found:
    """A value of a document.

    Attributes:
        file: the document, as the page names it.
        at: the value's place in it, a JSON pointer (RFC 6901); the empty one is the whole document.
        value: JSON values.

    Example:
        >>> found = Found("result.json", "", {"shares": [91.5, 92.5]})
        >>> found["shares"][1].at, found["shares"][1].value
        ('/shares/1', 92.5)

    """

    file: str
    at: str
    value: Any

    def __getitem__(self, key: str | int) -> Found:
        """Return the value under a key, or at a place of a list.

        Raises:
            InvalidArgument: there is none.

        """
        held = self.value
        there = isinstance(key, int) and isinstance(held, list) and 0 <= key < len(held)
        if not there and not (isinstance(key, str) and isinstance(held, Mapping) and key in held):
            raise InvalidArgument(f"{self.file}: expected {key!r} at {self.at or 'its top'} but there is none")
        word = str(key).replace("~", "~0").replace("/", "~1")
        return Found(self.file, f"{self.at}/{word}", held[key])

    def get(self, key: str) -> Found | None:
        """Return the value under a key, ``None`` where there is none."""
        return self[key] if key in self else None  # noqa: SIM401 # this is how it is got

    def __contains__(self, key: object) -> bool:
        """Say whether a mapping has a key."""
        return isinstance(self.value, Mapping) and key in self.value

    def __iter__(self) -> Iterator[Found]:
        """Yield the values of a list or of a mapping.

        Raises:
            InvalidArgument: it is neither.

        """
        if isinstance(self.value, Mapping):
            return (self[str(key)] for key in self.value)
        if not isinstance(self.value, list):
            raise InvalidArgument(f"{self.file}: expected a list at {self.at or 'its top'} but got {self.value!r:.60}")
        return (self[place] for place in range(len(self.value)))

    def named(self) -> list[tuple[str, Found]]:
        """Return the keys of a mapping, each with its value.

        Raises:
            InvalidArgument: it is none.

        """
        if not isinstance(self.value, Mapping):
            raise InvalidArgument(f"{self.file}: expected an object at {self.at or 'its top'}")
        return [(str(key), self[str(key)]) for key in self.value]


#: Numbers that are made of several values, by their words on the page.
WAYS: Mapping[str, Callable[[Sequence[Any]], Any]] = MappingProxyType(
    {
        "count": len,
        "sum": lambda values: sum(int(value) for value in values),
        "mean": lambda values: math.fsum(values) / len(values),
        "smallest": min,
        "largest": max,
    }
)


@dataclass(frozen=True)
class Derived:
    """A number that is made of the values of a list.

    Attributes:
        source: the list.
        way: in a word of :data:`WAYS`.
        of: the place of the value in each part of the list, a JSON pointer; the part itself if it is empty.
        where: the parts that count, by the values that must stand at places of theirs; all parts if it is empty.

    Example:
        >>> listed = Found("verdicts.json", "/verdicts", [{"holds": True, "cases": "9"}, {"holds": None, "cases": "2"}])
        >>> Derived(listed, "count", where={"/holds": True}).value, Derived(listed, "sum", "/cases").value
        (1, 11)

    """

    source: Found
    way: str
    of: str = ""
    where: Mapping[str, Any] = field(default_factory=lambda: _ANY)

    @property
    def value(self) -> Any:
        """The number."""
        parts = (part.value for part in self.source)
        chosen = [part for part in parts if all(at(part, place) == want for place, want in self.where.items())]
        return WAYS[self.way]([at(part, self.of) for part in chosen])

    @property
    def condition(self) -> str:
        """The condition as JSON."""
        return json.dumps(dict(self.where), sort_keys=True)


def at(value: Any, pointer: str) -> Any:
    """Return the value at a JSON pointer; ``None`` where there is nothing."""
    for word in pointer.split("/")[1:]:
        key = word.replace("~1", "/").replace("~0", "~")
        if isinstance(value, list):
            value = value[int(key)] if key.isdecimal() and int(key) < len(value) else None
        else:
            value = value.get(key) if isinstance(value, Mapping) else None
    return value
