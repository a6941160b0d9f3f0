"""Cases of a run that are asked for again before it ends, as a verdict speaks of functions.

The values of ``encode`` and ``answer`` must be the same when they are asked for in another order and in batches of
another size.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np

from constructions.decoding import Answers
from constructions.ratios import Ratios
from constructions.specification import Specification
from constructions.validation import IntArray, InvalidArgument
from verify.numbers import shortened
from verify.running.batches import Batch

#: Cases of a run that are asked again at its end. A function that answers differently in one call of ``k`` is met with
#: a chance of at least ``1 - (1 - 1/k)^64``: at half of the calls it goes unseen once in 2^64 runs.
WITNESSES = 64
#: Witnesses that are also asked one by one: a function that looks at its batch answers these otherwise.
_ALONE = 8

_Held = TypeVar("_Held")


class Sample(Generic[_Held]):
    """Things drawn from a run, :data:`WITNESSES` of them or all of fewer, each as likely as any other.

    Attributes:
        held: those so far, in an order of their own.

    """

    def __init__(self) -> None:
        """Hold none yet."""
        self.held: list[_Held] = []
        self._seen = 0
        self._random = random.Random(0)  # noqa: S311 # no secret

    def add(self, count: int, made: Callable[[int], _Held]) -> None:
        """Look at so many more; ``made`` returns the one at a place among them.

        It takes as long for many as for few.
        """
        self._seen += count
        size, new = min(WITNESSES, self._seen), 0
        for drawn in range(size):  # one after the other from all, none of them twice: is it one of the new ones?
            new += self._random.randrange(self._seen - drawn) < count - new
        chosen = self._random.sample(range(count), new)
        self.held = self._random.sample(self.held, size - new) + [made(place) for place in chosen]


@dataclass(frozen=True, eq=False)
class Witness:
    """A case, and the values of ``encode`` and ``answer`` for it.

    Attributes:
        target: of its space's shape.
        user_input: user tokens.
        prompt: the virtual tokens, ``None`` where there are none.
        promised: the response.

    """

    target: IntArray
    user_input: IntArray
    prompt: Ratios | None
    promised: Answers

    @classmethod
    def of(cls, batch: Batch, prompts: Ratios | None, promised: Answers, case: int) -> Witness:
        """Return a case of a batch, copied."""
        prompt = None if prompts is None else Ratios(prompts.numerators[case].copy(), prompts.denominator)
        return cls(batch.targets[case].copy(), batch.inputs[case].copy(), prompt, promised[case].copy())

    def __str__(self) -> str:
        """Return the case in words."""
        return in_words(self.target, self.user_input)


def in_words(target: IntArray, user_input: Sequence[int] | IntArray = ()) -> str:
    """Return a case in words."""
    given = f" with user input {list(map(int, user_input))}" if len(user_input) else ""
    return f"target {shortened(target.tolist())}{given}"


def alone(held: Sequence[_Held]) -> Sequence[_Held]:
    """Return those that are asked one by one, too."""
    return held[:_ALONE]


def groups(held: Sequence[_Held]) -> Iterator[Sequence[_Held]]:
    """Yield all of them, and then some one by one; nothing where there is none."""
    if held:
        yield held
    yield from ([one] for one in alone(held))


def cases(held: Sequence[Witness]) -> tuple[IntArray, IntArray]:
    """Return the targets and the user inputs of witnesses, at least one."""
    return np.stack([witness.target for witness in held]), np.stack([witness.user_input for witness in held])


def changed(construction: Specification, held: Sequence[Witness]) -> str | None:
    """Ask ``encode`` and ``answer`` for witnesses, at least one; return in words a value that has changed, if any."""
    targets, inputs = cases(held)
    try:
        prompts, answers = construction.prompts(targets), construction.response(targets, inputs)
    except InvalidArgument as error:
        return f"encode or answer, asked again: {error}"
    for place, witness in enumerate(held):
        if not (answers[place] == witness.promised).all():
            return (
                f"answer is no function: {witness} gave {witness.promised.tolist()}, and"
                f" {answers[place].tolist()} when asked again"
            )
        now = None if prompts is None else Ratios(prompts.numerators[place], prompts.denominator)
        if not _same_prompt(now, witness.prompt):
            return other_prompt(witness)
    return None


def _same_prompt(one: Ratios | None, other: Ratios | None) -> bool:
    return one is other if one is None or other is None else same_numbers(one, other)


def other_prompt(case: object) -> str:
    """Return in words that a case has other virtual tokens than before."""
    return f"encode is no function: {case} gave other virtual tokens when asked again"


def same_numbers(one: Ratios, other: Ratios) -> bool:
    """Return whether two arrays of one shape hold the same numbers, over whatever denominators."""
    if one.denominator == other.denominator:
        return bool((one.numerators == other.numerators).all())
    whole: Any = np.frompyfunc(int, 1, 1)  # Python's integers, which do not overflow
    left, right = whole(one.numerators), whole(other.numerators)
    return bool(np.all(left * other.denominator == right * one.denominator))
