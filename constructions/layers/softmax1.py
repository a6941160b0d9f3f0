"""Softmax with one more in the denominator: a head may attend to nothing (Miller, Attention is off by one, 2023)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
import sympy as sp

from constructions.layers.attention import Attention
from constructions.layers.head import Head
from constructions.layers.passes import Pass
from constructions.layers.weighted import Weighted, held, inner
from constructions.operations import Attended, RowsT, ScoresT, Visible, WeightT
from constructions.validation import InvalidArgument


@dataclass(frozen=True, eq=False)
class Sink(Weighted[WeightT]):
    """The key and the value of a place that is at no position.

    Attributes:
        name: of the head that sees it.
        key: key size x 1.
        value: output width x 1.

    """

    by_position: ClassVar[bool] = True

    name: str
    key: WeightT = held("k_0")
    value: WeightT = held("v_0")

    def __post_init__(self) -> None:
        self._expressions(f"the sink of head {self.name}")

    def prefix(self, outer: str) -> str:
        """Return the beginning of the names of its matrices, which are not the head's."""
        return f"{super().prefix(outer)}sink."


@final
@dataclass(frozen=True, eq=False)
class Softmax1Attention(Attention[WeightT]):
    """Attention with weights ``exp(z_j) / (1 + sum over j of exp(z_j))``, ``z`` the scaled scores.

    That is softmax over one more key, whose score is 0 and whose value is 0: every query sees it. At hardmax, scores
    below 0 attend to nothing, and a largest score of 0 shares with it.

    Attributes:
        sinks: these keys and values, one for each head; made from the heads.

    """

    by_position: ClassVar[bool] = True

    sinks: tuple[Sink[WeightT], ...] = inner(optional=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        for head in self.heads:
            if head.score_bias is not None:
                raise InvalidArgument(
                    f"head {head.name}: expected no score bias, which has no entry for the place that is no position"
                )
        values: dict[str, object] = {}
        for head in self.heads:  # a head may share with one that shares; one that is not there is refused when fitted
            values[head.name] = head.value if head.shares is None else values.get(head.shares)
        object.__setattr__(self, "sinks", tuple(_sink(head, values[head.name]) for head in self.heads))

    def attended(
        self, head: Head[WeightT], run: Pass[WeightT, RowsT, ScoresT], keys: RowsT, values: RowsT, visible: Visible
    ) -> tuple[RowsT, RowsT, Attended]:
        """Return the keys and values with those of the sink in front, which every query sees."""
        operations = run.operations
        sink = next(sink for sink in self.sinks if sink.name == head.name)
        first = np.zeros((1, 1) if operations.batched else 1, dtype=np.int64)
        return (
            operations.below(operations.embed(sink.key, first), keys),
            operations.below(operations.embed(sink.value, first), values),
            run.seen_first(visible),
        )


def _sink(head: Head, value: object) -> Sink:
    rows = [getattr(part, "shape", (0,))[0] for part in (head.query, value)]
    return Sink(head.name, *(sp.ZeroMatrix(size, 1) for size in rows))
