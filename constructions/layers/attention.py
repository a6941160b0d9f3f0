"""Attention: heads with biases, shared keys and values, score biases, rotary positions, and any mask."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

from constructions.exact_matrix import ExactMatrix
from constructions.layers.base import Layer
from constructions.layers.head import Head
from constructions.layers.masks import Mask
from constructions.layers.passes import Pass
from constructions.layers.permuted import TokenCoordinates
from constructions.layers.weighted import check_name, held, inner, tuple_of
from constructions.layers.widths import Width, check_shape
from constructions.lowering import Bindings
from constructions.operations import Attended, RowsT, ScoresT, Visible, WeightT
from constructions.validation import InvalidArgument, reject


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

    by_position: ClassVar[bool] = True

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
    def own_code(self) -> Iterator[object]:
        """The mask, where it has one of its own."""
        yield from super().own_code
        if self.mask is not None:
            yield self.mask

    @property
    def mixes(self) -> bool:
        """True: a position reads those that it sees."""
        return True

    def keeps_past(self, mask: Mask) -> bool:
        """Whether its mask is causal: earlier positions never change, and their keys and values are kept."""
        return (mask if self.mask is None else self.mask).causal

    @property
    def is_plain(self) -> bool:
        """Whether this is attention as the paper has it: plain heads, added up, under the construction's mask."""
        nothing_more = type(self) is Attention and self.output is None and self.mask is None
        return nothing_more and all(head.is_plain for head in self.heads)

    def fitted(self: Attention[ExactMatrix], width: Width) -> Width:
        """Return the width of the output."""
        if not self.heads:
            raise InvalidArgument(f"layers: expected {self.name} to have at least one head")
        found: dict[str, _Sizes] = {}
        for head in self.heads:
            found[head.name] = _fitted_head(self, head, width, found)
        if self.output is None:
            return Width(found[self.heads[0].name].outputs, f"what comes from {self.name}")
        side_by_side = sum(sizes.outputs for sizes in found.values())
        where = f"layer {self.name}"
        rows = Width(side_by_side, "the heads' outputs side by side").check(self.output, f"output of {where}")
        if self.output_bias is not None:
            check_shape(f"output_bias of {where}", self.output_bias, (rows, 1), "one number for each row of the output")
        return Width(rows, f"what comes from {self.name}")

    def permuted(self: Attention[ExactMatrix], rows: TokenCoordinates) -> TokenCoordinates | None:
        """Return which outputs stand for tokens, of attention as the paper has it: scores do not move, values may."""
        if not self.is_plain:
            return None
        found = set()
        for head in self.heads:
            still = all(rows.still(part.shape[0]).commutes(part, rows) for part in (head.query, head.own_key))
            found.add(rows.onto(head.own_value) if still else None)
        outputs = found.pop()
        return None if found else outputs  # what heads give is added up

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
    ) -> tuple[RowsT, RowsT, Attended]:
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
