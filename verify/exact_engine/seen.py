"""Cases drawn from a run, with the values of the construction's own code, to be asked for again at its end."""

from __future__ import annotations

from collections.abc import Sequence

from constructions.construction import Construction
from constructions.decoding import Answers
from constructions.ratios import Ratios
from constructions.validation import IntArray, InvalidArgument
from verify.running.again import Sample, Witness, alone, changed, groups, in_words, other_prompt, same_numbers
from verify.running.batches import Batch


class Seen:
    """Cases drawn from those that ran, each as likely as any other, with their virtual tokens and promises."""

    def __init__(self, construction: Construction) -> None:
        """Hold no case yet."""
        self._construction = construction
        self._drawn = Sample[Witness]()
        self._looked_at: list[tuple[IntArray, Ratios]] = []

    def looked_at(self, targets: IntArray, prompts: Ratios) -> None:
        """Hold the virtual tokens of targets that were asked for before a case ran; all of them are asked for again."""
        self._looked_at.append((targets.copy(), Ratios(prompts.numerators.copy(), prompts.denominator)))

    def add(self, batch: Batch, prompts: Ratios, promised: Answers) -> None:
        """Look at the first cases of a batch, as many as there are promises: those that ran and are right."""
        self._drawn.add(len(promised), lambda case: Witness.of(batch, prompts, promised, case))

    def alone(self) -> Sequence[Witness]:
        """Return some of them, which are to run one by one."""
        return alone(self._drawn.held[::-1])

    def changed(self) -> str | None:
        """Ask again, in another order and one by one; return what is not what it was, ``None`` where everything is."""
        looked_at = (self._other_prompts(targets, prompts) for targets, prompts in self._looked_at)
        drawn = (changed(self._construction, group) for group in groups(self._drawn.held[::-1]))
        return next((found for answers in (looked_at, drawn) for found in answers if found is not None), None)

    def _other_prompts(self, targets: IntArray, before: Ratios) -> str | None:
        try:
            now = self._construction.prompts(targets[::-1])[::-1]
        except InvalidArgument as error:
            return f"encode or answer, asked again: {error}"
        places = (place for place in range(len(targets)) if not same_numbers(now[place], before[place]))
        return next((other_prompt(in_words(targets[place])) for place in places), None)
