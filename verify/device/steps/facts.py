"""The device: its name, its generation, and the versions and settings under which everything else ran."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from typing import Any, ClassVar, final

from verify.device.base import Data, Judgement, Setting, Step, Task, name_of

#: Libraries whose versions are recorded: torch, and those that torch or a step runs.
_LIBRARIES = ("torch", "numpy", "triton", "transformers", "nvidia-cublas", "nvidia-cudnn-cu13")


@final
class Facts(Step):
    """Name, compute capability, driver, versions and flags."""

    name = "device"
    summary = "name, compute capability, driver, versions, flags"
    seconds: ClassVar = {"full": 60.0, "tiny": 60.0}

    def tasks(self, setting: Setting) -> Iterator[Task]:
        """Yield the device, the versions, and the flags of torch."""
        yield Task("device", lambda: _device(setting))
        yield Task("versions", _versions)
        yield Task("flags", _flags)

    def judge(self, data: Data) -> Judgement:
        """Return a finding: nothing here must hold."""
        return Judgement(None, ", ".join(f"{name} {value}" for name, value in data.items() if value is not None))


def _device(setting: Setting) -> Data:
    import torch  # noqa: PLC0415 # torch takes seconds to import

    found: dict[str, Any] = {"name": name_of(setting), "processor": platform.processor() or platform.machine()}
    if setting.cuda:
        held = torch.cuda.get_device_properties(setting.device)
        found |= {
            "capability": f"{held.major}.{held.minor}",
            "memory": held.total_memory,
            "multiprocessors": held.multi_processor_count,
            "driver": _driver(),
        }
    return found


def _driver() -> str | None:
    """Return the version of the driver; ``None`` where its tool does not say."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return None
    words = [tool, "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        made = subprocess.run(words, capture_output=True, text=True, timeout=20, check=True)  # noqa: S603 # found above
    except (OSError, subprocess.SubprocessError):
        return None
    return made.stdout.split("\n")[0].strip()


def _versions() -> Data:
    import torch  # noqa: PLC0415 # torch takes seconds to import

    found: dict[str, Any] = {"python": platform.python_version()}
    for library in _LIBRARIES:
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            found[library] = None
    found["torch"] = torch.__version__  # with its build
    cudnn: Any = torch.backends.cudnn
    return found | {"cuda": torch.version.cuda, "cudnn": cudnn.version() if cudnn.is_available() else None}


def _flags() -> Data:
    import torch  # noqa: PLC0415 # torch takes seconds to import

    matmul, cuda = torch.backends.cuda.matmul, torch.backends.cuda
    asked: dict[str, Callable[[], Any]] = {
        "float32 precision": torch.get_float32_matmul_precision,
        "allow_tf32": lambda: matmul.allow_tf32,
        "cudnn allow_tf32": lambda: torch.backends.cudnn.allow_tf32,
        "allow_bf16_reduced_precision_reduction": lambda: matmul.allow_bf16_reduced_precision_reduction,
        "allow_fp16_reduced_precision_reduction": lambda: matmul.allow_fp16_reduced_precision_reduction,
        "allow_fp16_accumulation": lambda: matmul.allow_fp16_accumulation,
        "blas library": lambda: str(cuda.preferred_blas_library()),
        "flash sdp": cuda.flash_sdp_enabled,
        "efficient sdp": cuda.mem_efficient_sdp_enabled,
        "cudnn sdp": cuda.cudnn_sdp_enabled,
        "math sdp": cuda.math_sdp_enabled,
        "deterministic": torch.are_deterministic_algorithms_enabled,
        "CUBLAS_WORKSPACE_CONFIG": lambda: os.environ.get("CUBLAS_WORKSPACE_CONFIG"),
    }
    return {name: _asked(ask) for name, ask in asked.items()}


def _asked(ask: Callable[[], Any]) -> Any:
    """Return a flag, or why torch does not say: some versions do not have it."""
    try:
        value = ask()
    except (AttributeError, RuntimeError) as error:
        return f"not known: {type(error).__name__}"
    return value if isinstance(value, (bool, str, int, type(None))) else str(value)
