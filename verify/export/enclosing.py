"""Bounds of the logits of known cases."""

from __future__ import annotations

from typing import Any

import numpy as np

from constructions.construction import Construction
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
