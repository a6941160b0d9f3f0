"""Changes of the certifier that no killer contradicts and no argument proves harmless: what the table does not know."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Unsettled:
    """A change that may be a hole in the tests, or real slack of the certifier.

    Attributes:
        name: what is wrong, in a few words.
        module: whose source is changed.
        old: what stands there, exactly once.
        new: what would stand there instead.
        tried: what did not contradict it.

    """

    name: str
    module: str
    old: str
    new: str
    tried: str


UNSETTLED: tuple[Unsettled, ...] = (
    Unsettled(
        "sums: tensor cores make n errors, not 2n",
        "verify.certificates.floats.rounding.tensor_cores",
        "return np.asarray(2 * count)",
        "return np.asarray(count)",
        "drawn sums in blocks of 1 to 4 products, each cut off at a unit of the largest (`sums, truncated`)",
    ),
)
