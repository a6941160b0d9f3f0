"""The response of a transformer as its specification reads it: generated, or read in one pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from constructions.construction import Construction
from constructions.decoding import Answers
from constructions.specification import Specification
from constructions.validation import IntArray, InvalidArgument
from verify.running.model import Model, exact_logits, forward, generate
from verify.running.trace import Trace


@dataclass(frozen=True)
class Produced:
    """The response of a batch of cases, and the logits that it was read off.

    Attributes:
        answers: tokens, or numbers where a logit is read as one; cases x response.
        logits: of every step, cases x response x outputs: float64, or exact numbers as objects; ``None`` where only
            tokens are known.

    """

    answers: Answers
    logits: np.ndarray[Any, Any] | None

    @classmethod
    def empty(cls, specification: Specification, *, with_logits: bool = True) -> Produced:
        """Return the response of a batch without cases."""
        logits = np.zeros((0, specification.layout.response, specification.output_vocab_size))
        return cls(specification.reading.produced(logits), logits if with_logits else None)


def respond(
    model: Model[Any, Any, Any],
    construction: Construction,
    prompt: Any,
    user_inputs: IntArray,
    *,
    steps: int | None = None,
    trace: Trace | None = None,
) -> Produced:
    """Return the response to each user input, and the logits that it is read off.

    Args:
        model: the construction's transformer in an arithmetic.
        construction: whose layout and decoding say where and how the response is read.
        prompt: rows of the virtual tokens, none where there are none.
        user_inputs: int64, shape ``(*batch, user)``.
        steps: how many tokens to generate, by default as many as the response has.
        trace: records every intermediate, of the last step where several are generated.

    Raises:
        InvalidArgument: another number of steps for a response that is read in one pass.

    """
    layout, decoding, ar = construction.layout, construction.reading, model.arithmetic
    count = layout.response if steps is None else steps
    read = layout.read
    if read is None and decoding.gives_tokens:

        def picked(rows: Any) -> Answers:
            return ar.argmax(rows) if decoding.takes_largest else decoding.produced(ar.numbers(rows))

        made = generate(model, prompt, layout.virtual, user_inputs, count, trace=trace, pick=picked)
        return Produced(made.tokens, exact_logits(ar, made))
    if count != layout.response:
        raise InvalidArgument(f"steps: expected {layout.response} for a response that is read in one pass, got {count}")
    places = (layout.user - 1,) if read is None else read
    rows = ar.below(prompt, ar.embed(model.embedding, user_inputs)) if layout.user else prompt
    numbers = ar.numbers(forward(model, rows, layout.virtual + layout.user, trace=trace))
    logits = numbers[..., [layout.virtual + place for place in places], :]
    # a model whose logits do not depend on its input may have computed them once for the whole batch
    logits = np.broadcast_to(logits, (*user_inputs.shape[:-1], *logits.shape[-2:])).copy()
    return Produced(decoding.produced(logits), logits)
