"""The results of one head without and with a prefix, and both sides of its two identities."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from verify.prefixes.layer import Numbers


@dataclass(frozen=True, eq=False)
class HeadResults:
    """The results of one head: arrays of float64 (which holds every format), or of exact rationals as objects.

    Attributes:
        attention: without a prefix, positions x positions.
        with_prefix: with it, positions x (prefix + positions).
        values: ``W_V`` of the prefix and of the content, (prefix + positions) x output width.
        output: without a prefix, positions x output width.

    """

    attention: Numbers
    with_prefix: Numbers
    values: Numbers
    output: Numbers

    @property
    def prefix(self) -> int:
        """The length of the prefix."""
        return int(self.with_prefix.shape[1] - self.attention.shape[1])

    @property
    def strength(self) -> Numbers:
        """``alpha_i``: the attention of each position on the prefix."""
        return np.asarray(self.with_prefix[:, : self.prefix].sum(axis=1))

    @property
    def kept(self) -> Numbers:
        """``(1 - alpha_i) t_i``, positions x output width."""
        return np.asarray((1 - self.strength)[:, None] * self.output)

    @property
    def bias(self) -> Numbers:
        """``sum_p alpha_ip W_V s_p``, positions x output width."""
        return np.asarray(self.with_prefix[:, : self.prefix] @ self.values[: self.prefix])

    def rescaling_sides(self) -> tuple[Numbers, Numbers]:
        """Return ``A^pt`` over the content, and ``(1 - alpha) A``; both positions x positions."""
        return self.with_prefix[:, self.prefix :], (1 - self.strength)[:, None] * self.attention

    def renormalised(self) -> Numbers:
        """Return attention over the content, renormalised, as float64; 0 where the prefix takes all attention."""
        content = floats(self.with_prefix)[:, self.prefix :]
        shares = content.sum(axis=1, keepdims=True)
        return np.asarray(np.divide(content, shares, out=np.zeros_like(content), where=shares > 0))


def floats(values: Numbers) -> Numbers:
    """Return exact rationals as float64, and floats as they are."""
    if values.dtype != object:
        return values
    return np.array([[float(entry.p) / float(entry.q) for entry in row] for row in values.tolist()])
