r"""Bounds of the deviations of float attention from the identities, computed for each layer from rounding alone.

Model. ``u`` is the unit roundoff of the format, ``eta`` its smallest normal number. Every ``+ - * /`` is right within
``1 + d``, ``|d| <= u``, up to an underflow of at most ``eta`` (flushed or gradual). ``gamma_n = n u / (1 - n u)``
bounds the relative error of ``n`` roundings, and of the terms of a sum of ``n`` products IN ANY ORDER, with or without
fused multiply-add, and a kernel that rounds less often (half precision with float32 inside) stays within it
(Higham, Accuracy and Stability of Numerical Algorithms, section 3.1).
ASSUMED, beyond IEEE 754: ``exp`` is right within ``EXP_ULPS`` units in the last place (numpy's float32 is
off by up to 2.52), each at most ``2u``, or underflows.

The reference is the exact layer on the rounded weights and rows, where both identities hold exactly. So a deviation is
the sum of the errors of its parts:

1. Linear maps: ``|fl(W x) - W x| <= gamma_d |W| |x| + d eta =: E``.
2. Scores: with ``E_q``, ``E_k`` of the query and the key,
   ``E_s = |q|'E_k + E_q'|k| + E_q'E_k + gamma_k |fl q|'|fl k| + k eta``.
3. Exponents ``z = g s`` are scaled, and the largest is subtracted, in either order; each of the three roundings (of
   ``g``, of the product, of the difference) is relative to ``|z|`` or to ``max z - z``. A kernel subtracts the SAME
   number from all exponents of a row, and no such number changes anything. So up to that number an exponent is off by
   ``tau = g E_s + gamma_3 (|z| + max z - z) + 3 eta``.
4. Unnormalised weights have a relative error of at most ``r = (1 + 2 EXP_ULPS u) e^tau - 1``. The normaliser is a sum
   of positive terms, one of which is 1: its relative error is the MEAN of ``r`` under the attention itself, ``rbar``,
   times ``gamma_(n-1)``; a division or a product with a reciprocal adds two roundings. So each weight is off by
   ``rho A + 4 eta``, ``rho = (1 + r) (1 + gamma_(n+2) + n eta) / (1 - rbar) - 1``.
5. With ``e`` (``e'``) such errors of ``A`` (``A^pt``) and ``e_alpha`` the sum of ``e'`` over the prefix, the rescaling
   identity is off by at most ``e' + (1 - alpha) e + e_alpha (A + e)``.
6. Values ``v`` have errors ``E_v``; a head's output ``sum_j A_ij v_j`` is off by
   ``B = sum_j (e |fl v| + A E_v) + gamma_n sum_j (A + e) |fl v| + n eta``, and the bias identity, head by head, by
   ``B' + e_alpha (|t| + B) + (1 - alpha) B + sum_p (e'_p |fl v_p| + alpha_p E_vp)``, and by ``gamma_(H-1)`` of the
   heads' magnitudes for their sum.
7. A next head's scores on rows that are off by ``D`` are off by ``D'|H||r| + |r|'|H| D + D'|H| D``, ``|H|`` at most
   ``|W_Q|'|W_K|``, and by step 2.

The checker evaluates the right sides in float64; its own roundings are added, with float64's ``u``. All quantities of
the bound itself are sums and products of numbers that are not negative, computed in float64; the last step multiplies
by ``1 + gamma_K`` for the longest chain of ``K`` roundings, which makes the result a true bound.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from constructions.formats import FORMATS, Format
from constructions.layers import Head
from constructions.validation import InvalidArgument
from verify.certificates.floats.kernel import EXP_ULPS
from verify.prefixes.layer import Numbers, float_gap
from verify.prefixes.passes import HeadPasses, Passes

_Array = Float[np.ndarray, "..."]

#: ``exp`` is assumed right within this many units of roundoff, two for each unit in the last place.
EXP_ERROR = 2 * EXP_ULPS


@dataclass(frozen=True)
class OperationError:
    """The largest error of one operation in a format."""

    unit: float
    underflow: float

    @classmethod
    def of(cls, fmt: Format) -> OperationError:
        """Return the unit roundoff and the smallest normal number of a format."""
        return cls(float(fmt.unit_roundoff), 2.0**fmt.min_exponent)

    def gamma(self, count: int) -> float:
        """Return ``gamma_n``; infinite, no bound at all, where ``n u >= 1``."""
        return count * self.unit / (1 - count * self.unit) if count * self.unit < 1 else np.inf


#: The checker's own arithmetic.
_CHECKER = OperationError.of(FORMATS["float64"])


@dataclass(frozen=True)
class _Near:
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


def _linear(rows: _Array, weight: _Array, of: OperationError) -> _Near:
    """Step 1: ``W x`` for every row."""
    width = weight.shape[1]
    return _Near(rows @ weight.T, of.gamma(width) * (np.abs(rows) @ np.abs(weight).T) + width * of.underflow)


def _scores(queries: _Near, keys: _Near, of: OperationError) -> _Near:
    """Step 2: the inner products of queries and keys."""
    size = queries.value.shape[1]
    error = (
        queries.exact @ keys.error.T
        + queries.error @ keys.exact.T
        + queries.error @ keys.error.T
        + of.gamma(size) * (queries.computed @ keys.computed.T)
        + size * of.underflow
    )
    return _Near(queries.value @ keys.value.T, error)


def _attention(scores: _Near, gap: float, visible: Numbers, of: OperationError) -> _Near:
    """Steps 3 and 4: attention weights with their errors, 0 where a key is hidden."""
    hidden = ~visible
    z = np.where(hidden, -np.inf, gap * scores.value)
    z_error = np.where(hidden, 0, abs(gap) * scores.error)
    largest = z.max(axis=1, keepdims=True)
    below = np.where(hidden, 0, largest - z + z_error + z_error.max(axis=1, keepdims=True))
    size = np.where(hidden, 0, np.abs(z)) + z_error
    tau = z_error + of.gamma(3) * (size + below) + 3 * of.underflow
    relative = (1 + EXP_ERROR * of.unit) * np.exp(np.minimum(tau, 709)) - 1  # exp(709) is finite; it bounds nothing
    factors = np.exp(z - largest)
    weights = factors / factors.sum(axis=1, keepdims=True)
    count = visible.sum(axis=1, keepdims=True)
    division = np.vectorize(of.gamma)(count + 2) + count * of.underflow
    worst = np.where(hidden, 0, relative).max(axis=1, keepdims=True)
    largest_rho = _quotient(worst, division, worst)
    mean = (_at_most_one(weights, largest_rho, of, hidden) * relative).sum(axis=1, keepdims=True)
    rho = _quotient(relative, division, np.minimum(mean, worst))
    exact = _at_most_one(weights, rho, of, hidden)
    with np.errstate(invalid="ignore"):  # inf * 0 where nothing is bounded
        error = np.where(hidden, 0, np.where(np.isfinite(rho), rho * exact + 4 * of.underflow, np.inf))
    return _Near(np.where(hidden, 0, exact), error)


def _quotient(relative: _Array, division: _Array, mean: _Array) -> _Array:
    room = 1 - mean
    return np.where(room > 0, (1 + relative) * (1 + division) / np.where(room > 0, room, 1) - 1, np.inf)


def _at_most_one(weights: _Array, rho: _Array, of: OperationError, hidden: Numbers) -> _Array:
    """Return upper bounds of exact weights, given computed ones that are off by ``rho`` of the exact."""
    room = 1 - rho
    known = (weights + 4 * of.underflow) / np.where(room > 0, room, 1)
    return np.where(hidden, 0, np.minimum(1, np.where(room > 0, known, 1)))


@dataclass(frozen=True)
class _HeadBounds:
    rescaling: _Array
    bias: _Array
    magnitude: _Array
    checker: _Array


def _head(passes: Passes, head: HeadPasses, gap: float, of: OperationError) -> _HeadBounds:
    """Steps 1 to 6 for one head; the weights and rows that were held are the exact ones here."""
    content, prefix = passes.content, passes.prefix
    positions, count = len(content), len(prefix)
    everything = np.concatenate([prefix, content])
    queries = _linear(content, head.query, of)
    keys = _linear(everything, head.key, of)
    values = _linear(everything, head.value, of)
    scores = _scores(queries, keys, of)
    alone = _Near(scores.value[:, count:], scores.error[:, count:])
    attention = _attention(alone, gap, passes.layer.visible(positions), of)
    joined = _attention(scores, gap, passes.layer.visible(positions, count), of)
    # from here on .value is an upper bound of the exact weight
    kept = np.minimum(1, joined.value[:, count:].sum(axis=1, keepdims=True))
    strength = np.minimum(1, joined.value[:, :count].sum(axis=1, keepdims=True))
    strength_error = joined.error[:, :count].sum(axis=1, keepdims=True)
    computed, joined_computed = attention.value + attention.error, joined.value + joined.error
    evaluated = _CHECKER.gamma(count + 3) * (joined_computed[:, count:] + 2 * computed) + 4 * _CHECKER.underflow
    rescaling = joined.error[:, count:] + kept * attention.error + strength_error * computed + evaluated
    rescaling = np.where(passes.layer.visible(positions), rescaling, 0)
    own = _Near(values.value[count:], values.error[count:])
    output, output_joined = _mixed(attention, own, of), _mixed(joined, values, of)
    largest_output = attention.value @ own.exact
    bias = (
        output_joined
        + strength_error * (largest_output + output)
        + kept * output
        + joined.error[:, :count] @ values.computed[:count]
        + joined.value[:, :count] @ values.error[:count]
    )
    magnitude = joined_computed @ values.computed
    checker = 2 * (strength + strength_error + 1) * (largest_output + output) + magnitude
    return _HeadBounds(rescaling, bias, magnitude, checker)


def _mixed(attention: _Near, values: _Near, of: OperationError) -> _Array:
    """Step 6: the error of ``sum_j A_ij v_j``; ``attention.value`` is an upper bound of the exact weights."""
    keys = values.value.shape[0]
    return np.asarray(
        attention.error @ values.computed
        + attention.value @ values.error
        + of.gamma(keys) * ((attention.value + attention.error) @ values.computed)
        + keys * of.underflow
    )


def _format(passes: Passes) -> Format:
    if passes.arithmetic.fmt is None:
        raise InvalidArgument(
            f"arithmetic: expected floats, as {passes.arithmetic.name} has no rounding errors: the identities are exact"
        )
    return passes.arithmetic.fmt


def _inflation(passes: Passes, further: int = 0) -> float:
    """Return ``1 + gamma_K`` of float64 for the longest chain of roundings in the bound."""
    layer = passes.layer
    keys = len(passes.prefix) + len(passes.content)
    key_size = max(head.key_size for head in layer.heads)
    # three products and the sums over the width, the key size and the keys (twice), at most 16 steps beside each
    return 1 + _CHECKER.gamma(16 * (layer.width + key_size + 2 * keys + len(layer.heads) + further))


def rescaling_bounds(passes: Passes) -> list[_Array]:
    """Return for every head a bound of ``|A^pt - (1 - alpha) A|``, positions x positions.

    Raises:
        InvalidArgument: exact arithmetic, or hardmax.

    Example:
        >>> from constructions import FORMATS
        >>> from verify import NumpyArithmetic
        >>> from verify.prefixes import attend, draw_case
        >>> case = draw_case(0, 3, fmt=FORMATS["float64"])
        >>> passes = attend(case.layer, case.content, case.prefix, NumpyArithmetic("float64"))
        >>> len(rescaling_bounds(passes)) == len(passes.heads)  # positions x positions for each head
        True

    """
    return [bounds.rescaling * _inflation(passes) for bounds in _all_heads(passes)]


def bias_bound(passes: Passes) -> _Array:
    """Return a bound of the deviation of the bias identity, positions x output width; raises likewise.

    Example:
        >>> from constructions import FORMATS
        >>> from verify import NumpyArithmetic
        >>> from verify.prefixes import attend, draw_case
        >>> case = draw_case(0, 3, fmt=FORMATS["float64"])
        >>> passes = attend(case.layer, case.content, case.prefix, NumpyArithmetic("float64"))
        >>> bias_bound(passes).shape == passes.output.shape
        True

    """
    of, heads = OperationError.of(_format(passes)), _all_heads(passes)
    nothing = np.zeros_like(passes.output)
    steps = len(passes.prefix) + len(heads) + 4
    with np.errstate(all="ignore"):  # a number that is not finite bounds nothing and never passes
        total = sum((bounds.bias for bounds in heads), nothing)
        summed = of.gamma(len(heads) - 1) * sum((bounds.magnitude for bounds in heads), nothing)
        checker = _CHECKER.gamma(steps) * sum((bounds.checker for bounds in heads), nothing)
        return np.asarray((total + summed + checker + steps * _CHECKER.underflow) * _inflation(passes))


def _all_heads(passes: Passes) -> list[_HeadBounds]:
    of = OperationError.of(_format(passes))
    with np.errstate(all="ignore"):  # a number that is not finite bounds nothing and never passes
        return [
            _head(passes, made, float_gap(passes.layer, head), of)
            for made, head in zip(passes.heads, passes.layer.heads, strict=True)
        ]


def second_layer_bound(passes: Passes, head: Head[Numbers], query: Numbers, key: Numbers) -> _Array:
    """Return a bound of the deviation of a next head's scores from their expansion, positions x positions.

    Args:
        passes: the passes of the first layer.
        head: a head of the next layer.
        query: its ``W_Q`` as the arithmetic held it.
        key: its ``W_K``, likewise.

    """
    of = OperationError.of(_format(passes))
    off = bias_bound(passes)
    width = passes.layer.output_width
    kept, bias = passes.parts()
    with np.errstate(all="ignore"):
        kernel = _scores(_linear(passes.output, query, of), _linear(passes.output, key, of), of).error
        size = np.abs(kept) + np.abs(bias)
        heavy = np.abs(query).T @ np.abs(key)
        moved = off @ heavy @ size.T + size @ heavy @ off.T + off @ heavy @ off.T
        steps = 2 * width + head.key_size + 6
        checker = _CHECKER.gamma(steps) * (size @ heavy @ size.T) + steps * _CHECKER.underflow
        return np.asarray((kernel + moved + checker) * _inflation(passes, further=2 * width + head.key_size))
