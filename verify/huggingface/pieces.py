"""Every weight of a decoder with its place in the tensors of a stock model; all other entries there are 0."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from constructions.exact_matrix import ExactMatrix, Leaf
from constructions.formats import Format
from constructions.layers import Linear, Norm
from constructions.validation import InvalidArgument
from verify.huggingface.blocks import AttentionPart, Decoder, MlpPart
from verify.huggingface.families import Slot
from verify.huggingface.fitting import Fitted
from verify.huggingface.seats import Seat


@dataclass(frozen=True, eq=False)
class Piece:
    """Rows and columns of an exact matrix, and where they lie.

    Attributes:
        where: the layer in words, for messages.
        matrix: the exact matrix.
        slot: its place.
        rows: the rows that lie there, all where ``None``.
        columns: the columns that lie there, all where ``None``.
        silent: whether a model without the tensor computes the same: a bias of 0, a norm's weight of 1.

    """

    where: str
    matrix: ExactMatrix
    slot: Slot
    rows: Int[np.ndarray, " rows"] | None = None
    columns: Int[np.ndarray, " columns"] | None = None
    silent: bool = False

    def numbers(self, fmt: Format) -> Float[np.ndarray, "rows columns"]:
        """Return the entries, correctly rounded.

        Raises:
            InvalidArgument: one is beyond the largest number of the format.

        """
        try:
            found = self.matrix.to_numpy(fmt)
        except OverflowError:
            raise InvalidArgument(
                f"dtype: expected a format that holds the weights of {self.where} but {fmt.name} ends at"
                f" {float(fmt.largest):g}"
            ) from None
        found = found if self.rows is None else found[self.rows]
        return found if self.columns is None else found[:, self.columns]


def pieces_of(fitted: Fitted) -> Iterator[Piece]:
    """Yield every weight with its place."""
    decoder, sizes = fitted.decoder, fitted.sizes
    yield _At(fitted, "the embedding").weight("embedding", decoder.exact.embedding)
    if decoder.positions is not None:
        yield _At(fitted, "the table of positions").weight("positions", decoder.positions)
    for index in range(sizes.blocks):
        block = fitted.blocks[index] if index < len(fitted.blocks) else None
        seats = fitted.seats[index] if index < len(fitted.blocks) else ()
        yield from _attention(fitted, None if block is None else block.attention, seats, index)
        yield from _mlp(fitted, None if block is None else block.mlp, index)
    yield from _norm(fitted, decoder.norm, "norm")
    if sizes.tied:
        _check_tied(decoder)
    else:
        yield from _linear(fitted, decoder.readout, "readout")


def expected_tensors(
    fitted: Fitted, shapes: Mapping[str, tuple[int, ...]], fmt: Format
) -> Iterator[tuple[str, Float[np.ndarray, " ..."]]]:
    """Yield every tensor of a stock model by its name, with the numbers that it holds, as float64.

    Args:
        fitted: the decoder in the model's sizes.
        shapes: of the model's tensors, by name.
        fmt: the format that every weight is rounded to.

    Raises:
        InvalidArgument: the model has no tensor for a weight that changes what it computes, or the format does not hold
            one.

    """
    held: dict[str, list[Piece]] = {name: [] for name in shapes}
    for piece in pieces_of(fitted):
        if piece.slot.tensor in held:
            held[piece.slot.tensor].append(piece)
        elif not piece.silent:
            raise InvalidArgument(
                f"family: expected one with a {piece.slot.tensor.rpartition('.')[2]} for {piece.where}, but this"
                f" {fitted.family.model_class} has no {piece.slot.tensor}"
            )
    for name, pieces in held.items():
        made = np.zeros(shapes[name])
        matrix = made[:, None] if made.ndim == 1 else made
        for piece in pieces:
            _fill(matrix.T if piece.slot.transposed else matrix, piece, fmt)
        yield name, made


def _fill(matrix: Float[np.ndarray, "rows columns"], piece: Piece, fmt: Format) -> None:
    numbers, slot = piece.numbers(fmt), piece.slot
    rows, columns = numbers.shape
    there = matrix[slot.row : slot.row + rows, slot.column : slot.column + columns]
    assert there.shape == numbers.shape, f"{piece.where} does not fit {slot}"
    there[:] = numbers


def _check_tied(decoder: Decoder) -> None:
    """Refuse a readout that is not the embedding, where a stock model has one tensor for both."""
    embedding = {(column, row): value for row, column, value in decoder.exact.embedding.nonzero()}
    readout = {(row, column): value for row, column, value in decoder.readout.weight.nonzero()}
    bias = decoder.readout.bias
    if embedding != readout or not (bias is None or _is_zero(bias)):
        raise InvalidArgument(
            f"config: expected tie_word_embeddings=False, as layer {decoder.readout.name} is not the embedding, but got"
            " True"
        )


@dataclass(frozen=True, eq=False)
class _At:
    """A block, or a head of one, whose weights are placed."""

    fitted: Fitted
    where: str
    block: int = 0
    head: int = 0

    def weight(self, part: str, matrix: ExactMatrix, **chosen: Any) -> Piece:
        slot = self.fitted.family.slot(part, "weight", self.fitted.sizes, block=self.block, head=self.head)
        return Piece(self.where, matrix, slot, **chosen)

    def bias(self, part: str, bias: ExactMatrix | None, **chosen: Any) -> Iterator[Piece]:
        if bias is not None:
            slot = self.fitted.family.slot(part, "bias", self.fitted.sizes, block=self.block, head=self.head)
            yield Piece(self.where, bias, slot, silent=_is_zero(bias), **chosen)


def _norm(fitted: Fitted, norm: Norm[ExactMatrix] | None, part: str, block: int = 0) -> Iterator[Piece]:
    """Yield a norm; one that stands before nothing has ones."""
    at = _At(fitted, "a norm before nothing" if norm is None else f"layer {norm.name}", block)
    weight = None if norm is None else norm.weight
    ones = _ones(fitted.sizes.width)
    yield at.weight(part, ones if weight is None else weight, silent=weight is None or _is_ones(weight))
    yield from at.bias(part, None if norm is None else norm.bias)


def _linear(fitted: Fitted, layer: Linear[ExactMatrix], part: str, block: int = 0) -> Iterator[Piece]:
    at = _At(fitted, f"layer {layer.name}", block)
    yield at.weight(part, layer.weight)
    yield from at.bias(part, layer.bias)


def _mlp(fitted: Fitted, mlp: MlpPart | None, block: int) -> Iterator[Piece]:
    yield from _norm(fitted, None if mlp is None else mlp.norm, "mlp norm", block)
    if mlp is not None:
        if mlp.gate is not None:
            yield from _linear(fitted, mlp.gate, "gate", block)
        yield from _linear(fitted, mlp.up, "up", block)
        yield from _linear(fitted, mlp.down, "down", block)


def _attention(fitted: Fitted, part: AttentionPart | None, seats: tuple[Seat, ...], block: int) -> Iterator[Piece]:
    yield from _norm(fitted, None if part is None else part.norm, "attention norm", block)
    if part is None:
        return
    shared = fitted.sizes.heads // fitted.sizes.groups
    projection = _identity(fitted.sizes.width) if part.layer.output is None else part.layer.output
    for index, seat in enumerate(seats):
        at = _At(fitted, seat.where, block, index)
        if seat.head.key_size <= fitted.sizes.head_size:  # larger ones, if all scores are 0, need not be there
            yield at.weight("query", seat.head.query)
            yield from at.bias("query", seat.head.query_bias)
        if index % shared == 0:
            yield from _keys_and_values(_At(fitted, seat.where, block, index // shared), seat)
        yield at.weight("output", projection, columns=seat.outputs)
    yield from _At(fitted, f"layer {part.layer.name}", block).bias("output", part.layer.output_bias)


def _keys_and_values(at: _At, seat: Seat) -> Iterator[Piece]:
    source = seat.source
    if source.key_size <= at.fitted.sizes.head_size:
        yield at.weight("key", source.own_key)
        yield from at.bias("key", source.key_bias)
    yield at.weight("value", source.own_value, rows=seat.values)
    yield from at.bias("value", source.value_bias, rows=seat.values)


def _identity(size: int) -> ExactMatrix:
    return ExactMatrix((size,), (size,), {(0, 0): Leaf("identity")})


def _ones(size: int) -> ExactMatrix:
    return ExactMatrix((size,), (1,), {(0, 0): Leaf("constant")})


def _is_zero(matrix: ExactMatrix) -> bool:
    return next(matrix.nonzero(), None) is None


def _is_ones(matrix: ExactMatrix) -> bool:
    entries = [value for _, _, value in matrix.nonzero()]
    return len(entries) == matrix.shape[0] and all(value == 1 for value in entries)
