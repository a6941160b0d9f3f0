"""Attention before and after a prefix, on a drawn layer: the first claim of section 4 as a picture."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from markupsafe import Markup

from verify.report.page.drawing import draw_prefix, svg_of
from verify.report.page.sections.base import Section


@cache
def _picture() -> tuple[Markup, str]:
    return svg_of("attention", draw_prefix)


class Attention(Section):
    """The picture; its caption states the largest deviation and the bound computed there."""

    name = "attention"
    title = "Attention under a prefix"

    def values(self) -> Mapping[str, Any]:
        """Return the picture and its caption."""
        picture, caption = _picture()
        made = self.material.library.made("verify.report.page.drawing.draw_prefix", lambda: {"caption": caption})
        return {"picture": picture, "caption": made["caption"]}
