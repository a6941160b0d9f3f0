"""The deviations from the identities on a layer that was run, and the bounds that rounding sets them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from constructions.layers import Head
from constructions.validation import InvalidArgument, check_choice
from proofs.attention import BIAS, RESCALING, SECOND_LAYER
from verify.prefixes.error_bounds import bias_bound, rescaling_bounds, second_layer_bound
from verify.prefixes.layer import Numbers, as_plain, hold
from verify.prefixes.passes import Passes, bias_sides, numbers, rescaling_sides, second_layer_sides

#: The claims about attention under a prefix, whose identities a layer is held to.
IDENTITIES = (RESCALING, BIAS, SECOND_LAYER)


@dataclass(frozen=True)
class Deviation:
    """One deviation from an identity, and the bound that rounding sets it.

    Attributes:
        where: in words, such as ``A^pt of head 0``.
        left: the left side as computed.
        right: the right side.
        bound: the computed bound of ``|left - right|``; ``None`` in exact arithmetic, where it is 0.
        most: the largest deviation that there can be at all; a bound that is no smaller could never be exceeded.

    """

    where: str
    left: Numbers
    right: Numbers
    bound: Numbers | None
    most: float = np.inf

    def says_nothing(self) -> bool:
        """Return whether some entry of the bound could never be exceeded."""
        return self.bound is not None and not bool((self.bound < self.most).all())

    def used(self) -> Numbers:
        """Return, entry by entry, the part of the bound that is used: more than 1 is a violation.

        Exact arithmetic gives 0 for equality and infinity otherwise.
        """
        off = np.abs(self.left - self.right)
        if self.bound is None:
            return np.where(np.asarray(off == 0, dtype=np.bool_), 0.0, np.inf)
        with np.errstate(all="ignore"):
            return np.where(off == 0, 0.0, off / self.bound)  # hidden keys have a bound of 0 and no deviation


def deviations(claim: str, passes: Passes, next_head: Head[Any] | None = None) -> Iterator[Deviation]:
    """Yield the deviations of a claim's identity on a layer that was run.

    Args:
        claim: one of :data:`IDENTITIES`.
        passes: the passes of the layer without and with a prefix.
        next_head: a head of the next layer, for ``second-layer-attention``.

    Raises:
        InvalidArgument: an unknown claim, or no next head where one is needed.

    Example:
        >>> from constructions import Head, RationalSoftmax
        >>> from verify import RationalArithmetic
        >>> from verify.prefixes import AttentionLayer, attend
        >>> head = Head("sum", query=[[1, 1]], key=[[1, 0]], value=[[1, 0], [0, 1]])
        >>> layer = AttentionLayer((head,), RationalSoftmax(2), "causal")
        >>> passes = attend(layer, [[1, 0], [0, 1]], [[1, 2]], RationalArithmetic())
        >>> [float(found.used().max()) for found in deviations("attention-bias", passes)]
        [0.0]

    """
    check_choice("claim", claim, IDENTITIES)
    exact = passes.arithmetic.fmt is None
    if claim == RESCALING:
        bounds = None if exact else rescaling_bounds(passes)
        for head, (left, right) in enumerate(rescaling_sides(passes)):
            bound = None if bounds is None else bounds[head]
            yield Deviation(f"A^pt of head {head}", left, right, bound, most=1)  # a weight lies in [0, 1]
    elif claim == BIAS:
        yield Deviation("t^pt", *bias_sides(passes), None if exact else bias_bound(passes))
    else:
        if next_head is None:
            raise InvalidArgument("next_head: expected a head of the next layer for second-layer-attention")
        next_head, bound = as_plain(next_head), None
        if not exact:
            ar = passes.arithmetic
            query, key = (numbers(ar, hold(ar, part, rows=False)) for part in (next_head.query, next_head.own_key))
            bound = second_layer_bound(passes, next_head, query, key)
        yield Deviation("the next layer's score", *second_layer_sides(passes, next_head), bound)
