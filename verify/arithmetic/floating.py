"""Floats with numpy: a reference that shares no kernel with torch."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any, final

import numpy as np

from constructions.activations import Activation
from constructions.formats import get_format, round_to_format
from constructions.temperature import Hardmax, Temperature
from constructions.validation import check_choice
from verify.arithmetic.arrays import Array, ArrayBase
from verify.arithmetic.base import Visible
from verify.arithmetic.families import NUMPY
from verify.arithmetic.gaps import check_exponents, score_gap

if TYPE_CHECKING:
    from verify.arithmetic.tensors import TorchArithmetic


@final
class NumpyArithmetic(ArrayBase):
    """Numpy floats, batched.

    Attributes:
        fmt: float64, float32 or float16 (numpy has no bfloat16).

    Example:
        >>> from constructions import UnconditionalGeneration
        >>> from verify import exhaust
        >>> exhaust(UnconditionalGeneration(4, 3), NumpyArithmetic("float32")).holds
        True

    """

    def __init__(self, dtype: str = "float64") -> None:
        """Hold numbers as ``dtype``."""
        check_choice("dtype", dtype, NUMPY.formats)
        self.fmt = get_format(dtype)
        self.spec = NUMPY.spec(dtype)
        self.name = self.spec.name
        self.dtype = np.dtype(dtype)

    def dense(self) -> TorchArithmetic:
        """Return torch's of the same format."""
        from verify.arithmetic.tensors import TorchArithmetic  # noqa: PLC0415 # it imports torch

        return TorchArithmetic(self.fmt.name)

    def linear(self, rows: Array, weight: Array, bias: Array | None = None) -> Array:
        """Return ``W x + b``."""
        product = rows @ weight.T
        return np.asarray(product if bias is None else product + bias[:, 0])

    def pointwise(self, rows: Array, activation: Activation) -> Array:
        """Return the activation, as it says of itself."""
        return activation.numpy(rows)

    def multiply(self, left: Array, right: Array) -> Array:
        """Return the product."""
        return np.asarray(left * right)

    def normalise(self, rows: Array, *, centred: bool, mean: bool, eps: Fraction) -> Array:
        """Return ``x / sqrt(mean(x^2) + eps)``, every operation rounded to the format."""
        width = self.dtype.type(rows.shape[-1])
        if centred:
            rows = rows - rows.sum(axis=-1, keepdims=True, dtype=self.dtype) / width
        squares = (rows * rows).sum(axis=-1, keepdims=True, dtype=self.dtype)
        under = (squares / width if mean else squares) + self.dtype.type(round_to_format(eps, self.fmt))
        return np.asarray(rows / np.sqrt(under))

    def affine(self, rows: Array, weight: Array | None, bias: Array | None) -> Array:
        """Return ``w * x + b``, the product rounded first."""
        product = rows if weight is None else rows * weight[:, 0]
        return np.asarray(product if bias is None else product + bias[:, 0])

    def scores(self, queries: Array, keys: Array) -> Array:
        """Return the inner products."""
        return np.asarray(queries @ np.swapaxes(keys, -1, -2))

    def shifted(self, scores: Array, shift: Array) -> Array:
        """Return the sum."""
        return np.asarray(scores + shift)

    def attention(self, scores: Array, visible: Visible, temperature: Temperature, *, key_size: int) -> Array:
        """Return the weights, with the largest score taken off before ``exp``."""
        hidden = np.where(visible, scores, self.dtype.type(-np.inf))
        largest = hidden.max(axis=-1, keepdims=True)
        if isinstance(temperature, Hardmax):
            factors = np.where(hidden == largest, self.dtype.type(1), self.dtype.type(0))
        else:
            factors = np.exp((hidden - largest) * self._gap(temperature, key_size, visible))
        return self._shares(factors)

    def shifted_attention(
        self, scores: Array, shift: Array, visible: Visible, temperature: Temperature, *, key_size: int
    ) -> Array:
        """Return the weights, with the largest exponent taken off before ``exp``."""
        exponents = scores * self._gap(check_exponents(temperature), key_size, visible) + shift
        hidden = np.where(visible, exponents, self.dtype.type(-np.inf))
        return self._shares(np.exp(hidden - hidden.max(axis=-1, keepdims=True)))

    def _gap(self, temperature: Temperature, key_size: int, visible: Visible) -> Any:
        return self.dtype.type(score_gap(temperature, key_size=key_size, length=visible.shape[1]))

    def _shares(self, factors: Array) -> Array:
        return np.asarray(factors / factors.sum(axis=-1, keepdims=True, dtype=self.dtype))

    def mix(self, attention: Array, values: Array) -> Array:
        """Return the weighted sums."""
        return np.asarray(attention @ values)

    def total(self, parts: Sequence[Array]) -> Array:
        """Return the sum."""
        return np.asarray(sum(parts[1:], parts[0]))
