"""The number systems of a forward pass. The torch ones are imported only when they are asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast, get_args

from constructions.validation import check_choice
from verify.arithmetic.base import Arithmetic as Arithmetic
from verify.arithmetic.floating import NumpyArithmetic as NumpyArithmetic
from verify.arithmetic.rational import RationalArithmetic as RationalArithmetic
from verify.arithmetic.symbolic import SymbolicArithmetic as SymbolicArithmetic

if TYPE_CHECKING:
    from verify.arithmetic.tensors import TorchArithmetic

KINDS = ("rational", "symbolic", "numpy", "torch", "structured")


def get_arithmetic(kind: str, *, dtype: str = "float64", device: str = "cpu") -> Arithmetic[Any, Any, Any]:
    """Return an arithmetic by name.

    Args:
        kind: ``rational``, ``symbolic``, ``numpy``, ``torch`` or ``structured`` (torch, block by block).
        dtype: the float format, for the last three.
        device: where torch runs; the others run on the cpu alone.

    Raises:
        InvalidArgument: an unknown name, or a device that is not there.

    Example:
        >>> get_arithmetic("numpy", dtype="float32").name
        'numpy float32'

    """
    check_choice("arithmetic", kind, KINDS)
    if kind == "torch":
        return torch_arithmetic(dtype, device)
    if kind == "structured":
        from verify.arithmetic.structured import StructuredTorchArithmetic  # noqa: PLC0415 # torch takes seconds

        return StructuredTorchArithmetic(dtype, device)
    check_choice("device", device, ("cpu",))
    if kind == "numpy":
        return NumpyArithmetic(dtype)
    return RationalArithmetic() if kind == "rational" else SymbolicArithmetic()


def torch_arithmetic(dtype: str, device: str, *, bias: str = "linear", tf32_factors: bool = False) -> TorchArithmetic:
    """Return the dense torch arithmetic; see there for the options."""
    from verify.arithmetic.tensors import Bias, TorchArithmetic  # noqa: PLC0415 # torch takes seconds to import

    check_choice("bias", bias, get_args(Bias))
    return TorchArithmetic(dtype, device, bias=cast("Bias", bias), tf32_factors=tf32_factors)
