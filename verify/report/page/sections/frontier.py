"""The frontier: up to which vocabulary a construction is certified in a format, and where it fails first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

from constructions.validation import InvalidArgument
from verify.frontier.picture import draw_frontiers
from verify.frontier.record import Frontier
from verify.frontier.report import kernel_name, kernels
from verify.report.page.drawing import svg_of
from verify.report.page.found import Derived, Found
from verify.report.page.sections.base import Count, Level, Link, Section

_FILES = ("proofs/frontier.json", "proofs/frontier-units.json")


class FrontierSection(Section):
    """The sizes that were measured, from the two files of measurements."""

    name = "frontier"
    title = "The frontier"

    @cached_property
    def _documents(self) -> list[Found]:
        return [found for name in _FILES if (found := self.material.library.json(name)) is not None]

    @cached_property
    def _records(self) -> list[tuple[Found, Frontier]]:
        found = []
        for document in self._documents:
            for _, record in document.named():
                try:
                    found.append((record, Frontier.from_json(record.value)))
                except (KeyError, TypeError, AttributeError, ValueError) as error:
                    why = " ".join(str(error).split())
                    raise InvalidArgument(f"{record.file}: expected a frontier at {record.at} but {why}") from None
        return found

    def values(self) -> Mapping[str, Any]:
        """Return the rows, one for each kernel, and the picture."""
        rows = []
        for found, frontier in self._records:
            for kernel, products in kernels(frontier):
                edge = found["falsified"].get(kernel)
                fails = edge["no_margin"] if edge is not None and edge["no_margin"].value is not None else None
                certified = found["certified"].get(products)
                rows.append(
                    {
                        "found": found,
                        "kernel": kernel_name(frontier, kernel),
                        "certified": certified,
                        "fails": fails,
                        "units": "unit" in frontier.setting,
                    }
                )
        plain = [part for _, part in self._records if "over sqrt(length)" not in str(part.setting["temperature"])]
        return {"rows": rows, "picture": self._picture(plain)}

    def _picture(self, plain: list[Frontier]) -> Any:
        if not plain:
            return None
        return svg_of("frontier", lambda path: draw_frontiers(path, plain))[0]

    def links(self) -> Iterator[Link]:
        """Yield what was measured."""
        if not self._documents:
            return
        yield Link(
            Level.ARITHMETIC,
            "The frontier",
            [Count(Derived(document, "count"), " settings measured") for document in self._documents],
            "Certified below, run until a token fails above.",
            not_by_ci="It was measured once, for hours: CI makes the document and the picture from the files again.",
        )
