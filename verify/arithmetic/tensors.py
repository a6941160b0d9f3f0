"""Floats with torch: real kernels, any dtype and device.

One class of a little over 300 lines: an operation for each of those that layers are made of.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from fractions import Fraction
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor
from torch.nn.functional import linear

from constructions.activations import Activation
from constructions.exact_matrix import ExactMatrix
from constructions.formats import Format, get_format
from constructions.ratios import Ratios
from constructions.temperature import Hardmax, Temperature
from constructions.validation import InvalidArgument, check_choice, reject
from verify.arithmetic.base import Arithmetic, RowsT, Visible, WeightT
from verify.arithmetic.emulated import MatmulPrecision, fused_multiply_add, matmul_precision, to_tf32
from verify.arithmetic.families import TF32_REFUSED, TORCH
from verify.arithmetic.spec import Family, Setting, Spec
from verify.arithmetic.tensor_layers import hidden_off, normalised, scaled, shifted_softmax

if TYPE_CHECKING:
    from constructions.construction import Construction
    from verify.running.torch_module import TorchTransformer

#: How a bias is added, see :class:`TorchArithmetic`.
Bias = Literal["linear", "separate", "fma"]


def check_device(name: object) -> torch.device:
    """Return a torch device that is really there.

    Raises:
        InvalidArgument: not a device's name, or a device that this machine does not have.

    """
    if not isinstance(name, (str, torch.device)):
        reject("device", "the name of a torch device, such as cpu or cuda", name)
    try:
        device = torch.device(name)
        torch.empty(1, device=device).cpu()
    except (RuntimeError, AssertionError, NotImplementedError):
        # torch's own messages differ between builds and run over several lines
        available = ["cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]
        raise InvalidArgument(
            f"device: expected a device of this machine ({', '.join(available)}) but got {str(name)!r}"
            f" (type {type(name).__name__})"
        ) from None
    return device


class TorchBase(Arithmetic[WeightT, RowsT, Tensor]):
    """The common part of the dense and the structured arithmetic: dtype, device, and the attention itself."""

    batched: ClassVar[bool] = True
    family: ClassVar[Family]

    fmt: Format
    spec: Spec

    def __init__(
        self, dtype: str = "float32", device: str | torch.device = "cpu", *, tf32: bool = False, **options: Setting
    ) -> None:
        """Hold numbers as ``dtype`` on ``device``.

        Args:
            dtype: the format.
            device: where to run.
            tf32: allow TF32 in float32 products.
            options: those of the family that choose its kernels.

        Raises:
            InvalidArgument: an unknown dtype or device, or TF32 without float32.

        """
        self.fmt = get_format(dtype)
        self.torch_dtype: torch.dtype = getattr(torch, dtype)
        self.torch_device = check_device(device)
        self.device = str(self.torch_device)
        if tf32 and dtype != "float32":
            raise InvalidArgument(f"{TF32_REFUSED}, but got {self.family.spec(dtype, options=options).name}")
        self.precision: MatmulPrecision = "high" if tf32 else "highest"
        self.spec = self.family.spec(dtype, self.device, {**options, "tf32": tf32})
        self.name = self.spec.name

    def running(self) -> AbstractContextManager[None]:
        """Return the setting of torch's products: the format's own precision, or TF32 where it is allowed."""
        return _running(self.precision)

    def ieee(self) -> Arithmetic[WeightT, RowsT, Tensor]:
        """Return the arithmetic without TF32."""
        kept = {name: value for name, value in self.spec.options if name != "tf32"}
        return self if self.precision == "highest" else type(self)(self.fmt.name, self.device, **kept)  # type: ignore[arg-type] # none of them is tf32

    def _tensor(self, values: np.ndarray[Any, Any]) -> Tensor:
        # every value is already rounded to the format, so this conversion is exact
        return torch.from_numpy(np.ascontiguousarray(values)).to(self.torch_device, self.torch_dtype)

    def _codes(self, context_size: int, start: int, stop: int) -> Tensor:
        places = torch.arange(start, stop, device=self.torch_device)
        codes = places[:, None] == torch.arange(context_size, device=self.torch_device)
        return codes.to(self.torch_dtype)[None]

    def attention(self, scores: Tensor, visible: Visible, temperature: Temperature, *, key_size: int) -> Tensor:
        """Return the weights: torch's softmax of the scaled scores, or a uniform choice among the largest."""
        scores = hidden_off(scores, visible)
        if isinstance(temperature, Hardmax):
            largest = (scores == scores.amax(-1, keepdim=True)).to(scores.dtype)
            return largest / largest.sum(-1, keepdim=True)
        return torch.softmax(scaled(scores, temperature, key_size=key_size, length=visible.shape[1]), dim=-1)

    def shifted(self, scores: Tensor, shift: Tensor) -> Tensor:
        """Return the sum."""
        return scores + shift

    def shifted_attention(
        self, scores: Tensor, shift: Tensor, visible: Visible, temperature: Temperature, *, key_size: int
    ) -> Tensor:
        """Return the weights: torch's softmax of the scaled scores and the shift."""
        return shifted_softmax(scores, shift, visible, temperature, key_size=key_size)


@contextmanager
def _running(precision: MatmulPrecision) -> Iterator[None]:
    with torch.no_grad(), matmul_precision(precision):
        yield


def same_batch(left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
    """Return both with one batch axis; what is the same for all sequences has a batch axis of 1."""
    alone = isinstance(left.shape[0], int) and left.shape[0] == 1  # a symbol is not asked: its batch may be 1 some day
    batch = right.shape[0] if alone else left.shape[0]  # not the larger: a batch may be empty
    return left.expand(batch, -1, -1), right.expand(batch, -1, -1)


class TorchArithmetic(TorchBase[Tensor, Tensor]):
    """Dense torch tensors of shape batch x rows x width.

    Attributes:
        bias: how a bias is added: ``linear`` by torch's own kernel (``F.linear``), which may round the product first or
            not, as its library and the processor have it; ``separate`` to the rounded product (``x @ W.T + b``);
            ``fma`` by a chain of fused multiply-adds that starts from it, emulated (not in float64). This is said of
            linear maps: the bias of a norm is added coordinate by coordinate, to the rounded product, in each of them.
        tf32_factors: whether the factors of every float32 product are first rounded to TF32's 11 bits, as a GPU does
            that has TF32 on: an emulation on the CPU, whose sums are then float32's. Products coordinate by coordinate,
            of gates, norms and rotary positions, are no matrix products and stay in float32.

    Example:
        >>> from constructions import UnconditionalGeneration
        >>> from verify import exhaust
        >>> exhaust(UnconditionalGeneration(4, 3), TorchArithmetic("float32")).holds
        True

    """

    family = TORCH

    def __init__(
        self,
        dtype: str = "float32",
        device: str | torch.device = "cpu",
        *,
        bias: Bias = "linear",
        tf32_factors: bool = False,
        tf32: bool = False,
    ) -> None:
        """Hold numbers as ``dtype`` on ``device``; with ``tf32``, allow a GPU to round factors to TF32.

        Raises:
            InvalidArgument: an unknown dtype, device or bias, TF32 without float32, or an emulation of float64.

        """
        check_choice("bias", bias, get_args(Bias))
        super().__init__(dtype, device, tf32=tf32, bias=bias, tf32_factors=tf32_factors)
        self.bias: Bias = bias
        self.tf32_factors = tf32_factors
        if tf32_factors and dtype != "float32":
            raise InvalidArgument(f"tf32_factors: expected float32, whose products TF32 reduces, but got {dtype}")
        if bias == "fma" and dtype == "float64":
            raise InvalidArgument(
                "bias: expected linear or separate in float64, whose fused multiply-add is not emulated"
            )

    @property
    def plain(self) -> bool:
        """Whether a :class:`~verify.running.torch_module.TorchTransformer` runs these kernels by default."""
        return self.bias == "linear" and not self.tf32_factors

    def module(self, construction: Construction) -> TorchTransformer | None:
        """Return the module of these weights where these are the kernels that it runs."""
        if not self.plain:
            return None
        from verify.running.torch_module import to_torch  # noqa: PLC0415 # it imports this module

        return to_torch(construction, self.fmt.name, self.device, precision=self.precision)

    def _factor(self, values: Tensor) -> Tensor:
        return to_tf32(values) if self.tf32_factors else values

    def weight(self, matrix: ExactMatrix) -> Tensor:
        """Return the matrix, every entry correctly rounded."""
        return self._tensor(matrix.to_numpy(self.fmt))

    def held(self, numbers: np.ndarray[Any, Any]) -> Tensor:
        """Return floats that the format holds, as a tensor."""
        return self._tensor(numbers)

    def prompt(self, virtual_tokens: Ratios) -> Tensor:
        """Return the virtual tokens, every entry correctly rounded."""
        return self._tensor(virtual_tokens.to_float(self.fmt))

    def embed(self, embedding: Tensor, tokens: Int[np.ndarray, "*batch length"]) -> Tensor:
        """Return the columns of the embedding as rows."""
        return embedding.T[torch.from_numpy(tokens).to(self.torch_device)]

    def positions(self, context_size: int, start: int, stop: int) -> Tensor:
        """Return rows of the identity, shape 1 x rows x context."""
        return self._codes(context_size, start, stop)

    def beside(self, left: Tensor, right: Tensor) -> Tensor:
        """Return the rows side by side."""
        return torch.cat(same_batch(left, right), dim=-1)

    def below(self, top: Tensor, bottom: Tensor) -> Tensor:
        """Return the rows one under the other."""
        return torch.cat(same_batch(top, bottom), dim=-2)

    def last(self, rows: Tensor) -> Tensor:
        """Return the last row."""
        return rows[:, -1:]

    def linear(self, rows: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        """Return ``W x + b``, by the kernel that was chosen."""
        rows, weight = self._factor(rows), self._factor(weight)
        if bias is None or self.bias == "linear":
            return linear(rows, weight, None if bias is None else bias[:, 0])
        if self.bias == "separate":
            return rows @ weight.T + bias[:, 0]
        total = bias[:, 0].expand(*rows.shape[:-1], len(bias))
        for column in range(weight.shape[1]):
            total = fused_multiply_add(rows[..., column, None], weight[:, column], total)
        return total

    def relu(self, rows: Tensor) -> Tensor:
        """Return ``max(0, .)``."""
        return torch.relu(rows)

    def pointwise(self, rows: Tensor, activation: Activation) -> Tensor:
        """Return the activation by torch's own function."""
        return activation.torch(rows)

    def multiply(self, left: Tensor, right: Tensor) -> Tensor:
        """Return the product."""
        return left * right

    def normalise(self, rows: Tensor, *, centred: bool, mean: bool, eps: Fraction) -> Tensor:
        """Return the rows over their lengths; see :func:`~verify.arithmetic.tensor_layers.normalised`."""
        return normalised(rows, self.fmt, centred=centred, mean=mean, eps=eps)

    def affine(self, rows: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
        """Return ``w * x + b``, the product rounded first."""
        product = rows if weight is None else rows * weight[:, 0]
        return product if bias is None else product + bias[:, 0]

    def score_table(self, table: Tensor, start: int, stop: int) -> Tensor:
        """Return a part of the table, the same for the whole batch."""
        rows, columns = (torch.arange(first, stop, device=table.device) for first in (start, 0))
        return table.index_select(0, rows).index_select(1, columns)[None]

    def scores(self, queries: Tensor, keys: Tensor) -> Tensor:
        """Return the inner products."""
        return self._factor(queries) @ self._factor(keys).transpose(-1, -2)

    def mix(self, attention: Tensor, values: Tensor) -> Tensor:
        """Return the weighted sums."""
        return self._factor(attention) @ self._factor(values)

    def total(self, parts: Sequence[Tensor]) -> Tensor:
        """Return the sum, head by head."""
        total = parts[0]
        for part in parts[1:]:
            total = total + part
        return total

    def argmax(self, logits: Tensor) -> Int[np.ndarray, "batch rows"]:
        """Return the first coordinate of the largest value of every row.

        ``torch.argmax`` leaves the choice among equal values open; a tie has no margin and never verifies.
        """
        return logits.argmax(-1).cpu().numpy()

    def numbers(self, rows: Tensor) -> np.ndarray[Any, Any]:
        """Return float64, which holds every format."""
        values: np.ndarray[Any, Any] = rows.detach().to("cpu", torch.float64).numpy()
        return values
