"""The forward pass on a matrix unit: its products bit by bit, and torch's kernels around them."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import final

import numpy as np

from constructions.activations import Activation
from constructions.formats import round_to_format
from constructions.temperature import Hardmax, Temperature
from constructions.validation import InvalidArgument, check_choice
from verify.arithmetic.arrays import Array, ArrayBase
from verify.arithmetic.base import Visible
from verify.arithmetic.families import MATRIX_UNIT
from verify.arithmetic.gaps import check_exponents, score_gap
from verify.matrix_units import GENERATIONS, MatrixUnit
from verify.matrix_units.products import RETURNED, Products


@final
class MatrixUnitArithmetic(ArrayBase):
    """Numbers of 16 bits or float32, multiplied on a matrix unit, as torch computes with them on a GPU.

    Linear maps, scores and mixtures are products on the unit, in the order that
    :class:`~verify.matrix_units.products.Products` says, rounded once to the format. Everything else is computed in
    float32 and rounded once, as each of torch's CUDA kernels does: softmax as one kernel; sums of heads and residual
    sums one addition after the other; the weight and the bias of a norm one after the other. These are numpy's float32
    functions, where a GPU has its own, which may differ in the last place of a float32 number.

    Attributes:
        products: how the unit is used.

    Example:
        >>> from constructions import UnconditionalGeneration
        >>> from verify import exhaust
        >>> verdict = exhaust(UnconditionalGeneration(4, 3), MatrixUnitArithmetic("bf16", unit="hopper"))
        >>> verdict.arithmetic, verdict.holds
        ('matrix unit hopper bf16', True)

    """

    products: Products

    def __init__(
        self,
        dtype: str = "bf16",
        unit: str = "hopper",
        *,
        split: int = 1,
        slice_size: int | None = None,
        reduced: bool = False,
        factors: str = "even",
    ) -> None:
        """Multiply on the matrix unit of a generation.

        Args:
            dtype: the format of the unit's factors, ``fp16``, ``bf16`` or ``tf32``; or the dtype of the numbers,
                ``float16``, ``bfloat16`` or ``float32``, which means the same.
            unit: the generation, such as ``ampere``.
            split: parts of each sum, see :class:`~verify.matrix_units.products.Products`.
            slice_size: the same by the products of a part.
            reduced: round the sums of parts to the format.
            factors: how TF32 factors are made of float32 numbers: rounded to nearest, ties to ``even`` or ``away`` from
                zero, or ``truncated``.

        Raises:
            InvalidArgument: an unknown unit or format, one that the unit does not have, or options that do not go
                together.

        """
        generation = GENERATIONS[check_choice("unit", unit, tuple(GENERATIONS))]
        words = {result.format.name: word for word, result in RETURNED.items()}
        word = check_choice("dtype", words.get(dtype, dtype), MATRIX_UNIT.formats)
        check_choice(
            f"dtype on {unit}", word, tuple(name for name in MATRIX_UNIT.formats if name in generation.formats)
        )
        self.products = Products(
            MatrixUnit(unit, word), split=split, slice_size=slice_size, reduced=reduced, factors=factors
        )
        self.fmt, self.dtype = self.products.format, np.dtype(np.float32)
        used = {name: getattr(self.products, name) for name in ("split", "slice_size", "reduced", "factors")}
        self.spec = MATRIX_UNIT.spec(word, options={"unit": unit, **used})
        self.name = self.spec.name

    def assumptions(self) -> str:
        """Return the assumptions about libraries and the device."""
        return f"{self.products.sentence()}; all else is computed in float32, by numpy, and rounded once an operation"

    def ieee(self) -> MatrixUnitArithmetic:
        """Return this arithmetic, whose 16-bit products are at least as precise as those rounded at each operation.

        Raises:
            InvalidArgument: TF32, whose factors are less precise than their format.

        """
        if self.fmt.precision > self.products.unit.values.precision:
            raise InvalidArgument(f"dtype: expected fp16 or bf16, whose products are exact, but got {self.name}")
        return self

    def _rounded(self, values: Array) -> Array:
        return self.products.nearest(values)

    def linear(self, rows: Array, weight: Array, bias: Array | None = None) -> Array:
        """Return ``W x + b`` on the unit, the bias added in float32."""
        return self.products.multiplied(rows, weight[None], None if bias is None else bias[:, 0])

    def pointwise(self, rows: Array, activation: Activation) -> Array:
        """Return the activation, as it says of itself in float32."""
        return self._rounded(activation.numpy(rows))

    def multiply(self, left: Array, right: Array) -> Array:
        """Return the product."""
        return self._rounded(left * right)

    def normalise(self, rows: Array, *, centred: bool, mean: bool, eps: Fraction) -> Array:
        """Return ``x * (1 / sqrt(mean(x^2) + eps))`` of float32, rounded once."""
        if centred:
            rows = rows - rows.mean(axis=-1, keepdims=True)
        squares = rows * rows
        length = squares.mean(axis=-1, keepdims=True) if mean else squares.sum(axis=-1, keepdims=True)
        return self._rounded(rows * (1 / np.sqrt(length + np.float32(round_to_format(eps, self.fmt)))))

    def affine(self, rows: Array, weight: Array | None, bias: Array | None) -> Array:
        """Return ``w * x + b``, the product rounded first."""
        product = rows if weight is None else self._rounded(rows * weight[:, 0])
        return product if bias is None else self._rounded(product + bias[:, 0])

    def scores(self, queries: Array, keys: Array) -> Array:
        """Return the inner products, on the unit."""
        return self.products.multiplied(queries, keys)

    def shifted(self, scores: Array, shift: Array) -> Array:
        """Return the sum."""
        return self._rounded(scores + shift)

    def attention(self, scores: Array, visible: Visible, temperature: Temperature, *, key_size: int) -> Array:
        """Return the weights: the softmax of the scaled scores, or a uniform choice among the largest."""
        if isinstance(temperature, Hardmax):
            hidden = _hidden(scores, visible)
            largest = np.asarray(hidden == hidden.max(axis=-1, keepdims=True), dtype=np.float32)
            return self._rounded(largest / self._rounded(largest.sum(axis=-1, keepdims=True)))
        return self._softmax(self._scaled(scores, temperature, key_size, visible), visible)

    def shifted_attention(
        self, scores: Array, shift: Array, visible: Visible, temperature: Temperature, *, key_size: int
    ) -> Array:
        """Return the weights: the softmax of the scaled scores and the shift."""
        scaled = self._scaled(scores, check_exponents(temperature), key_size, visible)
        return self._softmax(self._rounded(scaled + shift), visible)

    def _scaled(self, scores: Array, temperature: Temperature, key_size: int, visible: Visible) -> Array:
        gap = np.float32(score_gap(temperature, key_size=key_size, length=visible.shape[1]))
        return self._rounded(scores * gap)

    def _softmax(self, exponents: Array, visible: Visible) -> Array:
        hidden = _hidden(exponents, visible)
        factors = np.exp(hidden - hidden.max(axis=-1, keepdims=True))
        return self._rounded(factors / factors.sum(axis=-1, keepdims=True))

    def mix(self, attention: Array, values: Array) -> Array:
        """Return the weighted sums, on the unit."""
        return self.products.multiplied(attention, np.swapaxes(values, -1, -2))

    def total(self, parts: Sequence[Array]) -> Array:
        """Return the sum, one addition after the other."""
        total = parts[0]
        for part in parts[1:]:
            total = self._rounded(total + part)
        return total


def _hidden(scores: Array, visible: Visible) -> Array:
    """Return scores with those of keys that are not seen at minus infinity."""
    return np.asarray(np.where(visible, scores, np.float32(-np.inf)))
