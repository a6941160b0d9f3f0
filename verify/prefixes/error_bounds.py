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

from constructions.formats import Format
from constructions.layers import Head
from constructions.validation import InvalidArgument
from verify.prefixes.layer import Numbers, float_gap
from verify.prefixes.passes import HeadPasses, Passes
from verify.prefixes.rounding import CHECKER, Near, OperationError, attended, linear, mixed, scored

_Array = Float[np.ndarray, "..."]


@dataclass(frozen=True)
class HeadBounds:
    """The parts of the bounds of one head, or of several along a first axis.

    Attributes:
        rescaling: of ``|A^pt - (1 - alpha) A|``, positions x positions, all but the last step.
        bias: of the head's part of the bias identity, positions x output width.
        magnitude: the largest magnitudes of its output.
        checker: those of the numbers that the checker adds up.

    """

    rescaling: _Array
    bias: _Array
    magnitude: _Array
    checker: _Array


def _head(passes: Passes, head: HeadPasses, gap: float, of: OperationError) -> HeadBounds:
    """Steps 1 to 6 for one head; the weights and rows that were held are the exact ones here."""
    count = len(passes.prefix)
    everything = np.concatenate([passes.prefix, passes.content])
    visible = passes.layer.visible(len(passes.content), count)
    scores = scored(linear(passes.content, head.query, of), linear(everything, head.key, of), of)
    alone = Near(scores.value[:, count:], scores.error[:, count:])
    return head_bounds(
        attended(alone, gap, visible[:, count:], of),
        attended(scores, gap, visible, of),
        linear(everything, head.value, of),
        visible=visible,
        of=of,
    )


def head_bounds(attention: Near, joined: Near, values: Near, *, visible: Numbers, of: OperationError) -> HeadBounds:
    """Return the bounds of a head from its weights and values: steps 5 and 6.

    Several heads may stand along a first axis of all but ``visible``.

    Args:
        attention: the weights without the prefix; the values are upper bounds of the exact ones.
        joined: the weights with it, likewise, positions x (prefix + positions).
        values: of the prefix and the content.
        visible: the keys that each position sees with the prefix.
        of: of the sums over values.

    """
    count = visible.shape[1] - visible.shape[0]
    kept = np.minimum(1, joined.value[..., count:].sum(axis=-1, keepdims=True))
    strength = np.minimum(1, joined.value[..., :count].sum(axis=-1, keepdims=True))
    strength_error = joined.error[..., :count].sum(axis=-1, keepdims=True)
    computed, joined_computed = attention.value + attention.error, joined.value + joined.error
    evaluated = CHECKER.gamma(count + 3) * (joined_computed[..., count:] + 2 * computed) + 4 * CHECKER.underflow
    rescaling = joined.error[..., count:] + kept * attention.error + strength_error * computed + evaluated
    rescaling = np.where(visible[:, count:], rescaling, 0)
    own = Near(values.value[..., count:, :], values.error[..., count:, :])
    output, output_joined = mixed(attention, own, of), mixed(joined, values, of)
    largest_output = attention.value @ own.exact
    bias = (
        output_joined
        + strength_error * (largest_output + output)
        + kept * output
        + joined.error[..., :count] @ values.computed[..., :count, :]
        + joined.value[..., :count] @ values.error[..., :count, :]
    )
    magnitude = joined_computed @ values.computed
    checker = 2 * (strength + strength_error + 1) * (largest_output + output) + magnitude
    return HeadBounds(rescaling, bias, magnitude, checker)


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
    return inflation(layer.width + key_size + 2 * keys + len(layer.heads) + further)


def inflation(lengths: int) -> float:
    """Return ``1 + gamma_K`` for a bound whose sums over width, key size, keys (twice) and heads are this long in all.

    Three products stand beside each of the sums, at most 16 steps for each of their terms.
    """
    return 1 + CHECKER.gamma(16 * lengths)


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
    return summed_bias(heads, of, len(passes.prefix)) * _inflation(passes)


def summed_bias(heads: list[HeadBounds], of: OperationError, prefix: int) -> _Array:
    """Return the bound of the bias identity for the sum of some heads, at least one, before it is inflated."""
    nothing = np.zeros_like(heads[0].bias)
    steps = prefix + len(heads) + 4
    with np.errstate(all="ignore"):  # a number that is not finite bounds nothing and never passes
        total = sum((bounds.bias for bounds in heads), nothing)
        summed = of.gamma(len(heads) - 1) * sum((bounds.magnitude for bounds in heads), nothing)
        checker = CHECKER.gamma(steps) * sum((bounds.checker for bounds in heads), nothing)
        return np.asarray(total + summed + checker + steps * CHECKER.underflow)


def _all_heads(passes: Passes) -> list[HeadBounds]:
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
        kernel = scored(linear(passes.output, query, of), linear(passes.output, key, of), of).error
        size = np.abs(kept) + np.abs(bias)
        heavy = np.abs(query).T @ np.abs(key)
        moved = off @ heavy @ size.T + size @ heavy @ off.T + off @ heavy @ off.T
        steps = 2 * width + head.key_size + 6
        checker = CHECKER.gamma(steps) * (size @ heavy @ size.T) + steps * CHECKER.underflow
        return np.asarray((kernel + moved + checker) * _inflation(passes, further=2 * width + head.key_size))
