"""How an enumeration is cut into prefixes and suffixes, and what each input of the kernel is for some of them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from constructions.construction import Construction
from constructions.domain import Domain
from constructions.targets import TargetSpace
from constructions.validation import IntArray
from verify.engine.known import Dependence
from verify.engine.traced import BOTH, INNER, OUTER
from verify.running.batches import product, spaces
from verify.running.cases import BATCH_BYTES

#: Up to so many tokens have the operations of their logits written out one by one, the alphabet of bytes; of a larger
#: vocabulary as many neighbours are made at once as leave this number of groups. Each costs the compiler its time; it
#: decides the speed alone.
WRITTEN_OUT = 256

#: Bytes of a cache of the second level where the system does not say, or says less: the smallest among Intel's
#: processors with AVX2. It decides the speed alone.
_SMALLEST_CACHE = 2**18

#: The file in which Linux gives that size.
_CACHE = Path("/sys/devices/system/cpu/cpu0/cache/index2/size")


@lru_cache(maxsize=1)
def cache_bytes() -> int:
    """Return the size of the second-level cache, which a block of suffixes is to fit in."""
    try:
        found = re.fullmatch(r"([0-9]+)K", _CACHE.read_text(encoding="ascii").strip())
    except (OSError, ValueError):
        found = None
    return _SMALLEST_CACHE if found is None else max(_SMALLEST_CACHE, 1024 * int(found[1]))


def widest(construction: Construction) -> int:
    """Return the most numbers that a position has: in an intermediate before the readout, or in its embedding."""
    lowered = construction.transformer.lowered
    rows = (matrix.shape[0] for layer in lowered.layers[:-1] for _, matrix in layer.matrices())
    return max(1, lowered.embedding_size, *rows)


@dataclass(frozen=True, eq=False)
class Blocks:
    """The cases of an enumeration as pairs of a prefix and a suffix with a user input, which vary fastest.

    Attributes:
        construction: whose cases they are.
        digits: entries of a target that are a suffix.
        tokens: how many tokens have their logits made at once.
        most: how many cases fit the cache.
        windowed: whether there are more user inputs than that: a prefix is then a run of :attr:`most` ranks, and
            nothing is known of what its cases share.

    """

    construction: Construction
    digits: int
    tokens: int
    most: int
    windowed: bool

    @classmethod
    def of(cls, construction: Construction, itemsize: int) -> Blocks:
        """Return the longest suffixes that fit the cache with all user inputs, a number at every position; or none.

        Their widest intermediate fits the memory of a batch, too: a dense model stores it.

        Args:
            construction: whose cases they are.
            itemsize: bytes of a number.

        """
        targets, users = spaces(construction)
        tokens = -(-construction.output_vocab_size // WRITTEN_OUT)
        case = itemsize * max(1, construction.layout.context_size)
        most = max(1, min(cache_bytes() // (case * tokens), BATCH_BYTES // (case * widest(construction))))
        digits = 0
        while digits < targets.digits and targets.vocab_size ** (digits + 1) * users.size <= most:
            digits += 1
        return cls(construction, digits, tokens, most, users.size > most)

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
        return self.most if self.windowed else self.suffixes * self._spaces[1].size

    @property
    def prefixes(self) -> int:
        """The number of prefixes."""
        targets, users = self._spaces
        if self.windowed:
            return -(-targets.size * users.size // self.most)
        return int(targets.vocab_size ** (targets.digits - self.digits))

    @property
    def of_users(self) -> int:
        """What the user's tokens depend on, as a level."""
        return BOTH if self.windowed else INNER

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
        total = self._spaces[0].size * self._spaces[1].size
        batch = product(*self._spaces, start * self.inner, min(total, stop * self.inner))
        missing = (stop - start) * self.inner - len(batch.targets)  # of the last window: its last case again
        if not missing:
            return batch.targets, batch.inputs
        last = batch.targets[-1:].repeat(missing, axis=0), batch.inputs[-1:].repeat(missing, axis=0)
        return np.concatenate([batch.targets, last[0]]), np.concatenate([batch.inputs, last[1]])

    @property
    def only_user(self) -> IntArray | None:
        """The user input where there is a single one."""
        users = self._spaces[1]
        return users.unrank(0) if users.size == 1 else None

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
            return np.asarray(OUTER * ((bits & first) != 0) + INNER * ((bits & ~first) != 0))

        prompt, answers = level(known.prompt), level(known.answers)
        if self.windowed:
            return np.where(prompt == 0, 0, BOTH), np.full_like(answers, BOTH)
        return prompt, answers | INNER if self._spaces[1].size > 1 else answers
