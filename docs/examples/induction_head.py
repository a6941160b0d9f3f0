"""An induction head: it finds the last token's earlier occurrence, and answers with the token that came after it."""

from __future__ import annotations

from typing import Any

import numpy as np
import sympy as sp

from constructions import (
    Attention,
    Domain,
    HandBuilt,
    Head,
    Linear,
    Residual,
    Specification,
    Stream,
    Transformer,
    specify,
)
from constructions.validation import IntArray


def induction_head(letters: int, length: int) -> HandBuilt:
    """Return two attention layers in a residual stream, for inputs of a start token and ``length - 1`` letters."""
    vocab = letters + 1  # the last token is the start token
    tokens = Stream.of(now=vocab, before=vocab, after=vocab)
    stream, keys = Stream.of(now=vocab, before=vocab, after=vocab, position=length), Stream.of(token=vocab)
    same = sp.Identity(vocab)
    earlier = sp.Matrix(length, length, lambda i, j: int(j == i + 1))  # position j asks for position j - 1
    previous = Head(
        "previous",
        query=Stream.of(position=length).reads(stream, {("position", "position"): sp.ImmutableMatrix(earlier)}),
        key=Stream.of(position=length).reads(stream, {("position", "position"): sp.Identity(length)}),
        value=stream.reads(stream, {("before", "now"): same}),
    )
    match = Head(
        "match",
        query=keys.reads(stream, {("token", "now"): same}),
        key=keys.reads(stream, {("token", "before"): same}),
        value=stream.reads(stream, {("after", "now"): same}),
    )
    layers = (
        Residual((Attention((previous,), name="look back"),), name="first"),
        Residual((Attention((match,), name="look up"),), name="second"),
        Linear(keys.reads(stream, {("token", "after"): same}), activation=None, name="readout"),
    )
    embedding = tokens.reads(Stream.of(token=vocab), {("now", "token"): same})
    return HandBuilt.of(Transformer(embedding, layers, context_size=length), promise(letters, length))


def promise(letters: int, length: int) -> Specification:
    """Return what is promised: the token after the earlier occurrence, of which there must be exactly one."""

    def once(inputs: IntArray) -> Any:
        return (inputs[:, 1:-1] == inputs[:, -1:]).sum(axis=1) == 1

    def following(inputs: IntArray) -> Any:
        place = (inputs[:, 1:-1] == inputs[:, -1:]).argmax(axis=1) + 1
        return inputs[np.arange(len(inputs)), place + 1][:, None]

    alphabets = (range(letters, letters + 1),) + (range(letters),) * (length - 1)
    return specify(Domain(alphabets, allowed=once), following)
