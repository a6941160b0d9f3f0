"""The common parts of all tensor cores: the accumulators, and the exponent that a zero brings."""

from __future__ import annotations

from verify.matrix_units.blocks import AlignedBlock, Output
from verify.matrix_units.formats import FP16_RESULT, FP32_RESULT


def aligned(
    products: int, fraction_bits: int, zero_bits: int, *, kept_bits: int = 24, half: bool = False
) -> AlignedBlock:
    """Return a tensor core's block.

    A float32 result is rounded toward zero, a float16 result to nearest.

    Args:
        products: L.
        fraction_bits: F.
        zero_bits: how far below the accumulator's least exponent that of a zero lies.
        kept_bits: bits of a float32 result, the hidden one included.
        half: whether there is a float16 accumulator too.

    """
    single = Output(FP32_RESULT, kept_bits, to_nearest=False, zero_exponent=FP32_RESULT.format.min_exponent - zero_bits)
    fp16 = Output(FP16_RESULT, 11, to_nearest=True, zero_exponent=FP16_RESULT.format.min_exponent - zero_bits)
    return AlignedBlock(products, (single, fp16) if half else (single,), fraction_bits)
