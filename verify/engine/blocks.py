"""How an enumeration is cut into prefixes and suffixes, and what each input of the kernel is for some of them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from constructions.construction import Construction
from constructions.domain import Domain
from constructions.targets import TargetSpace
from constructions.validation import IntArray
from verify.engine.known import Dependence
from verify.engine.traced import BOTH, INNER, OUTER
from verify.running.batches import product, spaces

#: Bytes of a cache of the second level where the system does not say: the smallest among processors that have AVX2.
_SMALLEST_CACHE = 2**18


def cache_bytes() -> int:
    """Return the size of the second-level cache, which a block of suffixes is to fit in."""
    try:
        found = os.sysconf("SC_LEVEL2_CACHE_SIZE")
    except (ValueError, OSError, AttributeError):
        found = 0
    return found if found > 0 else _SMALLEST_CACHE


@dataclass(frozen=True, eq=False)
class Blocks:
    """The cases of an enumeration as pairs of a prefix and a suffix with a user input, which vary fastest.

    Attributes:
        construction: whose cases they are.
        digits: entries of a target that are a suffix.

    """

    construction: Construction
    digits: int

    @classmethod
    def of(cls, construction: Construction, most: int) -> Blocks:
        """Return the longest suffixes of which, with all user inputs, there are at most so many; at least none."""
        targets, users = spaces(construction)
        digits = 0
        while digits < targets.digits and targets.vocab_size ** (digits + 1) * users.size <= most:
            digits += 1
        return cls(construction, digits)

    @cached_property
    def _spaces(self) -> tuple[TargetSpace, Domain]:
        return spaces(self.construction)

    @property
    def suffixes(self) -> int:
        """The number of suffixes."""
        return int(self._spaces[0].vocab_size ** self.digits)

    @property
    def inner(self) -> int:
        """The number of suffixes with a user input: cases of one prefix."""
        return self.suffixes * self._spaces[1].size

    @property
    def prefixes(self) -> int:
        """The number of prefixes."""
        return int(self._spaces[0].vocab_size ** (self._spaces[0].digits - self.digits))

    def of_level(self, level: int, start: int, stop: int) -> tuple[IntArray, IntArray]:
        """Return cases that have every value of what depends on a level, for some prefixes; the suffix varies fastest.

        Args:
            level: prefixes with the first suffix, suffixes with the first prefix, or both.
            start: the first prefix.
            stop: the prefix after the last one.

        """
        if level == BOTH:
            return self._cases(start, stop)
        if level == INNER:
            return self._cases(0, 1)
        space, users = self._spaces
        head = TargetSpace(space.vocab_size, (space.digits - self.digits,)).unrank_range(start, stop)
        targets = np.pad(head, ((0, 0), (0, self.digits))).reshape(stop - start, *space.shape)
        return targets, users.unrank_range(0, 1).repeat(stop - start, axis=0)

    def _cases(self, start: int, stop: int) -> tuple[IntArray, IntArray]:
        batch = product(*self._spaces, start * self.inner, stop * self.inner)
        return batch.targets, batch.inputs

    def users(self) -> IntArray:
        """Return all user inputs."""
        return self._spaces[1].unrank_range(0, self._spaces[1].size)

    def levels(self, known: Dependence | None) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """Return what the numbers of the prompt, and the answers, depend on: levels, 0 for nothing.

        A target's first entry is its first bit, and the last entries are the suffix. With several user inputs an answer
        may depend on these as well, which are inner.
        """
        layout, lowered = self.construction.layout, self.construction.transformer.lowered
        if known is None:
            shape = (layout.virtual, lowered.embedding_size)
            return np.full(shape, BOTH), np.full(layout.response, BOTH)
        first = np.int64((1 << (self._spaces[0].digits - self.digits)) - 1)

        def level(bits: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
            return OUTER * ((bits & first) != 0) + INNER * ((bits & ~first) != 0)

        answers = level(known.answers)
        return level(known.prompt), answers | INNER if self._spaces[1].size > 1 else answers
