"""Backends: torch, with attention by one kernel of ``scaled_dot_product_attention``."""

from __future__ import annotations

from typing import final

from constructions.construction import Construction
from verify.arithmetic.sdpa_kernels import KERNELS
from verify.backends import Backend, as_backend
from verify.conformance.backends.base import BackendFactory


@final
class Sdpa(BackendFactory):
    """One kernel of ``scaled_dot_product_attention``; some are on other devices alone."""

    group = "sdpa"

    def __init__(self, kernel: str) -> None:
        """Attend by ``kernel``."""
        self.kernel, self.name = kernel, f"sdpa-{kernel}"
        self.summary = f"torch, attention by the {kernel} kernel of scaled_dot_product_attention"
        self.quick = KERNELS[kernel].on_cpu

    def make(self, construction: Construction, dtype: str) -> Backend:
        """Return the construction's transformer in the arithmetic that attends so."""
        from verify.arithmetic.sdpa import SdpaArithmetic  # noqa: PLC0415 # torch takes seconds to import

        return as_backend(SdpaArithmetic(dtype, self.kernel))
