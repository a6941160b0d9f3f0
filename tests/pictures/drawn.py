"""What is wrong with a picture, from the extents of everything that is drawn."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import Any

import numpy as np

#: Pixels: positions are rounded to whole ones when they are drawn.
_ROUNDING = 1.0


def complaints(figure: Any) -> list[str]:
    """Return what lies outside its axes or the figure, crosses a frame, or covers another text.

    Args:
        figure: a matplotlib figure.

    """
    figure.canvas.draw()
    found = []
    for axes in figure.axes:
        frame = axes.get_window_extent()
        found += [f"axes outside the figure: {frame}"] * (not _inside(frame, figure.bbox))
        for points, what in _data(axes):
            if len(points) and not np.isfinite(points).all():
                found.append(f"{what}: not on the scale of its axes")
            elif len(points) and not _holds(frame, points):
                found.append(f"{what}: outside its axes")
        for text in axes.texts:
            box = text.get_window_extent()
            if text.get_text() and box.overlaps(frame) and not _inside(box, frame, rounding=0):
                found.append(f"text {text.get_text()!r}: crosses the frame of its axes")
    texts = list(_texts(figure))
    for name, box in texts:
        found += [f"text {name!r}: outside the figure"] * (not _inside(box, figure.bbox))
    for (name, box), (other, other_box) in combinations(texts, 2):
        if _covers(box, other_box):
            found.append(f"text {name!r}: covers {other!r}")
    return found


def _data(axes: Any) -> Iterator[tuple[Any, str]]:
    """Yield the points, in pixels, of all that is drawn in axes."""
    for line in axes.lines:
        yield line.get_transform().transform(np.column_stack([line.get_xdata(), line.get_ydata()])), "line"
    for patch in axes.patches:
        yield patch.get_transform().transform(patch.get_path().vertices), "bar"
    for image in axes.images:
        left, right, bottom, top = image.get_extent()
        yield axes.transData.transform([(left, bottom), (right, top)]), "image"


def _texts(figure: Any) -> Iterator[tuple[str, Any]]:
    """Yield every text that is shown with its box, numbers of ticks and entries of legends as well."""
    from matplotlib.text import Text

    hidden = set()
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            for tick in [*axis.get_major_ticks(), *axis.get_minor_ticks()]:
                if not (axis.get_visible() and low <= tick.get_loc() <= high):
                    hidden |= {tick.label1, tick.label2}
    for text in figure.findobj(Text):
        if text.get_visible() and text.get_text().strip() and text not in hidden:
            yield text.get_text(), text.get_window_extent()


def _inside(box: Any, frame: Any, rounding: float = _ROUNDING) -> bool:
    return _holds(frame, np.array([(box.x0, box.y0), (box.x1, box.y1)]), rounding)


def _holds(frame: Any, points: Any, rounding: float = _ROUNDING) -> bool:
    low, high = np.array([frame.x0, frame.y0]) - rounding, np.array([frame.x1, frame.y1]) + rounding
    return bool(((low <= points) & (points <= high)).all())


def _covers(one: Any, other: Any) -> bool:
    shared = min(one.x1, other.x1) - max(one.x0, other.x0), min(one.y1, other.y1) - max(one.y0, other.y0)
    return bool(min(shared) > _ROUNDING)
