"""NVIDIA's fourth tensor core, in its graphics cards."""

from __future__ import annotations

from verify.matrix_units.formats import BF16, E4M3, E5M2, FP16, TF32
from verify.matrix_units.generations.base import Description, Evidence, Generation
from verify.matrix_units.generations.nvidia import aligned

#: Sums of fp8 products are cut at 13 bits, and so is a float32 result.
_FP8 = Evidence("recorded", "2,500 sums of 32 factors of an RTX Ada for each result, and of an L40S for fp32")
ADA = Generation(
    "ada",
    "NVIDIA Ada Lovelace (L40S, RTX 40)",
    {
        "fp16": Description(
            FP16,
            aligned(8, 24, 6, half=True),
            Evidence("recorded", "2,500 sums of an L40S and of an RTX Ada for each result"),
        ),
        "bf16": Description(BF16, aligned(8, 24, 6), Evidence("recorded", "2,500 sums of an L40S and of an RTX Ada")),
        "tf32": Description(TF32, aligned(4, 24, 6), Evidence("recorded", "2,500 sums of an L40S and of an RTX Ada")),
        "fp8-e4m3": Description(E4M3, aligned(16, 13, 6, kept_bits=14, half=True), _FP8),
        "fp8-e5m2": Description(E5M2, aligned(16, 13, 6, kept_bits=14, half=True), _FP8),
    },
    capabilities=("8.9",),
)
