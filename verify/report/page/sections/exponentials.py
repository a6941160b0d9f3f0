"""How far a library's ``exp`` is off, on every number of a format: what certificates in floats assume, measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

from constructions.validation import InvalidArgument
from verify.exponentials.functions import FUNCTIONS
from verify.exponentials.record import Record, sources_sha256
from verify.report.page.found import Found
from verify.report.page.sections.base import Count, Level, Link, Section
from verify.report.page.states import CURRENT, NOT_SHOWN, STALE, State


class Exponentials(Section):
    """Each record is of one function, one format and one machine; it says nothing of another one."""

    name = "exponentials"
    title = "Exponentials, measured"

    @cached_property
    def _records(self) -> list[tuple[Found, State]]:
        library = self.material.library
        names = library.folder("proofs/evidence", "exp-*.json")
        return [(found, _age(found)) for name in names if (found := library.json(name)) is not None]

    def values(self) -> Mapping[str, Any]:
        """Return the records."""
        return {"records": self._records}

    def links(self) -> Iterator[Link]:
        """Yield how many numbers were looked at."""
        if not self._records:
            return
        ages = {age for _, age in self._records}
        whole = all(found["complete"].value is True for found, _ in self._records)
        current = CURRENT if whole and ages == {CURRENT} else NOT_SHOWN
        yield Link(
            Level.ARITHMETIC,
            "Exponentials of a library",
            [Count(found["counts"]["arguments"], f" numbers in {found.file}") for found, _ in self._records],
            "Certificates in floats assume an error of exp; it was measured on every number of a format.",
            STALE if STALE in ages else current,
            not_by_ci="The records are committed: CI measures only the formats that take seconds.",
        )


def _age(found: Found) -> State:
    """Return whether a record is of the code at hand.

    Raises:
        InvalidArgument: it is no record.

    """
    try:
        record = Record.from_json(found.value)
        home = FUNCTIONS[record.function].home
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise InvalidArgument(f"{found.file}: expected a record of exp but got none: {error!r}") from None
    return CURRENT if record.place["sources"] == sources_sha256(home) else STALE
