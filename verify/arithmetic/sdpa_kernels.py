"""The kernels of torch's ``scaled_dot_product_attention``, by the words for them here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Kernel(NamedTuple):
    """A kernel.

    Attributes:
        torch: its name in ``torch.nn.attention.SDPBackend``.
        on_cpu: whether processors have it too.
        multiple: of how many numbers a row has to be: GPU kernels read 16 bytes at once, eight numbers of 16 bits.

    """

    torch: str
    on_cpu: bool
    multiple: int = 1


KERNELS: Mapping[str, Kernel] = {
    "math": Kernel("MATH", on_cpu=True),
    "flash": Kernel("FLASH_ATTENTION", on_cpu=True),
    "efficient": Kernel("EFFICIENT_ATTENTION", on_cpu=False, multiple=8),
    "cudnn": Kernel("CUDNN_ATTENTION", on_cpu=False, multiple=8),
}
