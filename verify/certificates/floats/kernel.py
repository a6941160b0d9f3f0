"""The assumptions of a float certificate about the kernels that run: none about their order of operations.

ASSUMED of every kernel (a verdict prints the order of sums, the error of ``exp``, and what operations add to these):

- ``+ - * /`` are rounded to nearest, ties to even, in the format, or in a more precise one where the format has 16 bits
  (its kernels hold intermediate results in float32); subnormal numbers are kept, not flushed to zero;
- an inner product is a sum of the products in SOME order, with or without fused multiply-add; not Strassen's scheme.
  :attr:`Kernel.products` may say more of it;
- what an operation of the model gives (virtual tokens, sums, scores, attention weights) is rounded to the format before
  the next one reads it;
- scores are scaled by ``T/sqrt(k)``, or ``ln q``, as this package computes it in float64, or as that number rounded;
- softmax takes the largest exponent off, and divides by the sum or multiplies by its reciprocal;
- ``exp(0)`` is 1; ``exp`` is right within :data:`EXP_ULPS` units in the last place, and 0 where the true value is below
  half of the smallest number above 0. IEEE 754 does not say this of a library's ``exp``; ``exp_errors`` in
  :mod:`verify.certificates.floats.exp_error` measures it for the torch and numpy at hand, and ``prefixproof exp`` on
  every number. :attr:`Kernel.exp` may say otherwise of softmax.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

from constructions.formats import FORMATS, Format
from constructions.validation import InvalidArgument
from verify.certificates.floats.exponentials import Exponential, exponential_of
from verify.certificates.floats.rounding import rounding_of
from verify.certificates.floats.rounding.base import Rounding, accumulator_of, smallest_of
from verify.certificates.floats.rounding.matrix_unit import NO_UNIT

#: How far ``exp`` is assumed to be off, in units in the last place: the next integer above the largest error known,
#: 2.52 of numpy's float32 (its documentation; 2.2 measured here). torch's own stay below 1 on a CPU and below 2 on an
#: H200.
EXP_ULPS = 3

#: The word of a kind of rounding, see :mod:`verify.certificates.floats.rounding`.
Products = str


@dataclass(frozen=True)
class Kernel:
    """The rounded operations of a forward pass.

    Attributes:
        fmt: the number format.
        products: how products and a bias are added: the word of a kind of :data:`ORDERS`.
        tf32: whether the factors of float32 products may be rounded to TF32, to either neighbour, and sums of products
            truncated instead of rounded, as tensor cores do.
        exp: how softmax takes its exponents: the word of a kind of
            :data:`~verify.certificates.floats.exponentials.EXPONENTIALS`.
        matrix_unit: the generation of matrix units that products of matrices run on, ``any`` for all that have the
            format, or ``none``.
        full_reduction: whether partial sums of a unit are never rounded to a format of 16 bits, see
            :class:`~verify.certificates.floats.rounding.matrix_unit.MatrixUnits`.

    Example:
        >>> from constructions import FORMATS
        >>> "rounded before a bias is added" in Kernel(FORMATS["float32"], products="separate").assumptions()
        True

    """

    fmt: Format
    products: Products = "either"
    tf32: bool = False
    exp: str = "library"
    matrix_unit: str = NO_UNIT
    full_reduction: bool = False

    def __post_init__(self) -> None:
        self.rounding  # noqa: B018 # refuses what there is not
        self.exponential  # noqa: B018 # the same
        if self.matrix_unit != NO_UNIT and not self.exponential.one_weight:
            raise InvalidArgument(
                "exp: expected library with a unit, as no bound covers a unit's sums with weights that are divided by"
                f" their total afterwards, but got {self.exp!r}"
            )

    @cached_property
    def rounding(self) -> Rounding:
        """The assumption about sums of products."""
        return rounding_of(
            self.fmt, self.products, tf32=self.tf32, unit=self.matrix_unit, full_reduction=self.full_reduction
        )

    @cached_property
    def elementwise(self) -> Kernel:
        """What is assumed of sums that are no products of matrices: no unit has a part in them."""
        return self if self.matrix_unit == NO_UNIT else Kernel(self.fmt)

    @cached_property
    def attending(self) -> Kernel:
        """What is assumed of softmax, whose result is rounded to the format: beside a unit, that it is in float32."""
        return self if self.matrix_unit == NO_UNIT else Kernel(FORMATS["float32"], exp=self.exp)

    @cached_property
    def exponential(self) -> Exponential:
        """The assumption about the exponents of softmax."""
        return exponential_of(self.fmt, self.exp)

    @property
    def accumulator(self) -> Format | None:
        """The more precise format that kernels of a 16-bit format may hold intermediate results in."""
        return accumulator_of(self.fmt)

    @property
    def unit(self) -> float:
        """The largest change of a sum of products by a rounding, relative to it."""
        return self.rounding.unit

    @property
    def smallest(self) -> Fraction:
        """The smallest number above 0."""
        return smallest_of(self.fmt)

    @property
    def underflow(self) -> float:
        """The largest change of a product below the normal range, beside its relative change."""
        return self.rounding.underflow

    def assumptions(self) -> str:
        """Return in a line what is assumed of the kernels."""
        order = self.rounding.sentence()
        return f"assumed: IEEE rounding, {order}; {self.attending.exponential.sentence(EXP_ULPS)}"
