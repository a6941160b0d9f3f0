"""Tensor cores cut off what IEEE arithmetic rounds to the nearest float, or keeps."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from constructions import FORMATS, Attention, Head, Linear, Ratios
from tests.certificates.own import Given, nearest, read_first, rounded
from verify.certificates import bit_exact, certify


def test_scores_that_tie_once_their_products_are_cut_off_choose_no_key() -> None:
    # 7 * 2^-80 and 4 * 2^-80 times 2^-71: 7/4 of the smallest number and 1, so 2 and 1 rounded, and 1 and 1 cut off
    unit = Fraction(1, 2**80)
    query, key = [[0, Fraction(1, 2**71), Fraction(1, 2**71)]], [[0, 7 * unit, 4 * unit]]
    head = Head("first", query, key, [[0, 1, 0]])
    # the weight of the first key, 1 or 1/2, against 3/4
    readout = Linear([[1], [0]], [[0], [Fraction(3, 4)]], activation=None, name="readout")
    made = Given(2, 1, [[0, 0]], (Attention((head,)), readout), users=1, promise=lambda targets, _: targets * 0)
    assert certify(made, rounded("float32", tf32=True)).holds is None
    assert certify(made, rounded("float32")).holds is True


def test_a_sum_that_float32_holds_is_not_exact_where_its_smaller_term_is_cut_off() -> None:
    # 2^24 - 2047 * 1025 has 24 bits; beside 2^24, whose unit is 2, the odd product is cut off to an even number
    readout = Linear([[4096, -1025, 0, 0], [0, 0, 0, 0]], [[0], [0]], activation=None, name="readout")
    made = Given(
        2,
        1,
        [[4096, 4096], [2047, 2047]],
        (readout,),
        users=1,
        encoding=lambda targets: Ratios(np.zeros((len(targets), 1, 2), dtype=np.int64) + targets[:, None] * 0, 1),
        promise=lambda targets, _: targets * 0,
    )
    assert bit_exact(made, rounded("float32", tf32=True)).holds is None
    assert bit_exact(made, rounded("float32")).holds is True


def test_a_weight_beyond_tf32_makes_nan_of_a_coordinate_that_is_0_in_every_cell() -> None:
    # float32's largest number rounds to infinity in TF32, and infinity times 0 is NaN
    kept = Linear([[1, 0], [0, 0]], [[0], [0]], activation=None, name="kept")
    beyond = Linear([[1, FORMATS["float32"].largest]], [[0]], activation=None, name="beyond")
    made = Given(5, 2, [[0] * 5] * 2, (read_first(2, 1), kept, beyond, nearest(5)))
    assert certify(made, rounded("float32", tf32=True)).holds is None
    assert certify(made, rounded("float32")).holds is True


def test_a_readout_weight_beyond_tf32_is_not_exact_where_its_coordinate_is_0() -> None:
    kept = Linear([[1, 0], [0, 0]], [[0], [0]], activation=None, name="kept")
    readout = Linear([[1, FORMATS["float32"].largest], [0, 0]], [[0], [0]], activation=None, name="readout")
    made = Given(2, 2, [[0] * 2] * 2, (read_first(2, 1), kept, readout))
    assert bit_exact(made, rounded("float32", tf32=True)).holds is None
    assert bit_exact(made, rounded("float32")).holds is True
