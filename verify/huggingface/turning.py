"""Rotary positions of stock classes: the cosines and sines that they compute, and ours."""

from __future__ import annotations

import copy
from fractions import Fraction
from typing import Any

import numpy as np
import sympy as sp
import torch

from constructions.layers import Rotary
from constructions.layers.positions import counted
from constructions.lowering import lower
from constructions.validation import InvalidArgument
from verify.huggingface.classes import family_of_config
from verify.huggingface.fitting import Fitted
from verify.huggingface.stock import fresh


def stock_rotary(config: Any, context_size: int) -> Rotary[Any]:
    """Return the rotary positions of a stock class, the exact numbers that its float32 cosines and sines are.

    ``constructions.layers.rotary`` computes angles in float64; stock classes do so in float32, and hold numbers that
    differ in the last place. A construction that is to run in a stock class has those of the class.

    Args:
        config: a ``LlamaConfig`` or a ``GPTNeoXConfig``.
        context_size: number of positions.

    Raises:
        InvalidArgument: a configuration of a class without rotary positions.

    """
    family = family_of_config(config)
    if not family.rotary:
        raise InvalidArgument(f"config: expected one of a class with rotary positions but {family.name} has none")
    module = type(family.rotary_module(fresh(config)))(config=copy.deepcopy(config))
    return tables(module, family.sizes(config).head_size, context_size)


def tables(module: Any, head_size: int, context_size: int) -> Rotary[Any]:
    """Return what a stock module of rotary positions computes, for heads of a size."""
    places = torch.arange(context_size)[None]
    with torch.no_grad():
        cosines, sines = (
            part[0].T.double().numpy() for part in module(torch.zeros(1, dtype=torch.float32), position_ids=places)
        )
    size = len(cosines)
    half = size // 2
    turn = sp.zeros(head_size, head_size)
    for pair in range(half):
        turn[pair, pair + half], turn[pair + half, pair] = -1, 1
    whole = np.ones((head_size, context_size)), np.zeros((head_size, context_size))
    whole[0][:size], whole[1][:size] = cosines, sines
    return Rotary(whole[0], whole[1], sp.ImmutableDenseMatrix(turn))


def check_rotary(fitted: Fitted, model: Any) -> None:
    """Refuse heads that are turned otherwise than a stock model turns them.

    Raises:
        InvalidArgument: there is one.

    """
    family = fitted.family
    context = fitted.decoder.exact.context_size
    seats = list(fitted.scored)
    if not family.rotary:
        return
    for name, angles in family.rotary_module(model).named_buffers():
        if not torch.isfinite(angles).all():  # even a score of 0 is then none
            raise InvalidArgument(f"model: expected finite angles of its rotary positions but {name} has others")
    if not seats:
        return
    theirs = tables(family.rotary_module(model), fitted.sizes.head_size, context)
    for seat in seats:
        for mine in seat.turned:
            assert mine is not None, "refused before"
            for name in ("cosines", "sines", "turn"):
                if _entries(getattr(mine, name), context, name) != _entries(getattr(theirs, name), context, name):
                    raise InvalidArgument(
                        f"{name} of {seat.where}: expected those of {family.model_class} for"
                        f" {counted(context, 'position')}, which verify.huggingface.stock_rotary gives"
                    )


def _entries(matrix: Any, context: int, name: str) -> dict[tuple[int, int], Fraction]:
    """Return the entries of a table but those beyond the context, and of the turn all."""
    exact = lower(matrix, {})
    return {(row, column): value for row, column, value in exact.nonzero() if name == "turn" or column < context}
