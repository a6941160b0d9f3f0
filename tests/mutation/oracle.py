"""The truth about a mutant: its exact weights run by a forward pass that shares no code with ``verify``.

Plain loops over exact rationals (flint's scalars, as Fractions take five times as long), every step a full pass over
all positions; no matrices, no cache of keys and values, no batches.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import flint
import numpy as np

from constructions import Construction, Format, Hardmax, RationalSoftmax, Temperature
from constructions.exact_matrix import ExactMatrix
from constructions.transformer import Attention, ExactTransformer, Linear

Vector = list[flint.fmpq]
_ZERO, _ONE = flint.fmpq(0), flint.fmpq(1)
#: For each row of a matrix its non-zero entries.
Sparse = list[list[tuple[int, flint.fmpq]]]


def exact(value: Fraction) -> flint.fmpq:
    return flint.fmpq(value.numerator, value.denominator)


def sparse(matrix: ExactMatrix) -> Sparse:
    rows: Sparse = [[] for _ in range(matrix.shape[0])]
    for row, column, value in matrix.nonzero():
        rows[row].append((column, exact(value)))
    return rows


def times(matrix: Sparse, vector: Vector) -> Vector:
    return [sum((value * vector[column] for column, value in row if vector[column] != _ZERO), _ZERO) for row in matrix]


def attention_weights(scores: Vector, temperature: Temperature) -> Vector:
    """Return hardmax, uniform over the largest scores, or softmax at an exact q, whose powers must be whole."""
    largest = max(scores)
    if isinstance(temperature, Hardmax):
        factors = [_ONE if score == largest else _ZERO for score in scores]
    else:
        assert isinstance(temperature, RationalSoftmax)
        gaps = [score - largest for score in scores]
        assert all(gap.q == 1 for gap in gaps), "softmax at an exact q is exact at whole scores alone"
        factors = [exact(temperature.q) ** int(gap.p) for gap in gaps]
    total = sum(factors, _ZERO)
    return [factor / total for factor in factors]


class Reference:
    """An exact transformer, ready to run one sequence at a time.

    The temperature is of every head, or a function of a head's key size.
    """

    def __init__(
        self, transformer: ExactTransformer, temperature: Temperature | Callable[[int], Temperature], mask: str
    ) -> None:
        self.temperature = temperature if callable(temperature) else lambda _: temperature
        self.causal = mask == "causal"
        self.context_size = transformer.context_size
        columns = transformer.embedding.to_fractions()
        self.embedding = [[exact(row[token]) for row in columns] for token in range(transformer.vocab_size)]
        assert transformer.is_plain
        self.layers: list[Any] = []
        for layer in transformer.layers:
            if isinstance(layer, Attention):
                heads = [(head.query, head.own_key, head.own_value) for head in layer.heads]
                self.layers.append([(sparse(query), sparse(key), sparse(value)) for query, key, value in heads])
            else:
                assert isinstance(layer, Linear)
                bias = [exact(row[0]) for row in layer.given_bias.to_fractions()]
                self.layers.append((sparse(layer.weight), bias, layer.has_relu))

    def logits(self, embedded: Sequence[Vector]) -> Vector:
        """Return the logits at the last position."""
        count = len(embedded)
        assert count <= self.context_size
        rows = [
            [*row, *(_ONE if place == index else _ZERO for index in range(self.context_size))]
            for place, row in enumerate(embedded)
        ]
        last = max((place for place, layer in enumerate(self.layers) if isinstance(layer, list)), default=-1)
        for index, layer in enumerate(self.layers):
            if isinstance(layer, list):
                rows = self._attend(layer, rows, alone=index == last)  # nothing after it looks at other positions
            else:
                weight, bias, relu = layer
                rows = [
                    [value + constant for value, constant in zip(times(weight, row), bias, strict=True)] for row in rows
                ]
                rows = [[max(value, _ZERO) for value in row] for row in rows] if relu else rows
        return rows[-1]

    def _attend(self, heads: list[tuple[Sparse, Sparse, Sparse]], rows: list[Vector], *, alone: bool) -> list[Vector]:
        """Return the layer's output at every position, or at the last one alone."""
        outputs = [[_ZERO] * len(heads[0][2]) for _ in rows]
        for query, key, value in heads:
            keys, values = [times(key, row) for row in rows], [times(value, row) for row in rows]
            for place in range(len(rows) - 1 if alone else 0, len(rows)):
                asked = times(query, rows[place])
                seen = range(place + 1) if self.causal else range(len(rows))
                scores = [sum((a * b for a, b in zip(asked, keys[j], strict=True) if a != _ZERO), _ZERO) for j in seen]
                for j, weight in zip(seen, attention_weights(scores, self.temperature(len(query))), strict=True):
                    if weight != _ZERO:
                        outputs[place] = [o + weight * v for o, v in zip(outputs[place], values[j], strict=True)]
        return outputs[-1:] if alone else outputs

    def margins(self, prompt: Sequence[Vector], user: Sequence[int], expected: Sequence[int]) -> Iterator[Fraction]:
        """Yield the margin of each promised token, up to the first that is not the one token of the largest logit.

        A vocabulary of one token has no other, and no margin.
        """
        embedded = [*prompt, *(self.embedding[token] for token in user)]
        for token in expected:
            logits = self.logits(embedded)
            others = [logit for place, logit in enumerate(logits) if place != token]
            if others:
                difference = logits[token] - max(others)
                margin = Fraction(int(difference.p), int(difference.q))
                yield margin
                if margin <= 0:
                    return
            embedded.append(self.embedding[token])


@dataclass(frozen=True)
class Violation:
    """A case in which the promise is broken.

    Attributes:
        target: the target.
        user_input: the user's tokens.
        margin: of the first promised token that is not generated, exactly; 0 for a tie.

    """

    target: np.ndarray[Any, Any]
    user_input: tuple[int, ...]
    margin: Fraction


def cases(construction: Construction) -> Iterator[tuple[np.ndarray[Any, Any], tuple[int, ...]]]:
    """Yield every target with every user input, counted by ``itertools``."""
    space, user = construction.targets, construction.layout.user
    for digits in itertools.product(range(space.vocab_size), repeat=space.digits):
        target = np.array(digits, dtype=np.int64).reshape(space.shape)
        for tokens in itertools.product(range(construction.vocab_size), repeat=user):
            yield target, tokens


def constant_cases(construction: Construction) -> Iterator[tuple[np.ndarray[Any, Any], tuple[int, ...]]]:
    """Yield the targets that are one token everywhere, with the user input that the sweep's docstring names."""
    size, letters, user = construction.vocab_size, construction.targets.vocab_size, construction.layout.user
    for case in range(max(size, letters)):
        tokens = tuple((case + place + size // 2) % size for place in range(user))
        yield np.full(construction.targets.shape, case % letters, dtype=np.int64), tokens


def violations_and_margin(
    construction: Construction,
    temperature: Temperature | Callable[[int], Temperature],
    enough: Fraction = Fraction(0),
    chosen: Iterator[tuple[np.ndarray[Any, Any], tuple[int, ...]]] | None = None,
    transformer: ExactTransformer | None = None,
) -> tuple[Violation | None, Fraction | None]:
    """Return a case that breaks the promise in exact arithmetic, and the smallest margin where none does.

    Args:
        construction: whose promise.
        temperature: hardmax or an exact q.
        enough: a violation whose margin is below minus this ends the search; otherwise the worst one is returned.
        chosen: the cases to look at; all by default.
        transformer: other weights than the construction's.

    """
    reference = Reference(transformer or construction.transformer.lowered, temperature, construction.mask)
    worst: Violation | None = None
    smallest: Fraction | None = None
    for target, tokens in cases(construction) if chosen is None else chosen:
        user = np.array(tokens, dtype=np.int64)
        prompt = [list(map(exact, row)) for row in construction.virtual_tokens(target).to_fractions()]
        expected = construction.answer(target[None], user[None])[0].tolist()
        for margin in reference.margins(prompt, tokens, expected):
            smallest = margin if smallest is None else min(smallest, margin)
            if margin <= 0 and (worst is None or margin < worst.margin):
                worst = Violation(target, tokens, margin)
        if worst is not None and worst.margin < -enough:
            break
    return worst, None if worst is not None else smallest


def rounding_slack(construction: Construction, temperature: Temperature, fmt: Format) -> float:
    r"""Return a bound on how far a float margin is from the exact one, however its sums are ordered.

    With ``B`` the magnitudes that the network has when every weight and input is replaced by its absolute value, every
    coordinate of a float pass differs from the exact one by at most ``gamma_K B``, ``gamma_K = Ku/(1-Ku)``, where
    ``K`` counts the roundings on a path: of a weight, its product, up to ``n`` additions, the bias; in attention the
    scaled score (``exp`` turns its error, relative to ``ln q`` times its magnitude, into a relative one), ``exp``
    within 4 units, the normaliser and the quotient. ReLU never enlarges a difference. A margin is a difference of two
    logits. Hardmax is taken to choose the same keys in floats; a mutant for which it does not would show as one that
    survives a method that claims it.
    """
    transformer = construction.transformer.lowered
    inputs = [1.0, *(abs(float(value)) for row in transformer.embedding.to_fractions() for value in row)]
    for target, _ in constant_cases(construction):
        inputs += [abs(float(value)) for row in construction.virtual_tokens(target).to_fractions() for value in row]
    bounds = np.array([max(inputs)] * transformer.embedding_size + [1.0] * transformer.context_size)
    roundings = 1
    for layer in transformer.layers:
        if isinstance(layer, Attention):
            exponent = 0.0
            if isinstance(temperature, RationalSoftmax):
                scores = [(_absolute(head.query) @ bounds) @ (_absolute(head.own_key) @ bounds) for head in layer.heads]
                exponent = max(scores) * abs(math.log(temperature.q))
            roundings += 3 * len(bounds) + math.ceil(4 * exponent) + 2 * transformer.context_size + 8 + len(layer.heads)
            bounds = np.sum([_absolute(head.own_value) @ bounds for head in layer.heads], axis=0)
        else:
            assert isinstance(layer, Linear)
            roundings += len(bounds) + 4
            bounds = _absolute(layer.weight) @ bounds + _absolute(layer.given_bias)[:, 0]
    u = float(fmt.unit_roundoff)
    return float(2 * roundings * u / (1 - roundings * u) * max(bounds))


def _absolute(matrix: ExactMatrix) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.abs(np.array(matrix.to_fractions(), dtype=np.float64))
