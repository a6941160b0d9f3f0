"""Assumptions about kernels beyond the sums: each operation says its own sentence when it is used."""

from __future__ import annotations

from verify.certificates.floats.kernel import Kernel
from verify.certificates.floats.sums import Sums


class Assuming(Sums):
    """Collects the assumptions of the operations that were used.

    Attributes:
        assumed: sentences, in the order of their first use.

    """

    def __init__(self, kernel: Kernel) -> None:
        """Bound the kernels that ``kernel`` describes; nothing else is assumed yet."""
        super().__init__(kernel)
        self.assumed: dict[str, None] = {}

    def assume(self, sentence: str) -> None:
        """Note that an operation relies on this."""
        self.assumed[sentence] = None

    def assumptions(self) -> str:
        """Return in a line what was assumed of the kernels: of sums and ``exp``, and of all other operations used."""
        return "; ".join([self.kernel.assumptions(), *self.assumed])
