"""What tokens and positions embed: the place of the number that is read there, and a 1."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import sympy as sp

from constructions import Added, Stream, Transformer, Unmarked
from constructions.expressions import N, V
from constructions.residual.symbols import FIRST
from proofs.decide import Decision, Expr, ObligationFailed, natural, prove_equal
from proofs.symbolic import Given, entry_of

#: For a block of the stream its entry in a row and a column; blocks that are left out hold 0.
_Held = Mapping[str, Callable[[Expr, Expr], Expr]]

#: In Theorem 1 with learned positions: the place of number ``j`` at position ``j + f``, and 1 from position ``f`` on.
_PLACES: _Held = {
    "virtual": lambda _, t: sp.KroneckerDelta(t, 0),
    "place": lambda j, t: sp.KroneckerDelta(t, j + FIRST),
    "content": lambda _, t: 1 - FIRST * sp.KroneckerDelta(t, 0),
}
_COUNTED: _Held = {"content": lambda _, k: sp.S.One}
#: In Theorem 2 the user's token is the place.
_TOKENS: _Held = {"place": sp.KroneckerDelta, "content": lambda _, k: sp.S.One}
_VIRTUAL: _Held = {"virtual": lambda _, t: sp.KroneckerDelta(t, 0)}


def embeds_positions(stream: Stream, transformer: Transformer) -> Iterator[Decision]:
    """Decide that positions tell the place and tokens nothing, in Theorem 1 with learned positions."""
    yield from _holds("a token", stream, transformer.embedding, {})
    yield from _holds("a position", stream, _table(transformer), _PLACES)


def embeds_a_count(stream: Stream, transformer: Transformer) -> Iterator[Decision]:
    """Decide that every token is a 1 and no position anything, in Theorem 1 without learned positions."""
    yield from _holds("a token", stream, transformer.embedding, _COUNTED)
    _unmarked(transformer)


def embeds_tokens(stream: Stream, transformer: Transformer) -> Iterator[Decision]:
    """Decide that tokens tell the place, in Theorem 2, and that the virtual token is marked where positions can."""
    yield from _holds("a token", stream, transformer.embedding, _TOKENS)
    if isinstance(transformer.positions, Added):
        yield from _holds("a position", stream, _table(transformer), _VIRTUAL)
    else:
        _unmarked(transformer)


def _table(transformer: Transformer) -> Any:
    if type(transformer.positions) is not Added:
        raise ObligationFailed("false: a learned vector is added for each position")
    return transformer.positions.table


def _unmarked(transformer: Transformer) -> None:
    if type(transformer.positions) is not Unmarked:
        raise ObligationFailed("false: nothing is added for a position")


def _holds(what: str, stream: Stream, matrix: Any, held: _Held) -> Iterator[Decision]:
    if matrix.blocks.shape != (len(stream.blocks), 1):
        raise ObligationFailed(f"false: {what} has the blocks of the stream")
    # at two places and more, a row and a column of each block: the same, an earlier one, a later one
    low, gap, rest = natural("i"), natural("a"), natural("z")
    for index, (name, size) in enumerate(stream.blocks):
        for row, column in ((low, low), (low, low + 1 + gap), (low + 1 + gap, low)):
            given: Given = {N: row + column + 1 + rest, V: row + column + 1 + rest}
            at = sp.S.Zero if size == 1 else row
            part = matrix.blocks[index, 0].xreplace(dict(given))
            wanted = held.get(name, lambda *_: sp.S.Zero)(at, column)
            yield prove_equal(f"{what} in block {name}", entry_of(part, at, column), wanted)
