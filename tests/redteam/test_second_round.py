"""What random programs and random networks found: numbers of other types than their bounds, and of too many bits."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from constructions import Attention, Head, InvalidArgument, Linear, RationalSoftmax, Ratios, equals
from tests.certificates.own import Given, nearest, rounded
from verify import RationalArithmetic, check
from verify.certificates import certificate_arithmetic, certify
from verify.evidence.verdict import margin_from_json, margin_to_json

#: The one target of 10^4 whose prompt goes wrong.
RARE = [3, 3, 3, 3]


def _zero(targets: Any, _: Any) -> Any:
    return np.zeros((len(targets), 1), dtype=np.int64)


def _rare(tokens: Any) -> Any:
    """Return 1 for the rare target, 0 for all others."""
    found = equals(tokens[..., 0], 3)
    for place in range(1, 4):
        found = found * equals(tokens[..., place], 3)
    return found


def _nonnegative(encoding: Callable[[Any], Any]) -> Given:
    """Return a construction that promises 0, which is right where the prompt is at least 0 and at most 2^63."""
    readout = Linear([[1, 0], [-1, 0]] + [[0, 0]] * 8, [[1]] + [[-1]] * 9, activation=None, name="readout")
    return Given(10, 4, [[0] * 10], (readout,), encoding=encoding, promise=_zero)


def _dotted(targets: Any) -> Ratios:
    # numpy leaves a scalar of int64 what it is in an array of objects, and 2^63 wraps
    large = np.array([2**62], dtype=object)
    return Ratios(np.stack([np.dot(_rare(row) * 2, large) for row in targets])[:, None, :], 1)


def _filled(targets: Any) -> Ratios:
    # an array of objects is filled with 2.5, one of int64 with 2
    like = targets[:, :1] + np.array(0, dtype=object)
    twice = (np.full_like(like, 2.5) * 2).astype(np.int64)
    return Ratios((_rare(targets)[:, None] * (4 - twice))[:, None, :], 1)


@pytest.mark.parametrize("encoding", [_dotted, _filled], ids=["a dot product with objects", "an object without axes"])
def test_what_numpy_keeps_in_another_type_is_not_certified(encoding: Callable[[Any], Any]) -> None:
    construction = _nonnegative(encoding)
    with np.errstate(over="ignore"):  # a scalar's overflow is a warning
        assert check(construction, arithmetic=RationalArithmetic(), target=RARE).holds is False
        for arithmetic in (certificate_arithmetic("ball"), rounded()):
            assert certify(construction, arithmetic).holds is None


@pytest.mark.parametrize("exponent", [40, 70])
def test_a_power_of_q_that_no_memory_holds_is_refused(exponent: int) -> None:
    # 3^(2^40) ends the process, 3^(2^70) has more bits than the library counts
    first = Head("first", [[0, 0, 2**exponent]], [[0, 1, 0]], [[1, 0, 0]])
    layers = (Attention((first,)), nearest(2))
    construction = Given(2, 1, [[0, 0]], layers, users=1, temperature=RationalSoftmax(Fraction(3)))
    with pytest.raises(InvalidArgument, match=r"^q: expected powers of at most \d+ bits in rational arithmetic"):
        check(construction, arithmetic=RationalArithmetic(), rank=1, user_input=[0])


def test_an_exact_margin_of_any_length_is_written_and_read() -> None:
    margin = Fraction(1, 3**20000)  # Python writes integers of up to 4,300 digits
    written = margin_to_json(margin)
    assert isinstance(written, str)
    assert written.startswith("1/")
    assert margin_from_json(written) == margin
    assert margin_from_json(margin_to_json(Fraction(-7, 1))) == -7
