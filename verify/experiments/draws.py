"""Random sequences that depend on words alone, and the split into those that are trained on and those held out.

A generator is made of the words that say what it is for, such as the seed, the phase and the step. So a training has no
state of its random numbers to lose: it is a function of the step.
"""

from __future__ import annotations

import hashlib

import numpy as np
from jaxtyping import Bool

from constructions.validation import IntArray
from verify.experiments.tasks import DIGITS

#: Says what the digests of the split are for; the same sequences are held out in every run, on every machine.
_SPLIT = b"prefixproof: held out"
#: One sequence of so many is held out: 25 %, as in the paper.
_PARTS = 4


def number(*words: object) -> int:
    """Return a number below 2^63 that depends on words alone."""
    said = "/".join(map(str, words)).encode()
    return int.from_bytes(hashlib.blake2b(said, digest_size=8).digest(), "big") >> 1


def held_out(sequences: IntArray) -> Bool[np.ndarray, " sequences"]:
    """Say which sequences are held out, by a keyed digest of their digits.

    The companion notebook's salted hash splits otherwise in every process.
    """
    rows = sequences.astype(np.uint8)
    digests = (hashlib.blake2b(row.tobytes(), digest_size=1, key=_SPLIT).digest()[0] for row in rows)
    return np.asarray(np.fromiter(digests, dtype=np.uint8, count=len(rows)) % _PARTS == 0)


def draw(count: int, length: int, *words: object, test: bool) -> IntArray:
    """Return questions, ``count`` x ``length`` digits, all held out or none.

    As in the paper, a draw whose distinct digits are more than half as many as the sequence is long is rejected half of
    the time, so that digits that come twice are frequent.

    Args:
        count: how many.
        length: of each.
        words: what they are for; the same words draw the same.
        test: whether all of them are held out.

    """
    random = np.random.default_rng(number("draw", *words))
    found: list[IntArray] = []
    while sum(map(len, found)) < count:
        drawn = random.integers(DIGITS, size=(2 * count, length))
        distinct = (drawn[:, :, None] == np.arange(DIGITS)).any(axis=1).sum(axis=1)
        kept = drawn[(distinct <= length // 2) | (random.random(len(drawn)) < 0.5)]
        found.append(kept[held_out(kept) == test])
    return np.concatenate(found)[:count]
