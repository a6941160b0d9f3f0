r"""The check that recorded exponents and values are those of the layer, on the rows that it reads.

A bound of a layer starts at the exponents and values that were recorded, so it is worth no more than they are. Queries,
keys and values are held to ``W x + b``, and exponents to the scores of queries and keys, computed by the checker in
float64, within the rounding errors of the model's format:

1. A projection is a sum of ``d + 1`` products, the bias among them: ``E`` is
   :meth:`~verify.prefixes.rounding.OperationError.summed` of ``|W||x| + |b|``, in the order and format of any kernel.
2. A factor ``s`` of the queries is rounded, and so is the product: ``E' = |s| E + gamma_2 |s| (|y| + E)``.
3. Rotary positions give ``c y + s y'``, with ``y'`` a coordinate of the other half: two products and their sum, so two
   roundings of each term, ``E'' = |c| E + |s| E' + gamma_2 (|c| (|y| + E) + |s| (|y'| + E'))``. The recorded cosines
   and sines are the numbers that are multiplied, whatever they were computed in.
4. A score is a sum of as many products as a head is large, and its factor and their product are rounded as in step 2.

The kernel and the checker are each within that of the exact numbers (the checker's own unit roundoff is no larger), so
they are within TWICE that of each other. What a cache held before, as in prefix tuning, is no projection: it is
compared with the adapter's own numbers, bit for bit.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from jaxtyping import Float
from torch import Tensor

from verify.huggingface.attention.known import Projection, Projections
from verify.huggingface.attention.recording import Call
from verify.prefixes.error_bounds import inflation
from verify.prefixes.measured import Deviation
from verify.prefixes.rounding import Near, OperationError, scored

_Array = Float[np.ndarray, "heads positions size"]


def array(tensor: Tensor) -> Any:
    """Return a tensor as float64, which holds every format."""
    return tensor.detach().double().cpu().numpy()


def scores_read(call: Call, of: OperationError) -> Deviation:
    """Return how far the exponents of a call are from the scores of its queries and keys, 0 at hidden keys."""
    queries, keys = array(call.query), array(call.key)
    keys = np.repeat(keys, len(queries) // len(keys), axis=0)
    with np.errstate(all="ignore"):  # a number that is not finite bounds nothing and never passes
        scores = scored(Near(queries, np.zeros_like(queries)), Near(keys, np.zeros_like(keys)), of)
        near = _scaled(scores, call.factor, of)
        bound = 2 * near.error * inflation(queries.shape[2] + 1)
    read, value, allowed = (np.where(call.visible, part, 0) for part in (array(call.exponents), near.value, bound))
    return Deviation("the scores", read, value, allowed)


def projected(call: Call, known: Projections, of: OperationError) -> Iterator[Deviation]:
    """Yield how far the queries, keys and values of a call are from the projections of its rows.

    Args:
        call: whose keys and values end in those of its own rows.
        known: the layer's projections.
        of: the errors of the model's format.

    """
    rows, turned = array(call.rows), None if call.positions is None else [array(part) for part in call.positions]
    for name, made, part, scale, rotates in (
        ("queries", call.query, known.query, known.query_scale, True),
        ("keys", call.key, known.key, 1.0, True),
        ("values", call.value, known.value, 1.0, False),
    ):
        own = array(made)[:, -len(rows) :]
        with np.errstate(all="ignore"):  # a number that is not finite bounds nothing and never passes
            near = _scaled(_linear(rows, part, of), scale, of)
            if rotates and turned is not None:
                near = _rotated(near, turned[0], turned[1], of)
            # the sum over the width, and at most 16 steps beside it
            bound = 2 * near.error * inflation(rows.shape[1] + 1)
        yield Deviation(f"the {name}", own, near.value, bound)


def _linear(rows: Any, part: Projection, of: OperationError) -> Near:
    products, bias = rows @ part.weight.transpose(0, 2, 1), part.bias[:, None]
    magnitude = np.abs(rows) @ np.abs(part.weight).transpose(0, 2, 1) + np.abs(bias)
    return Near(products + bias, of.summed(rows.shape[1] + 1, magnitude, np.abs(products) + np.abs(bias)))


def _scaled(near: Near, scale: float, of: OperationError) -> Near:
    if scale == 1:
        return near
    error = abs(scale) * near.error
    return Near(scale * near.value, error + of.gamma(2) * (np.abs(scale * near.value) + error) + 2 * of.underflow)


def _rotated(near: Near, cosines: Any, sines: Any, of: OperationError) -> Near:
    count = cosines.shape[1]
    first, rest = near.value[..., :count], near.value[..., count:]
    error, rest_error = near.error[..., :count], near.error[..., count:]
    half = count // 2
    value = first * cosines + np.concatenate([-first[..., half:], first[..., :half]], axis=-1) * sines
    other = np.concatenate([error[..., half:], error[..., :half]], axis=-1)
    moved = np.abs(cosines) * error + np.abs(sines) * other
    size = np.abs(first)
    terms = np.abs(cosines) * size + np.abs(sines) * np.concatenate([size[..., half:], size[..., :half]], axis=-1)
    total = moved + of.gamma(2) * (terms + moved) + 3 * of.underflow
    return Near(np.concatenate([value, rest], axis=-1), np.concatenate([total, rest_error], axis=-1))
