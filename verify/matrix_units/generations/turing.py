"""NVIDIA's second tensor core, for its own instruction (m16n8k8); m8n8k4 adds as Volta does."""

from __future__ import annotations

from verify.matrix_units.formats import FP16
from verify.matrix_units.generations.base import Description, Evidence, Generation
from verify.matrix_units.generations.nvidia import aligned

TURING = Generation(
    "turing",
    "NVIDIA Turing (T4)",
    {
        "fp16": Description(
            FP16, aligned(8, 24, 6, half=True), Evidence("code", "no products of such a device were recorded")
        ),
    },
    capabilities=("7.5",),
)
