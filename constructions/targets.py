"""The space of behaviours that virtual tokens select from: its exact size, its order, uniform samples."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from constructions.validation import IntArray, InvalidArgument, check_integer, check_tokens, reject

#: Ranks below this are unranked in int64 arithmetic, a whole range at a time.
_INT64_RANKS = 2**62
#: Entries are int64.
_LARGEST = int(np.iinfo(np.int64).max)


@final
@dataclass(frozen=True)
class TargetSpace:
    """All arrays of a given shape with entries in ``{0..vocab_size-1}``, in lexicographic order.

    A target of Theorem 1 is a sequence (shape ``(N,)``), of Theorem 2 a map as its table of values (shape ``(V,)``).
    Targets are behaviours: their alphabet need not be the vocabulary of the transformer. Evidence counts targets by
    this class, so that it cannot be subclassed.

    Attributes:
        vocab_size: the size of the alphabet; in the constructions here ``V``.
        shape: the axes of one target.

    Raises:
        InvalidArgument: not a positive integer and a tuple of natural numbers.

    Example:
        >>> space = TargetSpace(3, (2,))
        >>> space.size
        9
        >>> space.unrank(5).tolist(), space.rank([1, 2])
        ([1, 2], 5)
        >>> space.sample(2, seed=0).shape
        (2, 2)

    """

    vocab_size: int
    shape: tuple[int, ...]

    def __init_subclass__(cls, **_: Any) -> None:
        raise InvalidArgument(f"{cls.__name__}: expected no subclass of TargetSpace, which counts the targets")

    def __post_init__(self) -> None:
        # as plain integers: numpy's would overflow in the exact count
        object.__setattr__(self, "vocab_size", check_integer("vocab_size", self.vocab_size, 1, _LARGEST))
        if not isinstance(self.shape, tuple):
            reject("shape", "a tuple of natural numbers", self.shape)
        object.__setattr__(self, "shape", tuple(check_integer("shape", axis, 0) for axis in self.shape))

    @property
    def digits(self) -> int:
        """The number of entries of one target."""
        return math.prod(self.shape)

    @property
    def size(self) -> int:
        """The exact number of targets, ``V ** digits``."""
        return int(self.vocab_size**self.digits)

    def rank(self, target: object) -> int:
        """Return the place of ``target`` in lexicographic order, ``0..size-1``.

        Raises:
            InvalidArgument: not a target of this space.

        """
        tokens = check_tokens("target", target, self.vocab_size, self.shape)
        if tokens.shape != self.shape:
            raise InvalidArgument(f"target: expected a single target but got a batch of shape {tokens.shape}")
        rank = 0
        for token in tokens.reshape(-1).tolist():
            rank = rank * self.vocab_size + token
        return rank

    def unrank(self, rank: int) -> IntArray:
        """Return the target at ``rank``, an int64 array of the space's shape.

        Raises:
            InvalidArgument: not an integer in ``0..size-1``.

        """
        rest = check_integer("rank", rank, 0, self.size - 1)
        tokens = np.zeros(self.digits, dtype=np.int64)
        for place in reversed(range(self.digits)):
            rest, tokens[place] = divmod(rest, self.vocab_size)
        return tokens.reshape(self.shape)

    def unrank_range(self, start: int, stop: int) -> IntArray:
        """Return the targets of ranks ``start..stop-1``, an int64 array of shape ``(stop-start, *shape)``.

        Raises:
            InvalidArgument: not ``0 <= start <= stop <= size``.

        """
        check_integer("stop", stop, 0, self.size)
        check_integer("start", start, 0, stop)
        if stop > _INT64_RANKS:
            return self._unranked_by_ends(start, stop).reshape(stop - start, *self.shape)
        rest = np.arange(start, stop, dtype=np.int64)
        tokens = np.zeros((stop - start, self.digits), dtype=np.int64)
        for place in reversed(range(self.digits)):
            rest, tokens[:, place] = np.divmod(rest, self.vocab_size)
        return tokens.reshape(stop - start, *self.shape)

    def _unranked_by_ends(self, start: int, stop: int) -> IntArray:
        """Return the rows of ranks beyond int64: the last digits, as many as int64 can count, vary fastest."""
        count = 0
        while self.vocab_size ** (count + 1) <= _INT64_RANKS:
            count += 1
        ends = TargetSpace(self.vocab_size, (count,))
        parts = [np.zeros((0, self.digits), dtype=np.int64)]
        for front in range(start // ends.size, (stop - 1) // ends.size + 1):
            first = front * ends.size
            moving = ends.unrank_range(max(start - first, 0), min(stop - first, ends.size))
            rows = self.unrank(first).reshape(1, -1).repeat(len(moving), axis=0)
            rows[:, self.digits - count :] = moving
            parts.append(rows)
        return np.concatenate(parts)

    def sample(self, count: int, *, seed: int) -> IntArray:
        """Return ``count`` targets drawn uniformly and independently, shape ``(count, *shape)``, int64.

        Args:
            count: how many.
            seed: the same seed gives the same targets (numpy's PCG64).

        """
        check_integer("count", count, 0)
        check_integer("seed", seed, 0)
        return np.random.default_rng(seed).integers(self.vocab_size, size=(count, *self.shape), dtype=np.int64)
