"""What a construction's own code gave for cases drawn from a run, to be asked for again at its end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from constructions.construction import Construction
from constructions.decoding import Answers
from constructions.ratios import Ratios
from constructions.validation import IntArray, InvalidArgument
from verify.exact_engine.widths import OBJECTS, as_kind
from verify.numbers import shortened
from verify.running.batches import Batch

#: Cases that are drawn from a run, as many as evidence draws for itself: a function that answers differently in one
#: call of ``k`` is met with a chance of at least ``1 - (1 - 1/k)^64``.
DRAWN = 64
#: Those that are also asked for one by one: a function that looks at its batch answers these otherwise.
_ALONE = 8


@dataclass(frozen=True, eq=False)
class _Case:
    target: IntArray
    user_input: IntArray
    prompt: Ratios
    promised: Answers


class Seen:
    """Cases drawn from those that ran, each as likely as any other, with their virtual tokens and promises."""

    def __init__(self, construction: Construction) -> None:
        """Hold no case yet."""
        self._construction = construction
        self._held: list[_Case] = []
        self._looked_at: list[tuple[IntArray, Ratios]] = []
        self._count = 0
        self._random = np.random.default_rng(0)

    def looked_at(self, targets: IntArray, prompts: Ratios) -> None:
        """Hold the virtual tokens of targets that were asked for before a case ran; all of them are asked for again."""
        self._looked_at.append((targets.copy(), Ratios(prompts.numerators.copy(), prompts.denominator)))

    def add(self, batch: Batch, prompts: Ratios, promised: Answers) -> None:
        """Look at cases that ran."""
        # the n-th case replaces one that is held with chance DRAWN / n, so that all are equally likely to stay
        places = self._random.integers(0, self._count + 1 + np.arange(len(promised)))
        for case in np.flatnonzero(places < DRAWN).tolist():
            prompt = Ratios(prompts.numerators[case].copy(), prompts.denominator)
            found = _Case(batch.targets[case].copy(), batch.inputs[case].copy(), prompt, promised[case].copy())
            if len(self._held) < DRAWN:
                self._held.append(found)
            else:
                self._held[places[case]] = found
        self._count += len(promised)

    def changed(self) -> str | None:
        """Ask again, in another order and one by one; return what is not what it was, ``None`` where everything is."""
        held = self._held[::-1]
        groups = [group for group in (held, *([one] for one in held[:_ALONE])) if group]
        try:
            looked_at = (self._other_prompts(targets, prompts) for targets, prompts in self._looked_at)
            answers = (self._asked(group) for group in groups)
            return next((found for found in (*looked_at, *answers) if found is not None), None)
        except InvalidArgument as error:
            return f"encode or answer, asked again: {error}"

    def _other_prompts(self, targets: IntArray, before: Ratios) -> str | None:
        now = self._construction.prompts(targets[::-1])[::-1]
        places = range(len(targets))
        return next((_otherwise(targets[place]) for place in places if not _same(now[place], before[place])), None)

    def _asked(self, cases: Sequence[_Case]) -> str | None:
        targets = np.stack([case.target for case in cases])
        prompts = self._construction.prompts(targets)
        promised = self._construction.response(targets, np.stack([case.user_input for case in cases]))
        for place, case in enumerate(cases):
            if not (promised[place] == case.promised).all():
                given, now = case.promised.tolist(), promised[place].tolist()
                shown = shortened(case.target.tolist())
                return f"answer is no function: target {shown} gave {given}, and {now} when asked again"
            if not _same(prompts[place], case.prompt):
                return _otherwise(case.target)
        return None


def _otherwise(target: IntArray) -> str:
    return f"encode is no function: target {shortened(target.tolist())} gave other virtual tokens when asked again"


def _same(one: Ratios, other: Ratios) -> bool:
    left, right = as_kind(one.numerators, OBJECTS), as_kind(other.numerators, OBJECTS)
    return bool((left * other.denominator == right * one.denominator).all())
