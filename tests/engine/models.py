"""Models of every kind of layer as constructions, promised to do what the dense arithmetic does in float64."""

from __future__ import annotations

from typing import Any

import numpy as np

from constructions import Domain, HandBuilt, Softmax, Transformer
from constructions.decoding import Argmax, Decoding
from constructions.specifying import specify
from tests.forward.trees import CONTEXT, MODELS, VOCAB
from verify import TorchArithmetic, bind_construction
from verify.running.respond import respond

#: Models that have, between them, every operation; the rest are in the heavy tier.
FEW = ("two residuals", "table", "grouped", "rotary biases", "score bias", "layer norm of anything", "swiglu", "gelu")

TEMPERATURE = Softmax(1.5)


def reading(
    transformer: Transformer,
    *,
    user: int = CONTEXT,
    response: int | None = None,
    mask: Any = "causal",
    temperature: Any = TEMPERATURE,
    decoding: Decoding | None = None,
) -> HandBuilt:
    """Return a model, read at every place of its input, or one that generates a response."""
    dense = TorchArithmetic("float64")
    read = tuple(range(user)) if response is None else None
    chosen = Argmax() if decoding is None else decoding

    def answer(inputs: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        # the answer is what the model itself gives: another promise is asked for while it is made
        model = bind_construction(bare, dense)
        with dense.running():
            prompt = dense.prompt(bare.prompts(np.zeros((len(inputs), 0), dtype=np.int64)))
            return np.asarray(respond(model, bare, prompt, inputs).answers)

    count = response or 1
    promise = specify(Domain.of(VOCAB, user), answer, response=count, read=read, decoding=chosen)
    nothing = specify(
        Domain.of(VOCAB, user),
        lambda inputs: np.zeros((len(inputs), len(read) if read else count), dtype=np.int64),
        response=count,
        read=read,
        decoding=chosen,
    )
    bare = HandBuilt.of(transformer, nothing, mask=mask)
    made = HandBuilt.of(transformer, promise, mask=mask)
    for construction in (bare, made):
        object.__setattr__(construction, "temperature", temperature)
    return made


def named(name: str, **options: Any) -> HandBuilt:
    """Return the model of a name."""
    return reading(MODELS[name], **options)
