"""How the kernels of attention take their exponents: one object says it, to softmax, to sums and to a reader."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from constructions.formats import Format
from constructions.temperature import RationalSoftmax, Softmax
from verify.arithmetic.base import Visible
from verify.certificates.floats.boxes import Box

if TYPE_CHECKING:
    from verify.certificates.floats.softmax import SoftmaxBounds


@dataclass(frozen=True)
class Exponential(ABC):
    """What is assumed of the exponents of softmax.

    A kind is a subclass in a file of its own, and a line in :mod:`verify.certificates.floats.exponentials`. Every
    method must bound whatever such a kernel computes.

    Attributes:
        fmt: the number format.
        word: the kind's name, as ``--exp`` takes it.
        summary: in a few words, for the help of ``--exp``.
        one_weight: whether a key has one weight, a number of the format, for all coordinates of its value. Matrix units
            and rows with factors have no rule for any other.
        adds_shifts: whether something may be added to the exponents after the scores were scaled.

    """

    fmt: Format

    word: ClassVar[str]
    summary: ClassVar[str]
    one_weight: ClassVar[bool] = True
    adds_shifts: ClassVar[bool] = True

    @abstractmethod
    def sentence(self, ulps: int) -> str:
        """Return what is assumed, as part of a sentence.

        Args:
            ulps: how far a library's ``exp`` is assumed to be off, in units in the last place.

        """

    @abstractmethod
    def attention(
        self,
        bounds: SoftmaxBounds,
        scores: Box,
        visible: Visible,
        temperature: Softmax | RationalSoftmax,
        *,
        key_size: int,
    ) -> Box:
        """Return bounds of the attention weights.

        Args:
            bounds: the rules of the kernels that are assumed.
            scores: batch x queries x keys.
            visible: queries x keys.
            temperature: a finite one.
            key_size: the size of the head's keys.

        """

    def mixed(self, bounds: SoftmaxBounds, found: Box, values: Box) -> Box:
        """Return bounds of weighted sums, given what they are if the weights are applied as the kernel's sums are.

        Args:
            bounds: as above.
            found: batch x queries x width.
            values: batch x keys x width.

        """
        return found
