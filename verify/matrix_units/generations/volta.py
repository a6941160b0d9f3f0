"""NVIDIA's first tensor core."""

from __future__ import annotations

from verify.matrix_units.formats import FP16
from verify.matrix_units.generations.base import Description, Evidence, Generation
from verify.matrix_units.generations.nvidia import aligned

VOLTA = Generation(
    "volta",
    "NVIDIA Volta (V100)",
    {
        "fp16": Description(
            FP16, aligned(4, 23, 5, half=True), Evidence("recorded", "2,500 sums of a V100 for each result")
        ),
    },
    capabilities=("7.0", "7.2"),
)
