"""Floats with torch, the batch in the last axis: the arithmetic of the engine.

The same operations as in the dense arithmetic, and the same numbers up to the order of sums: a weight that is 0 is no
work and one that is 1 no product; what is the same for all sequences, such as the attention that position codes give,
is computed once. A dense weight is a matrix product, a sparse one is written out.

One class of a little over 300 lines: an operation for each of those that layers are made of, but for attention's.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any, ClassVar, final

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from constructions.activations import Activation
from constructions.exact_matrix import ExactMatrix
from constructions.formats import Format, get_format, round_to_format
from constructions.ratios import Ratios
from constructions.validation import InvalidArgument
from verify.arithmetic.families import ENGINE
from verify.arithmetic.spec import Spec
from verify.arithmetic.tensors import TorchArithmetic
from verify.engine.attention import EngineAttention
from verify.engine.rows import EngineRows, EngineScores, EngineWeight, multiplied
from verify.engine.strips import (
    Constants,
    Piece,
    Strip,
    assembled,
    paired,
    rows_of,
    stacked,
    times,
)

if TYPE_CHECKING:
    from constructions.construction import Construction
    from verify.arithmetic.base import AtOnce
    from verify.engine.ranks import EngineRanks


@dataclass(eq=False)
class _Run:
    """What an arithmetic keeps of a run: the cases that it expects, and what ran them at once."""

    rest: int | None = None
    made: list[EngineRanks] = field(default_factory=list)


@final
class EngineArithmetic(EngineAttention):
    """Torch tensors with the batch in the last axis.

    Example:
        >>> from constructions import UnconditionalGeneration
        >>> from verify import exhaust
        >>> exhaust(UnconditionalGeneration(4, 3), EngineArithmetic("float32")).holds
        True

    """

    batched: ClassVar[bool] = True

    fmt: Format
    spec: Spec
    device = "cpu"

    def __init__(self, dtype: str = "float32") -> None:
        """Hold numbers as ``dtype``.

        Raises:
            InvalidArgument: another format than float32 or float64: of the formats of 16 bits torch's fused kernels
                round some intermediates and not others.

        """
        if get_format(dtype).name not in ENGINE.formats:
            raise InvalidArgument(f"dtype: expected {' or '.join(ENGINE.formats)} in the engine but got {dtype!r}")
        self.fmt = get_format(dtype)
        self.torch_dtype: torch.dtype = getattr(torch, dtype)
        self.dtype = np.dtype(dtype)
        self.spec = ENGINE.spec(dtype)
        self.name = self.spec.name
        self._run = _Run()

    def running(self) -> AbstractContextManager[None]:
        """Return torch without gradients, on one thread; floats overflow silently.

        Blocks are made to fit the cache of one core. More cores are for more processes.
        """
        return _running()

    def dense(self) -> TorchArithmetic:
        """Return the dense arithmetic of the same format."""
        return TorchArithmetic(self.fmt.name)

    # what comes in ----------------------------------------------------------------------------------------------------

    def weight(self, matrix: ExactMatrix) -> EngineWeight:
        """Return the entries that are not 0, every one correctly rounded."""
        dense = matrix.to_numpy(self.fmt).astype(self.dtype)
        rows, columns = np.nonzero(dense)
        return EngineWeight(matrix.shape, rows, columns, dense[rows, columns])

    def prompt(self, virtual_tokens: Ratios) -> EngineRows:
        """Return the virtual tokens, every entry correctly rounded."""
        values = torch.from_numpy(virtual_tokens.to_float(self.fmt).astype(self.dtype))
        cases, virtual, width = values.shape
        live = values.permute(2, 1, 0)[:, :, None, :].contiguous()
        constant = np.zeros((width, virtual), dtype=self.dtype)
        pieces = (Piece(tuple(range(virtual)), live),) if virtual else ()
        return EngineRows((Strip(constant, pieces),), cases)

    def embed(self, embedding: EngineWeight, tokens: Int[np.ndarray, "batch length"]) -> EngineRows:
        """Return the columns of the embedding as rows; those of a single sequence are constants."""
        cases, length = tokens.shape
        table = embedding.dense()
        if cases == 1:
            return EngineRows((Strip(table[:, tokens[0]]),), 1)
        found = []
        known = np.zeros(embedding.shape[0], dtype=np.bool_)
        known[embedding.rows] = True
        edges = [0, *(np.flatnonzero(np.diff(known)) + 1).tolist(), len(known)]
        for start, stop in itertools.pairwise(edges):
            constant = np.zeros((stop - start, length), dtype=self.dtype)
            pieces: tuple[Piece, ...] = ()
            if known[start] and length:
                live = torch.from_numpy(table[start:stop][:, tokens.T])[:, :, None, :]
                pieces = (Piece(tuple(range(length)), live),)
            found.append(Strip(constant, pieces))
        return EngineRows(tuple(found), cases)

    def positions(self, context_size: int, start: int, stop: int) -> EngineRows:
        """Return columns of the identity, the same for all sequences."""
        return EngineRows((Strip(np.eye(context_size, dtype=self.dtype)[:, start:stop]),), 1)

    # rows -------------------------------------------------------------------------------------------------------------

    def beside(self, left: EngineRows, right: EngineRows) -> EngineRows:
        """Return the strips of both."""
        return EngineRows(left.strips + right.strips, max(left.batch, right.batch))

    def below(self, top: EngineRows, bottom: EngineRows) -> EngineRows:
        """Return the positions one after another."""
        found = []
        for upper, lower in paired(top.strips, bottom.strips):
            moved = (Piece(tuple(place + top.length for place in places), value) for places, value in lower.pieces)
            found.append(Strip(np.concatenate([upper.constant, lower.constant], axis=1), (*upper.pieces, *moved)))
        return EngineRows(tuple(found), max(top.batch, bottom.batch))

    def last(self, rows: EngineRows) -> EngineRows:
        """Return the last position."""
        return self.at(rows, [rows.length - 1])

    def at(self, rows: EngineRows, places: Sequence[int]) -> EngineRows:
        """Return some of the positions, in the order in which they are named."""
        found = []
        for strip in rows.strips:
            pieces = []
            for piece in strip.pieces:
                here = [(new, piece.places.index(old)) for new, old in enumerate(places) if old in piece.places]
                if here:
                    pieces.append(Piece(tuple(new for new, _ in here), rows_of(piece.value, [old for _, old in here])))
            found.append(Strip(strip.constant[:, list(places)], tuple(pieces)))
        return EngineRows(tuple(found), rows.batch)

    # layers -----------------------------------------------------------------------------------------------------------

    def linear(self, rows: EngineRows, weight: EngineWeight, bias: EngineWeight | None = None) -> EngineRows:
        """Return ``W x + b``: written out where the weight reads each coordinate twice on average, or less.

        A matrix product writes every coordinate once more, side by side, and reads it: two passes over memory. As many
        entries as that cost no more when they are written out, one product and one sum each.
        """
        height, length = weight.shape[0], rows.length
        known = np.concatenate([strip.constant for strip in rows.strips])
        constant = np.zeros((height, length), dtype=self.dtype)
        np.add.at(constant, weight.rows, weight.values[:, None] * known[weight.columns])
        if bias is not None:
            constant[bias.rows] += bias.values[:, None]
        live = np.concatenate([np.full(strip.width, bool(strip.pieces)) for strip in rows.strips])
        used = live[weight.columns]
        if not used.any():
            return EngineRows((Strip(constant),), rows.batch)
        if used.sum() <= 2 * live.sum():
            strips = self._written_out(rows, weight, used, constant)
        else:
            strips = (self._product(rows, weight, live, constant),)
        return EngineRows(strips, rows.batch)

    def _written_out(
        self, rows: EngineRows, weight: EngineWeight, used: np.ndarray[Any, Any], constant: Constants
    ) -> tuple[Strip, ...]:
        single: dict[int, Strip] = {}
        start = 0
        for strip in rows.strips:
            if strip.pieces:
                single |= {start + place: strip.part(place, place + 1) for place in range(strip.width)}
            start += strip.width
        terms: dict[int, list[list[Piece]]] = {}
        for row, column, value in zip(
            weight.rows[used].tolist(), weight.columns[used].tolist(), weight.values[used], strict=True
        ):
            scaled = [Piece(places, times(part, np.array([[value]]))) for places, part in single[column].pieces]
            terms.setdefault(row, []).append(scaled)
        found, start = [], 0
        for row in sorted(terms):
            if row > start:
                found.append(Strip(constant[start:row]))
            found.append(assembled(constant[row : row + 1], terms[row]))
            start = row + 1
        if start < weight.shape[0]:
            found.append(Strip(constant[start:]))
        return tuple(found)

    def _product(
        self, rows: EngineRows, weight: EngineWeight, live: np.ndarray[Any, Any], constant: Constants
    ) -> Strip:
        read = np.zeros(weight.shape[1], dtype=np.bool_)
        read[weight.columns] = True
        chosen = read & live
        kept, start = [], 0
        for strip in rows.strips:
            here = chosen[start : start + strip.width]
            bare = Strip(np.zeros_like(strip.constant), strip.pieces)
            kept += [bare] if here.all() else [bare.part(place, place + 1) for place in np.flatnonzero(here).tolist()]
            start += strip.width
        ((places, value),) = stacked(kept).pieces
        dense = torch.from_numpy(weight.dense()[:, chosen])
        made = torch.mul(dense[:, :, None, None], value) if len(value) == 1 else torch.tensordot(dense, value, dims=1)
        return assembled(constant, [[Piece(places, made)]])

    def relu(self, rows: EngineRows) -> EngineRows:
        """Return ``max(0, .)``."""
        return EngineRows(tuple(strip.changed(torch.relu) for strip in rows.strips), rows.batch)

    def pointwise(self, rows: EngineRows, activation: Activation) -> EngineRows:
        """Return the activation by torch's own function."""
        return EngineRows(tuple(strip.changed(activation.torch) for strip in rows.strips), rows.batch)

    def total(self, parts: Sequence[EngineRows]) -> EngineRows:
        """Return the sum, coordinate by coordinate."""
        found = []
        for strips in paired(*(part.strips for part in parts)):
            constant = sum((strip.constant for strip in strips[1:]), start=strips[0].constant)
            found.append(assembled(constant, [strip.pieces for strip in strips]))
        return EngineRows(tuple(found), max(part.batch for part in parts))

    def multiply(self, left: EngineRows, right: EngineRows) -> EngineRows:
        """Return the product, coordinate by coordinate; a factor of 0 at all positions leaves nothing."""
        found = []
        for one, other in paired(left.strips, right.strips):
            found.append(multiplied(one, other))
        return EngineRows(tuple(found), max(left.batch, right.batch))

    def normalise(self, rows: EngineRows, *, centred: bool, mean: bool, eps: Fraction) -> EngineRows:
        """Return the rows over their lengths, by the formula of the dense arithmetic."""
        added = round_to_format(eps, self.fmt)

        def over_length(wide: Tensor) -> Tensor:
            if centred:
                wide = torch.sub(wide, wide.mean(0, keepdim=True))
            squares = torch.mul(wide, wide)
            under = squares.mean(0, keepdim=True) if mean else squares.sum(0, keepdim=True)
            return torch.mul(wide, torch.rsqrt(torch.add(under, added)))

        return EngineRows((stacked(rows.strips).changed(over_length),), rows.batch)

    def affine(self, rows: EngineRows, weight: EngineWeight | None, bias: EngineWeight | None) -> EngineRows:
        """Return ``w * x + b``, the product rounded first."""
        found, start = [], 0
        for strip in rows.strips:
            chosen = slice(start, start + strip.width)
            factor = np.ones((strip.width, 1), self.dtype) if weight is None else weight.dense()[chosen]
            shift = np.zeros((strip.width, 1), self.dtype) if bias is None else bias.dense()[chosen]
            scaled = [Piece(places, times(value, factor)) for places, value in strip.pieces]
            found.append(assembled(strip.constant * factor + shift, [scaled]))
            start += strip.width
        return EngineRows(tuple(found), rows.batch)

    # what comes out ---------------------------------------------------------------------------------------------------

    def argmax(self, logits: EngineRows) -> Int[np.ndarray, "batch rows"]:
        """Return the first coordinate of the largest value of every row."""
        return np.asarray(self.numbers(logits).argmax(-1), dtype=np.int64)

    def numbers(self, rows: EngineRows | EngineScores) -> np.ndarray[Any, Any]:
        """Return float64, which holds every format: cases x positions x coordinates, or cases x queries x keys."""
        if isinstance(rows, EngineRows):
            value = stacked(rows.strips).whole().permute(2, 3, 1, 0)
        else:
            value = rows.value.permute(2, 3, 0, 1)
        held = value.reshape(-1, *value.shape[2:]).to(torch.float64).numpy()
        return np.broadcast_to(held, (rows.batch, *held.shape[1:])) if len(held) == 1 else held

    # many cases at once -----------------------------------------------------------------------------------------------

    def at_once(self, construction: Construction, model: Any, alone: Callable[..., Any]) -> AtOnce | None:
        """Return the enumeration of a construction by one program."""
        if type(self) is not EngineArithmetic:
            return None  # the program embeds and compares by itself; a subclass may do so otherwise
        from verify.engine.ranks import EngineRanks  # noqa: PLC0415 # it runs in this arithmetic

        made = EngineRanks(construction, model, rest=self._run.rest)
        self._run.made.append(made)
        return made

    def expect(self, cases: int) -> None:
        """Forget what ran before, and compile where that pays for so many cases."""
        self._run = _Run(cases)

    def assumptions(self) -> str:
        """Return what a verdict says of how its cases ran."""
        said = [words for made in self._run.made if (words := made.account())]
        return "; ".join(["the engine adds up in an order of its own", *said])


@contextmanager
def _running() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.no_grad(), np.errstate(all="ignore"):
            yield
    finally:
        torch.set_num_threads(threads)
