"""What a construction's own code gave for cases drawn from a run, to be asked for again at its end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from constructions.construction import Construction
from constructions.decoding import Answers
from constructions.ratios import Ratios
from constructions.validation import InvalidArgument
from verify.exact_engine.widths import OBJECTS, as_kind
from verify.numbers import shortened
from verify.running.batches import enumerated, together

#: Cases that are drawn from a run, as many as evidence draws for itself: a function that answers differently in one
#: call of ``k`` is met with a chance of at least ``1 - (1 - 1/k)^64``.
DRAWN = 64
#: Those that are also asked for one by one: a function that looks at its batch answers these otherwise.
_ALONE = 8


@dataclass(frozen=True, eq=False)
class _Case:
    rank: int
    prompt: Ratios
    promised: Answers


class Seen:
    """Cases drawn from those that ran, each as likely as any other, with their virtual tokens and promises."""

    def __init__(self, construction: Construction) -> None:
        """Hold no case yet."""
        self._construction = construction
        self._held: list[_Case] = []
        self._count = 0
        self._random = np.random.default_rng(0)

    def add(self, start: int, prompts: Ratios, promised: Answers) -> None:
        """Look at neighbouring ranks that ran, from ``start`` on."""
        # the n-th case replaces one that is held with chance DRAWN / n, so that all are equally likely to stay
        places = self._random.integers(0, self._count + 1 + np.arange(len(promised)))
        for case in np.flatnonzero(places < DRAWN).tolist():
            prompt = Ratios(prompts.numerators[case].copy(), prompts.denominator)
            found = _Case(start + case, prompt, promised[case].copy())
            if len(self._held) < DRAWN:
                self._held.append(found)
            else:
                self._held[places[case]] = found
        self._count += len(promised)

    def changed(self) -> str | None:
        """Ask again, in another order and one by one; return what is not what it was, ``None`` where everything is."""
        held = self._held[::-1]
        for group in (held, *([one] for one in held[:_ALONE])):
            if group and (found := self._asked(group)) is not None:
                return found
        return None

    def _asked(self, cases: Sequence[_Case]) -> str | None:
        construction = self._construction
        batch = together([enumerated(construction, case.rank, case.rank + 1) for case in cases])
        try:
            prompts = construction.prompts(batch.targets)
            promised = construction.response(batch.targets, batch.inputs)
        except InvalidArgument as error:
            return f"encode or answer, asked again: {error}"
        for place, case in enumerate(cases):
            shown = f"target {shortened(batch.targets[place].tolist())}"
            if not (promised[place] == case.promised).all():
                given, now = case.promised.tolist(), promised[place].tolist()
                return f"answer is no function: {shown} gave {given}, and {now} when asked again"
            if not _same(prompts[place], case.prompt):
                return f"encode is no function: {shown} gave other virtual tokens when asked again"
        return None


def _same(one: Ratios, other: Ratios) -> bool:
    left, right = as_kind(one.numerators, OBJECTS), as_kind(other.numerators, OBJECTS)
    return bool((left * other.denominator == right * one.denominator).all())
