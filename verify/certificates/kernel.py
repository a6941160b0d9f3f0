"""What a float certificate assumes of the kernels that run: nothing about their order of operations.

ASSUMED of every kernel (and printed with a verdict):

- ``+ - * /`` are rounded to nearest, ties to even, in the format, or in a more precise one where the format has 16 bits
  (its kernels hold intermediate results in float32); subnormal numbers are kept, not flushed to zero;
- an inner product is a sum of the products in SOME order, with or without fused multiply-add; not Strassen's scheme;
- softmax takes the largest exponent off, and divides by the sum or multiplies by its reciprocal;
- ``exp(0)`` is 1; ``exp`` is right within :data:`EXP_ULPS` units in the last place, and 0 where the true value is below
  half of the smallest number above 0. IEEE 754 does not say this of a library's ``exp``; ``exp_errors`` in
  :mod:`verify.certificates.exp_error` measures it for the torch and numpy at hand.
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

Products = Literal["either", "separate", "fused"]


@dataclass(frozen=True)
class Kernel:
    """The rounded operations of a forward pass.

    Attributes:
        fmt: the number format.
        products: ``separate``: a product is rounded before it is added; ``fused``: it is not (fused multiply-add, or
            an inner product with its bias held in a more precise accumulator); ``either``: each may be.
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
        """What a product changes by at most below the normal range: half of :attr:`smallest`."""
        return float(self.smallest / 2) if self.fmt.precision < FORMATS["float64"].precision else float(self.smallest)

    def assumptions(self) -> str:
        """Return in a line what is assumed of the kernels."""
        products = {
            "either": "with or without fused multiply-add",
            "separate": "without fused multiply-add",
            "fused": "with fused multiply-add",
        }[self.products]
        order = f"any order of summation, {products}"
        reduced = ", factors rounded to TF32" if self.tf32 else ""
        return f"assumed: IEEE rounding, {order}{reduced}; exp right within {EXP_ULPS} units in the last place"
