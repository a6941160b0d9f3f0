"""Floats with torch, the batch in the last axis: the arithmetic of the engine.

The same operations as in the dense arithmetic, and the same numbers up to the order of sums: a weight that is 0 is no
work and one that is 1 no product; what is the same for all sequences, such as the attention that position codes give,
is computed once. A dense weight is a matrix product, a sparse one is written out.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, final

import numpy as np
import torch
from jaxtyping import Int

from constructions.exact_matrix import ExactMatrix
from constructions.formats import Format, get_format
from constructions.ratios import Ratios
from constructions.validation import InvalidArgument
from verify.arithmetic.families import ENGINE
from verify.arithmetic.spec import Spec
from verify.arithmetic.tensors import TorchArithmetic
from verify.engine.layers import EngineLayers
from verify.engine.rows import EngineRows, EngineScores, EngineWeight
from verify.engine.strips import Piece, Strip, paired, rows_of, stacked

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
class EngineArithmetic(EngineLayers):
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
