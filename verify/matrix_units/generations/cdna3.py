"""AMD's third matrix core; its fp8 formats have no negative zero and no infinity (FNUZ)."""

from __future__ import annotations

from verify.matrix_units.blocks import EvenOddBlock, FlooredBlock, Output
from verify.matrix_units.formats import BF16, E4M3_FNUZ, E5M2_FNUZ, FP16, FP32_RESULT, TF32
from verify.matrix_units.generations.base import Description, Evidence, Generation

_OUTPUTS = (Output(FP32_RESULT, 24, to_nearest=True),)
_CODE = Evidence("code", "no products of such a device were recorded")

CDNA3 = Generation(
    "cdna3",
    "AMD CDNA 3 (MI300)",
    {
        "fp16": Description(FP16, FlooredBlock(8, _OUTPUTS), _CODE),
        "bf16": Description(BF16, FlooredBlock(8, _OUTPUTS), _CODE),
        "tf32": Description(TF32, FlooredBlock(4, _OUTPUTS), _CODE),
        "fp8-e4m3": Description(E4M3_FNUZ, EvenOddBlock(16, _OUTPUTS), _CODE),
        "fp8-e5m2": Description(E5M2_FNUZ, EvenOddBlock(16, _OUTPUTS), _CODE),
    },
)
