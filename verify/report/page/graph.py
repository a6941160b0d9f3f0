"""The claims as a graph: a tree in rows, narrow enough for a phone, with the place of each box and each line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

#: Units of SVG: the width of a phone's screen less the page's margins, a box, the gap between two, and an indentation.
WIDTH, HEIGHT, GAP, INDENT = 340, 92, 14, 22


@dataclass(frozen=True)
class Box:
    """A claim's place.

    Attributes:
        name: its id.
        depth: how far it is indented.
        x: of its left side.
        y: of its upper side.

    """

    name: str
    depth: int
    x: int
    y: int

    @property
    def width(self) -> int:
        """How wide it is."""
        return WIDTH - self.x - 2


@dataclass(frozen=True)
class Edge:
    """A line from a claim to one that extends it, as the path of SVG."""

    upper: str
    lower: str
    path: str


def placed(extends: Mapping[str, Sequence[str]]) -> tuple[list[Box], list[Edge], int]:
    """Return the boxes, the lines, and the height of all.

    A claim stands below the first one that it extends; of a circle, every claim is drawn once all the same.

    Args:
        extends: for each claim those that it extends; others than its keys are left out.

    Example:
        >>> boxes, edges, height = placed({"a": (), "b": (), "c": ("a",)})
        >>> [(box.name, box.depth) for box in boxes], [(edge.upper, edge.lower) for edge in edges]
        ([('a', 0), ('c', 1), ('b', 0)], [('a', 'c')])

    """
    known = {name: [above for above in uppers if above in extends] for name, uppers in extends.items()}
    order: dict[str, int] = {}

    def visit(name: str, depth: int) -> None:
        if name in order:
            return
        order[name] = depth
        for other, uppers in known.items():
            if uppers[:1] == [name]:
                visit(other, depth + 1)

    for name, uppers in known.items():
        if not uppers:
            visit(name, 0)
    for name in known:
        visit(name, 0)
    boxes = [
        Box(name, depth, 2 + INDENT * depth, 2 + (HEIGHT + GAP) * row)
        for row, (name, depth) in enumerate(order.items())
    ]
    at = {box.name: box for box in boxes}
    edges = []
    for box in boxes:
        for above in known[box.name]:
            upper, left = at[above], min(at[above].x, box.x - INDENT) + INDENT // 2
            middle = box.y + HEIGHT // 2
            edges.append(Edge(above, box.name, f"M{left} {upper.y + HEIGHT}V{middle}H{box.x}"))
    return boxes, edges, len(boxes) * (HEIGHT + GAP) - GAP + 4
