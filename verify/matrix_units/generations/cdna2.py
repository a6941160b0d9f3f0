"""AMD's second matrix core; its older bf16 instructions, those without _1k, add pairs instead of fours."""

from __future__ import annotations

from verify.matrix_units.blocks import Output, PairwiseBlock
from verify.matrix_units.formats import BF16, FP16, FP32_RESULT
from verify.matrix_units.generations.base import Description, Evidence, Generation

_OUTPUTS = (Output(FP32_RESULT, 24, to_nearest=True),)
_CODE = Evidence("code", "no products of such a device were recorded")

CDNA2 = Generation(
    "cdna2",
    "AMD CDNA 2 (MI210, MI250)",
    {
        "fp16": Description(FP16, PairwiseBlock(4, _OUTPUTS), _CODE),
        "bf16": Description(BF16, PairwiseBlock(4, _OUTPUTS), _CODE),
    },
)
