"""The roundings of single operations of attention: steps 1 to 4 and 6 of :mod:`verify.prefixes.error_bounds`.

Arrays are of one head, or of several heads along a first axis.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from constructions.formats import FORMATS, Format
from verify.certificates.floats.kernel import EXP_ULPS
from verify.prefixes.layer import Numbers

_Array = Float[np.ndarray, "..."]

#: ``exp`` is assumed right within this many units of roundoff, two for each unit in the last place.
EXP_ERROR = 2 * EXP_ULPS


@dataclass(frozen=True)
class OperationError:
    """The largest error of one operation in a format.

    Attributes:
        unit: the unit roundoff.
        underflow: the smallest normal number.
        accumulator: the more precise format in which sums of products are ASSUMED to be held until they are rounded to
            this one; ``None`` assumes nothing of the kind.

    """

    unit: float
    underflow: float
    accumulator: OperationError | None = None

    @classmethod
    def of(cls, fmt: Format, accumulator: Format | None = None) -> OperationError:
        """Return the errors of a format, and of the one that holds its sums of products."""
        inner = None if accumulator is None else cls.of(accumulator)
        return cls(float(fmt.unit_roundoff), 2.0**fmt.min_exponent, inner)

    def gamma(self, count: int) -> float:
        """Return ``gamma_n``; infinite, no bound at all, where ``n u >= 1``."""
        return count * self.unit / (1 - count * self.unit) if count * self.unit < 1 else np.inf

    def summed(self, count: int, magnitude: _Array, value: _Array) -> _Array:
        """Return a bound of the error of a sum of products, in any order.

        An accumulator errs by ``E = gamma_n`` of the magnitude at most, so that it holds at most ``|value| + 2E``: the
        checker's own sum is off by no more than ``E`` either. Two roundings follow: the sum is rounded to the format,
        and so is the result of adding a bias to it.

        Args:
            count: how many products, a bias among them.
            magnitude: the sums of their magnitudes.
            value: the largest magnitude of what is rounded, as the checker computes it: that of the sum, or of the sum
                without a bias and the bias, which may cancel.

        """
        if self.accumulator is None:
            return np.asarray(self.gamma(count) * magnitude + count * self.underflow)
        inner = self.accumulator.gamma(count) * magnitude + count * self.accumulator.underflow
        return np.asarray(inner + self.gamma(2) * (np.abs(value) + 2 * inner) + 2 * self.underflow)


#: The checker's own arithmetic.
CHECKER = OperationError.of(FORMATS["float64"])


@dataclass(frozen=True)
class Near:
    """A computed array, and a bound of both its own and the kernel's distance from the exact one."""

    value: _Array
    error: _Array

    @property
    def exact(self) -> _Array:
        """The largest magnitude that the exact array can have."""
        return np.asarray(np.abs(self.value) + self.error)

    @property
    def computed(self) -> _Array:
        """The largest magnitude that the kernel's array can have."""
        return np.asarray(np.abs(self.value) + 2 * self.error)


def linear(rows: _Array, weight: _Array, of: OperationError) -> Near:
    """Step 1: ``W x`` for every row."""
    value = rows @ weight.T
    return Near(value, of.summed(weight.shape[1], np.abs(rows) @ np.abs(weight).T, value))


def scored(queries: Near, keys: Near, of: OperationError) -> Near:
    """Step 2: the inner products of queries and keys."""
    exact, off, computed = (np.swapaxes(part, -1, -2) for part in (keys.exact, keys.error, keys.computed))
    value = queries.value @ np.swapaxes(keys.value, -1, -2)
    error = (
        queries.exact @ off
        + queries.error @ exact
        + queries.error @ off
        + of.summed(queries.value.shape[-1], queries.computed @ computed, value)
    )
    return Near(value, error)


def attended(scores: Near, gap: float, visible: Numbers, of: OperationError) -> Near:
    """Steps 3 and 4: attention weights with their errors, 0 where a key is hidden."""
    hidden = ~visible
    z = Near(np.where(hidden, -np.inf, gap * scores.value), np.where(hidden, 0, abs(gap) * scores.error))
    size, below = _sizes(z, hidden)
    return _weights(z, z.error + of.gamma(3) * (size + below) + 3 * of.underflow, visible, of)


def attended_as_read(exponents: Near, visible: Numbers, of: OperationError, around: OperationError) -> Near:
    """Steps 3 and 4 from the exponents that a softmax read: two of the three roundings are behind them.

    An exponent is converted to the format of softmax (an error ``c`` of one rounding, 0 in a format that holds it), and
    the largest is subtracted: it is off by ``c + u (max z - z + c + max c)``. Each weight that is handed on
    is rounded once more.

    Args:
        exponents: as they were read, with the distance of other passes from them.
        visible: the keys that each query sees.
        of: the errors of softmax.
        around: those of the format in which exponents come and weights are handed on.

    """
    hidden = ~visible
    z = Near(np.where(hidden, -np.inf, exponents.value), np.where(hidden, 0, exponents.error))
    size, below = _sizes(z, hidden)
    converted = of.unit * size if around.unit < of.unit else np.zeros_like(size)
    tau = z.error + converted + of.gamma(1) * (below + converted + converted.max(axis=-1, keepdims=True))
    made = _weights(z, tau + 2 * of.underflow, visible, of)
    if around == of:
        return made
    with np.errstate(invalid="ignore"):  # inf * 0 where nothing is bounded
        stored = np.where(hidden, 0, around.unit * (made.value + made.error) + around.underflow)
    return Near(made.value, made.error + stored)


def _sizes(z: Near, hidden: Numbers) -> tuple[_Array, _Array]:
    """Return the largest magnitudes of exponents, and their largest distances from the largest one."""
    largest = z.value.max(axis=-1, keepdims=True)
    below = np.where(hidden, 0, largest - z.value + z.error + z.error.max(axis=-1, keepdims=True))
    return np.where(hidden, 0, np.abs(z.value)) + z.error, below


def _weights(z: Near, tau: _Array, visible: Numbers, of: OperationError) -> Near:
    """Step 4: weights of exponents that are off by ``tau`` when they reach ``exp``."""
    hidden = ~visible
    relative = (1 + EXP_ERROR * of.unit) * np.exp(np.minimum(tau, 709)) - 1  # exp(709) is finite; it bounds nothing
    factors = np.exp(z.value - z.value.max(axis=-1, keepdims=True))
    weights = factors / factors.sum(axis=-1, keepdims=True)
    count = visible.sum(axis=-1, keepdims=True)
    division = np.vectorize(of.gamma)(count + 2) + count * of.underflow
    worst = np.where(hidden, 0, relative).max(axis=-1, keepdims=True)
    largest_rho = _quotient(worst, division, worst)
    mean = (_at_most_one(weights, largest_rho, of, hidden) * relative).sum(axis=-1, keepdims=True)
    rho = _quotient(relative, division, np.minimum(mean, worst))
    exact = _at_most_one(weights, rho, of, hidden)
    with np.errstate(invalid="ignore"):  # inf * 0 where nothing is bounded
        error = np.where(hidden, 0, np.where(np.isfinite(rho), rho * exact + 4 * of.underflow, np.inf))
    return Near(np.where(hidden, 0, exact), error)


def _quotient(relative: _Array, division: _Array, mean: _Array) -> _Array:
    room = 1 - mean
    return np.where(room > 0, (1 + relative) * (1 + division) / np.where(room > 0, room, 1) - 1, np.inf)


def _at_most_one(weights: _Array, rho: _Array, of: OperationError, hidden: Numbers) -> _Array:
    """Return upper bounds of exact weights, given computed ones that are off by ``rho`` of the exact."""
    room = 1 - rho
    known = (weights + 4 * of.underflow) / np.where(room > 0, room, 1)
    return np.where(hidden, 0, np.minimum(1, np.where(room > 0, known, 1)))


def mixed(attention: Near, values: Near, of: OperationError) -> _Array:
    """Step 6: the error of ``sum_j A_ij v_j``; ``attention.value`` is an upper bound of the exact weights."""
    magnitude = (attention.value + attention.error) @ values.computed
    return np.asarray(
        attention.error @ values.computed
        + attention.value @ values.error
        + of.summed(values.value.shape[-2], magnitude, magnitude)
    )
