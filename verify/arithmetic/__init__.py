"""The number systems of a forward pass. The torch ones are imported only when they are asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from verify.arithmetic.base import Arithmetic as Arithmetic
from verify.arithmetic.families import FAMILIES, made
from verify.arithmetic.floating import NumpyArithmetic as NumpyArithmetic
from verify.arithmetic.rational import RationalArithmetic as RationalArithmetic
from verify.arithmetic.spec import Setting
from verify.arithmetic.spec import Spec as Spec
from verify.arithmetic.symbolic import SymbolicArithmetic as SymbolicArithmetic

if TYPE_CHECKING:
    from verify.arithmetic.tensors import TorchArithmetic

KINDS = tuple(FAMILIES)


def get_arithmetic(
    kind: str, *, dtype: str = "float64", device: str = "cpu", **options: Setting
) -> Arithmetic[Any, Any, Any]:
    """Return an arithmetic by name.

    Args:
        kind: ``rational``, ``symbolic``, ``numpy``, ``torch``, ``structured`` (torch, block by block) or ``engine``
            (torch, many cases at once).
        dtype: the float format, for the last four.
        device: where torch runs; the others run on the cpu alone.
        options: of its kernels: ``bias`` and ``tf32_factors`` of ``torch``, ``tf32`` of ``torch`` and ``structured``.

    Raises:
        InvalidArgument: an unknown name or option, or a device that is not there.

    Example:
        >>> get_arithmetic("numpy", dtype="float32").name
        'numpy float32'

    """
    found: Arithmetic[Any, Any, Any] = made(FAMILIES, kind, dtype, device, options)
    return found


def torch_arithmetic(dtype: str, device: str, **options: Setting) -> TorchArithmetic:
    """Return the dense torch arithmetic; see there for the options."""
    return cast("TorchArithmetic", get_arithmetic("torch", dtype=dtype, device=device, **options))
