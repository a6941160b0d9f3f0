"""The user inputs of a specification: an alphabet for each position, and which combinations are allowed."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, final

import numpy as np

from constructions.targets import TargetSpace
from constructions.validation import IntArray, InvalidArgument, check_integer, check_tokens, reject

#: Combinations that are looked at one by one to count those that a predicate allows. The ranks of the allowed ones are
#: kept, 8 bytes each, so that they take at most 128 MiB.
MOST_COUNTED = 2**24
#: Combinations that the predicate is asked about at once.
_BLOCK = 2**16
#: Combinations of each block that it is asked about alone, too: a call each.
_ALONE = 16
#: Tokens are int64.
_LARGEST = int(np.iinfo(np.int64).max) - 1

#: Says for inputs of shape ``(count, positions)`` which of them are allowed: booleans of shape ``(count,)``.
Predicate = Callable[[IntArray], Any]


@final
@dataclass(frozen=True)
class Domain:
    """Every combination of one token for each position, or those that a predicate allows, in lexicographic order.

    Evidence counts user inputs by this class, so that it cannot be subclassed.

    Attributes:
        alphabets: for each position the tokens that may stand there, in the order of enumeration: a range, or distinct
            tokens. A special token is an alphabet of one.
        allowed: which combinations there are, for whole arrays of them; ``None`` for all. It must be a pure function.

    Example:
        >>> sorted_pairs = Domain((range(3), range(3)), allowed=lambda x: x[:, 0] <= x[:, 1])
        >>> sorted_pairs.size, sorted_pairs.unrank(4).tolist()
        (6, [1, 2])
        >>> Domain.of(10, 2).size
        100

    Raises:
        InvalidArgument: an alphabet without tokens, with one twice, or with anything but natural numbers.

    """

    alphabets: tuple[Sequence[int], ...]
    allowed: Predicate | None = None

    def __init_subclass__(cls, **_: Any) -> None:
        raise InvalidArgument(f"{cls.__name__}: expected no subclass of Domain, which counts the user inputs")

    def __post_init__(self) -> None:
        if not isinstance(self.alphabets, (tuple, list)):
            reject("alphabets", "a tuple with the tokens of each position", self.alphabets)
        object.__setattr__(self, "alphabets", tuple(_alphabet(tokens) for tokens in self.alphabets))
        if self.allowed is not None and not callable(self.allowed):
            reject("allowed", "a function of inputs of shape (count, positions), or None", self.allowed)

    @classmethod
    def of(cls, vocab_size: int, positions: int, allowed: Predicate | None = None) -> Domain:
        """Return the domain of all tokens below ``vocab_size`` at each of ``positions`` positions."""
        tokens = range(check_integer("vocab_size", vocab_size, 1, _LARGEST))
        return cls((tokens,) * check_integer("positions", positions, 0), allowed)

    @property
    def positions(self) -> int:
        """The number of tokens of one input."""
        return len(self.alphabets)

    @property
    def shape(self) -> tuple[int, ...]:
        """The axes of one input."""
        return (self.positions,)

    @property
    def combinations(self) -> int:
        """The number of combinations of tokens, allowed or not."""
        return math.prod(len(tokens) for tokens in self.alphabets)

    @property
    def largest(self) -> int:
        """The largest token of any alphabet, -1 where there is no position."""
        return max((max(tokens) for tokens in self.alphabets), default=-1)

    @property
    def size(self) -> int:
        """The exact number of inputs.

        Raises:
            InvalidArgument: the predicate allows none, is no function, or has more than :data:`MOST_COUNTED`
                combinations to look at.

        """
        return self.combinations if self.allowed is None else len(self._allowed_ranks)

    def is_all_of(self, vocab_size: int) -> bool:
        """Say whether every combination of tokens below ``vocab_size`` is an input."""
        return self.allowed is None and all(tokens == range(vocab_size) for tokens in self.alphabets)

    def contains(self, inputs: object) -> np.ndarray[Any, Any]:
        """Return which rows of ``inputs``, shape ``(count, positions)``, are inputs of this domain."""
        tokens = check_tokens("inputs", inputs, _LARGEST, self.shape)
        found = np.ones(len(tokens), dtype=np.bool_)
        for place, alphabet in enumerate(self.alphabets):
            column = tokens[:, place]
            if isinstance(alphabet, range):
                found &= (column >= alphabet.start) & (column < alphabet.stop)
            else:
                found &= np.isin(column, np.array(alphabet, dtype=np.int64))
        if self.allowed is not None and found.any():
            found[found] = self._asked(tokens[found])
        return found

    def rank(self, user_input: object) -> int:
        """Return the place of an input in the order of enumeration, ``0..size-1``.

        Raises:
            InvalidArgument: no input of this domain.

        """
        tokens = check_tokens("user_input", user_input, _LARGEST, self.shape)
        if tokens.ndim != 1 or not self.contains(tokens[None])[0]:
            reject("user_input", "an input of the domain", user_input)
        rank = 0
        for token, alphabet in zip(tokens.tolist(), self.alphabets, strict=True):
            rank = rank * len(alphabet) + alphabet.index(token)
        return rank if self.allowed is None else int(np.searchsorted(self._allowed_ranks, rank))

    def unrank(self, rank: int) -> IntArray:
        """Return the input at ``rank``, int64 of shape ``(positions,)``; raises :class:`InvalidArgument` beyond."""
        rest = check_integer("rank", rank, 0, self.size - 1)
        if self.allowed is not None:
            rest = int(self._allowed_ranks[rest])
        tokens = np.zeros(self.positions, dtype=np.int64)
        for place in reversed(range(self.positions)):
            alphabet = self.alphabets[place]
            rest, digit = divmod(rest, len(alphabet))
            tokens[place] = alphabet[digit]
        return tokens

    def unrank_range(self, start: int, stop: int) -> IntArray:
        """Return the inputs of ranks ``start..stop-1``, int64 of shape ``(stop-start, positions)``.

        Raises:
            InvalidArgument: not ``0 <= start <= stop <= size``.

        """
        check_integer("stop", stop, 0, self.size)
        check_integer("start", start, 0, stop)
        if self.allowed is not None:
            return self._combinations(self._allowed_ranks[start:stop])
        if self.combinations > _LARGEST:
            return np.array([self.unrank(rank) for rank in range(start, stop)], dtype=np.int64).reshape(
                stop - start, self.positions
            )
        return self._combinations(np.arange(start, stop, dtype=np.int64))

    def sample(self, count: int, *, seed: int) -> IntArray:
        """Return ``count`` inputs drawn uniformly and independently, int64 of shape ``(count, positions)``.

        Args:
            count: how many.
            seed: the same seed gives the same inputs (numpy's PCG64).

        """
        check_integer("count", count, 0)
        check_integer("seed", seed, 0)
        random = np.random.default_rng(seed)
        if self.allowed is not None:
            return self._combinations(self._allowed_ranks[random.integers(self.size, size=count)])
        if self.alphabets and all(tokens == range(len(self.alphabets[0])) for tokens in self.alphabets):
            return TargetSpace(len(self.alphabets[0]), self.shape).sample(count, seed=seed)
        drawn = np.zeros((count, self.positions), dtype=np.int64)
        for place, alphabet in enumerate(self.alphabets):
            drawn[:, place] = _at(alphabet, random.integers(len(alphabet), size=count))
        return drawn

    def __repr__(self) -> str:
        """Return the alphabets and the predicate's name; a function has no expression that makes it again."""
        named = "" if self.allowed is None else f", allowed={getattr(self.allowed, '__qualname__', 'a function')}"
        return f"Domain({self.alphabets!r}{named})"

    def _combinations(self, ranks: np.ndarray[Any, Any]) -> IntArray:
        """Return the combinations of these ranks, below 2^63."""
        rest, tokens = ranks, np.zeros((len(ranks), self.positions), dtype=np.int64)
        for place in reversed(range(self.positions)):
            rest, digits = np.divmod(rest, len(self.alphabets[place]))
            tokens[:, place] = _at(self.alphabets[place], digits)
        return tokens

    @cached_property
    def _allowed_ranks(self) -> np.ndarray[Any, Any]:
        """The ranks of the allowed combinations, in order; counted by asking about every one of them."""
        total = self.combinations
        if total > MOST_COUNTED:
            raise InvalidArgument(
                f"allowed: expected at most {MOST_COUNTED} combinations of tokens, which are counted one by one, but"
                f" there are at least 2^{total.bit_length() - 1}"
            )
        found = []
        for start in range(0, total, _BLOCK):
            ranks = np.arange(start, min(total, start + _BLOCK), dtype=np.int64)
            tokens = self._combinations(ranks)
            allowed = self._asked(tokens)
            order = np.random.default_rng(0).permutation(len(tokens))
            if (self._asked(tokens[order]) != allowed[order]).any():
                raise InvalidArgument("allowed: expected a function, but it gives another answer in another order")
            alone = np.linspace(0, len(tokens) - 1, min(_ALONE, len(tokens)), dtype=np.int64)
            if any(self._asked(tokens[[place]])[0] != allowed[place] for place in alone):
                raise InvalidArgument("allowed: expected a function, but it gives an input alone another answer")
            found.append(ranks[allowed])
        held = np.concatenate(found)
        if not len(held):
            raise InvalidArgument("allowed: expected at least one input that is allowed but got none")
        held.setflags(write=False)
        return held

    def _asked(self, tokens: IntArray) -> np.ndarray[Any, Any]:
        """Return what the predicate says, checked."""
        assert self.allowed is not None, "asked only where there is one"
        said = self.allowed(tokens.copy())  # it may change what it is given
        if not isinstance(said, np.ndarray) or said.dtype != np.bool_ or said.shape != (len(tokens),):
            reject("allowed", f"booleans of shape ({len(tokens)}), one for each input,", said)
        return np.array(said)


def _alphabet(value: Any) -> Sequence[int]:
    """Return an alphabet as a range where its tokens follow one another, and as a tuple otherwise."""
    expected = "distinct natural numbers, at least one,"
    if isinstance(value, range) and value.step == 1 and value and value.start >= 0 and value.stop - 1 <= _LARGEST:
        return value
    try:
        tokens = tuple(check_integer("alphabets", token, 0, _LARGEST) for token in value)
    except TypeError:
        reject("alphabets", expected, value)
    if not tokens or len(set(tokens)) != len(tokens):
        reject("alphabets", expected, value)
    following = range(tokens[0], tokens[0] + len(tokens))
    return following if tokens == tuple(following) else tokens


def _at(alphabet: Sequence[int], digits: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    if isinstance(alphabet, range):
        return np.asarray(digits + alphabet.start)
    return np.asarray(np.array(alphabet, dtype=np.int64)[digits])
