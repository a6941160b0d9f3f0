"""A block: the products that a unit adds to its accumulator in one step."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from verify.matrix_units.formats import Decoded, Result, Singles


@dataclass(frozen=True)
class Output:
    """How a block's sum becomes the next accumulator.

    Attributes:
        result: the accumulator's format.
        precision: bits of the significand that are kept, the hidden one included: 24 for fp32, 11 for fp16, 14 where
            the sum is cut to 13 fraction bits. Below the normal range the last place is that of the least exponent.
        to_nearest: to nearest, ties to even; otherwise toward zero.
        zero_exponent: the exponent that a zero product, or a zero ``c``, brings to the largest one; ``None`` where
            zeros bring none.

    """

    result: Result
    precision: int
    to_nearest: bool
    zero_exponent: int | None = None


@dataclass(frozen=True)
class Block(ABC):
    """Adds ``products`` products to ``c``.

    Attributes:
        products: how many products one step adds (L).
        outputs: the accumulators that it can have.

    """

    products: int
    outputs: tuple[Output, ...]

    #: Bits behind the point of the largest term at which terms are cut (F); ``None`` where they are not aligned.
    fraction_bits: int | None = None
    #: How the block adds, in words.
    summation = ""

    def output(self, result: str) -> Output:
        """Return the output with the accumulator of that name."""
        return {output.result.name: output for output in self.outputs}[result]

    @abstractmethod
    def add(self, a: Decoded, b: Decoded, c: Singles, output: Output) -> Singles:
        """Return the next accumulator.

        Args:
            a: the first factors, at most ``products`` along axis 0; the axes behind it broadcast with those of ``b``
                and ``c``.
            b: the second factors.
            c: the accumulator, in the output's format.
            output: one of ``outputs``.

        """
