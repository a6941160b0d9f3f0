"""The numbers that a matrix unit multiplies, and those in which it returns a sum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int32

from constructions.formats import Format, get_format
from constructions.registry import Registry
from constructions.validation import reject

Singles = Float32[np.ndarray, "..."]
Doubles = Float64[np.ndarray, "..."]
Exponents = Int32[np.ndarray, "..."]
Flags = Bool[np.ndarray, "..."]

#: The exponent that stands for that of zero: below any sum of two exponents of float32 numbers, so that a zero is never
#: the largest term.
NO_EXPONENT = -(1 << 12)


class Decoded(NamedTuple):
    """Numbers, with the exponents that a unit reads off them.

    Attributes:
        values: the numbers themselves.
        exponents: ``e`` with ``2^e <= |x| < 2^(e+1)``; the format's least one for its subnormals; ``NO_EXPONENT`` for
            zero.

    """

    values: Doubles
    exponents: Exponents


@dataclass(frozen=True)
class InputFormat:
    """The numbers of a format, as a set of float32 numbers.

    Attributes:
        name: the word for it.
        precision: bits of the significand, the hidden one included.
        min_exponent: exponent of the smallest normal number.
        largest: the largest finite number.
        infinities: whether it has infinities.
        signed_zero: whether it has a zero with a minus sign.

    Example:
        >>> E4M3.largest
        448.0

    """

    name: str
    precision: int
    min_exponent: int
    largest: float
    infinities: bool = True
    signed_zero: bool = True

    def decoded(self, name: str, value: object) -> Decoded:
        """Return the numbers and their exponents.

        Args:
            name: the argument as the caller knows it.
            value: float32 array of any shape.

        Raises:
            InvalidArgument: not a float32 array, or a number that the format does not hold.

        """
        expected = f"a float32 array of {self.name} numbers"
        if not isinstance(value, np.ndarray) or value.dtype != np.float32:
            reject(name, expected, value)
        found = self.read(value)
        held = self._held(value, found)
        if not held.all():
            reject(name, expected, float(value[~held].flat[0]))
        return found

    def holds(self, values: Singles) -> Flags:
        """Return which float32 numbers the format holds.

        Args:
            values: float32 array of any shape.

        Example:
            >>> BF16.holds(np.float32([1.0, 1.001]))
            array([ True, False])

        """
        return self._held(values, self.read(values))

    def read(self, values: Singles) -> Decoded:
        """Return numbers that the format holds, and their exponents.

        Args:
            values: float32 array of any shape.

        """
        bits = values.view(np.int32) & 0x7FFFFFFF
        exponents = np.maximum((bits >> 23) - 127, self.min_exponent)
        with np.errstate(invalid="ignore"):  # a signalling NaN becomes a quiet one
            numbers = values.astype(np.float64)
        return Decoded(numbers, np.where(bits == 0, NO_EXPONENT, exponents))

    def _held(self, values: Singles, found: Decoded) -> Flags:
        # The last place of a number with exponent e is 2^(e-p+1). Zero's exponent scales zero to zero.
        with np.errstate(invalid="ignore"):
            places = np.ldexp(found.values, self.precision - 1 - found.exponents)
            held: Flags = (places == np.trunc(places)) & (np.abs(found.values) <= self.largest)
        held |= np.isnan(found.values)
        if self.infinities:
            held |= np.isinf(found.values)
        if not self.signed_zero:
            held &= (values != 0) | ~np.signbit(values)
        return np.asarray(held)


FP16 = InputFormat("fp16", 11, -14, 65504.0)
BF16 = InputFormat("bf16", 8, -126, float.fromhex("0x1.fep127"))
TF32 = InputFormat("tf32", 11, -126, float.fromhex("0x1.ffcp127"))
E4M3 = InputFormat("fp8-e4m3", 4, -6, 448.0, infinities=False)
E5M2 = InputFormat("fp8-e5m2", 3, -14, 57344.0)
#: AMD's: the exponents are one lower, and there is one zero, one NaN and no infinity.
E4M3_FNUZ = InputFormat("fp8-e4m3-fnuz", 4, -7, 240.0, infinities=False, signed_zero=False)
E5M2_FNUZ = InputFormat("fp8-e5m2-fnuz", 3, -15, 57344.0, infinities=False, signed_zero=False)

#: Input formats by the words for them. A generation may mean its own variant of one by the word, as CDNA3 does.
INPUT_FORMATS: Registry[InputFormat] = Registry("format", (FP16, BF16, TF32, E4M3, E5M2), name=lambda found: found.name)


@dataclass(frozen=True)
class Result:
    """A format in which sums are returned, and in which ``c`` comes.

    Attributes:
        name: the word for it.
        format: its numbers.
        values: the same as a set of float32 numbers.
        nan: the NaN that the hardware writes, as a float32: all bits set but the sign.

    """

    name: str
    format: Format
    values: InputFormat
    nan: Singles


def _nan(bits: int) -> Singles:
    return np.array(bits, dtype=np.uint32).view(np.float32)


_FP32 = InputFormat("fp32", 24, -126, float(np.finfo(np.float32).max))
FP32_RESULT = Result("fp32", get_format("float32"), _FP32, _nan(0x7FFFFFFF))
FP16_RESULT = Result("fp16", get_format("float16"), FP16, _nan(0x7FFFE000))
RESULTS: Registry[Result] = Registry("result", (FP32_RESULT, FP16_RESULT), name=lambda found: found.name)


def truncated_to_tf32(values: Singles) -> Singles:
    """Return float32 numbers cut to the 10 fraction bits of TF32, toward zero, as the instruction reads them.

    Libraries may round to nearest before (``cvt.rna.tf32``). A NaN with no bit set among those that stay would become
    an infinity, in the hardware's registers too, so NaNs are kept as they are.

    Args:
        values: float32 array of any shape.

    Example:
        >>> truncated_to_tf32(np.float32([1.0009764, 1.0009766]))
        array([1.       , 1.0009766], dtype=float32)

    """
    cut: Singles = (values.view(np.int32) & ~0x1FFF).view(np.float32)
    return np.where(np.isnan(values), values, cut)


def rounded(values: Doubles, precision: int, result: Result, *, to_nearest: bool) -> Singles:
    """Return float64 numbers in a result's format, rounded once.

    Args:
        values: float64 numbers, normal ones or zero.
        precision: bits that are kept, at most as many as the format has; below its normal range the last place stays
            that of its least exponent.
        result: the format.
        to_nearest: to nearest, ties to even; toward zero otherwise. What is beyond the largest number of the format
            afterwards becomes infinite in both cases.

    """
    least = result.format.min_exponent
    _, exponents = np.frexp(values)
    last = np.maximum(exponents - 1, least) - precision + 1
    scaled = np.ldexp(values, -last)
    kept = np.ldexp(np.rint(scaled) if to_nearest else np.trunc(scaled), last)
    beyond = np.abs(kept) > float(result.format.largest)
    found: Singles = np.where(beyond, np.copysign(np.inf, kept), kept).astype(np.float32)
    return found
