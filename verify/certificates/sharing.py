"""Margins of all cells from one pass over a tree of positions, where that can be shown to be what generation does."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from constructions.construction import Construction
from constructions.temperature import Softmax, head_temperature
from verify.certificates.cells import LAYER_NUMBERS
from verify.certificates.enclosing import Margins
from verify.certificates.shared_cells import Part, SharedCells, shared_parts
from verify.certificates.sheets import UnsharedError
from verify.running.model import Model, forward

if TYPE_CHECKING:
    from verify.certificates.all_targets import Bound

#: Numbers in the rows of all nodes of a pass: each array takes a few megabytes.
_NUMBERS = 2**17


def tally_part(bound: Bound[Any, Any, Any], part: Part, *, points: int) -> float | None:
    """Return the smallest margin of a part if all are certain, ``None`` where that is not shown by what cells share.

    The part is one of :func:`parts_that_share`, which looked at the model once for all of them.
    """
    try:
        margins = _margins(bound, part.cells(), points)
    except UnsharedError:
        return None
    return float(margins.lower.min()) if margins.certain.all() else None


def parts_that_share(bound: Bound[Any, Any, Any], construction: Construction, *, budget: int) -> list[Part]:
    """Return the parts of a construction whose cells share, each for a pass of its own.

    Args:
        bound: the construction in the arithmetic of a certificate.
        construction: the construction.
        budget: the most cells to look at.

    Raises:
        UnsharedError: its cells do not share enough, or a pass of it cannot be part of a longer one.
        CellsError: as of :func:`~verify.certificates.cells.cells`.

    """
    bound.arithmetic.branched()
    # a place has a cell for each token at least, and the readout's input differs in all of them
    if construction.vocab_size * construction.transformer.lowered.readout.weight.shape[1] > LAYER_NUMBERS:
        raise UnsharedError("the readout's input of all cells is too large to hold at once")
    _check_steps(bound.model, construction.layout.context_size)
    return shared_parts(construction, budget=budget, numbers=_NUMBERS)


def margins_of(
    bound: Bound[Any, Any, Any], construction: Construction, batches: Iterable[SharedCells], *, points: int
) -> Iterator[tuple[SharedCells, Margins]]:
    """Yield batches of cells with lower bounds of their margins, each from one pass.

    Raises:
        UnsharedError: a pass cannot be part of a longer one.

    """
    _check_steps(bound.model, construction.layout.context_size)
    for cells in batches:
        yield cells, _margins(bound, cells, points)


def _margins(bound: Bound[Any, Any, Any], cells: SharedCells, points: int) -> Margins:
    arithmetic: Any = bound.arithmetic.branched()(cells)
    model = Model(arithmetic, bound.model.transformer, bound.model.mask, bound.model.temperature)
    rows = arithmetic.prompt_of(bound.model.embedding, bound.any_embedding)
    length = cells.low.shape[1] + cells.users.shape[1] + cells.fed
    rows = forward(model, rows, length)
    found: Margins = arithmetic.margins(rows, bound.readout.weight, bound.bias, cells.expected, points=points)
    return found


def _check_steps(model: Model[Any, Any, Any, Any], length: int) -> None:
    """Refuse a model whose step of generation is not the last row of a longer pass, cut off.

    It is with one attention layer, which the last position alone asks, if in a longer pass this position sees the same
    keys, its scores have the same factor, and no layer depends on how many positions there are.

    Raises:
        UnsharedError: another model.

    """
    layers = list(model.transformer.attentions)
    if len(layers) != 1:
        raise UnsharedError("not one attention layer")
    if not model.transformer.runs_by_position:
        raise UnsharedError("a layer that may depend on how many positions there are")
    mask = model.mask if layers[0].mask is None else layers[0].mask
    whole = mask.seen(0, length)
    if not all(np.array_equal(mask.seen(0, at + 1)[-1], whole[at, : at + 1]) for at in range(length)):
        raise UnsharedError("a mask that shows the last position other keys than one before it")
    for head in layers[0].heads:
        temperature = head_temperature(model.temperature, head.name)
        if isinstance(temperature, Softmax) and temperature.scaled_by == "length":
            raise UnsharedError("scores are scaled by the length")
