"""Torch kernels beside its own: fused multiply-add and TF32, emulated bit by bit on any device."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Tensor

MatmulPrecision = Literal["highest", "high", "medium"]


@contextmanager
def matmul_precision(precision: MatmulPrecision) -> Iterator[None]:
    """Set torch's precision of float32 products for a while: ``highest`` is IEEE float32, ``high`` allows TF32.

    The setting is global and another library may have lowered it, so a forward pass that claims float32 sets it.
    """
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(precision)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def to_tf32(values: Tensor) -> Tensor:
    """Return float32 numbers rounded to the 11 bits of TF32, to nearest, ties to even.

    A float32 has 24 bits; the last 13 go. Adding ``2^12 - 1`` and the lowest bit that stays to the number's bits
    carries into it exactly when the part that goes is more than half of a unit there, or half of one and the bit is
    odd. The exponent follows in the bits, so that a carry out of the significand is right too; what is not finite
    stays.

    Args:
        values: float32.

    """
    bits = values.contiguous().view(torch.int32)
    rounded = (bits + 0xFFF + ((bits >> 13) & 1)) & ~0x1FFF
    return torch.where(torch.isfinite(values), rounded.view(torch.float32), values)


def fused_multiply_add(left: Tensor, right: Tensor, added: Tensor) -> Tensor:
    """Return ``left * right + added``, rounded once.

    A product of two numbers of at most 24 bits is a float64. Its sum with the third is rounded to odd there: to the
    nearest float64 and, where that has an error and an even last bit, to its neighbour on the error's side. A number
    rounded to odd with at least two bits more than a format has rounds to nearest in it as the exact number does
    (Boldo and Melquiond, Emulation of FMA and correctly rounded sums, 2008); 53 and 24 bits are enough for 24 and 11.

    Args:
        left: float32, bfloat16 or float16.
        right: the same dtype.
        added: the same dtype.

    """
    product, term = left.double() * right.double(), added.double()
    total = product + term
    part = total - product
    error = (product - (total - part)) + (term - part)  # exact (Knuth)
    total = _odd(total, error, torch.int64)
    once = total.float()
    if left.dtype == torch.float32:
        return once
    return _odd(once, total - once.double(), torch.int32).to(left.dtype)


def _odd(total: Tensor, error: Tensor, bits: torch.dtype) -> Tensor:
    """Return a rounded sum and its error as the number rounded to odd."""
    even = (total.view(bits) & 1) == 0
    towards = torch.where(error > 0, torch.inf, -torch.inf).to(total.dtype)
    return torch.where((error != 0) & even, torch.nextafter(total, towards), total)
