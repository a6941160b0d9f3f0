"""Models written by hand from scratch, without virtual tokens: an induction head, and an adder of two-digit numbers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from constructions import Attention, Domain, HandBuilt, Head, Linear, Specification, Transformer, specify
from constructions.layers import Residual


@dataclass(frozen=True, repr=False)
class InductionHead(HandBuilt):
    """Says the token that came after the last one when it came before, which it did once."""

    letters: int = 3
    length: int = 5

    @property
    def specification(self) -> Specification:
        def once(x: Any) -> Any:
            return (x[:, :-1] == x[:, -1:]).sum(axis=1) == 1

        def answer(x: Any) -> Any:
            return np.take_along_axis(x, (x[:, :-1] == x[:, -1:]).argmax(axis=1)[:, None] + 1, axis=1)

        return specify(Domain.of(self.letters, self.length, once), answer)

    @cached_property
    def transformer(self) -> Transformer[Any]:
        V, N = self.letters, self.length
        token, before, place = np.split(np.eye(2 * V + N, dtype=int), [V, 2 * V])  # the slots of a row, as matrices
        copy = np.vstack([0 * token, token, 0 * place])  # a token into the slot "before"
        previous = Head("previous", query=np.eye(N, k=1, dtype=int) @ place, key=place, value=copy)
        # place 0 has none before it: its head sees itself, which must not count
        same = Head("same", query=[*token, place.sum(0)], key=[*before, -place[0]], value=token)
        layers = Residual((Attention((previous,), name="first"),)), Attention((same,), name="second")
        readout = Linear(np.eye(V, dtype=int), activation=None, name="readout")
        return Transformer(np.eye(2 * V, V, dtype=int), (*layers, readout), context_size=N)


class TwoDigitAdder(HandBuilt):
    """Adds two numbers of two digits: ``ab+cd`` is given as ``a b c d``, and three digits are generated."""

    specification = specify(Domain.of(10, 4), lambda x: (x @ [10, 1, 10, 1])[:, None] // [100, 10, 1] % 10, response=3)

    @cached_property
    def transformer(self) -> Transformer[Any]:
        digit, total, *place = np.eye(8, dtype=int)  # the slots of a row: its token, the sum, and its position
        nothing = 0 * digit
        heads = [  # each gives the sum of two digits, twice their mean
            Head(name, [sum(place)], [place[at] + place[at + 2]], [nothing, 2 * weight * digit] + 6 * [nothing])
            for name, at, weight in (("tens", 0, 10), ("ones", 1, 1))
        ]
        tens = range(10, 200, 10)
        rows, ends = [total, *place[3:]] + [total] * (2 * len(tens)), [[up - k] for k in tens for up in (1, 0)]
        ramps = Linear(rows, [[0]] * 4 + ends, name="ramps")
        parts = np.eye(4 + 2 * len(tens), dtype=int)
        reached = {k: parts[4 + 2 * i] - parts[5 + 2 * i] for i, k in enumerate(tens)}  # 1 where the sum is at least k
        ten = sum(reached.values())
        digits = [reached[100], ten - 10 * reached[100], parts[0] - 10 * ten]
        gates = Linear([part + 99 * parts[1 + t] for t, part in enumerate(digits)], [[-99]] * 3, name="gates")
        # at the digit x the logit 2vx - v^2 is largest at v = x
        lines, heights = [[2 * v] * 3 for v in range(10)], [[-v * v] for v in range(10)]
        readout = Linear(lines, heights, activation=None, name="readout")
        add = Residual((Attention(tuple(heads), name="add"),))
        return Transformer([list(range(10)), [0] * 10], (add, ramps, gates, readout), context_size=6)
