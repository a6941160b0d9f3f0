"""NVIDIA's fourth tensor core, in its data centres: mma and wgmma."""

from __future__ import annotations

from verify.matrix_units.formats import BF16, E4M3, E5M2, FP16, TF32
from verify.matrix_units.generations.base import Description, Evidence, Generation
from verify.matrix_units.generations.nvidia import aligned

#: Sums of fp8 products are cut at 13 bits, and so is a float32 result.
_FP8 = Evidence("recorded", "2,500 products of an H100 and of an H200 for each result")
HOPPER = Generation(
    "hopper",
    "NVIDIA Hopper (H100, H200)",
    {
        "fp16": Description(
            FP16,
            aligned(16, 25, 7, half=True),
            Evidence("recorded", "2,500 products of an H100 and of an H200 for each result"),
        ),
        "bf16": Description(BF16, aligned(16, 25, 7), Evidence("recorded", "2,500 products of an H100 and of an H200")),
        "tf32": Description(
            TF32,
            aligned(8, 25, 7),
            Evidence("recorded", "2,500 products of 4 factors of an H100 and of an H200; none of 8 factors"),
        ),
        "fp8-e4m3": Description(E4M3, aligned(32, 13, 7, kept_bits=14, half=True), _FP8),
        "fp8-e5m2": Description(E5M2, aligned(32, 13, 7, kept_bits=14, half=True), _FP8),
    },
    capabilities=("9.0",),
)
