"""Evidence: any two tokens at any two places of the target and of the user input, in few cases."""

from __future__ import annotations

from itertools import count
from math import isqrt
from typing import TYPE_CHECKING, final

import numpy as np

from constructions.specification import Specification
from constructions.validation import IntArray, InvalidArgument
from verify.evidence.kinds.base import CaseFamily
from verify.numbers import number

if TYPE_CHECKING:
    from verify.evidence.verdict import Verdict

#: Primes below this have squares below 2^62, so that places in the family are int64.
_PRIMES_BELOW = 2**31


@final
class Paired(CaseFamily):
    """A set of cases in which any two places, of the target and of the user input, take any two tokens together.

    With ``p`` a prime that is at least the number of places and the largest alphabet, case ``(a, b)`` of ``p^2`` has
    ``a + b i mod p`` at place ``i``, modulo the size of the alphabet there. For two places ``i != j`` the map from
    ``(a, b)`` to ``(a + b i, a + b j)`` is one to one, as ``i - j`` has an inverse modulo ``p``: every pair occurs.
    That is an orthogonal array of strength 2 (Bush, Orthogonal arrays of index unity, 1952). Where the whole space has
    no more cases than that, it is the family.

    So a mistake that shows whenever two places have certain tokens is found. One that needs three may be missed: this
    proves no size, unlike ``exhausted``. ``cases`` counts what ran; two of them may be the same where an alphabet is
    smaller than ``p``.
    """

    name = "paired"
    subcommand = "pairs"
    label = "pairs of tokens"
    help = "Check a set of cases in which any two places of target and user input take any two tokens."

    def sentence(self, verdict: Verdict) -> str:
        """Return how many cases were run, and whether that was all of them."""
        return f"paired: {number(verdict.cases)} cases{', every pair of tokens' if verdict.holds else ''}"

    def count(self, specification: Specification) -> int:
        """Return ``p^2``, or the size of the whole space where that is smaller.

        Raises:
            InvalidArgument: the user inputs are not all combinations of their alphabets, or there are more than 2^62
                cases.

        """
        if specification.user_inputs.allowed is not None:
            raise InvalidArgument(
                "user_inputs: expected every combination of their tokens for paired evidence but got"
                f" {specification.user_inputs!r}"
            )
        return min(_prime(specification) ** 2, _space(specification))

    def cases(self, specification: Specification, start: int, stop: int) -> tuple[IntArray, IntArray]:
        """Return cases in the order of ``(a, b)``, or of the enumeration where the family is the whole space."""
        targets, users = specification.target_space, specification.user_inputs
        prime = _prime(specification)
        if _space(specification) <= prime**2:
            pairs = [divmod(place, users.size) for place in range(start, stop)]
            chosen = np.array([targets.unrank(row) for row, _ in pairs], dtype=np.int64)
            given = np.array([users.unrank(user) for _, user in pairs], dtype=np.int64)
            return chosen.reshape(stop - start, *targets.shape), given.reshape(stop - start, users.positions)
        first, slope = np.divmod(np.arange(start, stop, dtype=np.int64), prime)
        places = np.arange(targets.digits + users.positions, dtype=np.int64)
        values = (first[:, None] + slope[:, None] * places) % prime
        chosen = values[:, : targets.digits] % targets.vocab_size
        given = np.zeros((stop - start, users.positions), dtype=np.int64)
        for place, alphabet in enumerate(users.alphabets):
            digits = values[:, targets.digits + place] % len(alphabet)
            # a range may be too long to be an array
            given[:, place] = digits + alphabet[0] if isinstance(alphabet, range) else np.array(alphabet)[digits]
        return chosen.reshape(stop - start, *targets.shape), given


def _space(specification: Specification) -> int:
    return specification.target_space.size * specification.user_inputs.size


def _prime(specification: Specification) -> int:
    """Return the smallest prime that is at least the number of places and the size of each alphabet."""
    targets, users = specification.target_space, specification.user_inputs
    alphabets = [len(alphabet) for alphabet in users.alphabets] + ([targets.vocab_size] if targets.digits else [])
    least = max(2, targets.digits + users.positions, *alphabets) if alphabets else 2
    if least >= _PRIMES_BELOW:
        raise InvalidArgument(
            f"vocab_size: expected fewer than 2^31 tokens and places for paired evidence but got {least}"
        )
    return next(prime for prime in count(least) if all(prime % each for each in range(2, isqrt(prime) + 1)))


PAIRED = Paired()
