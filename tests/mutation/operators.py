"""Mutation operators: what is done to a matrix, to one of its entries, to a layer, to the virtual tokens."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from fractions import Fraction

import numpy as np

from constructions import Attention, Linear, Ratios, Transformer
from tests.mutation.mutated import Change, PromptChange, Rows, with_relu, without_relu

MatrixOperator = Callable[[Rows], Rows]


def _scaled(factor: Fraction) -> MatrixOperator:
    return lambda rows: [[factor * value for value in row] for row in rows]


def _zeroed(place: int) -> MatrixOperator:
    return lambda rows: [
        [Fraction(0)] * len(row) if index == place % len(rows) else row for index, row in enumerate(rows)
    ]


def _columns(operator: MatrixOperator) -> MatrixOperator:
    return lambda rows: transposed(operator(transposed(rows)))


def transposed(rows: Rows) -> Rows:
    return [list(column) for column in zip(*rows, strict=True)]


#: Operators on a whole matrix. One that gives a matrix of another shape is not applied, so transposing is for square
#: ones; a shift by one row of a bias or a readout is a shift by one token.
MATRIX: Mapping[str, MatrixOperator] = {
    "negated": _scaled(Fraction(-1)),
    "doubled": _scaled(Fraction(2)),
    "halved": _scaled(Fraction(1, 2)),
    "zeroed": _scaled(Fraction(0)),
    "transposed": transposed,
    "rows shifted by one": lambda rows: [rows[-1], *rows[:-1]],
    "columns shifted by one": _columns(lambda rows: [rows[-1], *rows[:-1]]),
    "two rows swapped": lambda rows: [*rows[1::-1], *rows[2:]],
    "two columns swapped": _columns(lambda rows: [*rows[1::-1], *rows[2:]]),
    "first row zeroed": _zeroed(0),
    "last row zeroed": _zeroed(-1),
    "ones added": lambda rows: [[value + 1 for value in row] for row in rows],
}


def entry(row: int, column: int, change: Callable[[Fraction], Fraction]) -> MatrixOperator:
    """Return the operator that changes one entry."""

    def changed(rows: Rows) -> Rows:
        copy = [list(values) for values in rows]
        copy[row][column] = change(copy[row][column])
        return copy

    return changed


def nth_entry(index: int, change: Callable[[Fraction], Fraction]) -> MatrixOperator:
    """Return the operator that changes one of the entries that are not 0, counted row by row: one at every size."""

    def changed(rows: Rows) -> Rows:
        places = [(row, column) for row, values in enumerate(rows) for column, value in enumerate(values) if value]
        return entry(*places[index], change)(rows)

    return changed


def same_shape(rows: Rows, changed: Rows) -> bool:
    return [len(row) for row in rows] == [len(row) for row in changed]


def layer_changes(transformer: Transformer) -> Iterator[tuple[str, str, Change]]:
    """Yield ``(operator, place, change)`` for whole layers: ReLUs missing or extra, heads exchanged, lost, doubled."""
    for index, layer in enumerate(transformer.layers):
        if isinstance(layer, Linear):
            if layer.has_relu:
                yield "ReLU missing", layer.name, without_relu(layer.name)
            elif index < len(transformer.layers) - 1:
                yield "ReLU extra", layer.name, with_relu(layer.name)
            continue
        assert isinstance(layer, Attention)
        for place, head in enumerate(layer.heads):
            yield "query and key exchanged", f"{layer.name}.{head.name}", _heads(index, place, "exchange")
            yield "head lost", f"{layer.name}.{head.name}", _heads(index, place, "lose")
            yield "head counted twice", f"{layer.name}.{head.name}", _heads(index, place, "double")


def _heads(index: int, place: int, what: str) -> Change:
    def changed(transformer: Transformer) -> Transformer:
        layers = list(transformer.layers)
        attention = layers[index]
        assert isinstance(attention, Attention)
        heads = list(attention.heads)
        head = heads[place]
        if what == "exchange":
            heads[place] = replace(head, query=head.key, key=head.query)
        elif what == "lose":
            del heads[place]
        else:
            heads.append(replace(head, name=f"{head.name} again"))
        layers[index] = replace(attention, heads=tuple(heads))
        return replace(transformer, layers=tuple(layers))

    return changed


def _numerators(change: Callable[[Ratios], np.ndarray[tuple[int, ...], np.dtype[np.int64]]]) -> PromptChange:
    return lambda ratios: Ratios(change(ratios), ratios.denominator)


#: Operators on the virtual tokens, numerators over one denominator, of shape batch x virtual tokens x embedding size.
PROMPT: Mapping[str, PromptChange] = {
    "encoding off by one token": _numerators(lambda ratios: ratios.numerators + 1),
    "encoding one token too low": _numerators(lambda ratios: ratios.numerators - 1),
    "encoding for a vocabulary of one more": lambda ratios: Ratios(ratios.numerators, ratios.denominator + 1),
    "encoding for a vocabulary of one less": lambda ratios: Ratios(ratios.numerators, ratios.denominator - 1),
    "encoding without its denominator": lambda ratios: Ratios(ratios.numerators, 1),
    "encoding negated": _numerators(lambda ratios: -ratios.numerators),
    "encoding doubled": _numerators(lambda ratios: 2 * ratios.numerators),
    "encoding zero": _numerators(lambda ratios: 0 * ratios.numerators),
    "encoding half a token too high": lambda ratios: Ratios(2 * ratios.numerators + 1, 2 * ratios.denominator),
    "encoding half a token too low": lambda ratios: Ratios(2 * ratios.numerators - 1, 2 * ratios.denominator),
    "encoding shifted by one coordinate": _numerators(lambda ratios: np.roll(ratios.numerators, 1, axis=2)),
    "encoding in reverse order": _numerators(lambda ratios: ratios.numerators[:, :, ::-1].copy()),
    "virtual tokens in reverse order": _numerators(lambda ratios: ratios.numerators[:, ::-1].copy()),
    "first coordinate lost": _numerators(
        lambda ratios: np.where(np.arange(ratios.shape[2]) == 0, 0, ratios.numerators)
    ),
}
