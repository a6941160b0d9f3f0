"""The kernels of torch's ``scaled_dot_product_attention``, by the words for them here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Kernel(NamedTuple):
    """A kernel.

    Attributes:
        torch: its name in ``torch.nn.attention.SDPBackend``.
        on_cpu: whether processors have it too.

    """

    torch: str
    on_cpu: bool


KERNELS: Mapping[str, Kernel] = {
    "math": Kernel("MATH", on_cpu=True),
    "flash": Kernel("FLASH_ATTENTION", on_cpu=True),
    "efficient": Kernel("EFFICIENT_ATTENTION", on_cpu=False),
    "cudnn": Kernel("CUDNN_ATTENTION", on_cpu=False),
}
