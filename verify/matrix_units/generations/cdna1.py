"""AMD's first matrix core."""

from __future__ import annotations

from verify.matrix_units.blocks import ExactBlock, Output
from verify.matrix_units.formats import BF16, FP16, FP32_RESULT
from verify.matrix_units.generations.base import Description, Evidence, Generation

_OUTPUTS = (Output(FP32_RESULT, 24, to_nearest=True),)
_CODE = Evidence("code", "no products of such a device were recorded")

CDNA1 = Generation(
    "cdna1",
    "AMD CDNA 1 (MI100)",
    {
        "fp16": Description(FP16, ExactBlock(4, _OUTPUTS), _CODE),
        "bf16": Description(BF16, ExactBlock(2, _OUTPUTS), _CODE),
    },
)
