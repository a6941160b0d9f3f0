"""Torch's kernels on the CPU: how a sum of products and a bias are rounded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from constructions.formats import FORMATS, Format, get_format
from constructions.validation import InvalidArgument
from verify.arithmetic.families import TORCH
from verify.arithmetic.tensors import Bias, TorchArithmetic
from verify.certificates.floats.arithmetic import RoundedArithmetic
from verify.certificates.floats.rounding.tensor_cores import TF32_PRECISION
from verify.frontier.kernels.base import Kernel, Machine, MachineKind, Order
from verify.frontier.product_rounding import products_of
from verify.frontier.spaced_values import evenly_spaced_values

#: float32 whose products have factors of TF32.
TF32 = "tf32"


@final
class Torch(MachineKind):
    """Torch on the CPU."""

    word = TORCH.word
    formats = ("float64", "float32", TF32, "bfloat16", "float16")
    option = "bias"

    def made(self, dtype: str, unit: str | None) -> Machine:
        """Return torch in a format."""
        if unit is not None:
            raise InvalidArgument(f"unit: expected none with torch, which runs on no matrix unit, but got {unit!r}")
        tf32 = dtype == TF32
        fmt = FORMATS["float32"] if tf32 else get_format(dtype)
        factors = Format(TF32, TF32_PRECISION, fmt.max_exponent) if tf32 else fmt

        def certificate(products: str) -> RoundedArithmetic:
            return RoundedArithmetic.of(fmt.name, products=products, tf32=tf32)

        return Machine(self.word, dtype, fmt, evenly_spaced_values(factors), "either", certificate)


@final
@dataclass(frozen=True, eq=False)
class TorchKernel(Kernel):
    """A way to add a bias, see :class:`~verify.arithmetic.tensors.TorchArithmetic`."""

    word: Bias
    title: str
    measured: bool = False
    machine: str = TORCH.word

    def products(self, machine: Machine) -> str:
        """Return how it rounds products, by its name or by measurement."""
        return products_of(self.word, machine.fmt)

    def orders(self, machine: Machine) -> Sequence[Order]:
        """Return its one order."""
        arithmetic = TorchArithmetic(machine.fmt.name, "cpu", bias=self.word, tf32_factors=machine.dtype == TF32)
        return (Order("", arithmetic),)
