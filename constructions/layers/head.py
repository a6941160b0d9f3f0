"""One attention head: its query, key and value, and all that may be added to them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, cast

from constructions.exact_matrix import ExactMatrix
from constructions.layers.passes import Pass
from constructions.layers.rotary import Rotary
from constructions.layers.weighted import NewT, Place, Weighted, check_name, held, inner
from constructions.lowering import Bindings
from constructions.operations import RowsT, ScoresT, WeightT
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

    by_position: ClassVar[bool] = True

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
        if isinstance(self.key_size, int):  # no symbol any more
            object.__setattr__(made, "held_key_size", self.key_size)
        return made

    @property
    def options(self) -> Mapping[str, Any]:
        """Every other field but the key size, which the query tells."""
        return {name: value for name, value in super().options.items() if name != "held_key_size"}

    def check_positions(self: Head[ExactMatrix], context_size: int) -> None:
        """Refuse a score bias, or rotary positions, for fewer positions than the context has."""
        if self.score_bias is not None and self.score_bias.shape[0] < context_size:
            raise InvalidArgument(
                f"score_bias of head {self.name}: expected at least {context_size} positions, the context size, but"
                f" got {self.score_bias.shape[0]}"
            )
        if self.rotary is not None:
            self.rotary.check_positions(context_size)

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
        plain = {name for name, _, _ in self.own_weights} == {"query", "key", "value"} and self.rotary is None
        return type(self) is Head and plain

    def queries(self, run: Pass[WeightT, RowsT, ScoresT], rows: RowsT, *, last_only: bool) -> RowsT:
        """Return the queries of rows, of the last position alone if they are only its."""
        found = run.operations.linear(rows, self.query, self.query_bias)
        return found if self.rotary is None else self.rotary.turned(run, found, last_only=last_only)

    def keys_and_values(self, run: Pass[WeightT, RowsT, ScoresT], rows: RowsT) -> tuple[RowsT, RowsT]:
        """Return the keys and the values of rows."""
        keys = run.operations.linear(rows, self.own_key, self.key_bias)
        keys = keys if self.rotary is None else self.rotary.turned(run, keys)
        return keys, run.operations.linear(rows, self.own_value, self.value_bias)
