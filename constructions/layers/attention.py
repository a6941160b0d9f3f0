"""Attention: heads with biases, shared keys and values, score biases, rotary positions, and any mask."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast

import numpy as np
from jaxtyping import Bool

from constructions.exact_matrix import ExactMatrix
from constructions.layers.base import (
    Layer,
    NewT,
    Pass,
    Place,
    Weighted,
    Width,
    check_name,
    check_shape,
    held,
    inner,
    tuple_of,
)
from constructions.layers.masks import Mask
from constructions.layers.rotary import Rotary
from constructions.lowering import Bindings
from constructions.operations import RowsT, ScoresT, Visible, WeightT
from constructions.validation import InvalidArgument, reject


@dataclass(frozen=True, eq=False)
class Head(Weighted[WeightT]):
    """One attention head: position ``i`` weighs ``W_V x_j + b_V`` by the score of its query with the key of ``j``.

    The score is ``(W_Q x_i + b_Q) . (W_K x_j + b_K)``, both turned by their positions where there is a ``rotary``, plus
    ``score_bias[i, j]``.

    Attributes:
        name: what the head does, in a word.
        query: ``W_Q``, key size x stream width.
        key: ``W_K``, key size x stream width; ``None`` with ``shares``.
        value: ``W_V``, output width x stream width; ``None`` with ``shares``.
        query_bias: ``b_Q``, key size x 1.
        key_bias: ``b_K``, key size x 1.
        value_bias: ``b_V``, output width x 1.
        score_bias: positions x positions, such as ALiBi's.
        rotary: turns queries and keys by their positions.
        shares: the name of an earlier head of the layer whose keys and values this one uses (grouped queries).
        bias_after_scaling: whether the score bias is added to the exponents, after the scores were divided by their
            scale, as libraries do; otherwise it is a score like the others, which hardmax compares too.

    Example:
        >>> head = Head("first", query=[[1, 1]], key=[[1, 0]], value=[[1, 0], [0, 1]])
        >>> head.key_size
        1

    """

    name: str
    query: WeightT = held("W_Q")
    key: WeightT | None = held("W_K", optional=True)
    value: WeightT | None = held("W_V", optional=True)
    query_bias: WeightT | None = held("b_Q", optional=True)
    key_bias: WeightT | None = held("b_K", optional=True)
    value_bias: WeightT | None = held("b_V", optional=True)
    score_bias: WeightT | None = held("B", optional=True)
    rotary: Rotary[WeightT] | None = inner(optional=True)
    shares: str | None = None
    bias_after_scaling: bool = False
    #: ``k``, once the sizes are numbers
    held_key_size: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        check_name("head", self.name)
        own = [name for name in ("key", "value", "key_bias", "value_bias") if getattr(self, name) is not None]
        if self.shares is not None:
            check_name("head", self.shares)
            if own:
                raise InvalidArgument(f"head {self.name}: expected no {own[0]}, as it shares those of {self.shares}")
        else:
            for name in ("key", "value"):
                if getattr(self, name) is None:
                    raise InvalidArgument(f"head {self.name}: expected a {name}, or the name of a head that it shares")
        if self.rotary is not None and not isinstance(self.rotary, Rotary):
            reject(f"rotary of head {self.name}", "a Rotary, or None,", self.rotary)
        self._expressions(f"head {self.name}")

    @property
    def key_size(self) -> int:
        """``k``, the number of rows of ``W_Q``, under the square root of the temperature."""
        return self.held_key_size or cast("int", cast("Any", self.query).shape[0])

    def map(
        self, change: Callable[[Place, WeightT], NewT], bindings: Bindings | None = None, outer: str = ""
    ) -> Weighted[NewT]:
        """Return the same with every weight changed; it keeps the key size, which not every holder tells."""
        made = super().map(change, bindings, outer)
        if isinstance(self.query, ExactMatrix):
            object.__setattr__(made, "held_key_size", self.query.shape[0])
        return made

    @property
    def own_key(self) -> WeightT:
        """``W_K`` of a head that shares no other's.

        Raises:
            InvalidArgument: it does.

        """
        return self._own("key", self.key)

    @property
    def own_value(self) -> WeightT:
        """``W_V`` of a head that shares no other's.

        Raises:
            InvalidArgument: it does.

        """
        return self._own("value", self.value)

    def _own(self, what: str, held: WeightT | None) -> WeightT:
        if held is None:
            raise InvalidArgument(f"{what} of head {self.name}: expected its own, but it shares that of {self.shares}")
        return held

    @property
    def is_plain(self) -> bool:
        """Whether the head has query, key and value alone, as the paper's heads do."""
        return {name for name, _, _ in self.own_weights} == {"query", "key", "value"} and self.rotary is None

    def queries(self, run: Pass[WeightT, RowsT, ScoresT], rows: RowsT, *, last_only: bool) -> RowsT:
        """Return the queries of rows, of the last position alone if they are only its."""
        found = run.operations.linear(rows, self.query, self.query_bias)
        return found if self.rotary is None else self.rotary.turned(run, found, last_only=last_only)

    def keys_and_values(self, run: Pass[WeightT, RowsT, ScoresT], rows: RowsT) -> tuple[RowsT, RowsT]:
        """Return the keys and the values of rows."""
        keys = run.operations.linear(rows, self.own_key, self.key_bias)
        keys = keys if self.rotary is None else self.rotary.turned(run, keys)
        return keys, run.operations.linear(rows, self.own_value, self.value_bias)


class _Sizes(NamedTuple):
    keys: int
    outputs: int


@dataclass(frozen=True, eq=False)
class Attention(Layer[WeightT]):
    """An attention layer: the SUM of its heads' outputs, or a projection of all of them side by side.

    Attributes:
        heads: at least one.
        name: unique in a transformer.
        bindings: numbers of the symbols of this layer alone, such as its index.
        family: layers of one family have the same expressions and differ in their bindings; the name when empty.
        output: ``W_O``, output width x the heads' outputs side by side; ``None``: the outputs are added up.
        output_bias: ``b_O``, output width x 1; needs ``output``.
        mask: ``None`` for the mask of the construction.

    Example:
        >>> head = Head("mean", query=[[0, 0]], key=[[0, 0]], value=[[1, 0], [0, 1]])  # all scores are 0
        >>> layer = Attention((head,), name="mix")
        >>> [name for name, _ in layer.matrices()]
        ['mix.mean.query', 'mix.mean.key', 'mix.mean.value']

    """

    heads: tuple[Head[WeightT], ...] = inner()
    name: str = "attention"
    bindings: Bindings = field(default_factory=dict)
    family: str = ""
    output: WeightT | None = held("W_O", optional=True)
    output_bias: WeightT | None = held("b_O", optional=True)
    mask: Mask | None = None

    def __post_init__(self) -> None:
        check_name("layer", self.name)
        object.__setattr__(self, "heads", tuple_of(f"heads of layer {self.name}", "Head", Head, self.heads))
        if self.mask is not None and not isinstance(self.mask, Mask):
            reject(f"mask of layer {self.name}", "a Mask, or None,", self.mask)
        if self.output is None and self.output_bias is not None:
            raise InvalidArgument(f"output_bias of layer {self.name}: expected none without an output projection")
        self._expressions(f"layer {self.name}")

    @property
    def mixes(self) -> bool:
        """True: attention is what mixes positions."""
        return True

    @property
    def is_plain(self) -> bool:
        """Whether this is attention as the paper has it: plain heads, added up, under the construction's mask."""
        nothing_more = type(self) is Attention and self.output is None and self.mask is None
        return nothing_more and all(head.is_plain for head in self.heads)

    def fitted(self: Layer[ExactMatrix], width: Width) -> Width:
        """Return the width of the output."""
        assert isinstance(self, Attention)  # for the type checker, which knows self by its weights alone
        if not self.heads:
            raise InvalidArgument(f"layers: expected {self.name} to have at least one head")
        names = [head.name for head in self.heads]
        check_distinct(f"heads of layer {self.name}", names)
        found: dict[str, _Sizes] = {}
        for head in self.heads:
            found[head.name] = _fitted_head(self, head, width, found)
        if self.output is None:
            return Width(found[names[0]].outputs, f"what comes from {self.name}")
        side_by_side = sum(sizes.outputs for sizes in found.values())
        where = f"layer {self.name}"
        rows = Width(side_by_side, "the heads' outputs side by side").check(self.output, f"output of {where}")
        if self.output_bias is not None:
            check_shape(f"output_bias of {where}", self.output_bias, (rows, 1), "one number for each row of the output")
        return Width(rows, f"what comes from {self.name}")

    def apply(self, run: Pass[WeightT, RowsT, ScoresT], rows: RowsT, *, last_only: bool = False) -> RowsT:
        """Return the sum, or the projection, of the heads' outputs."""
        operations, seen = run.operations, run.visible(self.mask)
        asking = operations.last(rows) if last_only else rows
        seen = seen[-1:] if last_only else seen
        stop = run.start + run.count
        held: dict[str, tuple[RowsT, RowsT]] = {}
        outputs: list[RowsT] = []
        for head in self.heads:
            held[head.name] = self._kept_by(head, run, rows, held)
            keys, values, visible = self.attended(head, run, *held[head.name], seen)
            scores = operations.scores(head.queries(run, asking, last_only=last_only), keys)
            temperature, size = run.temperature_of(head.name), head.key_size
            if head.score_bias is None:
                weights = operations.attention(scores, visible, temperature, key_size=size)
            else:
                shift = operations.score_table(head.score_bias, stop - 1 if last_only else run.start, stop)
                if head.bias_after_scaling:
                    weights = operations.shifted_attention(scores, shift, visible, temperature, key_size=size)
                else:
                    scores = operations.shifted(scores, shift)
                    weights = operations.attention(scores, visible, temperature, key_size=size)
            outputs.append(operations.mix(weights, values))
            run.record(f"{self.name}.{head.name}.scores", scores)
            run.record(f"{self.name}.{head.name}.weights", weights)
            run.record(f"{self.name}.{head.name}.output", outputs[-1])
        found = self._joined(run, outputs)
        run.record(self.name, found)
        return found

    def attended(
        self, head: Head[WeightT], run: Pass[WeightT, RowsT, ScoresT], keys: RowsT, values: RowsT, visible: Visible
    ) -> tuple[RowsT, RowsT, Bool[np.ndarray, "rows attended"]]:
        """Return the keys and values that a head's softmax is taken over, and which of them each query sees.

        Variants of attention override this, for keys that are at no position.

        Args:
            head: one of the heads.
            run: the forward pass.
            keys: of the positions.
            values: of the positions.
            visible: which positions each query sees.

        """
        return keys, values, visible

    def _kept_by(
        self, head: Head[WeightT], run: Pass[WeightT, RowsT, ScoresT], rows: RowsT, held: dict[str, Any]
    ) -> tuple[RowsT, RowsT]:
        """Return a head's keys and values at the positions so far: the new ones, and those before them."""
        if head.shares is not None:
            shared: tuple[RowsT, RowsT] = held[head.shares]
            return shared
        keys, values = head.keys_and_values(run, rows)
        if run.cache is not None:
            before = run.cache.held.get((self.name, head.name))
            if before is not None:
                keys, values = run.operations.below(before[0], keys), run.operations.below(before[1], values)
            run.cache.held[self.name, head.name] = (keys, values)
        return keys, values

    def _joined(self, run: Pass[WeightT, RowsT, ScoresT], outputs: list[RowsT]) -> RowsT:
        if self.output is None:
            return run.operations.total(outputs)
        beside = outputs[0]
        for output in outputs[1:]:
            beside = run.operations.beside(beside, output)
        return run.operations.linear(beside, self.output, self.output_bias)


def _fitted_head(
    layer: Attention[ExactMatrix], head: Head[ExactMatrix], width: Width, before: dict[str, _Sizes]
) -> _Sizes:
    where = f"head {head.name} in layer {layer.name}"
    keys = width.check(head.query, f"query of {where}")
    first = next(iter(before.values())).outputs if before and layer.output is None else None
    if head.shares is not None:
        if head.shares not in before:
            known = ", ".join(before) or "none"
            raise InvalidArgument(
                f"shares of {where}: expected an earlier head of the layer ({known}) but got {head.shares!r}"
            )
        if before[head.shares].keys != keys:
            raise InvalidArgument(
                f"layers: expected query of {where} to have {before[head.shares].keys} rows, as the keys of"
                f" {head.shares} have, but it has {keys}"
            )
        outputs = before[head.shares].outputs
    else:
        width.check(head.own_key, f"key of {where}", keys, "it has as many rows as the query")
        outputs = width.check(head.own_value, f"value of {where}", first, "the outputs of heads are added up")
    for name, matrix, rows in (
        ("query_bias", head.query_bias, keys),
        ("key_bias", head.key_bias, keys),
        ("value_bias", head.value_bias, outputs),
    ):
        if matrix is not None:
            check_shape(f"{name} of {where}", matrix, (rows, 1), "one number for each row of its weight")
    if head.score_bias is not None and head.score_bias.shape[0] != head.score_bias.shape[1]:
        rows, columns = head.score_bias.shape
        raise InvalidArgument(
            f"layers: expected score_bias of {where} to be positions x positions but it is {rows} x {columns}"
        )
    if head.rotary is not None:
        head.rotary.check(where, keys)
    return _Sizes(keys, outputs)


def check_distinct(what: str, names: list[str]) -> None:
    """Refuse names of which one comes twice.

    Raises:
        InvalidArgument: it does.

    """
    if len(set(names)) != len(names):
        repeated = ", ".join(name for name, count in Counter(names).items() if count > 1)
        raise InvalidArgument(f"{what}: expected distinct names but got {', '.join(names)} ({repeated} twice)")
