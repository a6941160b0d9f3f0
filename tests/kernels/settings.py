"""The settings that choose the kernels of torch's and of numpy's libraries, as far as a processor has them.

Every verdict and every test must hold under all of them. An environment variable chooses each:

- ``MKL_CBWR``: the branch of MKL, torch's matrix products in float32 and float64. MKL takes the branches of other
  processors on Intel's alone; elsewhere a library of two functions, which is loaded before it, says that this is one.
- ``ATEN_CPU_CAPABILITY``: torch's own kernels (softmax, elementwise operations, products in 16 bits).
- ``OPENBLAS_CORETYPE``: the core whose kernels numpy's matrix products are.
- ``NPY_DISABLE_CPU_FEATURES``: numpy's own kernels (``exp``, sums) without the named instructions.
- ``OMP_NUM_THREADS``: threads of both, and ``OMP_WAIT_POLICY`` what they do while they wait.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

#: The part of numpy's dispatch that a processor without AVX2, or without AVX-512, lacks.
_NO_AVX512 = "X86_V4,AVX512_ICL"
_NO_AVX2 = f"X86_V3,{_NO_AVX512}"
#: The environment is this with the answer "an Intel processor" loaded before MKL asks.
INTEL = "ASK_AS_INTEL"

#: What is run, by name, from the oldest instructions to the newest. No library looks at the variable of another, so
#: that all of them change at once and every value is in some setting.
SETTINGS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "as-it-is": {},
        "oldest": {
            "MKL_CBWR": "COMPATIBLE",
            "ATEN_CPU_CAPABILITY": "default",
            "OPENBLAS_CORETYPE": "Prescott",
            "NPY_DISABLE_CPU_FEATURES": _NO_AVX2,
        },
        "intel-sse4.2": {
            INTEL: "1",
            "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
            "ATEN_CPU_CAPABILITY": "default",
            "OPENBLAS_CORETYPE": "Nehalem",
            "NPY_DISABLE_CPU_FEATURES": _NO_AVX2,
        },
        "intel-avx": {
            INTEL: "1",
            "MKL_CBWR": "AVX",
            "ATEN_CPU_CAPABILITY": "default",
            "OPENBLAS_CORETYPE": "Sandybridge",
            "NPY_DISABLE_CPU_FEATURES": _NO_AVX2,
        },
        "avx2": {
            "MKL_CBWR": "AVX2",
            "ATEN_CPU_CAPABILITY": "avx2",
            "OPENBLAS_CORETYPE": "Zen",
            "NPY_DISABLE_CPU_FEATURES": _NO_AVX512,
        },
        "intel-avx2": {
            INTEL: "1",
            "MKL_ENABLE_INSTRUCTIONS": "AVX2",
            "ATEN_CPU_CAPABILITY": "avx2",
            "OPENBLAS_CORETYPE": "Haswell",
            "NPY_DISABLE_CPU_FEATURES": _NO_AVX512,
        },
        "avx512": {"MKL_CBWR": "AVX512", "ATEN_CPU_CAPABILITY": "avx512", "OPENBLAS_CORETYPE": "SkylakeX"},
        "intel-avx512": {INTEL: "1", "ATEN_CPU_CAPABILITY": "avx512"},
        # passive: a thread that waits leaves its core to the other process
        "two-threads": {"OMP_NUM_THREADS": "2", "OMP_WAIT_POLICY": "passive"},
    }
)
#: What CI runs: kernels of other processors beside those that its own takes by itself.
FEW = ("oldest", "intel-avx2")

_ANSWER = "int mkl_serv_intel_cpu_true(void) { return 1; }\nint mkl_serv_intel_cpu(void) { return 1; }\n"


@cache
def _intel(folder: Path) -> Path | None:
    """Return a library that answers MKL, or ``None`` without a C compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        return None
    source, library = folder / "intel.c", folder / "intel.so"
    source.write_text(_ANSWER, encoding="utf-8")
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source], check=True)
    return library


def environment(setting: Mapping[str, str], folder: Path) -> dict[str, str] | None:
    """Return the environment of a setting, or ``None`` where there is no way to have it.

    Args:
        setting: one of :data:`SETTINGS`.
        folder: where the library is built that answers MKL.

    """
    names = {name for part in SETTINGS.values() for name in part}
    given = {name: value for name, value in os.environ.items() if name not in names}
    made = {"OMP_NUM_THREADS": "1", **given, **setting}
    if made.pop(INTEL, None):
        library = _intel(folder)
        if library is None or sys.platform != "linux":
            return None
        made["LD_PRELOAD"] = str(library)
    return made


def fingerprint() -> str:
    """Return a hash of the number of threads and of products, sums and exponentials, of every kind that is used."""
    import numpy as np
    import torch

    draw, found = np.random.default_rng(0), hashlib.sha256()

    def add(result: Any) -> None:
        found.update(np.asarray(result, dtype=np.float64).tobytes())

    add(torch.get_num_threads())
    for rows, keys, columns in ((1, 1, 997), (27, 3, 3), (64, 20, 94), (7, 13, 5), (1, 300, 64)):
        left, right, bias = (draw.normal(size=shape) for shape in ((3, rows, keys), (columns, keys), columns))
        for dtype in (torch.float64, torch.float32, torch.bfloat16, torch.float16):
            x, weight, added = (torch.from_numpy(part).to(dtype) for part in (left, right, bias))
            made = torch.nn.functional.linear(x, weight, added)
            add(made.double().numpy())
            add(torch.softmax(made, -1).double().numpy())
            add((x @ x.transpose(1, 2)).sum(-1).double().numpy())
        for kind in (np.float64, np.float32, np.float16):
            product: Any = np.matmul(left.astype(kind), right.astype(kind).T)
            for part in (product, np.exp(-abs(product)), product.sum(-1)):
                add(part)
    return found.hexdigest()


def fingerprint_in(made: Mapping[str, str]) -> str:
    """Return the fingerprint of an environment, from a process of its own."""
    code = "from tests.kernels.settings import fingerprint; print(fingerprint())"
    run = subprocess.run([sys.executable, "-c", code], env=dict(made), capture_output=True, text=True, check=False)
    if run.returncode:
        raise RuntimeError(f"the kernels of {made} do not run: {run.stderr.strip()}")
    return run.stdout.strip()
