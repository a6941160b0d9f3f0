"""Floats with torch, attention by ``scaled_dot_product_attention``: one fused call for scores, softmax and mixture."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import pad, scaled_dot_product_attention

from constructions.temperature import Temperature
from constructions.validation import InvalidArgument, check_choice
from verify.arithmetic.base import Visible
from verify.arithmetic.gaps import score_gap
from verify.arithmetic.sdpa_kernels import KERNELS
from verify.arithmetic.tensors import TorchArithmetic


@dataclass(frozen=True)
class _Asked:
    """Queries and keys whose scores are never held, and how they are scaled and masked once that is known."""

    queries: Tensor
    keys: Tensor
    visible: Visible | None = None
    scale: float = 1.0


@final
class SdpaArithmetic(TorchArithmetic):
    """Dense torch tensors, with each head's attention by one kernel of ``scaled_dot_product_attention``.

    Scores must be of the standard form: ``softmax(scale * Q K^T)`` over the visible keys, with a scale above 0 and
    nothing added to a score. Queries, keys and values are padded with zeros to one width, as the flash kernels need:
    a zero adds nothing to a score, and the columns that it makes are cut off.

    Attributes:
        kernel: one of :data:`~verify.arithmetic.sdpa_kernels.KERNELS`.

    Example:
        >>> from constructions import UnconditionalGeneration
        >>> from verify import exhaust
        >>> exhaust(UnconditionalGeneration(4, 3), SdpaArithmetic("float32", "math")).holds
        True

    """

    kernel: str

    def __init__(self, dtype: str = "float32", kernel: str = "math", device: str | torch.device = "cpu") -> None:
        """Hold numbers as ``dtype`` on ``device``, and attend by ``kernel``.

        Raises:
            InvalidArgument: an unknown dtype, device or kernel, or a kernel that torch does not have for these.

        """
        super().__init__(dtype, device)
        self.kernel = check_choice("kernel", kernel, tuple(KERNELS))
        self.name = f"{self.name} sdpa {kernel}"
        tried = torch.ones(1, 1, 1, dtype=self.torch_dtype, device=self.torch_device)
        self.mix(_Asked(tried, tried, np.ones((1, 1), dtype=np.bool_)), tried)

    def words(self) -> tuple[str, ...] | None:
        """Return ``None``: the command line has no option for it."""
        return None

    def expression(self) -> str:
        """Return the Python expression that makes it."""
        device = "" if self.device == "cpu" else f", {self.device!r}"
        return f"verify.arithmetic.sdpa.SdpaArithmetic({self.fmt.name!r}, {self.kernel!r}{device})"

    def module(self, construction: object) -> None:
        """Return ``None``: the module that users get attends step by step."""

    def scores(self, queries: Tensor, keys: Tensor) -> Any:
        """Return the queries and keys: their scores are a part of the fused call."""
        return _Asked(queries, keys)

    def attention(self, scores: Any, visible: Visible, temperature: Temperature, *, key_size: int) -> Any:
        """Return the queries and keys with their mask and scale.

        Raises:
            InvalidArgument: hardmax, or a scale that is not above 0.

        """
        scale = score_gap(temperature, key_size=key_size, length=visible.shape[1])
        if not scale > 0:
            raise InvalidArgument(f"q: expected one above 1 for {self.name}, whose scale must be above 0")
        return _Asked(scores.queries, scores.keys, visible, scale)

    def shifted(self, scores: Any, shift: Tensor) -> Any:
        """Refuse scores that something is added to."""
        self._lacks("score bias")

    def shifted_attention(
        self, scores: Any, shift: Tensor, visible: Visible, temperature: Temperature, *, key_size: int
    ) -> Any:
        """Refuse scores that something is added to."""
        self._lacks("score bias that is added after scaling")

    def mix(self, attention: Any, values: Tensor) -> Tensor:
        """Return the weighted sums, by one call of the kernel.

        Raises:
            InvalidArgument: torch does not have the kernel for these tensors; the message is torch's own.

        """
        parts = (attention.queries, attention.keys, values)
        batch, multiple = max(part.shape[0] for part in parts), KERNELS[self.kernel].multiple
        width = -(-max(part.shape[-1] for part in parts) // multiple) * multiple
        # cases x heads x positions x width
        queries, keys, held = (pad(part, (0, width - part.shape[-1])).expand(batch, -1, -1)[:, None] for part in parts)
        visible = attention.visible
        causal = len(visible) > 1 and np.array_equal(visible, np.tri(*visible.shape, dtype=np.bool_))
        mask = None if causal or visible.all() else torch.from_numpy(visible).to(self.torch_device)
        try:
            with (
                warnings.catch_warnings(record=True) as said,
                sdpa_kernel(getattr(SDPBackend, KERNELS[self.kernel].torch)),
            ):
                warnings.simplefilter("always")  # torch says in warnings why a kernel cannot run
                mixed = scaled_dot_product_attention(
                    queries, keys, held, attn_mask=mask, is_causal=causal, scale=attention.scale
                )
        except RuntimeError as error:
            why = [" ".join(str(warning.message).split("(Triggered")[0].split()) for warning in said]
            told = "; ".join([str(error).split(".")[0], *(line for line in why if not line.endswith("because:"))])
            raise InvalidArgument(
                f"kernel: expected one that torch has on {self.device} but got {self.kernel!r}: {told}"
            ) from None
        return mixed[:, 0, :, : values.shape[-1]]

    def numbers(self, rows: Any) -> np.ndarray[Any, Any]:
        """Return float64, which holds every format.

        Raises:
            InvalidArgument: scores or attention weights, which the fused call keeps to itself.

        """
        if isinstance(rows, _Asked):
            raise InvalidArgument(f"trace: expected an arithmetic that holds its scores but got {self.name}")
        return super().numbers(rows)
