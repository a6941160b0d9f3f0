"""A library's ``exp`` of the difference from the largest exponent, as softmax by itself has it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from constructions.temperature import RationalSoftmax, Softmax
from verify.arithmetic.base import Visible
from verify.certificates.floats.boxes import Box
from verify.certificates.floats.exponentials.base import Exponential
from verify.exponentials.record import cited

if TYPE_CHECKING:
    from verify.certificates.floats.softmax import SoftmaxBounds


@final
@dataclass(frozen=True)
class Library(Exponential):
    """``exp(z - max z)`` over its sum; each operation is rounded to the format, or to a more precise one."""

    word = "library"
    summary = "exp, then the quotient by the sum"

    def sentence(self, ulps: int) -> str:
        """Return how far ``exp`` may be off, and the measurements that bear it out."""
        return f"exp right within {ulps} units in the last place{cited(self.fmt.name, ulps)}"

    def attention(
        self,
        bounds: SoftmaxBounds,
        scores: Box,
        visible: Visible,
        temperature: Softmax | RationalSoftmax,
        *,
        key_size: int,
    ) -> Box:
        """Return bounds of the attention weights."""
        return bounds.softmax(scores, visible, temperature, key_size=key_size)
