"""NVIDIA's third tensor core."""

from __future__ import annotations

from verify.matrix_units.formats import BF16, FP16, TF32
from verify.matrix_units.generations.base import Description, Evidence, Generation
from verify.matrix_units.generations.nvidia import aligned

AMPERE = Generation(
    "ampere",
    "NVIDIA Ampere (A100, A2)",
    {
        "fp16": Description(
            FP16,
            aligned(8, 24, 6, half=True),
            Evidence("recorded", "2,500 sums of an A100 and of an A2 for each result"),
        ),
        "bf16": Description(BF16, aligned(8, 24, 6), Evidence("recorded", "2,500 sums of an A100 and of an A2")),
        "tf32": Description(TF32, aligned(4, 24, 6), Evidence("recorded", "2,500 sums of an A100 and of an A2")),
    },
    capabilities=("8.0", "8.6", "8.7"),
)
