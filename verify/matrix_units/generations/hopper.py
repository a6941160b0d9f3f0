"""NVIDIA's fourth tensor core, in its data centres: mma and wgmma."""

from __future__ import annotations

from verify.matrix_units.formats import BF16, E4M3, E5M2, FP16, TF32
from verify.matrix_units.generations.base import Description, Evidence, Generation
from verify.matrix_units.generations.nvidia import aligned

_BOTH = "2,500 sums of an H100 and of an H200"
# Tiny sums tell zero's exponent in bf16 and tf32. It changes no float32 sum of fp16 products, and of float16 sums they
# say that it is -18 at most.
_EDGES = "subnormal, infinite and undefined ones among them"
# Sums of fp8 products are cut at 13 bits, and so is a float32 result. These devices have no fp8 mma.sync: it runs as
# two fp16 instructions and an addition, so the float16 results recorded through it say nothing about this block.
_FP8 = Evidence("recorded", f"{_BOTH} with c = 0, and 3,840 library products of another H200")
_FP8_APART = {"fp16": Evidence("code", "the recorded results come from fp16 instructions")}
HOPPER = Generation(
    "hopper",
    "NVIDIA Hopper (H100, H200)",
    {
        "fp16": Description(
            FP16,
            aligned(16, 25, 7, half=True),
            Evidence(
                "recorded", f"{_BOTH} for each result; of another H200 537,600 for fp32 and 384,000 for fp16, {_EDGES}"
            ),
        ),
        "bf16": Description(
            BF16, aligned(16, 25, 7), Evidence("recorded", f"{_BOTH}, and 537,600 of another H200, {_EDGES}")
        ),
        "tf32": Description(
            TF32,
            aligned(8, 25, 7),
            Evidence("recorded", f"{_BOTH} of 4 products each, and 537,600 of 8 products of another H200, {_EDGES}"),
        ),
        "fp8-e4m3": Description(E4M3, aligned(32, 13, 7, kept_bits=14, half=True), _FP8, _FP8_APART),
        "fp8-e5m2": Description(E5M2, aligned(32, 13, 7, kept_bits=14, half=True), _FP8, _FP8_APART),
    },
    capabilities=("9.0",),
)
