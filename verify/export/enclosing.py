"""Bounds of the logits of known cases."""

from __future__ import annotations

from typing import Any

import numpy as np

from constructions.construction import Construction
from constructions.formats import Format, get_format
from constructions.validation import IntArray
from verify.certificates.enclosing import EnclosingArithmetic
from verify.running.model import bind_construction, forward


def enclosed(
    construction: Construction,
    arithmetic: EnclosingArithmetic[Any, Any, Any],
    targets: IntArray,
    tokens: IntArray,
) -> np.ndarray[Any, Any]:
    """Return bounds of the logits at every position: cases x positions x outputs x 2.

    With :class:`~verify.certificates.floats.arithmetic.RoundedArithmetic` they hold what any kernel of a number format
    computes that keeps its assumptions; with balls, the true numbers.

    Args:
        construction: whose transformer runs.
        arithmetic: what bounds.
        targets: whose virtual tokens come first.
        tokens: those after them.

    Example:
        >>> from constructions import UnconditionalGeneration
        >>> from verify.certificates import RoundedArithmetic
        >>> construction, target = UnconditionalGeneration(2, 2), np.array([[1, 0]])
        >>> bounds = enclosed(construction, RoundedArithmetic.of("float32"), target, np.zeros((1, 0), dtype=np.int64))
        >>> bounds.shape
        (1, 1, 2, 2)

    """
    with arithmetic.bounding(), np.errstate(all="ignore"):
        model = bind_construction(construction, arithmetic)
        rows = arithmetic.prompt(construction.virtual_tokens(targets))
        if tokens.shape[1]:
            rows = arithmetic.below(rows, arithmetic.embed(model.embedding, tokens))
        found = arithmetic.numbers(forward(model, rows, construction.layout.virtual + tokens.shape[1]))
    # rows that do not depend on the prompt may have been computed once for the whole batch
    return np.broadcast_to(found, (len(targets), *found.shape[1:]))


def recorded(bounds: np.ndarray[Any, Any], fmt: Format) -> np.ndarray[Any, Any]:
    """Return bounds with the room in which another processor would find its own; see :func:`unlike`."""
    low, high = bounds[..., 0], bounds[..., 1]
    room = _room(bounds, fmt)
    with np.errstate(all="ignore"):
        return np.stack([np.nextafter(low - room, -np.inf), np.nextafter(high + room, np.inf)], axis=-1)


def unlike(
    held: np.ndarray[Any, Any], found: np.ndarray[Any, Any], fmt: Format
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return which bounds that :func:`recorded` gave elsewhere are too narrow, and which too wide, for those of here.

    Both processors enclose what the same kernels give, but by an ``exp``, an order of sums and a longest float of their
    own, so that two right enclosures may differ in their last digits. None is too narrow that encloses the bounds found
    here: it then refuses no kernel that keeps the assumptions. None is too wide that a processor would have recorded.
    The room there is a share below 1 of a width that differs from the one here by at most two rooms, and is thus at
    most three of the rooms here; the bounds themselves differ by one more.

    Args:
        held: the recorded bounds, ``... x 2``.
        found: those of :func:`enclosed` here, of the same shape.
        fmt: the format of the kernels.

    """
    room = 4 * _room(found, fmt)
    with np.errstate(all="ignore"):
        # a step for the rounding of each of the three sums there and here
        low, high = found[..., 0] - room, found[..., 1] + room
        for _ in range(3):
            low, high = np.nextafter(low, -np.inf), np.nextafter(high, np.inf)
    # each comparison is false of NaN, which is therefore both
    return (
        ~((held[..., 0] <= found[..., 0]) & (found[..., 1] <= held[..., 1])),
        ~((low <= held[..., 0]) & (held[..., 1] <= high)),
    )


def _room(bounds: np.ndarray[Any, Any], fmt: Format) -> np.ndarray[Any, Any]:
    """Return by how much two processors' bounds of the same logits may differ.

    The width of the bounds is what the roundings of the kernel and of its ``exp`` amount to, counted in units of its
    format. The bounds come from the same operations, rounded to float64 at the coarsest: what those roundings amount to
    is the share of the width that a unit of float64 is of one of the format.
    """
    width = bounds[..., 1] - bounds[..., 0]
    return np.asarray(width * 2.0 ** (fmt.precision - get_format("float64").precision))
