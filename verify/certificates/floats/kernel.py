"""What a float certificate assumes of the kernels that run: nothing about their order of operations.

ASSUMED of every kernel (and printed with a verdict):

- ``+ - * /`` are rounded to nearest, ties to even, in the format, or in a more precise one where the format has 16 bits
  (its kernels hold intermediate results in float32); subnormal numbers are kept, not flushed to zero;
- an inner product is a sum of the products in SOME order, with or without fused multiply-add; not Strassen's scheme.
  :attr:`Kernel.products` may say more of the sums that have a bias;
- what an operation of the model gives (virtual tokens, sums, scores, attention weights) is rounded to the format before
  the next one reads it;
- scores are scaled by ``T/sqrt(k)``, or ``ln q``, as this package computes it in float64, or as that number rounded;
- softmax takes the largest exponent off, and divides by the sum or multiplies by its reciprocal;
- ``exp(0)`` is 1; ``exp`` is right within :data:`EXP_ULPS` units in the last place, and 0 where the true value is below
  half of the smallest number above 0. IEEE 754 does not say this of a library's ``exp``; ``exp_errors`` in
  :mod:`verify.certificates.floats.exp_error` measures it for the torch and numpy at hand.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from constructions.formats import FORMATS, Format
from constructions.validation import InvalidArgument, check_choice

#: How far ``exp`` is assumed to be off, in units in the last place: the next integer above the largest error known,
#: 2.52 of numpy's float32 (its documentation; 2.2 measured here). torch stays below 0.6 in all four formats.
EXP_ULPS = 3

#: TF32's significand: products of float32 numbers whose factors a GPU first rounds to 11 bits.
TF32_PRECISION = 11
_TF32 = Format("tf32", TF32_PRECISION, FORMATS["float32"].max_exponent)
#: What rounding a factor to TF32, to either neighbour, changes it by: relative to it, and at most this below its normal
#: range, where its numbers are as far apart.
TF32_UNIT = 2.0 ** (1 - TF32_PRECISION)
TF32_SMALLEST = 2.0 ** (_TF32.min_exponent - TF32_PRECISION + 1)

Products = Literal["either", "separate", "fused"]


@dataclass(frozen=True)
class Kernel:
    """The rounded operations of a forward pass.

    Attributes:
        fmt: the number format.
        products: how a bias is added. ``separate``: to the sum of the products, in any order, once that is rounded.
            ``fused``: the sum is one chain of fused multiply-adds, ``a_k = round(w_k x_k + a_(k-1))``, that starts from
            the bias and takes the products in any order; or, in a 16-bit format, products and bias are added in any
            order in float32 and rounded once more. A chain that starts from a bias of 0 ROUNDS its first product. Of
            sums without a bias it says nothing. ``either``: any order, each product rounded or not, the bias anywhere.
        tf32: whether the factors of float32 products may be rounded to TF32, to either neighbour, and sums of products
            truncated instead of rounded, as tensor cores do.

    """

    fmt: Format
    products: Products = "either"
    tf32: bool = False

    def __post_init__(self) -> None:
        check_choice("products", self.products, ("either", "separate", "fused"))
        if self.tf32 and self.fmt.name != "float32":
            raise InvalidArgument(f"tf32: expected float32, whose products it reduces, but got {self.fmt.name}")

    @property
    def accumulator(self) -> Format | None:
        """The more precise format that kernels of a 16-bit format may hold intermediate results in."""
        return FORMATS["float32"] if self.fmt.precision < FORMATS["float32"].precision else None

    @property
    def unit(self) -> float:
        """What a rounding changes a number by at most, relative to it; twice that where tensor cores truncate."""
        return float(self.fmt.unit_roundoff) * (2 if self.tf32 else 1)

    @property
    def smallest(self) -> Fraction:
        """The smallest number above 0, ``2^(min_exponent - p + 1)``."""
        return Fraction(2) ** (self.fmt.min_exponent - self.fmt.precision + 1)

    @property
    def underflow(self) -> float:
        """What a product changes by at most below the normal range, beside its relative change.

        Half of :attr:`smallest`, and half of the accumulator's, which may round first. All of :attr:`smallest` where
        tensor cores truncate, and in float64, half of whose smallest number is no float64.
        """
        if self.tf32 or self.fmt.precision >= FORMATS["float64"].precision:
            return float(self.smallest)
        inner = Fraction(0) if self.accumulator is None else Kernel(self.accumulator).smallest
        return float((self.smallest + inner) / 2)

    @property
    def largest_factor(self) -> float:
        """The largest magnitude of a factor that stays finite: rounding to TF32 carries larger ones to infinity."""
        return float(_TF32.largest) if self.tf32 else float("inf")

    def assumptions(self) -> str:
        """Return in a line what is assumed of the kernels."""
        order = {
            "either": "any order of summation, with or without fused multiply-add",
            "separate": "any order of summation, with or without fused multiply-add, rounded before a bias is added",
            "fused": (
                "each sum with a bias one chain of fused multiply-adds that starts from the bias, products in any order"
                + ("" if self.accumulator is None else " (or all of it in float32, rounded at the end)")
                + "; other sums in any order, with or without fused multiply-add"
            ),
        }[self.products]
        reduced = ", factors rounded to TF32 and their sums rounded or truncated" if self.tf32 else ""
        return f"assumed: IEEE rounding, {order}{reduced}; exp right within {EXP_ULPS} units in the last place"
