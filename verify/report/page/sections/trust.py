"""The chain of trust, from theorem to silicon, and the links that CI does not establish again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from verify.report.page.sections.base import Section


class Trust(Section):
    """Its links come from the other sections, each from the one that knows it."""

    name = "trust"
    title = "From theorem to silicon"

    def values(self) -> Mapping[str, Any]:
        """Return nothing of its own: the page has the links of all sections."""
        return {}
