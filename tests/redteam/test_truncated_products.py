"""Tensor cores cut off a product below the normal range of float32: past the nearest float."""

from __future__ import annotations

from fractions import Fraction

from constructions import Attention, Head, Linear
from tests.certificates.own import Given, rounded
from verify.certificates import certify


def test_scores_that_tie_once_their_products_are_cut_off_choose_no_key() -> None:
    # 7 * 2^-80 and 4 * 2^-80 times 2^-71: 7/4 of the smallest number and 1, so 2 and 1 rounded, and 1 and 1 cut off
    unit = Fraction(1, 2**80)
    query, key = [[0, Fraction(1, 2**71), Fraction(1, 2**71)]], [[0, 7 * unit, 4 * unit]]
    head = Head("first", query, key, [[0, 1, 0]])
    # the weight of the first key, 1 or 1/2, against 3/4
    readout = Linear([[1], [0]], [[0], [Fraction(3, 4)]], relu=False, name="readout")
    made = Given(2, 1, [[0, 0]], (Attention((head,)), readout), users=1, promise=lambda targets, _: targets * 0)
    assert certify(made, rounded("float32", tf32=True)).holds is None
    assert certify(made, rounded("float32")).holds is True
