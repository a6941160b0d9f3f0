"""Code that hands the target on: ``encode`` gives its entries as they are, ``answer`` the one at the user's token.

Both run on unknown tokens that they may only move about, each with a name. Code that computes with such a token,
compares it, asks for its value or puts known numbers beside it is refused. It can only choose by places, which are
known, so that it makes the same choice for every target: the names in its results say which entries these are. So for
ALL targets ``m`` and user tokens ``x`` coordinate ``k`` of the prompt is ``m[k]``, over one denominator, and the answer
is ``m[x]``. Other code may treat user inputs alike, too, and is refused all the same.

Code may also look at the number of targets that it is given at once, which is known. So it is given one, two and many,
unknown ones and integers.

As for every certificate, code that tells unknown tokens from numbers, or that remembers, can do as it likes. So targets
are drawn, run as integers in pairs that are permutations of each other, in another order and alone, and asked at every
user input.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Int

from constructions.construction import Construction
from constructions.returned import checked_answer, checked_numerators
from verify.certificates.code_on_bounds import ALONE, DRAWN, CellsError, Targets, answer, encode, running_code

#: Tokens of targets that code is given at once, which it may copy: 128 MiB as int64.
_RUN_TOKENS = 2**24


class UnlikeError(Exception):
    """It is not shown that one user input stands for all."""


def check_handed_on(construction: Construction, random: np.random.Generator) -> tuple[int, int]:
    """Return the denominator of the prompts, and how many targets were run as a forward pass runs them.

    Args:
        construction: of one virtual token and one user token, whose targets have an entry for each token.
        random: what members are drawn with.

    Raises:
        UnlikeError: this is not shown.

    """
    try:
        denominator = _check_encode(construction)
        _check_answer(construction, random)
        return denominator, _check_members(construction, denominator, random)
    except CellsError as error:
        raise UnlikeError(str(error)) from None


def _unknown(vocab: int, names: Int[np.ndarray, "targets entries"]) -> Targets:
    """Return targets of which nothing is known but the names of their entries."""
    low = np.broadcast_to(np.zeros((), dtype=np.int64), names.shape)
    return Targets(low, np.broadcast_to(np.array(vocab - 1), names.shape), names)


def _counts(vocab: int) -> tuple[int, int, int]:
    """Return how many targets code is given at once: one, two, and all that are drawn or that it may be given."""
    return 1, 2, max(2, min(2 * DRAWN, _RUN_TOKENS // vocab))


def _names(vocab: int, count: int) -> Int[np.ndarray, "targets entries"]:
    """Return names of the entries of some targets, which must not get mixed up; 0 is no name."""
    return np.arange(1, count * vocab + 1).reshape(count, vocab)


def _check_encode(construction: Construction) -> int:
    vocab = construction.vocab_size
    for count in _counts(vocab):
        names = _names(vocab, count)
        prompt, denominator = encode(construction, _unknown(vocab, names), moves=True)
        if not np.array_equal(prompt.entries[:, 0], names):
            raise UnlikeError("a coordinate of the prompt is not the entry of the target at its own place")
    return denominator  # which integers must have, however many they are


def _check_answer(construction: Construction, random: np.random.Generator) -> None:
    vocab = construction.vocab_size
    names = np.arange(1, vocab + 1)
    for at, users in enumerate(_users(vocab)):
        named = np.broadcast_to(names, (len(users), vocab))
        if at == 0:  # the targets of one batch are told apart; to do so in all of them would take V^2 names
            named = named + vocab * np.arange(len(users))[:, None]
        _check_promised(construction, named, users)
    for count in _counts(vocab):
        _check_promised(construction, _names(vocab, count), random.integers(0, vocab, (count, 1)))


def _check_promised(
    construction: Construction, named: Int[np.ndarray, "targets entries"], users: Int[np.ndarray, "targets 1"]
) -> None:
    """Check the answers for targets of which nothing is known but names."""
    promised = answer(construction, _unknown(construction.vocab_size, named), users, moves=True)
    if not np.array_equal(promised.entries, np.take_along_axis(named, users, axis=1)):
        raise UnlikeError("an answer is not the entry of the target at the user's token")


def _users(vocab: int) -> list[Int[np.ndarray, "users 1"]]:
    """Return all user inputs in turn, at least two at once, and no more than code may be given targets."""
    batches = min(vocab // 2, max(DRAWN, -(-vocab * vocab // _RUN_TOKENS)))
    return np.array_split(np.arange(vocab)[:, None], max(1, batches))


def _check_members(construction: Construction, denominator: int, random: np.random.Generator) -> int:
    """Return how many targets were drawn in pairs of permutations, the first four of them constant, and for a batch.

    Those in pairs are asked at every user input together, each at its share of them.
    """
    vocab = construction.vocab_size
    batches = _users(vocab)
    for member in range(DRAWN):
        least, most = {0: (0, 1), 1: (vocab - 1, vocab)}.get(member, (0, vocab))
        target = random.integers(least, most, vocab)
        pair = np.stack([target, target[random.permutation(vocab)]])
        pair.setflags(write=False)
        # arrays of their own, as a forward pass gives them: code may ask whether it can change them
        single = [pair[:1].copy(), pair[1:].copy()] if member < ALONE else []
        for targets in (pair, pair[::-1].copy(), *single):
            _check_encoded(construction, targets, denominator)
        for users in batches[member % len(batches) :: DRAWN]:
            _check_asked(construction, np.broadcast_to(pair[:1], (len(users), vocab)), users)
            _check_asked(construction, np.broadcast_to(pair[1:], (len(users), vocab)), users[::-1])
        two = random.integers(0, vocab, (2, 1))
        _check_asked(construction, pair, two)
        _check_asked(construction, pair[::-1].copy(), two)
        for alone in (slice(1), slice(1, 2)) if member < ALONE else ():
            _check_asked(construction, pair[alone].copy(), two[alone])
    count = _counts(vocab)[-1]
    many, asked = random.integers(0, vocab, (count, vocab)), random.integers(0, vocab, (count, 1))
    for order in (np.arange(count), np.arange(count)[::-1]):
        _check_encoded(construction, many[order], denominator)
        _check_asked(construction, many[order], asked[order])
    return 2 * DRAWN + count


def _check_encoded(construction: Construction, targets: Int[np.ndarray, "targets entries"], denominator: int) -> None:
    entries = targets.copy()  # before the code may change the targets
    with running_code():
        found = construction.encode(targets)
        shape = (len(targets), 1, construction.vocab_size)
        numerators = checked_numerators(type(construction).__name__, found, shape)
    if found.denominator != denominator or not np.array_equal(numerators[:, 0], entries):
        raise UnlikeError("encode gives a target other numbers than it hands on of unknown ones")


def _check_asked(
    construction: Construction, targets: Int[np.ndarray, "targets entries"], users: Int[np.ndarray, "targets 1"]
) -> None:
    promised = np.take_along_axis(targets, users, axis=1)  # before the code may change the targets
    with running_code():
        tokens = construction.answer(targets, users.copy())
        tokens = checked_answer(type(construction).__name__, tokens, users.shape, construction.vocab_size)
    if not np.array_equal(tokens, promised):
        raise UnlikeError("answer gives a target another token than it hands on of unknown ones")
