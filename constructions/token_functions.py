"""One-hots, look-ups and tests of tokens, for a construction's own ``encode`` and ``answer``.

Each works on int64 arrays, as in a forward pass, and on a certificate's tokens that are known only by their bounds,
where it gives bounds of every possible result: there ``tokens == 3`` has no answer, and ``equals(tokens, 3)`` is a
number between 0 and 1.
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np

from constructions.bounded_runs import refuse
from constructions.unknown_arithmetic import made, operand, result_kind, result_run
from constructions.unknown_tokens import UnknownTokens, bounds, dependence, holds_unknown, is_unknown, run_of
from constructions.validation import TokenArray, check_integer, reject


def one_hot(tokens: TokenArray, vocab_size: int) -> TokenArray:
    """Return the one-hot vectors of tokens, along a new last axis.

    Args:
        tokens: integers from 0 to ``vocab_size - 1``, of any shape.
        vocab_size: the length of a vector.

    Raises:
        InvalidArgument: another token.

    Example:
        >>> import numpy as np
        >>> one_hot(np.array([2, 0]), 3).tolist()
        [[0, 0, 1], [1, 0, 0]]

    """
    letters = np.arange(check_integer("vocab_size", vocab_size, 1), dtype=np.int64)
    _check_range("tokens", tokens, vocab_size)
    return equals(tokens[..., None], letters)


def look_up(table: Any, tokens: TokenArray) -> TokenArray:
    """Return the rows of a known table at the places that tokens name: ``table[tokens]``.

    Args:
        table: integers, of shape ``(letters, ...)``.
        tokens: integers from 0 to ``letters - 1``, of any shape.

    Returns:
        int64 of shape ``(*tokens.shape, ...)``. For an unknown token every number lies between the smallest and the
        largest of the rows that the token may name.

    Raises:
        InvalidArgument: another token, or a table of anything but integers.

    Example:
        >>> import numpy as np
        >>> look_up([5, 7, 9], np.array([2, 0])).tolist()
        [9, 5]

    """
    rows = np.asarray(table)
    if not rows.ndim or rows.dtype == np.uint64 or rows.dtype.kind not in "iu":
        reject("table", "integers of shape (letters, ...)", table)
    rows = rows.astype(np.int64)
    _check_range("tokens", tokens, len(rows))
    if not is_unknown(tokens):
        return np.asarray(rows[tokens])
    low, high = (part.astype(np.int64) for part in bounds(tokens))
    least, most = _over_ranges(rows, low, high, np.minimum), _over_ranges(rows, low, high, np.maximum)
    entries = dependence(tokens).reshape(low.shape + (1,) * (rows.ndim - 1))
    return _as_array(made(least, most, entries, "int64", run_of(tokens)))


def _over_ranges(rows: Any, low: Any, high: Any, extreme: Any) -> Any:
    """Return the smallest or largest of ``rows[low..high]``, which two (overlapping) runs of a power of two cover."""
    runs = [rows]  # runs[k][i] is over rows[i .. i + 2^k - 1]
    while 2 ** len(runs) <= len(rows):
        before, half = runs[-1], 2 ** (len(runs) - 1)
        runs.append(extreme(before[:-half], before[half:]))
    found = np.zeros(low.shape + rows.shape[1:], dtype=np.int64)
    exponents = np.frexp(high - low + 1)[1] - 1  # the lengths are far below 2^53
    for exponent in np.unique(exponents):
        here = exponents == exponent
        first, last = low[here], high[here] - 2 ** int(exponent) + 1
        found[here] = extreme(runs[exponent][first], runs[exponent][last])
    return found


def equals(tokens: TokenArray, value: Any) -> TokenArray:
    """Return 1 where tokens equal a known integer (or an array of them), 0 elsewhere.

    Example:
        >>> import numpy as np
        >>> equals(np.array([2, 0]), 2).tolist()
        [1, 0]

    """
    if not is_unknown(tokens):
        return np.asarray(np.equal(tokens, value), dtype=np.int64)
    known = _known_integers("equals", value)
    low, high = bounds(tokens)
    sure, possible = (low == known) & (high == known), (low <= known) & (known <= high)
    return _indicator(tokens, sure, possible)


def at_least(tokens: TokenArray, value: Any) -> TokenArray:
    """Return 1 where tokens are at least a known integer (or an array of them), 0 elsewhere.

    Example:
        >>> import numpy as np
        >>> at_least(np.array([2, 0]), 1).tolist()
        [1, 0]

    """
    if not is_unknown(tokens):
        return np.asarray(np.greater_equal(tokens, value), dtype=np.int64)
    known = _known_integers("at_least", value)
    low, high = bounds(tokens)
    return _indicator(tokens, low >= known, high >= known)


def _known_integers(name: str, value: Any) -> Any:
    if holds_unknown(value):
        refuse(f"{name} of two unknown tokens (compare their difference with 0)")
    return operand(value if not isinstance(value, (list, tuple)) else np.asarray(value)).low


def _indicator(tokens: UnknownTokens, low: Any, high: Any) -> TokenArray:
    low, high = (np.asarray(part).astype(np.int64) for part in (low, high))
    return _as_array(made(low, high, np.broadcast_to(dependence(tokens), low.shape), "int64", run_of(tokens)))


def _as_array(tokens: UnknownTokens) -> TokenArray:
    return cast("TokenArray", tokens)  # it stands for an array in the caller's code


def select(indicator: Any, one: Any, other: Any) -> TokenArray:
    """Return ``one`` where an indicator is 1, ``other`` where it is 0.

    Args:
        indicator: numbers that are 0 or 1, or booleans; of :func:`equals` or :func:`at_least`, for example.
        one: integers, whose shape fits.
        other: the same.

    Raises:
        InvalidArgument: an indicator that may be another number.

    Example:
        >>> import numpy as np
        >>> tokens = np.array([2, 0, 5])
        >>> select(at_least(tokens, 3), 0, tokens).tolist()
        [2, 0, 0]

    """
    _check_range("indicator", indicator, 2)
    if not holds_unknown([indicator, one, other]):
        return np.asarray(np.where(np.asarray(indicator) == 1, one, other))
    chosen = operand(indicator if is_unknown(indicator) else np.asarray(indicator))
    a, b = operand(one), operand(other)
    kind = result_kind((a, b), operator=False)
    a, b = (part.as_objects() if kind == "objects" else part.as_int64() for part in (a, b))
    sure, never = chosen.low == 1, chosen.high == 0
    low, high = (
        np.where(sure, of_a, np.where(never, of_b, hull(of_a, of_b)))
        for of_a, of_b, hull in ((a.low, b.low, np.minimum), (a.high, b.high, np.maximum))
    )
    either = np.bitwise_or(chosen.entries, np.bitwise_or(a.entries, b.entries))
    entries = np.where(sure, a.entries, np.where(never, b.entries, either))
    return _as_array(made(low, high, entries, kind, result_run((chosen, a, b))))


def _check_range(name: str, tokens: Any, count: int) -> None:
    """Refuse anything but integers from 0 to ``count - 1``: numpy counts negative ones from the end."""
    if is_unknown(tokens):
        low, high = bounds(tokens)
        if low.size and (int(low.min()) < 0 or int(high.max()) >= count):
            refuse(f"a token that may not lie in 0..{count - 1}")
        return
    array = np.asarray(tokens)
    expected = f"integers from 0 to {count - 1}"
    if array.dtype.kind not in "biu" or (array.dtype.kind == "b" and count != 2):
        reject(name, expected, tokens)
    if array.size and (int(array.min()) < 0 or int(array.max()) >= count):
        reject(name, expected, int(array[(array < 0) | (array >= count)].reshape(-1)[0]))
