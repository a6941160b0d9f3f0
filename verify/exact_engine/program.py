"""A construction's forward pass, written down once for all cases whose prompts keep within a range."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

import numpy as np

from constructions.construction import Construction
from constructions.transformer import Transformer
from constructions.validation import IntArray
from verify.exact_engine.atoms import Block
from verify.exact_engine.forms import ZERO, Graph, NotCoveredError
from verify.exact_engine.operations import SLOTS, FormArithmetic, FormRows, Sparse
from verify.exact_engine.readout import BUFFERS, Readout
from verify.exact_engine.widths import Integers, extremes
from verify.running.model import Model, forward, generate


@dataclass(frozen=True)
class Ranges:
    """What is known of the virtual tokens before a case runs.

    Attributes:
        denominator: of all their entries.
        low: the smallest numerator of every entry, virtual x embedding size.
        high: the largest one.

    """

    denominator: int
    low: tuple[int, ...]
    high: tuple[int, ...]

    @classmethod
    def of(cls, numerators: Integers, denominator: int) -> Ranges:
        """Return the ranges of some prompts, at least one: cases x (virtual x embedding size)."""
        low, high = extremes(numerators)
        return cls(denominator, tuple(low), tuple(high))

    def holds(self, other: Ranges) -> bool:
        """Return whether prompts in the other ranges are in these."""
        inside = (
            low <= inner_low and inner_high <= high
            for low, high, inner_low, inner_high in zip(self.low, self.high, other.low, other.high, strict=True)
        )
        return self.denominator == other.denominator and all(inside)

    def with_those_of(self, other: Ranges) -> Ranges:
        """Return ranges that hold both, or only the other ones where the denominators differ."""
        if self.denominator != other.denominator:
            return other
        return Ranges(
            self.denominator,
            tuple(map(min, self.low, other.low)),
            tuple(map(max, self.high, other.high)),
        )


class Program:
    """The logits of every step, each as integers of the prompt and of the tokens that were read before it.

    Generation runs once, on unknown tokens: whatever is read in a slot, the user's or a token that was fed back, its
    embedding is a function of it. Given the promised tokens, the steps up to the first token that is not as promised
    are those of greedy generation, by induction on the steps: each is given what generation has fed back before it.

    Attributes:
        ranges: that the prompts must keep within.
        readouts: one for each step.

    """

    def __init__(
        self,
        construction: Construction,
        model: Model[Any, Any, Any, Any],
        transformer: Transformer[Sparse],
        ranges: Ranges,
    ) -> None:
        """Write it down.

        Args:
            construction: whose layout and decoding are meant.
            model: its transformer in rational arithmetic, with its mask and its temperatures.
            transformer: the same weights, by their entries.
            ranges: of the prompts.

        Raises:
            NotCoveredError: an operation that this engine does not have.

        """
        self.ranges = ranges
        layout, decoding = construction.layout, construction.reading
        graph = Graph(construction.vocab_size)
        arithmetic = FormArithmetic(graph)
        bound = replace(model, arithmetic=arithmetic, transformer=transformer)
        prompt = self._prompt(graph, layout.virtual, transformer.embedding.shape[0])
        user = SLOTS + np.arange(layout.user, dtype=np.int64)
        if layout.read is None and decoding.gives_tokens:
            slots = count(layout.user)
            made = generate(
                bound,
                prompt,
                layout.virtual,
                user,
                layout.response,
                pick=lambda _: np.array([SLOTS + next(slots)], dtype=np.int64),
            )
            logits = [rows.rows[0] for rows in made.logits]
        else:
            rows = arithmetic.below(prompt, arithmetic.embed(transformer.embedding, user)) if layout.user else prompt
            found = forward(bound, rows, layout.virtual + layout.user)
            places = (layout.user - 1,) if layout.read is None else layout.read
            logits = [found.rows[layout.virtual + place] for place in places]
        if (refused := arithmetic.refused) is not None:
            raise NotCoveredError(refused)
        outputs = range(construction.output_vocab_size)
        sign = decoding.sign or 1
        self.readouts = [Readout(graph, [row.get(token, ZERO) for token in outputs], sign) for row in logits]

    def _prompt(self, graph: Graph, virtual: int, size: int) -> FormRows:
        ranges = self.ranges
        entries = [
            graph.entry(column, low, high, ranges.denominator)
            for column, (low, high) in enumerate(zip(ranges.low, ranges.high, strict=True))
        ]
        rows = (entries[start * size : (start + 1) * size] for start in range(virtual))
        return FormRows(
            size, tuple({place: form for place, form in enumerate(row) if not form.is_zero} for row in rows)
        )

    @property
    def arrays(self) -> int:
        """How many arrays a block holds at most: its prompt's entries, all that is computed from them, and margins."""
        atoms = {atom for readout in self.readouts for atom in readout.atoms}
        return len(self.ranges.low) + len(atoms) + len(self.readouts) + BUFFERS

    def block(self, numerators: Integers, inputs: IntArray, response: Sequence[IntArray] = ()) -> Block:
        """Return a block of cases, whose prompts keep within the ranges.

        Args:
            numerators: of the prompts, cases x (virtual x embedding size).
            inputs: user tokens, cases x user.
            response: the tokens of every step, as far as they are known.

        """
        columns = [*np.ascontiguousarray(inputs.T), *response]
        return Block(numerators, dict(enumerate(columns)))
