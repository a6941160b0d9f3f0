"""How things are drawn: colours that can be read, boxes that do not overlap, pictures that share no name."""

from __future__ import annotations

import re
from itertools import combinations, pairwise
from pathlib import Path

import pytest

from tests.report.pages import parsed
from verify.evidence.kinds import KINDS, Evidence
from verify.report.page import drawing
from verify.report.page.graph import HEIGHT, WIDTH, placed

CSS = (Path(drawing.__file__).parent / "page.css").read_text(encoding="utf-8")


def _luminance(colour: str) -> float:
    """Return the relative luminance of a colour, as WCAG 2 defines it."""
    digits = colour.removeprefix("#")
    digits = "".join(digit * 2 for digit in digits) if len(digits) == 3 else digits
    parts = [int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours, from 1 to 21."""
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def _colours() -> list[dict[str, str]]:
    """Return the colours of the light page and of the dark one, by name."""
    light, dark = re.findall(r":root \{(.*?)\}", CSS, flags=re.DOTALL)
    found: list[dict[str, str]] = []
    for text in (light, dark):
        found.append({**(found[0] if found else {}), **dict(re.findall(r"--([\w-]+): (#\w+)", text))})
    return found


def test_contrast_is_that_of_the_standard() -> None:
    """Checkers publish two decimals; on white the lightest grey that meets 4.5 is known to be #767676."""
    assert f"{contrast('#000', '#fff'):.2f}" == "21.00"
    assert f"{contrast('#777777', '#ffffff'):.2f}" == "4.48"
    assert contrast("#767676", "#fff") >= 4.5 > contrast("#777777", "#fff")


@pytest.mark.parametrize("kind", KINDS.values(), ids=str)
def test_text_on_a_fill_has_the_contrast_that_it_promises(kind: Evidence) -> None:
    light, dark = _colours()
    assert contrast(kind.drawn.light, "#000") >= 7
    assert contrast(kind.drawn.dark, "#fff") >= 7
    assert contrast(kind.drawn.light, light["ink"]) >= 7
    assert contrast(kind.drawn.dark, dark["ink"]) >= 7


@pytest.mark.parametrize("colours", _colours(), ids=["light", "dark"])
def test_words_and_borders_can_be_read(colours: dict[str, str]) -> None:
    for name in ("ink", "faint", "link", "holds", "false", "not-shown", "stale"):
        assert contrast(colours[name], colours["paper"]) >= 4.5, name
        assert contrast(colours[name], colours["soft"]) >= 4.5, name
    assert contrast(colours["line"], colours["paper"]) >= 3  # of what is not text


def test_no_two_kinds_that_the_main_job_gathers_look_alike() -> None:
    drawn = [KINDS[name].drawn for name in ("proved", "certified", "exhausted", "swept", "fuzzed")]
    for one, other in combinations(drawn, 2):
        assert one.dash != other.dash
        assert one.light != other.light
        assert one.dark != other.dark


def test_boxes_do_not_overlap_and_lines_go_down() -> None:
    extends: dict[str, list[str]] = {"a": [], "b": ["a", "c"], "c": ["b"], "d": ["e"], "e": ["d"], "f": ["nowhere"]}
    boxes, edges, height = placed(extends)
    assert sorted(box.name for box in boxes) == sorted(extends)
    assert all(box.x >= 0 and box.x + box.width <= WIDTH and box.y + HEIGHT <= height for box in boxes)
    assert all(above.y + HEIGHT < below.y for above, below in pairwise(boxes))
    assert {(edge.upper, edge.lower) for edge in edges} == {("a", "b"), ("c", "b"), ("b", "c"), ("e", "d"), ("d", "e")}


def test_pictures_of_one_page_share_no_name_and_load_nothing() -> None:
    one, _ = drawing.svg_of("one", drawing.draw_readout)
    other, caption = drawing.svg_of("other", drawing.draw_prefix)
    assert caption.startswith("A^pt")
    names = [e.attributes["id"] for e in parsed(one + other).elements if "id" in e.attributes]
    assert len(names) == len(set(names)) > 10
    used = re.findall(r'(?:href="#|url\(#)([^")]+)', one + other)
    assert used
    assert set(used) <= set(names)
    assert "<style" not in one + other
    assert drawing.svg_of("one", drawing.draw_readout)[0] == one
