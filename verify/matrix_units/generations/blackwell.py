"""NVIDIA's fifth tensor core."""

from __future__ import annotations

from verify.matrix_units.formats import BF16, E4M3, E5M2, FP16, TF32
from verify.matrix_units.generations.base import Description, Evidence, Generation
from verify.matrix_units.generations.nvidia import aligned

# mma.sync in fp8 runs as two fp16 instructions and an addition, as on Hopper; tcgen05, which this describes, was not
# recorded.
_FP8 = Evidence("code", "the recorded results of a B200 come from fp16 instructions")
BLACKWELL = Generation(
    "blackwell",
    "NVIDIA Blackwell (B200)",
    {
        "fp16": Description(
            FP16,
            aligned(16, 25, 7, half=True),
            Evidence("recorded", "2,500 sums of a B200 for each result"),
        ),
        "bf16": Description(BF16, aligned(16, 25, 7), Evidence("recorded", "2,500 sums of a B200")),
        "tf32": Description(
            TF32,
            aligned(8, 25, 7),
            Evidence("recorded", "2,500 sums of 4 products of a B200; that it adds 8 is from code"),
        ),
        "fp8-e4m3": Description(E4M3, aligned(32, 25, 7, half=True), _FP8),
        "fp8-e5m2": Description(E5M2, aligned(32, 25, 7, half=True), _FP8),
    },
    capabilities=("10.0", "10.1", "10.3", "11.0", "12.0", "12.1"),
)
