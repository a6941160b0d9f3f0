"""Sums that GPUs computed: all of them where the data lies beside the checkout, and a sample that is always here.

The sample, its source and its licence are in ``data/``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from tests.matrix_units.patterns import Sums
from verify.matrix_units.formats import Singles
from verify.matrix_units.unit import MatrixUnit

HERE = Path(__file__).parent
SAMPLE = HERE / "data" / "recorded_sample.npz"
_FILE = Path("shared") / "data" / "tensor-cores" / "recorded.npz"

Arrays = Mapping[str, np.ndarray]
#: Returns the unit that stands for one, such as a wrong variant of it.
Change = Callable[[MatrixUnit], MatrixUnit]

GENERATIONS = {
    "V100": "volta",
    "A100": "ampere",
    "A2": "ampere",
    "Ada": "ada",
    "L40S": "ada",
    "H100": "hopper",
    "H200": "hopper",
    "H200-mma": "hopper",
    "H200-library": "hopper",
    "H200-edges": "hopper",
    "H200-half": "hopper",
    "B200": "blackwell",
}
FORMATS = {"E4M3": "fp8-e4m3", "E5M2": "fp8-e5m2"}


def found() -> Path | None:
    """Return the file of all recorded sums: below PREFIXPROOF_SHARED, or in a folder ``shared`` beside a parent."""
    told = os.environ.get("PREFIXPROOF_SHARED")
    folders = [Path(told).parent] if told else [HERE, *HERE.parents]
    return next((folder / _FILE for folder in folders if (folder / _FILE).is_file()), None)


@dataclass(frozen=True)
class Recorded:
    """Sums that one GPU computed in one format.

    Attributes:
        gpu: its name in the data.
        format: the format of the factors.
        result: the format of the sums.
        sums: what it added.
        results: what came out.

    """

    gpu: str
    format: str
    result: str
    sums: Sums
    results: Singles

    @property
    def name(self) -> str:
        """GPU, format and result."""
        return f"{self.gpu} {self.format} {self.result}"

    @property
    def generation(self) -> str:
        """The word for the GPU's generation."""
        return GENERATIONS[self.gpu]

    @property
    def by_fp16_instructions(self) -> bool:
        """Whether ``mma.sync`` in fp8 was recorded on a GPU that has no such instruction."""
        elsewhere = self.gpu == "B200" or (self.generation == "hopper" and self.result == "fp16")
        return self.format.startswith("fp8") and elsewhere

    def computed(self, change: Change = lambda unit: unit) -> Singles:
        """Return what a unit makes of the same sums, as they were recorded.

        Args:
            change: returns the unit that is asked instead.

        """
        a, b, c = self.sums
        if self.result == "fp16":
            c = c.astype(np.float16).astype(np.float32)
        if self.by_fp16_instructions:
            unit = change(MatrixUnit(self.generation, "fp16", self.result))
            pairs = np.arange(a.shape[1]).reshape(-1, 2)
            order = np.concatenate([pairs[::2], pairs[1::2]]).ravel()  # the first two of each four come first
            total: Singles = unit.multiply_add(a[:, order], b[:, order], np.zeros_like(c)) + c
            return total.astype(np.float16).astype(np.float32) if self.result == "fp16" else total
        if self.format.startswith("fp8") and self.gpu in {"H100", "H200"}:
            c = np.zeros_like(c)  # it was not read
        return change(MatrixUnit(self.generation, self.format, self.result)).multiply_add(a, b, c)

    def wrong(self, change: Change = lambda unit: unit) -> np.ndarray:
        """Return which sums come out otherwise; of a float16 NaN no more than that it is one was recorded."""
        computed = self.computed(change)
        undefined = np.isnan(computed) & np.isnan(self.results) & (self.result == "fp16")
        return np.asarray((computed.view(np.uint32) != self.results.view(np.uint32)) & ~undefined)


def read(arrays: Arrays) -> Iterator[Recorded]:
    """Return what arrays by their names in the data hold."""
    for key in arrays:
        gpu, form, part = key.split(".")
        if part.startswith("d_"):
            a, b, c, d = (arrays[f"{gpu}.{form}.{name}"].view(np.float32) for name in ("a", "b", "c", part))
            yield Recorded(gpu, FORMATS.get(form, form), part[2:], Sums(a, b, c[:, 0]), d[:, 0])


@cache
def everything() -> tuple[Recorded, ...]:
    """Return all that was recorded; nothing where the data is absent."""
    path = found()
    return () if path is None else tuple(read(np.load(path)))


@cache
def sample(path: Path = SAMPLE) -> tuple[Recorded, ...]:
    """Return a committed sample; the bytes of its numbers are stored apart, as ``sampling`` writes them."""
    stored = np.load(path)
    return tuple(read({key: stored[key].transpose(1, 2, 0).copy().view(np.uint32)[..., 0] for key in stored}))
