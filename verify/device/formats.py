"""The formats and the kernels in which steps run, each with the sizes that it is known to carry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from verify.arithmetic import get_arithmetic
from verify.certificates import certificate_arithmetic

#: The ways to run dense weights: as matrices, and block by block.
KERNELS = ("torch", "structured")


@dataclass(frozen=True)
class FloatFormat:
    """A format as a device multiplies in it.

    Attributes:
        name: for people.
        dtype: the format of numbers.
        tf32: whether float32 products may take factors of TF32.
        vocab_size: a vocabulary at which all targets of Theorem 1 are certified at 20 positions, whatever the kernel; a
            test certifies it. It is 94, as in the paper's notebook, or the largest one that ``proofs/FRONTIER.md`` has
            for products that are rounded before the bias is added.
        wide: whether the plans of the claims are made for it, see :mod:`proofs.claims`: all of them hold in it.

    """

    name: str
    dtype: str
    tf32: bool = False
    vocab_size: int = 94
    wide: bool = False

    def arithmetic(self, device: str, kernel: str = "torch") -> Any:
        """Return the arithmetic of one of :data:`KERNELS` on a device."""
        return get_arithmetic(kernel, dtype=self.dtype, device=device, tf32=self.tf32)

    def certifies(self) -> Any:
        """Return the arithmetic that bounds every kernel of the format."""
        return certificate_arithmetic("rounded", self.dtype, tf32=self.tf32)


FORMATS = (
    FloatFormat("float64", "float64", wide=True),
    FloatFormat("float32", "float32", wide=True),
    FloatFormat("tf32", "float32", tf32=True, vocab_size=16),
    FloatFormat("bfloat16", "bfloat16", vocab_size=16),
    FloatFormat("float16", "float16", vocab_size=37),
)
