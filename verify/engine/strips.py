"""Rows with the batch in the last axis, cut into strips: what is the same for all sequences is held as numbers.

A strip is some neighbouring coordinates of all positions. Each of its positions is either constant, the same for the
whole batch, or live: then it lies in a piece, a tensor of shape coordinates x positions x outer x inner. The two axes
of the batch are those of an enumeration, whose cases are pairs of a prefix and a suffix: what depends on the prefix
alone has an inner axis of 1, what depends on the suffix alone an outer axis of 1, and torch broadcasts the rest. A sum
adds up what depends on the prefix, then what depends on the suffix, so that only the sum of the two is work for every
pair.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

#: Constants, in the dtype of the format.
Constants = np.ndarray[Any, Any]


class Piece(NamedTuple):
    """Live positions of a strip.

    Attributes:
        places: the positions, ascending.
        value: coordinates x positions x outer x inner.

    """

    places: tuple[int, ...]
    value: Tensor


@dataclass(frozen=True, eq=False)
class Strip:
    """Neighbouring coordinates of all positions.

    Attributes:
        constant: coordinates x positions; 0 at positions that are live.
        pieces: the live positions, each in one piece.

    """

    constant: Constants
    pieces: tuple[Piece, ...] = ()

    @property
    def width(self) -> int:
        """The number of coordinates."""
        return len(self.constant)

    @property
    def length(self) -> int:
        """The number of positions."""
        return int(self.constant.shape[1])

    def part(self, start: int, stop: int) -> Strip:
        """Return some of the coordinates."""
        if (start, stop) == (0, self.width):
            return self
        pieces = (Piece(piece.places, piece.value[start:stop]) for piece in self.pieces)
        return Strip(self.constant[start:stop], tuple(pieces))

    def whole(self) -> Tensor:
        """Return all positions as one tensor; its batch axes are 1 where every position is constant."""
        if len(self.pieces) == 1 and len(self.pieces[0].places) == self.length:
            return self.pieces[0].value
        held = as_tensor(self.constant)
        if not self.pieces:
            return held
        places = [place for piece in self.pieces for place in piece.places]
        rest = [place for place in range(self.length) if place not in set(places)]
        parts = [piece.value for piece in self.pieces]
        if rest:
            parts.append(held.index_select(1, torch.tensor(rest)))
        batch = alike(parts)
        order = np.argsort([*places, *rest])
        joined = torch.cat(list(batch), dim=1)
        if (order == np.arange(self.length)).all():
            return joined
        return joined.index_select(1, torch.from_numpy(order))

    def changed(self, function: Callable[[Tensor], Tensor]) -> Strip:
        """Return a function of every number."""
        constant = as_numbers(function(as_tensor(self.constant)))
        pieces = tuple(Piece(piece.places, function(piece.value)) for piece in self.pieces)
        constant[:, [place for piece in pieces for place in piece.places]] = 0
        return Strip(constant, pieces)


def as_tensor(constant: Constants) -> Tensor:
    """Return constants, coordinates x positions, as a tensor whose batch axes are 1."""
    return torch.from_numpy(np.ascontiguousarray(constant))[..., None, None]


def as_numbers(value: Tensor) -> Constants:
    """Return a tensor whose batch axes are 1 as constants that may be changed."""
    return value[..., 0, 0].numpy().copy()


def alike(parts: Sequence[Tensor]) -> Sequence[Tensor]:
    """Return tensors with the same batch axes, which torch asks of those that it joins."""
    if len({(part.shape[-2] == 1, part.shape[-1] == 1) for part in parts}) == 1:
        return parts
    zero = torch.zeros_like(parts[0][:1, :1])
    for part in parts[1:]:
        zero = zero + torch.zeros_like(part[:1, :1])
    return [part + zero for part in parts]


def number_or_tensor(constants: Constants) -> Tensor | float:
    """Return constants as one number where they are equal, and as a tensor to multiply or add otherwise."""
    first = constants.flat[0]
    return float(first) if (constants == first).all() else as_tensor(constants)


def times(value: Tensor, factors: Constants) -> Tensor:
    """Return a product with constants, coordinates x positions or broadcast to these; a factor of 1 costs nothing."""
    factor = number_or_tensor(factors)
    if isinstance(factor, float) and abs(factor) == 1:
        return value if factor == 1 else torch.neg(value)
    return torch.mul(value, factor)


def plus(value: Tensor, constants: Constants) -> Tensor:
    """Return a sum with constants; adding 0 costs nothing."""
    return torch.add(value, number_or_tensor(constants)) if constants.any() else value


def total(terms: Sequence[Tensor], constants: Constants | None = None) -> Tensor:
    """Return the sum of terms and constants: what depends on the prefix first, then on the suffix, then on both."""
    groups: dict[tuple[bool, bool], Tensor] = {}
    for term in terms:
        kind = (term.shape[-1] > 1, term.shape[-2] > 1)
        groups[kind] = torch.add(groups[kind], term) if kind in groups else term
    ordered = [groups[kind] for kind in sorted(groups)]
    found = ordered[0] if constants is None else plus(ordered[0], constants)
    for group in ordered[1:]:
        found = torch.add(found, group)
    return found


def assembled(constant: Constants, terms: Iterable[Sequence[Piece]]) -> Strip:
    """Return the sum of constants, coordinates x positions, and of terms that are 0 where they have no piece."""
    at: dict[int, list[tuple[Piece, int]]] = {}
    for term in terms:
        for piece in term:
            for index, place in enumerate(piece.places):
                at.setdefault(place, []).append((piece, index))
    cells: dict[tuple[int, ...], list[int]] = {}
    for place in sorted(at):
        cells.setdefault(tuple(id(piece) for piece, _ in at[place]), []).append(place)
    rest, pieces = constant.copy(), []
    for places in cells.values():
        values = []
        for number, (piece, _) in enumerate(at[places[0]]):
            chosen = [at[place][number][1] for place in places]
            values.append(rows_of(piece.value, chosen))
        pieces.append(Piece(tuple(places), total(values, constant[:, places])))
        rest[:, places] = 0
    return Strip(rest, tuple(pieces))


def rows_of(value: Tensor, chosen: Sequence[int]) -> Tensor:
    """Return some of the positions of a tensor."""
    first, count = chosen[0], len(chosen)
    if list(chosen) == list(range(first, first + count)):
        return value if (first, count) == (0, value.shape[1]) else value[:, first : first + count]
    return value.index_select(1, torch.tensor(chosen))


def cut(strips: Sequence[Strip], ends: set[int]) -> list[Strip]:
    """Return strips cut further, so that a strip ends at each of these numbers of coordinates."""
    found, start = [], 0
    for strip in strips:
        inside = [0, *(end - start for end in sorted(ends) if start < end < start + strip.width), strip.width]
        found += [strip.part(low, high) for low, high in itertools.pairwise(inside)]
        start += strip.width
    return found


def paired(*parts: Sequence[Strip]) -> Iterator[tuple[Strip, ...]]:
    """Yield the strips of rows of one width side by side, all of them cut where any of them is."""
    ends = {end for strips in parts for end in itertools.accumulate(strip.width for strip in strips)}
    return zip(*(cut(strips, ends) for strips in parts), strict=True)


def stacked(strips: Sequence[Strip]) -> Strip:
    """Return strips as one with a single piece, whose positions are those that are live in any of them."""
    if len(strips) == 1 and len(strips[0].pieces) < 2:
        return strips[0]
    constant = np.concatenate([strip.constant for strip in strips])
    places = tuple(sorted({place for strip in strips for piece in strip.pieces for place in piece.places}))
    if not places:
        return Strip(constant)
    parts = []
    for strip in strips:
        live = {place for piece in strip.pieces for place in piece.places}
        if len(strip.pieces) == 1 and live == set(places):
            parts.append(strip.pieces[0].value)
        else:
            parts.append(rows_of(strip.whole(), places))
    constant[:, places] = 0
    return Strip(constant, (Piece(places, torch.cat(list(alike(parts)))),))
