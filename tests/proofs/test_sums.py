"""Sums over an index in which a Kronecker delta leaves one summand."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import sympy as sp

from proofs.decide import Expr, ObligationUndecided, natural
from proofs.sums import total

INDEX, SIZE = sp.Dummy("index", integer=True, nonnegative=True), 5
F = sp.Function("f")


@pytest.mark.parametrize("place", range(-2, 8))
@pytest.mark.parametrize(
    "delta",
    [
        lambda place: sp.KroneckerDelta(INDEX, place),
        lambda place: sp.KroneckerDelta(place, INDEX),
        lambda place: sp.KroneckerDelta(3 - INDEX, place),
        lambda place: sp.KroneckerDelta(INDEX + 2, place),
        lambda place: sp.KroneckerDelta(INDEX, place) * sp.KroneckerDelta(INDEX, 2),
        lambda place: sp.KroneckerDelta(INDEX, place) * sp.KroneckerDelta(place, 2 * INDEX - 1),
        lambda place: sp.KroneckerDelta(2 * INDEX, place),
        lambda place: sp.KroneckerDelta(2 * INDEX, place - INDEX),
    ],
)
def test_a_delta_leaves_the_summand_at_its_place(delta: Callable[[int], Expr], place: int) -> None:
    summand = delta(place) * F(INDEX) + 3
    wanted = sum((summand.xreplace({INDEX: sp.Integer(each)}) for each in range(SIZE)), sp.S.Zero)
    assert total(summand, INDEX, sp.Integer(SIZE)) == wanted


def test_a_place_between_two_indices_leaves_none() -> None:
    place = natural("i")
    assert total(sp.KroneckerDelta(2 * INDEX, 2 * place + 1) * F(INDEX), INDEX, place + 7) == 0


def test_symbols_whose_order_is_known() -> None:
    place, rest = natural("i"), natural("z")
    summand = sp.KroneckerDelta(INDEX, place) * F(INDEX)
    assert total(summand, INDEX, place + 1 + rest) == F(place)  # 0 <= i < i + 1 + z
    assert total(summand, INDEX, place) == 0  # i is the first that is not summed
    assert total(summand.xreplace({place: -1 - place}), INDEX, place) == 0


def test_symbols_whose_order_is_unknown_leave_both_cases() -> None:
    place, size = natural("i"), natural("n")
    summed = total(sp.KroneckerDelta(INDEX, place) * F(INDEX), INDEX, size)
    assert summed.subs({place: 2, size: 3}) == F(2)
    assert summed.subs({place: 3, size: 3}) == 0


@pytest.mark.parametrize(
    "delta",
    [
        lambda place: sp.KroneckerDelta(2 * INDEX, place),  # place / 2 is no index for odd ones
        lambda place: sp.KroneckerDelta(INDEX, place, (0, 2)),  # sympy forgets its range at place
        lambda place: sp.KroneckerDelta(INDEX, place) * sp.KroneckerDelta(place, INDEX, (0, 2)),
        lambda place: sp.KroneckerDelta(INDEX**2, place),
        lambda place: sp.KroneckerDelta(INDEX, sp.Function("f")(place)),  # which may be no integer
        lambda place: 1 / (1 + sp.KroneckerDelta(2 * INDEX, place)),
    ],
)
def test_a_delta_is_refused_unless_it_is_shown_which_summand_it_leaves(delta: Callable[[Expr], Expr]) -> None:
    place = natural("i")
    with pytest.raises(ObligationUndecided, match=r"undecided: which summands of .* are not 0\?"):
        total(delta(place) * F(INDEX), INDEX, place + 1 + natural("z"))
