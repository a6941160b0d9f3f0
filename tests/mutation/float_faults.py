"""Faults that only floats can have: TF32 switched on silently, sums in the wrong format, a softmax that overflows."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from constructions import Softmax, Temperature
from tests.mutation.wrong_arithmetic import AnyArithmetic, Delegating
from verify.arithmetic.base import Visible

#: TF32 keeps 10 of the 23 bits that float32 stores of a significand.
_DROPPED = 13


def to_tf32(values: Any) -> Any:
    """Return float32 numbers rounded to TF32's 11-bit significand, to nearest, ties to even."""
    if isinstance(values, torch.Tensor):
        return torch.from_numpy(to_tf32(values.numpy()))
    bits = np.ascontiguousarray(values).view(np.uint32)
    half = np.uint32((1 << (_DROPPED - 1)) - 1)
    odd = (bits >> np.uint32(_DROPPED)) & np.uint32(1)
    mask = np.uint32((1 << 32) - (1 << _DROPPED))
    return ((bits + half + odd) & mask).view(np.float32)


class Tf32(Delegating):
    """Every product rounds its inputs to TF32; sums stay float32."""

    batched = True

    def linear(self, rows: Any, weight: Any, bias: Any = None) -> Any:
        return self.base.linear(to_tf32(rows), to_tf32(weight), bias)

    def scores(self, queries: Any, keys: Any) -> Any:
        return self.base.scores(to_tf32(queries), to_tf32(keys))

    def mix(self, attention: Any, values: Any) -> Any:
        return self.base.mix(to_tf32(attention), to_tf32(values))


class Overflowing(Delegating):
    """Softmax as ``exp(x)/sum(exp(x))``, without the largest score taken off."""

    batched = True

    def attention(self, scores: Any, visible: Visible, temperature: Temperature, *, key_size: int) -> Any:
        assert isinstance(temperature, Softmax)
        gap = temperature.gap(key_size=key_size, length=visible.shape[1])
        array = scores.numpy() if isinstance(scores, torch.Tensor) else scores
        with np.errstate(all="ignore"):
            factors = np.where(visible, np.exp(array * array.dtype.type(gap)), array.dtype.type(0))
            weights = factors / factors.sum(axis=-1, keepdims=True)
        return torch.from_numpy(weights) if isinstance(scores, torch.Tensor) else weights


class Accumulating(Delegating):
    """Every sum of products is held in float16 while it is added up, whatever the format of its terms."""

    batched = True

    def linear(self, rows: Any, weight: Any, bias: Any = None) -> Any:
        if isinstance(rows, torch.Tensor):
            given = [None if part is None else part.numpy() for part in (rows, weight, bias)]
            return torch.from_numpy(self.linear(*given))
        total = np.zeros((*rows.shape[:-1], weight.shape[0]), dtype=np.float16)
        if bias is not None:
            total = total + bias[:, 0].astype(np.float16)
        for place in range(rows.shape[-1]):
            total = (total + rows[..., place, None] * weight[:, place]).astype(np.float16)
        return total.astype(rows.dtype)


def tf32(base: AnyArithmetic) -> AnyArithmetic:
    return Tf32(base)


def accumulating(base: AnyArithmetic) -> AnyArithmetic:
    return Accumulating(base)


def overflowing(base: AnyArithmetic) -> AnyArithmetic:
    return Overflowing(base)
