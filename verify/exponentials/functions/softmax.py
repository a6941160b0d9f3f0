"""The ``exp`` that torch's softmax is made of, which on a CPU is another function than ``torch.exp``."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from verify.exponentials.functions.base import Function, Way, in_short_rows

#: Softmax along the last axis takes many times as long as all else: it is compared at every so many arguments.
_SELDOM = 16
#: A multiple of what any vector register holds, so that no value is in the tail of a kernel's loop.
_LANES = 64


def _inside(arguments: torch.Tensor) -> torch.Tensor:
    """Return the ``exp`` of float32 numbers along the last axis as softmax along another axis takes it.

    The gradient of log-softmax is ``g - exp(y) sum(g)``, with the same ``exp``: it is taken at ``g = 0`` beside -1, so
    that nothing rounds but the ``exp``. The comparisons of the measurement show that softmax itself has these values.
    """
    rows = torch.stack([arguments, torch.zeros_like(arguments)], dim=-2)
    slopes = torch.zeros_like(rows)
    slopes[..., 1, :] = -1
    return torch._log_softmax_backward_data(slopes, rows, rows.ndim - 2, torch.float32)[..., 0, :]


def _in_vectors(arguments: torch.Tensor) -> torch.Tensor:
    """Return the ``exp`` of float32 numbers as softmax takes it in whole vectors."""
    held = arguments.new_zeros(-(-len(arguments) // _LANES) * _LANES)
    held[: len(arguments)] = arguments
    return _inside(held)[: len(arguments)]


def _computed(arguments: torch.Tensor) -> torch.Tensor:
    return _in_vectors(arguments.float()).to(arguments.dtype)


def _weights(arguments: torch.Tensor, axis: int) -> torch.Tensor:
    """Return the softmax weight of each number beside 0, with the pair along a new axis."""
    return torch.softmax(torch.stack([torch.zeros_like(arguments), arguments], dim=axis), dim=axis).select(axis, 1)


def _expected(weights: torch.Tensor, inner: torch.Tensor) -> torch.Tensor:
    """Return what weights are if they are made of an exp: ``e`` over ``1 + e``, or times its reciprocal.

    Each ``e`` may have been rounded to the format of the weights before. Where no form gives the weight, it is another.
    """
    forms = (inner, inner.to(weights.dtype).float())
    found = torch.full_like(weights, torch.nan)
    for top in forms:
        for other in forms:
            for part in (top / (other + 1), top * (1 / (other + 1))):
                made = part.to(weights.dtype)
                found = torch.where(weights == made, made, found)
    return found


def _ways(arguments: torch.Tensor, values: torch.Tensor) -> Iterator[Way]:
    short = in_short_rows(arguments)
    tails = _inside(short.float())
    yield "short rows", tails.to(values.dtype).reshape(-1), values[: short.numel()], True
    weights = _weights(short, -2).reshape(-1)
    yield "softmax along another axis, short rows", weights, _expected(weights, tails.reshape(-1)), False
    held = arguments[: len(arguments) // _LANES * _LANES]
    weights = _weights(held, -2)
    yield "softmax along another axis", weights, _expected(weights, _in_vectors(held.float())), False
    some = arguments[::_SELDOM]
    weights = _weights(some, -1)
    yield (
        f"softmax along the last axis, one of {_SELDOM}",
        weights,
        _expected(weights, _in_vectors(some.float())),
        False,
    )


SOFTMAX = Function("softmax", "the exp inside torch.softmax", __name__, "e", _computed, _ways, positive=False)
