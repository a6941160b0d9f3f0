"""The files that the page was made of, with their digests, and those that were looked for and are not there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from verify.report.page.found import Found
from verify.report.page.sections.base import Section


class Sources(Section):
    """It stands last: by then everything was read."""

    name = "sources"
    title = "Files that were read"

    def values(self) -> Mapping[str, Any]:
        """Return the files with their digests."""
        library = self.material.library
        read = Found("files", "", {name: library.read[name] for name in sorted(library.read)})
        return {"read": read, "missing": library.missing}
