"""A forward pass written once more, on lists of numbers, for any tree of layers: what arithmetics are compared with.

A *kit* is a kind of numbers: rationals, balls that hold the true value, or balls that hold all that float64 may
compute.
Nothing here calls an operation of an arithmetic, or a layer's ``apply``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from math import isqrt
from typing import Any

import flint
import numpy as np

from constructions import Hardmax, RationalSoftmax, Softmax
from constructions.activations import Activation, ClippedRelu
from constructions.exact_matrix import ExactMatrix
from constructions.formats import FORMATS
from constructions.layers import (
    Added,
    Attention,
    Chain,
    Gated,
    Head,
    Linear,
    Norm,
    OneHot,
    Residual,
    Sum,
    Table,
    Window,
)
from constructions.temperature import Temperature
from constructions.transformer import ExactTransformer

Row = list[Any]
Rows = list[Row]


class IrrationalError(Exception):
    """A number that is not rational, or a row of length 0."""


class Kit(ABC):
    """Numbers of one kind."""

    @abstractmethod
    def number(self, value: Fraction) -> Any: ...

    @abstractmethod
    def rounded(self, value: Any, roundings: int = 1) -> Any:
        """Return a result of so many roundings, relative to its size."""

    @abstractmethod
    def spread(self, value: Any, size: Any, roundings: int) -> Any:
        """Return a result that so many roundings of numbers of another size change."""

    @abstractmethod
    def root(self, value: Any) -> Any: ...

    @abstractmethod
    def activation(self, activation: Activation, value: Any) -> Any: ...

    @abstractmethod
    def weights(self, scores: Row, temperature: Temperature, key_size: int, shift: Row | None) -> Row: ...

    def total(self, terms: Sequence[Any]) -> Any:
        """Return a sum in any order."""
        found = sum(terms, self.number(Fraction(0)))
        size = sum((abs(term) for term in terms), self.number(Fraction(0)))
        return self.spread(found, size, len(terms))

    def product(self, left: Any, right: Any) -> Any:
        return self.rounded(left * right)

    def dot(self, left: Sequence[Any], right: Sequence[Any]) -> Any:
        return self.total([self.product(a, b) for a, b in zip(left, right, strict=True)])


class Rationals(Kit):
    """Fractions, at hardmax or an exact ``q`` between integer scores."""

    def number(self, value: Fraction) -> Fraction:
        return value

    def rounded(self, value: Any, roundings: int = 1) -> Any:
        return value

    def spread(self, value: Any, size: Any, roundings: int) -> Any:
        return value

    def root(self, value: Fraction) -> Fraction:
        found = Fraction(isqrt(value.numerator), isqrt(value.denominator))
        if found**2 != value or value == 0:
            raise IrrationalError
        return found

    def activation(self, activation: Activation, value: Fraction) -> Fraction:
        plain: Mapping[str, Callable[[Fraction], Fraction]] = {
            "relu": lambda x: x if x > 0 else Fraction(0),
            "identity": lambda x: x,
            "abs": lambda x: x if x > 0 else -x,
            "square": lambda x: x * x,
        }
        if activation.name in plain:
            return plain[activation.name](value)
        if isinstance(activation, ClippedRelu):
            return min(max(value, Fraction(0)), activation.ceiling)
        if value == 0 and activation.name in ("gelu", "silu", "tanh", "gelu with tanh"):
            return value
        raise IrrationalError

    def weights(self, scores: Row, temperature: Temperature, key_size: int, shift: Row | None) -> Row:
        largest = max(score for score in scores if score is not None)
        if isinstance(temperature, RationalSoftmax):
            if any(score is not None and (score - largest).denominator != 1 for score in scores):
                raise IrrationalError
            factors = [0 if score is None else Fraction(temperature.q) ** int(score - largest) for score in scores]
        else:
            assert isinstance(temperature, Hardmax)
            factors = [Fraction(int(score == largest)) for score in scores]
        return [factor / sum(factors) for factor in factors]


class TrueBalls(Kit):
    """Balls that hold the true value; use it at a precision of its own."""

    def number(self, value: Fraction) -> flint.arb:
        return flint.arb(flint.fmpq(value.numerator, value.denominator))

    def rounded(self, value: Any, roundings: int = 1) -> Any:
        return value

    def spread(self, value: Any, size: Any, roundings: int) -> Any:
        return value

    def root(self, value: flint.arb) -> flint.arb:
        assert value > 0
        return flint.arb(value.sqrt())

    def activation(self, activation: Activation, value: flint.arb) -> flint.arb:
        if isinstance(activation, ClippedRelu):
            return value.max(flint.arb(0)).min(self.number(activation.ceiling))
        root_of_two, one = flint.arb(2).sqrt(), flint.arb(1)
        plain: Mapping[str, Callable[[flint.arb], flint.arb]] = {
            "relu": lambda x: x.max(flint.arb(0)),
            "identity": lambda x: x,
            "abs": abs,
            "square": lambda x: x * x,
            "sigmoid": lambda x: one / (one + (-x).exp()),
            "silu": lambda x: x / (one + (-x).exp()),
            "tanh": lambda x: x.tanh(),
            "gelu": lambda x: x * (one + (x / root_of_two).erf()) / 2,
            "gelu with tanh": lambda x: (
                x * (one + ((2 / flint.arb.pi()).sqrt() * (x + flint.arb(44715) / 10**6 * x**3)).tanh()) / 2
            ),
        }
        return flint.arb(plain[activation.name](value))

    def exponentials(self, exponents: Row) -> Row:
        middle = next(value for value in exponents if value is not None)
        return [None if value is None else (value - middle).exp() for value in exponents]

    def scaled(self, score: Any, temperature: Temperature, key_size: int) -> Any:
        if isinstance(temperature, RationalSoftmax):
            return score * self.number(Fraction(temperature.q)).log()
        assert isinstance(temperature, Softmax)
        gap = flint.arb(temperature.inverse_temperature) / flint.arb(key_size).sqrt()
        return self.rounded(score * gap, 3)  # the root, the quotient, the product; or a quotient by the root

    def weights(self, scores: Row, temperature: Temperature, key_size: int, shift: Row | None) -> Row:
        added = [None] * len(scores) if shift is None else shift
        exponents = []
        for score, more in zip(scores, added, strict=True):
            scaled = None if score is None else self.scaled(score, temperature, key_size)
            exponents.append(scaled if scaled is None or more is None else self.total([scaled, more]))
        factors = self.exponentials(exponents)
        whole = self.total([factor for factor in factors if factor is not None])
        return [self.number(Fraction(0)) if factor is None else self.rounded(factor / whole) for factor in factors]


class Float64Balls(TrueBalls):
    """Balls that hold whatever float64 may compute: every result is widened by its roundings.

    ``u = 2^-53`` for each, and the smallest number above 0 where a result underflows. ``exp`` is right within three
    units in the last place, ``6u`` of itself, and activations within their own allowance.
    """

    unit = float(FORMATS["float64"].unit_roundoff)
    smallest = 2.0**-1074

    def number(self, value: Fraction) -> flint.arb:
        held = super().number(value)
        return held if Fraction(float(value)) == value else self.rounded(held)

    def rounded(self, value: Any, roundings: int = 1) -> Any:
        return self.spread(value, abs(value), roundings)

    def spread(self, value: Any, size: Any, roundings: int) -> Any:
        # (1 + u)^n - 1 < n u + (n u)^2 for n u < 1
        radius = float(size.upper()) * roundings * self.unit * (1 + roundings * self.unit) * (1 + 2.0**-20)
        return flint.arb(value + flint.arb(0, radius + roundings * self.smallest))

    def root(self, value: flint.arb) -> flint.arb:
        found: flint.arb = self.rounded(super().root(value))
        return found

    def activation(self, activation: Activation, value: flint.arb) -> flint.arb:
        low, high = activation.enclosure(value.lower(), value.upper())
        found = low.union(high)
        allowed = activation.error(FORMATS["float64"])
        wide = self.spread(found, abs(found), 2 * allowed.ulps)
        return flint.arb(wide + flint.arb(0, float(allowed.absolute)))

    def exponentials(self, exponents: Row) -> Row:
        seen = [value for value in exponents if value is not None]
        range_ = max(float(value.upper()) for value in seen) - min(float(value.lower()) for value in seen)
        middle = seen[0]
        found = []
        for value in exponents:
            # a program takes the largest one off, which rounds by u of a difference
            shifted = None if value is None else (value - middle) + flint.arb(0, 2 * self.unit * range_)
            found.append(None if shifted is None else self.rounded(_whole_exp(shifted), 6))
        return found


def _whole_exp(value: flint.arb) -> flint.arb:
    return value.lower().exp().union(value.upper().exp())


class Plain:
    """A transformer on lists of numbers.

    Attributes:
        steps: intermediates by the names that traces have: scores and outputs of heads, outputs of layers.

    """

    def __init__(self, exact: ExactTransformer, kit: Kit, temperature: Temperature, *, causal: bool = True) -> None:
        self.exact, self.kit, self.temperature, self.causal = exact, kit, temperature, causal
        self.steps: dict[str, Rows] = {}

    def _matrix(self, matrix: ExactMatrix) -> Rows:
        return [[self.kit.number(value) for value in row] for row in matrix.to_fractions()]

    def _vector(self, matrix: ExactMatrix | None, size: int, default: int = 0) -> Row:
        if matrix is None:
            return [self.kit.number(Fraction(default))] * size
        return [row[0] for row in self._matrix(matrix)]

    def embedded(self, tokens: Sequence[int]) -> Rows:
        table = self._matrix(self.exact.embedding)
        return [[row[token] for row in table] for token in tokens]

    def logits(self, embedded: Rows) -> Rows:
        size, positions = self.exact.context_size, self.exact.positions
        if isinstance(positions, OneHot):
            one_hot = [[self.kit.number(Fraction(int(at == place))) for at in range(size)] for place in range(size)]
            rows = [row + one_hot[place] for place, row in enumerate(embedded)]
        elif isinstance(positions, Added):
            table = self._matrix(positions.table)
            rows = [
                [self.kit.total([value, table[at][place]]) for at, value in enumerate(row)]
                for place, row in enumerate(embedded)
            ]
        else:
            rows = embedded
        return self._through(self.exact.layers, rows)

    def _through(self, layers: Sequence[Any], rows: Rows) -> Rows:
        for layer in layers:
            rows = self._layer(layer, rows)
        return rows

    def _layer(self, layer: Any, rows: Rows) -> Rows:
        if isinstance(layer, Linear):
            found = [
                [self.kit.activation(layer.function, value) for value in row]
                for row in self._affine(layer.weight, layer.bias, rows)
            ]
        elif isinstance(layer, Norm):
            found = [self._normed(layer, row) for row in rows]
        elif isinstance(layer, Residual):
            found = self._added([rows, self._through(layer.layers, rows)])
        elif isinstance(layer, Chain):
            return self._through(layer.layers, rows)
        elif isinstance(layer, Sum):
            found = self._added([self._layer(branch, rows) for branch in layer.branches])
        elif isinstance(layer, Gated):
            gate, value = self._layer(layer.gate, rows), self._layer(layer.value, rows)
            found = [
                [self.kit.product(a, b) for a, b in zip(*pair, strict=True)] for pair in zip(gate, value, strict=True)
            ]
        else:
            assert isinstance(layer, Attention)
            found = self._attention(layer, rows)
        self.steps[layer.name] = found
        return found

    def _added(self, parts: list[Rows]) -> Rows:
        return [
            [self.kit.total(list(values)) for values in zip(*(part[place] for part in parts), strict=True)]
            for place in range(len(parts[0]))
        ]

    def _affine(self, weight: ExactMatrix, bias: ExactMatrix | None, rows: Rows) -> Rows:
        matrix, shift = self._matrix(weight), self._vector(bias, weight.shape[0])
        kit = self.kit
        return [
            [
                kit.total([*(kit.product(a, b) for a, b in zip(line, row, strict=True)), more])
                for line, more in zip(matrix, shift, strict=True)
            ]
            for row in rows
        ]

    def _normed(self, layer: Norm, row: Row) -> Row:
        kit, width = self.kit, len(row)
        middle = kit.rounded(kit.total(row) / width, 2) if type(layer).__name__ == "LayerNorm" else 0 * row[0]
        moved = [kit.total([value, -middle]) for value in row]
        squares = kit.total([kit.product(value, value) for value in moved])
        # other programs take the variance in one pass: a few roundings of the mean square, the mean left in
        whole = kit.total([kit.product(value, value) for value in row])
        squares = kit.spread(squares, whole, width + 4)
        under = squares if type(layer).__name__ == "L2Norm" else kit.rounded(squares / width, 2)
        length = kit.rounded(kit.root(kit.total([under, kit.number(Fraction(layer.eps))])), 3)
        scale, shift = self._vector(layer.weight, width, 1), self._vector(layer.bias, width)
        found = []
        for value, centred, factor, more in zip(row, moved, scale, shift, strict=True):
            # or as x/length - mean/length, or with the weight multiplied first
            size = (abs(value) + abs(middle)) / length
            normed = kit.spread(kit.rounded(centred / length), size, 4)
            found.append(kit.total([kit.spread(kit.product(normed, factor), size * abs(factor), 4), more]))
        return found

    def _attention(self, layer: Attention, rows: Rows) -> Rows:
        kit, held, outputs = self.kit, dict[str, tuple[Rows, Rows]](), list[Rows]()
        for head in layer.heads:
            queries = self._turned(head, self._affine(head.query, head.query_bias, rows))
            if head.shares is None:
                assert head.key is not None
                assert head.value is not None
                keys = self._turned(head, self._affine(head.key, head.key_bias, rows))
                held[head.name] = keys, self._affine(head.value, head.value_bias, rows)
            else:
                held[head.name] = held[head.shares]
            keys, values = held[head.name]
            table = None if head.score_bias is None else self._matrix(head.score_bias)
            scores = [[kit.dot(query, key) for key in keys] for query in queries]
            if table is not None and not head.bias_after_scaling:
                scores = [[kit.total([b, table[i][j]]) for j, b in enumerate(row)] for i, row in enumerate(scores)]
            made = []
            for i, row in enumerate(scores):
                seen = [score if self._sees(layer, i, j) else None for j, score in enumerate(row)]
                shift = table[i][: len(row)] if table is not None and head.bias_after_scaling else None
                weights = kit.weights(seen, self.temperature, head.key_size, shift)
                made.append([kit.dot(weights, column) for column in zip(*values, strict=True)])
            self.steps[f"{layer.name}.{head.name}.scores"] = scores
            self.steps[f"{layer.name}.{head.name}.output"] = made
            outputs.append(made)
        if layer.output is None:
            return self._added(outputs)
        beside = [[value for made in outputs for value in made[place]] for place in range(len(rows))]
        return self._affine(layer.output, layer.output_bias, beside)

    def _turned(self, head: Head, rows: Rows) -> Rows:
        if head.rotary is None:
            return rows
        kit, rotary = self.kit, head.rotary
        cosines, sines = self._matrix(rotary.cosines), self._matrix(rotary.sines)
        turn = rotary.turn.to_fractions()
        found = []
        for place, row in enumerate(rows):
            across = [
                kit.total([kit.number(factor) * value for factor, value in zip(line, row, strict=True) if factor])
                for line in turn
            ]
            found.append(
                [
                    kit.total([kit.product(row[at], cosines[at][place]), kit.product(across[at], sines[at][place])])
                    for at in range(len(row))
                ]
            )
        return found

    def _sees(self, layer: Attention, query: int, key: int) -> bool:
        mask = layer.mask
        if isinstance(mask, Window):
            return key <= query < key + mask.size
        if isinstance(mask, Table):
            return mask.rows[query][key]
        causal = self.causal if mask is None else mask.causal
        return key <= query or not causal


def outside(bounds: Any, value: float) -> bool:
    """Return whether a float is outside a ball, or no number."""
    return not bool(bounds.contains(flint.arb(value))) if np.isfinite(value) else True
