"""The inequalities behind the masks and the gains of :mod:`constructions.residual.bounds`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sympy as sp

from constructions.activations import GELU, SILU, TANH_GELU
from proofs.decide import Decision, nonnegative, positive, prove_equal, prove_nonnegative, prove_positive


def bounds(_: Any) -> Iterator[Decision]:
    """Decide how long a row is at least, how large a 1 arrives, and how far activations are from ReLU."""
    ones, zeros, mean = positive("a"), positive("b"), sp.Dummy("m", real=True)
    squares = ones * (1 - mean) ** 2 + zeros * mean**2
    least = ones * zeros / (ones + zeros)
    above = (ones + zeros) * (mean - ones / (ones + zeros)) ** 2
    yield prove_equal(
        "a ones and b zeros around any mean: their squares are ab/(a+b) and a square", squares, least + above
    )
    yield prove_nonnegative("and that is not negative", above)
    yield prove_equal("so that d over it is d (1/a + 1/b)", 1 / least, 1 / ones + 1 / zeros)
    width, others, numbers, share, more = (
        positive("d"),
        positive("K + d eps"),
        positive("|s|^2 + 1"),
        positive("beta^2"),
        nonnegative("more"),
    )
    read = share * width / (others + share * numbers)
    yield prove_equal("f^2 beta^2 = d/((K + d eps)/beta^2 + |s|^2 + 1)", read, width / (others / share + numbers))
    rise = width / (others / (share + more) + numbers) - width / (others / share + numbers)
    yield prove_nonnegative("it does not fall when beta rises", sp.factor(sp.together(rise)))
    total, room = positive("Q"), nonnegative("e")  # S^2 <= k Q (Cauchy, Schwarz): it is k Q - e
    spread = total - (ones * total - room) / (ones + zeros)
    yield prove_equal(
        "without their mean, the squares Q of k coordinates with the sum S, and b zeros, are Q b/(k+b) and a rest",
        spread,
        total * zeros / (ones + zeros) + room / (ones + zeros),
    )
    yield prove_nonnegative("and that rest is not negative", room / (ones + zeros))
    left, right = (nonnegative(name) for name in ("x", "y"))
    yield prove_nonnegative("(x + y)^2 <= 2 (x^2 + y^2)", sp.factor(2 * (left**2 + right**2) - (left + right) ** 2))
    x = sp.Dummy("x", real=True)
    for activation in (TANH_GELU, GELU, SILU):
        apart = activation.symbol(x) - x - activation.symbol(-x)
        yield prove_equal(f"act(x) - x = act(-x) for {activation}", sp.simplify(apart), sp.S.Zero)
    yield prove_positive(
        "a token below another one in its logit is so by l/V^2 at least", positive("l") / positive("V") ** 2
    )
