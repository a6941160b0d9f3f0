"""The calls of torch whose products are held against the exact unit."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from verify.device.base import AbsentError
from verify.matrix_units.formats import Singles


@dataclass(frozen=True)
class Call:
    """A way to ask a library for a product of matrices.

    Attributes:
        name: for people.
        format: of the factors, as :class:`~verify.MatrixUnit` names it.
        biased: whether a bias is added.
        rounded: whether the result is rounded to the format of the factors; otherwise it is float32.
        batched: whether every row is a matrix of its own, as in attention.
        fast: of fp8, whether the library may add up in the unit alone (``use_fast_accum``).
        multiple: of how many rows, columns and products the matrices have to be.
        known: whether it was seen on some device to add up in one of the orders of
            :func:`~verify.device.orders.orders`; then any other order refutes.

    """

    name: str
    format: str
    biased: bool = False
    rounded: bool = False
    batched: bool = False
    fast: bool = False
    multiple: int = 1
    known: bool = True


#: The calls. TF32 without a bias was seen to add up in several orders, some of them unknown; for batches no order is
#: known.
CALLS = (
    *(Call(f"mm {word} to float32", word) for word in ("bf16", "fp16")),
    *(Call(f"linear {word}, bias", word, biased=True, rounded=True) for word in ("bf16", "fp16")),
    *(Call(f"bmm {word}", word, rounded=True, batched=True, known=False) for word in ("bf16", "fp16")),
    Call("linear tf32, bias", "tf32", biased=True),
    Call("mm tf32", "tf32", known=False),
    Call("scaled mm fp8-e4m3, fast", "fp8-e4m3", fast=True, multiple=16),
    Call("scaled mm fp8-e4m3", "fp8-e4m3", multiple=16),
)


class Library(ABC):
    """A library that multiplies matrices."""

    @abstractmethod
    def product(self, call: Call, left: Singles, right: Singles, bias: Singles | None) -> Singles:
        """Return ``left right^T + bias`` as float32 numbers, rows x columns.

        Args:
            call: how it is asked for.
            left: float32 numbers of the call's format, rows x K.
            right: the same, columns x K.
            bias: one number for each column, of the results' format.

        Raises:
            AbsentError: it does not have this.

        """


@final
class Torch(Library):
    """Torch on a device."""

    _TORCH = {"bf16": "bfloat16", "fp16": "float16", "tf32": "float32", "fp8-e4m3": "float8_e4m3fn"}  # noqa: RUF012 # never changed

    def __init__(self, device: str) -> None:
        """Multiply on ``device``."""
        self.device = device

    def product(self, call: Call, left: Singles, right: Singles, bias: Singles | None) -> Singles:
        """Return the product."""
        import torch  # noqa: PLC0415 # torch takes seconds to import

        from verify.arithmetic.emulated import matmul_precision  # noqa: PLC0415 # the same

        dtype = getattr(torch, self._TORCH[call.format])

        def moved(values: Singles) -> Any:
            return torch.from_numpy(np.ascontiguousarray(values)).to(self.device).to(dtype)

        with torch.no_grad(), matmul_precision("high" if call.format == "tf32" else "highest"):
            made = self._asked(call, moved(left), moved(right), None if bias is None else moved(bias))
        found: Singles = made.float().cpu().numpy()
        return found

    @staticmethod
    def _asked(call: Call, left: Any, right: Any, bias: Any) -> Any:
        import torch  # noqa: PLC0415 # torch takes seconds to import

        try:
            if call.format.startswith("fp8"):
                one = torch.ones((), dtype=torch.float32, device=left.device)
                return torch._scaled_mm(
                    left, right.T, scale_a=one, scale_b=one, out_dtype=torch.float32, use_fast_accum=call.fast
                )
            if call.batched:
                return torch.bmm(left[:, None], right.T.expand(len(left), -1, -1).contiguous())[:, 0]
            if call.rounded or call.format == "tf32":
                return torch.nn.functional.linear(left, right, bias)
            return torch.mm(left, right.T, out_dtype=torch.float32)
        except torch.OutOfMemoryError:
            raise  # it has the kernel
        except (RuntimeError, ValueError) as error:
            # Torch says by either that it does not have a kernel: ValueError for the scales and shapes of fp8, and
            # RuntimeError for the rest. A device that faults raises RuntimeError too. Any other error is a mistake of
            # ours, such as a wrong argument.
            if "CUDA error" in str(error):
                raise
            raise AbsentError(f"torch does not have it here: {' '.join(str(error).split())[:200]}") from None
