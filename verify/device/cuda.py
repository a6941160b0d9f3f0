"""``mma.sync``, launched directly: a small CUDA source, compiled where ``nvcc`` is found."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from string import Template
from types import MappingProxyType
from typing import Any, final

import numpy as np

from verify.device.base import NotDoneError
from verify.matrix_units.formats import Singles

#: Rows of the left factors and columns of the right ones of every instruction here.
ROWS, COLUMNS = 16, 8

#: Seconds after which the compiler is given up; it takes a few.
_COMPILING = 90.0
#: How much of a compiler's message a reason quotes.
_QUOTED = 300

Words = np.ndarray[Any, np.dtype[np.unsignedinteger[Any]]]


@dataclass(frozen=True)
class Instruction:
    """A shape of ``mma.sync`` for a format and a result.

    Attributes:
        format: of the factors, as :class:`~verify.MatrixUnit` names it.
        result: of ``c`` and the sums.
        products: K.
        since: the least compute capability, in tenths.

    """

    format: str
    result: str
    products: int
    since: int

    @property
    def name(self) -> str:
        """Shape, format and result."""
        return f"m{ROWS}n{COLUMNS}k{self.products} {self.format} to {self.result}"

    @property
    def symbol(self) -> str:
        """The name of its function in the source."""
        return f"run_{self.format}_{self.result}_{self.products}"

    def source(self) -> str:
        """Return its kernel and the function that launches it."""
        words = self.products * _BYTES[self.format] // 4
        lefts = ["A[g * W + q]", "A[(g + 8) * W + q]", "A[g * W + q + 4]", "A[(g + 8) * W + q + 4]"][: words // 2]
        rights = ["B[g * W + q]", "B[g * W + q + 4]"][: words // 4]
        half = self.result == "fp16"
        added = ["C[g * H + q]", "C[(g + 8) * H + q]"]
        if not half:
            added = [f"C[{row} * H + 2 * q{one}]" for row in ("g", "(g + 8)") for one in ("", " + 1")]
        sums = [place.replace("C", "D", 1) for place in added]
        places = [f"%{number}" for number in range(2 * len(added) + len(lefts) + len(rights))]
        cuts = (0, len(added), len(added) + len(lefts), len(added) + len(lefts) + len(rights), len(places))
        groups = [places[start:end] for start, end in pairwise(cuts)]
        kind, other = ("r", "f16") if half else ("f", "f32")
        factor = _PTX[self.format]
        return _KERNEL.substitute(
            symbol=self.symbol,
            words=words,
            held=COLUMNS // 2 if half else COLUMNS,
            type="uint32_t" if half else "float",
            instruction=f"mma.sync.aligned.m{ROWS}n{COLUMNS}k{self.products}.row.col.{other}.{factor}.{factor}.{other}",
            operands=", ".join("{" + ", ".join(group) + "}" for group in groups),
            outputs=", ".join(f'"={kind}"({place})' for place in sums),
            inputs=", ".join([f'"r"({place})' for place in lefts + rights] + [f'"{kind}"({place})' for place in added]),
        )


_BYTES: Mapping[str, int] = MappingProxyType({"bf16": 2, "fp16": 2, "tf32": 4})
_PTX: Mapping[str, str] = MappingProxyType({"bf16": "bf16", "fp16": "f16", "tf32": "tf32"})

#: The instructions. Fp8 is left out: Hopper and Blackwell run ``mma.sync`` in fp8 as fp16 instructions.
INSTRUCTIONS = (
    *(Instruction("bf16", "fp32", products, 80) for products in (16, 8)),
    *(Instruction("fp16", result, 16, 80) for result in ("fp32", "fp16")),
    *(Instruction("fp16", result, 8, 75) for result in ("fp32", "fp16")),
    *(Instruction("tf32", "fp32", products, 80) for products in (8, 4)),
)

# A warp has one tile. Lane 4 g + q holds words q and q + 4 of rows g and g + 8, and of column g. Of the sums it holds
# two neighbours in both rows. W and H are the words of a row of factors, and of sums.
_KERNEL = Template("""
__global__ void kernel_$symbol(const uint32_t* a, const uint32_t* b, const $type* c, $type* d) {
  const int W = $words, H = $held, g = threadIdx.x >> 2, q = threadIdx.x & 3, t = blockIdx.x;
  const uint32_t *A = a + t * 16 * W, *B = b + t * 8 * W;
  const $type* C = c + t * 16 * H;
  $type* D = d + t * 16 * H;
  asm volatile("$instruction $operands;" : $outputs : $inputs);
}
extern "C" int $symbol(int device, const void* a, const void* b, const void* c, void* d, int tiles) {
  const size_t factors = size_t(tiles) * 4 * $words, sums = size_t(tiles) * 16 * $held * 4;
  void* at[4] = {0, 0, 0, 0};
  const size_t sizes[4] = {factors * 16, factors * 8, sums, sums};
  const void* from[3] = {a, b, c};
  cudaError_t status = cudaSetDevice(device);
  for (int i = 0; i < 4 && !status; ++i) status = cudaMalloc(&at[i], sizes[i]);
  for (int i = 0; i < 3 && !status; ++i) status = cudaMemcpy(at[i], from[i], sizes[i], cudaMemcpyHostToDevice);
  if (!status) {
    kernel_$symbol<<<tiles, 32>>>((uint32_t*)at[0], (uint32_t*)at[1], ($type*)at[2], ($type*)at[3]);
    status = cudaGetLastError();
  }
  if (!status) status = cudaDeviceSynchronize();
  if (!status) status = cudaMemcpy(d, at[3], sums, cudaMemcpyDeviceToHost);
  for (int i = 0; i < 4; ++i) cudaFree(at[i]);
  return int(status);
}
""")


def source(capability: int) -> str:
    """Return the source of all instructions that devices of a compute capability, in tenths, have."""
    made = [instruction.source() for instruction in INSTRUCTIONS if instruction.since <= capability]
    return "#include <cstdint>\n#include <cuda_runtime.h>\n" + "".join(made)


class Launcher(ABC):
    """A way to run instructions."""

    @abstractmethod
    def sums(self, instruction: Instruction, a: Singles, b: Singles, c: Singles) -> Singles:
        """Return ``c + a b^T`` tile by tile, as float32 numbers.

        Args:
            instruction: the one to run.
            a: tiles x 16 x K, float32 numbers of its format.
            b: tiles x 8 x K, the same.
            c: tiles x 16 x 8, float32 numbers of its result's format.

        Raises:
            NotDoneError: it cannot be launched here.

        """


@final
class Nvcc(Launcher):
    """Compiles the source by ``nvcc`` in a temporary folder, when it first runs."""

    def __init__(self, device: int, capability: int) -> None:
        """Launch on the CUDA device with that number and compute capability, in tenths."""
        self.device, self.capability = device, capability
        self._compiled: Any = None

    def sums(self, instruction: Instruction, a: Singles, b: Singles, c: Singles) -> Singles:
        """Return the sums."""
        if self._compiled is None:
            try:
                self._compiled = compiled(source(self.capability), f"sm_{self.capability}")
            except NotDoneError as error:  # the other instructions need not try it again
                self._compiled = error
        if isinstance(self._compiled, NotDoneError):
            raise self._compiled
        given = [words(instruction.format, a), words(instruction.format, b), words(instruction.result, c)]
        made = np.zeros_like(given[2])
        pointers = [ctypes.c_void_p(part.ctypes.data) for part in (*given, made)]
        status = getattr(self._compiled, instruction.symbol)(self.device, *pointers, len(a))
        if status:
            raise RuntimeError(f"CUDA error {status} of {instruction.name}")
        found: Singles = made.view(np.float16 if instruction.result == "fp16" else np.float32).astype(np.float32)
        return found


def words(form: str, values: Singles) -> Words:
    """Return the bits of float32 numbers in a format that holds them.

    Example:
        >>> [hex(number) for number in words("bf16", np.float32([1.0, -2.0]))]
        ['0x3f80', '0xc000']

    """
    if form == "fp16":
        with np.errstate(invalid="ignore"):  # a signalling NaN becomes a quiet one
            return np.ascontiguousarray(values.astype(np.float16)).view(np.uint16)
    bits = np.ascontiguousarray(values).view(np.uint32)
    return (bits >> 16).astype(np.uint16) if form == "bf16" else bits


def compiler() -> str | None:
    """Return where ``nvcc`` is: on the path, below CUDA_HOME or CUDA_PATH, or in the usual folder."""
    homes = [os.environ.get("CUDA_HOME"), os.environ.get("CUDA_PATH"), "/usr/local/cuda"]
    return shutil.which("nvcc") or next(
        (found for home in homes if home for found in [shutil.which("nvcc", path=str(Path(home) / "bin"))] if found),
        None,
    )


def compiled(text: str, architecture: str) -> ctypes.CDLL:
    """Compile a CUDA source and return it as a loaded library; no file remains.

    Args:
        text: the source.
        architecture: such as ``sm_90``.

    Raises:
        NotDoneError: there is no compiler, or it refuses the source.

    """
    nvcc = compiler()
    if nvcc is None:
        raise NotDoneError("no nvcc")
    with tempfile.TemporaryDirectory(prefix="prefixproof.") as folder:
        file, library = Path(folder) / "mma.cu", Path(folder) / "mma.so"
        file.write_text(text)
        command = [nvcc, "-shared", "-Xcompiler", "-fPIC", f"-arch={architecture}", "-o", str(library), str(file)]
        try:
            ran = subprocess.run(  # noqa: S603 # the compiler, and our own source
                command,
                check=False,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_COMPILING,
                env={**os.environ, "TMPDIR": folder},
            )
            said = (ran.stderr or ran.stdout).strip() if ran.returncode else ""
            if ran.returncode == 0:
                return ctypes.CDLL(str(library))
        except (OSError, subprocess.TimeoutExpired) as error:
            said = str(error)
    raise NotDoneError(f"nvcc did not compile for {architecture}: {' '.join(said.split())[:_QUOTED]}")
