"""A plain port of how the paper's public notebook runs Theorem 1, in our own words: what speed is measured against.

Kept from the notebook: float64 numpy vectors, one for each position; a Python double loop over positions for the
scores and another for the weighted sums; scores divided by the square root of the sequence's length, T = 50; no mask;
the MLP position by position; and at every step a new pass that predicts the tokens of all positions again.

Not kept: the notebook builds its weights anew at every step; here they are built once, which is faster.
"""

from __future__ import annotations

from typing import Any

import numpy as np

_Vector = np.ndarray[Any, np.dtype[np.float64]]

INVERSE_TEMPERATURE = 50.0


class NotebookPort:
    """Theorem 1's transformer with the loops of the notebook."""

    def __init__(self, vocab_size: int, context_size: int) -> None:
        """Build the weights; the token embedding is 0."""
        self.vocab_size, self.context_size = vocab_size, context_size
        eye, zero = np.eye(context_size), np.zeros((context_size, context_size))
        self.read_position = np.hstack([zero, eye])
        self.read_embedding = np.hstack([eye, zero])
        self.all_positions = np.hstack([np.zeros(context_size), np.ones(context_size)])
        self.first_position = np.hstack([np.zeros(context_size), eye[0]])
        grid = np.arange(vocab_size) / vocab_size
        self.readout, self.offset = 2 * grid - 1, 0.25 - grid**2

    def generate(self, target: np.ndarray[Any, np.dtype[np.int64]]) -> list[int]:
        """Return what the model generates from the virtual token that encodes ``target``."""
        codes = np.eye(self.context_size)
        virtual = np.hstack([target / self.vocab_size, codes[0]])
        tokens: list[int] = []
        while len(tokens) < self.context_size:
            visible = [np.hstack([np.zeros(self.context_size), codes[place + 1]]) for place in range(len(tokens))]
            tokens = self._predict([virtual, *visible])
        return tokens

    def _predict(self, inputs: list[_Vector]) -> list[int]:
        own = _head(self.read_position, self.read_position, self.read_position, inputs)
        first = _head(self.all_positions, self.first_position, self.read_embedding, inputs)
        tokens = []
        for left, right in zip(own, first, strict=True):
            selected = np.clip(left + right - 1, 0, np.inf)
            scalar = np.clip(np.dot(np.ones(self.context_size), selected), 0, np.inf)
            tokens.append(int(np.argmax(self.readout * scalar + self.offset)))
        return tokens


def _head(query: _Vector, key: _Vector, value: _Vector, inputs: list[_Vector]) -> list[_Vector]:
    queries = [query @ x for x in inputs]
    keys = [key @ x for x in inputs]
    values = [value @ x for x in inputs]
    length = len(inputs)
    scores = np.zeros((length, length))
    for i in range(length):
        for j in range(length):
            scores[i, j] = np.dot(queries[i], keys[j]) / np.sqrt(length)
    factors = np.exp((scores - scores.max(axis=1, keepdims=True)) * INVERSE_TEMPERATURE)
    weights = factors / factors.sum(axis=1, keepdims=True)
    outputs = []
    for i in range(length):
        output = np.zeros_like(values[0])
        for j in range(length):
            output += weights[i, j] * values[j]
        outputs.append(output)
    return outputs
