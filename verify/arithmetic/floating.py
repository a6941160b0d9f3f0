"""Floats with numpy: a reference that shares no kernel with torch."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any, ClassVar, final

import numpy as np
from jaxtyping import Float, Int

from constructions.activations import Activation
from constructions.exact_matrix import ExactMatrix
from constructions.formats import Format, get_format, round_to_format
from constructions.ratios import Ratios
from constructions.temperature import Hardmax, Temperature
from constructions.validation import check_choice
from verify.arithmetic.base import Arithmetic, Visible
from verify.arithmetic.families import NUMPY
from verify.arithmetic.gaps import check_exponents, score_gap

_Array = Float[np.ndarray, "..."]


@final
class NumpyArithmetic(Arithmetic[_Array, _Array, _Array]):
    """Numpy floats, batched.

    Attributes:
        fmt: float64, float32 or float16 (numpy has no bfloat16).

    Example:
        >>> from constructions import UnconditionalGeneration
        >>> from verify import exhaust
        >>> exhaust(UnconditionalGeneration(4, 3), NumpyArithmetic("float32")).holds
        True

    """

    batched: ClassVar[bool] = True
    fmt: Format
    device = "cpu"

    def __init__(self, dtype: str = "float64") -> None:
        """Hold numbers as ``dtype``."""
        check_choice("dtype", dtype, NUMPY.formats)
        self.fmt = get_format(dtype)
        self.spec = NUMPY.spec(dtype)
        self.name = self.spec.name
        self._dtype = np.dtype(dtype)

    def weight(self, matrix: ExactMatrix) -> _Array:
        """Return the matrix, every entry correctly rounded."""
        return np.asarray(matrix.to_numpy(self.fmt), dtype=self._dtype)

    def held(self, numbers: np.ndarray[Any, Any]) -> _Array:
        """Return floats that the format holds, in the format."""
        return numbers.astype(self._dtype)

    def prompt(self, virtual_tokens: Ratios) -> _Array:
        """Return the virtual tokens, every entry correctly rounded."""
        return np.asarray(virtual_tokens.to_float(self.fmt), dtype=self._dtype)

    def embed(self, embedding: _Array, tokens: Int[np.ndarray, "*batch length"]) -> _Array:
        """Return the columns of the embedding as rows."""
        return np.asarray(embedding.T[tokens])

    def positions(self, context_size: int, start: int, stop: int) -> _Array:
        """Return rows of the identity, shape 1 x rows x context."""
        return np.eye(context_size, dtype=self._dtype)[None, start:stop]

    def beside(self, left: _Array, right: _Array) -> _Array:
        """Return the rows side by side."""
        return np.concatenate(_same_batch(left, right), axis=-1)

    def below(self, top: _Array, bottom: _Array) -> _Array:
        """Return the rows one under the other."""
        return np.concatenate(_same_batch(top, bottom), axis=-2)

    def last(self, rows: _Array) -> _Array:
        """Return the last row."""
        return np.asarray(rows[..., -1:, :])

    def linear(self, rows: _Array, weight: _Array, bias: _Array | None = None) -> _Array:
        """Return ``W x + b``."""
        product = rows @ weight.T
        return np.asarray(product if bias is None else product + bias[:, 0])

    def relu(self, rows: _Array) -> _Array:
        """Return ``max(0, .)``; NaN stays NaN."""
        return np.asarray(np.maximum(rows, self._dtype.type(0)))

    def pointwise(self, rows: _Array, activation: Activation) -> _Array:
        """Return the activation, as it says of itself."""
        return activation.numpy(rows)

    def multiply(self, left: _Array, right: _Array) -> _Array:
        """Return the product."""
        return np.asarray(left * right)

    def normalise(self, rows: _Array, *, centred: bool, mean: bool, eps: Fraction) -> _Array:
        """Return ``x / sqrt(mean(x^2) + eps)``, every operation rounded to the format."""
        width = self._dtype.type(rows.shape[-1])
        if centred:
            rows = rows - rows.sum(axis=-1, keepdims=True, dtype=self._dtype) / width
        squares = (rows * rows).sum(axis=-1, keepdims=True, dtype=self._dtype)
        under = (squares / width if mean else squares) + self._dtype.type(round_to_format(eps, self.fmt))
        return np.asarray(rows / np.sqrt(under))

    def affine(self, rows: _Array, weight: _Array | None, bias: _Array | None) -> _Array:
        """Return ``w * x + b``, the product rounded first."""
        product = rows if weight is None else rows * weight[:, 0]
        return np.asarray(product if bias is None else product + bias[:, 0])

    def scores(self, queries: _Array, keys: _Array) -> _Array:
        """Return the inner products."""
        return np.asarray(queries @ np.swapaxes(keys, -1, -2))

    def score_table(self, table: _Array, start: int, stop: int) -> _Array:
        """Return a part of the table, the same for the whole batch."""
        return np.asarray(table[None, start:stop, :stop])

    def shifted(self, scores: _Array, shift: _Array) -> _Array:
        """Return the sum."""
        return np.asarray(scores + shift)

    def attention(self, scores: _Array, visible: Visible, temperature: Temperature, *, key_size: int) -> _Array:
        """Return the weights, with the largest score taken off before ``exp``."""
        hidden = np.where(visible, scores, self._dtype.type(-np.inf))
        largest = hidden.max(axis=-1, keepdims=True)
        if isinstance(temperature, Hardmax):
            factors = np.where(hidden == largest, self._dtype.type(1), self._dtype.type(0))
        else:
            factors = np.exp((hidden - largest) * self._gap(temperature, key_size, visible))
        return self._shares(factors)

    def shifted_attention(
        self, scores: _Array, shift: _Array, visible: Visible, temperature: Temperature, *, key_size: int
    ) -> _Array:
        """Return the weights, with the largest exponent taken off before ``exp``."""
        exponents = scores * self._gap(check_exponents(temperature), key_size, visible) + shift
        hidden = np.where(visible, exponents, self._dtype.type(-np.inf))
        return self._shares(np.exp(hidden - hidden.max(axis=-1, keepdims=True)))

    def _gap(self, temperature: Temperature, key_size: int, visible: Visible) -> Any:
        return self._dtype.type(score_gap(temperature, key_size=key_size, length=visible.shape[1]))

    def _shares(self, factors: _Array) -> _Array:
        return np.asarray(factors / factors.sum(axis=-1, keepdims=True, dtype=self._dtype))

    def mix(self, attention: _Array, values: _Array) -> _Array:
        """Return the weighted sums."""
        return np.asarray(attention @ values)

    def total(self, parts: Sequence[_Array]) -> _Array:
        """Return the sum."""
        return np.asarray(sum(parts[1:], parts[0]))

    def argmax(self, logits: _Array) -> Int[np.ndarray, "*batch rows"]:
        """Return the first coordinate of the largest value of every row (a NaN counts as the largest)."""
        return np.asarray(logits.argmax(axis=-1))

    def numbers(self, rows: _Array) -> np.ndarray[Any, Any]:
        """Return float64, which holds every format."""
        return np.asarray(rows, dtype=np.float64)


def _same_batch(left: _Array, right: _Array) -> tuple[_Array, _Array]:
    batch = right.shape[0] if left.shape[0] == 1 else left.shape[0]  # not the larger: a batch may be empty
    return tuple(np.broadcast_to(part, (batch, *part.shape[1:])) for part in (left, right))  # type: ignore[return-value] # two of them
