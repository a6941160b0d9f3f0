"""The independent simulator ``mmasim`` (arXiv 2511.10909), asked for the sums that a unit computes.

Its fused multiply-add is a C++ extension that is built when it is imported. None of these units uses it, so another
module stands in its place: no compiler is needed.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import numpy as np
import torch

from tests.matrix_units.patterns import Sums
from verify.matrix_units.formats import Singles
from verify.matrix_units.unit import MatrixUnit

_FMA = "mmasim.arithmetic.fma"


def _operation(maker: str, *words: str) -> Any:
    if _FMA not in sys.modules:
        sys.modules[_FMA] = ModuleType(_FMA)
        sys.modules[_FMA].MMA_FMA = object  # type: ignore[attr-defined]
    from mmasim import amd, nv_ptx

    return getattr(amd if maker == "MFMA" else nv_ptx, maker)(*words)


def _mma(name: str, *rows: tuple[str, str, str]) -> dict[tuple[str, str], tuple[str, ...]]:
    return {(form, result): ("MMA", name, instruction) for form, result, instruction in rows}


_AMPERE = (
    ("fp16", "fp32", "m16n8k16.f32.f16.f16.f32"),
    ("fp16", "fp16", "m16n8k16.f16.f16.f16.f16"),
    ("bf16", "fp32", "m16n8k16.f32.bf16.bf16.f32"),
    ("tf32", "fp32", "m16n8k8.f32.tf32.tf32.f32"),
)
_WORDS = {"fp16": "f16", "bf16": "bf16", "tf32": "tf32", "fp8-e4m3": "e4m3", "fp8-e5m2": "e5m2", "fp32": "f32"}
_FP8 = [(form, result) for form in ("fp8-e4m3", "fp8-e5m2") for result in ("fp32", "fp16")]
_HOPPER = [("fp16", "fp32"), ("fp16", "fp16"), ("bf16", "fp32"), ("tf32", "fp32"), *_FP8]
_LENGTH = {"fp16": 16, "bf16": 16, "tf32": 8, "fp8-e4m3": 32, "fp8-e5m2": 32}
_KIND = {"fp16": "f16", "bf16": "f16", "tf32": "tf32", "fp8-e4m3": "f8f6f4", "fp8-e5m2": "f8f6f4"}

#: The simulator's instruction of each unit.
INSTRUCTIONS: dict[str, dict[tuple[str, str], tuple[str, ...]]] = {
    "volta": _mma("Volta", ("fp16", "fp32", "m8n8k4.f32.f16.f16.f32"), ("fp16", "fp16", "m8n8k4.f16.f16.f16.f16")),
    "turing": _mma("Turing", ("fp16", "fp32", "m16n8k8.f32.f16.f16.f32"), ("fp16", "fp16", "m16n8k8.f16.f16.f16.f16")),
    "ampere": _mma("Ampere", *_AMPERE),
    "ada": _mma(
        "Ada Lovelace",
        *_AMPERE,
        *(
            (form, result, f"m16n8k32.{_WORDS[result]}.{_WORDS[form]}.{_WORDS[form]}.{_WORDS[result]}")
            for form, result in _FP8
        ),
    ),
    "hopper": {
        (form, result): ("WGMMA", "Hopper", f"m64n8k{_LENGTH[form]}.{_WORDS[result]}.{_WORDS[form]}.{_WORDS[form]}")
        for form, result in _HOPPER
    },
    "blackwell": {
        (form, result): (
            "TCGen05MMA",
            "Blackwell",
            f"m64n8k{_LENGTH[form]}.kind::{_KIND[form]}.{_WORDS[result]}.{_WORDS[form]}.{_WORDS[form]}",
        )
        for form, result in _HOPPER
    },
    "cdna1": {
        ("fp16", "fp32"): ("MFMA", "CDNA1", "f32_32x32x8f16"),
        ("bf16", "fp32"): ("MFMA", "CDNA1", "f32_32x32x4bf16"),
    },
    "cdna2": {
        ("fp16", "fp32"): ("MFMA", "CDNA2", "f32_32x32x8f16"),
        ("bf16", "fp32"): ("MFMA", "CDNA2", "f32_32x32x8bf16_1k"),
    },
    "cdna3": {
        ("fp16", "fp32"): ("MFMA", "CDNA3", "f32_32x32x8_f16"),
        ("bf16", "fp32"): ("MFMA", "CDNA3", "f32_32x32x8_bf16"),
        ("tf32", "fp32"): ("MFMA", "CDNA3", "f32_16x16x8_xf32"),
        ("fp8-e4m3", "fp32"): ("MFMA", "CDNA3", "f32_16x16x32_fp8_fp8"),
        ("fp8-e5m2", "fp32"): ("MFMA", "CDNA3", "f32_16x16x32_bf8_bf8"),
    },
}


def simulated(unit: MatrixUnit, sums: Sums) -> Singles:
    """Return what the simulator makes of sums."""
    operation = _operation(*INSTRUCTIONS[unit.generation][unit.format, unit.result])
    factors = (torch.from_numpy(numbers).to(operation.a_type) for numbers in (sums.a, sums.b))
    found = operation.dpa(*factors, torch.from_numpy(sums.c).to(operation.c_type))
    numbers: Singles = np.asarray(found.float().numpy())
    return numbers
