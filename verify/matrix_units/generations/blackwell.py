"""NVIDIA's fifth tensor core."""

from __future__ import annotations

from verify.matrix_units.formats import BF16, E4M3, E5M2, FP16, TF32
from verify.matrix_units.generations.base import Description, Evidence, Generation
from verify.matrix_units.generations.nvidia import aligned

_FP8 = Evidence("open", "some of the 2,500 recorded products of a B200 differ")
BLACKWELL = Generation(
    "blackwell",
    "NVIDIA Blackwell (B200)",
    {
        "fp16": Description(
            FP16, aligned(16, 25, 7, half=True), Evidence("recorded", "2,500 products of a B200 for each result")
        ),
        "bf16": Description(BF16, aligned(16, 25, 7), Evidence("recorded", "2,500 products of a B200")),
        "tf32": Description(
            TF32, aligned(8, 25, 7), Evidence("recorded", "2,500 products of 4 factors of a B200; none of 8 factors")
        ),
        "fp8-e4m3": Description(E4M3, aligned(32, 25, 7, half=True), _FP8),
        "fp8-e5m2": Description(E5M2, aligned(32, 25, 7, half=True), _FP8),
    },
    capabilities=("10.0", "10.1", "10.3", "11.0", "12.0", "12.1"),
)
