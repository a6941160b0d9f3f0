"""Ranks of the enumeration in exact rationals, a block of cases at a time."""

from __future__ import annotations

import random
from collections.abc import Callable
from fractions import Fraction
from typing import Any, final

import numpy as np

from constructions.construction import Construction
from constructions.decoding import Answers
from constructions.ratios import Ratios
from constructions.validation import IntArray
from verify.arithmetic.base import AtOnce
from verify.exact_engine.atoms import Block
from verify.exact_engine.operations import Sparse
from verify.exact_engine.program import Program, Ranges
from verify.exact_engine.readout import Margins, Readout
from verify.exact_engine.seen import Seen
from verify.exact_engine.widths import Integers
from verify.running.batches import enumerated
from verify.running.cases import BATCH_BYTES
from verify.running.model import Model
from verify.running.ranks import RankTally
from verify.running.respond import Produced

#: Cases of a block: enough that calling numpy costs little beside what it computes, few enough that the arrays of a
#: step stay in a cache. It decides the speed alone.
BLOCK = 2**14
#: Targets that are drawn to see in which range the prompts are. It decides the speed alone: a prompt outside is seen,
#: and the pass is written down again.
_DRAWN = 64

#: Batches below this are run one by one: writing a pass down takes about as long as a dozen cases. It decides the speed
#: alone.
_FEW = 16

#: Cases of a batch that also run one by one where code of other authors runs: as many as a batch has at least.
_CONFIRMED = _FEW

#: Runs cases one by one: prompts and user inputs in, tokens and logits out.
Alone = Callable[[Ratios, IntArray], Produced]


@final
class ExactPass(AtOnce):
    """A construction in rational arithmetic, many cases at a time.

    Every case is encoded and answered by the construction's own code. The forward pass is written down once, see
    :class:`~verify.exact_engine.program.Program`, and again where a prompt is outside the range that it was written
    down for. The first and the last case of the first range, the closest so far, and some drawn from all are run one by
    one, too.
    """

    def __init__(self, construction: Construction, model: Model[Any, Any, Any, Any], alone: Alone) -> None:
        """Take the weights.

        Args:
            construction: whose cases they are.
            model: its transformer in rational arithmetic.
            alone: the same, case by case.

        """
        self.construction, self._model, self._alone = construction, model, alone
        self._program: Program | None = None
        self._covered = True
        self._seen = Seen(construction)
        self._least: Fraction | float | None = None  # the smallest margin that one case alone has confirmed

    def __call__(self, start: int, stop: int) -> RankTally | None:
        """Return the findings of ranks ``start..stop-1``; ``None`` where some operation is not covered, or they differ.

        Args:
            start: the first rank.
            stop: the rank after the last one.

        """
        if start >= stop or self._ready(start, stop) is None:
            return None
        tally = RankTally()
        while tally.failure is None and start + tally.cases < stop:
            first = start + tally.cases
            found = self._part(first, min(stop, first + self._size))
            if found is None:
                return None
            tally += found
        if not self._confirmed(tally, start):
            self._program, self._covered = None, False
            return None
        return tally

    def produced(self, prompts: Ratios, user_inputs: IntArray) -> Produced | None:
        """Return what is generated for a batch of cases; ``None`` for a few, and where an operation is not covered."""
        if len(user_inputs) < _FEW:
            return None
        if self._program is None and self._covered:
            self._write(_ranges(prompts))
        program, decoding = self._for(prompts), self.construction.reading
        if program is None:
            return None
        block = program.block(_flat(prompts), user_inputs)
        logits, answers = [], []
        for step, readout in enumerate(program.readouts):
            block.compute(readout.atoms)
            logits.append(readout.logits(block))
            answers.append(decoding.produced(logits[-1]))
            block.tokens[self.construction.layout.user + step] = answers[-1]  # read again where it is fed back
        made = Produced(np.stack(answers, axis=1), np.stack(logits, axis=1))
        if not self._same_alone(made, prompts, user_inputs):
            self._program, self._covered = None, False
            return None
        return made

    def _same_alone(self, made: Produced, prompts: Ratios, user_inputs: IntArray) -> bool:
        """Return whether drawn cases have the logits that they have when they run one by one.

        It can matter for code of other authors alone, which may tell the numbers of a written pass from those of one
        case. This library's own operations are held against each other by tests.
        """
        if not self._model.transformer.authored:
            return True
        assert made.logits is not None, "they were just made"
        places = random.Random(0).sample(range(len(user_inputs)), _CONFIRMED)  # noqa: S311 # no secret
        for place in places:
            one = Ratios(prompts.numerators[place : place + 1], prompts.denominator)
            logits = self._alone(one, user_inputs[place : place + 1].copy()).logits
            if logits is None or not (logits[0] == made.logits[place]).all():
                return False
        return True

    def changed(self) -> str | None:
        """Ask the construction's code again for cases drawn from those that ran, and run some of them one by one."""
        found = self._seen.changed()
        if found is not None or self._program is None:
            return found
        for case in self._seen.alone():
            assert case.prompt is not None, "a construction has virtual tokens, if only none"
            prompts = Ratios(case.prompt.numerators[None], case.prompt.denominator)
            margin = self._alone_margin(prompts, case.user_input[None], case.promised[None])
            if not margin > 0 or (self._least is not None and margin < self._least):
                return f"{case} has a margin of {margin} when it runs alone, and a larger one when many run at once"
        return None

    # the program -----------------------------------------------------------------------------------------------------

    def _ready(self, start: int, stop: int) -> Program | None:
        """Return the pass as it is written down, at first for the range of prompts that are drawn."""
        if self._program is None and self._covered:
            space = self.construction.target_space
            ends = [enumerated(self.construction, rank, rank + 1).targets for rank in (start, stop - 1)]
            corners = [np.full((1, *space.shape), letter, dtype=np.int64) for letter in (0, space.vocab_size - 1)]
            drawn = np.concatenate([*ends, *corners, space.sample(_DRAWN, seed=0)])
            try:
                prompts = self.construction.prompts(drawn)
            except Exception:  # noqa: BLE001 # the author's code; a case that is asked for meets it again
                drawn = ends[0]
                prompts = self.construction.prompts(drawn)
            self._seen.looked_at(drawn, prompts)
            self._write(_ranges(prompts))
        return self._program

    def _write(self, ranges: Ranges) -> None:
        try:
            transformer = self._model.transformer.map(lambda _, held: Sparse.of(held))
            self._program = Program(self.construction, self._model, transformer, ranges)
        except Exception:  # noqa: BLE001 # an operation that is not covered, or an author's layer that asks for more
            self._program, self._covered = None, False

    def _for(self, prompts: Ratios) -> Program | None:
        """Return the pass for a block's prompts."""
        ranges = _ranges(prompts)
        if self._program is not None and not self._program.ranges.holds(ranges):
            self._write(self._program.ranges.with_those_of(ranges))
        return self._program

    @property
    def _size(self) -> int:
        assert self._program is not None, "asked only of a pass that is written down"
        return max(1, min(BLOCK, BATCH_BYTES // (8 * self._program.arrays)))

    # cases -----------------------------------------------------------------------------------------------------------

    def _part(self, start: int, stop: int) -> RankTally | None:
        """Return the findings of some ranks; where the author's code raises, those before that case are told first."""
        try:
            return self._block(start, stop)
        except Exception:
            if stop - start == 1:
                raise
        middle = (start + stop) // 2
        before = self._part(start, middle)
        if before is None or before.failure is not None:
            return before
        after = self._part(middle, stop)
        return None if after is None else before + after

    def _block(self, start: int, stop: int) -> RankTally | None:
        construction = self.construction
        batch = enumerated(construction, start, stop)
        promised = construction.response(batch.targets, batch.inputs)
        prompts = construction.prompts(batch.targets)
        program = self._for(prompts)
        if program is None:
            return None
        steps = [np.ascontiguousarray(step) for step in promised.T]
        fed = steps if construction.reading.gives_tokens else ()
        block = program.block(_flat(prompts), batch.inputs, fed)
        margins = []
        for readout, step in zip(program.readouts, steps, strict=True):
            block.compute(readout.atoms)
            found = self._margins(readout, block, step)
            if found is not None:
                margins.append(found)
        right = min((place for found in margins if (place := found.failure()) is not None), default=stop - start)
        self._seen.add(batch, prompts, promised[:right])
        failure = start + right if right < stop - start else None
        if not margins or not right:
            return RankTally(right, failure=failure)
        margin, place = min(found.smallest(right) for found in margins)
        return RankTally(right, margin, start + place, failure)

    def _margins(self, readout: Readout, block: Block, promised: Answers) -> Margins | None:
        decoding = self.construction.reading
        if decoding.sign:
            return readout.margins(block, promised)
        return Margins.of(decoding.margins(promised, readout.logits(block)).tolist())

    def _confirmed(self, tally: RankTally, start: int) -> bool:
        """Return whether some cases have the margins that they have when they run one by one.

        Those are the first and the last case of the first range, every case that is the closest so far, and failures.
        """
        margin, closest = tally.margin, tally.closest
        ranks = {start, start + tally.cases - 1} if tally.cases and self._least is None else set()
        if margin is not None and closest is not None and (self._least is None or margin < self._least):
            ranks.add(closest)
            self._least = margin
        for rank in ranks:
            found = self._margin_alone(rank)
            if not found > 0 or (margin is not None and (found < margin or (rank == closest and found != margin))):
                return False
        return tally.failure is None or not self._margin_alone(tally.failure) > 0

    def _margin_alone(self, rank: int) -> Fraction | float:
        batch = enumerated(self.construction, rank, rank + 1)
        promised = self.construction.response(batch.targets, batch.inputs)
        return self._alone_margin(self.construction.prompts(batch.targets), batch.inputs, promised)

    def _alone_margin(self, prompts: Ratios, inputs: IntArray, promised: Answers) -> Fraction | float:
        made = self._alone(prompts, inputs.copy())
        assert made.logits is not None, "weights have logits"
        margins: list[Fraction | float] = self.construction.reading.margins(promised, made.logits).tolist()[0]
        return min(margins)


def _flat(prompts: Ratios) -> Integers:
    return prompts.numerators.reshape(len(prompts.numerators), -1)


def _ranges(prompts: Ratios) -> Ranges:
    return Ranges.of(_flat(prompts), prompts.denominator)
