"""The one forward pass and greedy generation, over any arithmetic."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Generic

import numpy as np
from jaxtyping import Int
from typing_extensions import TypeVar

from constructions.construction import Construction, Layout
from constructions.layers.masks import MASKS, Mask
from constructions.layers.passes import Cache as Cache
from constructions.layers.passes import Pass
from constructions.temperature import PerHeadSoftmax, Temperatures, head_temperature
from constructions.transformer import ExactTransformer, Transformer
from constructions.validation import InvalidArgument, check_choice, check_integer, reject
from verify.arithmetic.base import Arithmetic, NumberSystem, RowsT, ScoresT, WeightT
from verify.running.trace import Trace

#: The number system of a model. A model that generates tokens needs one that decodes logits.
NumbersT_co = TypeVar(
    "NumbersT_co", bound=NumberSystem[Any, Any, Any], default=Arithmetic[Any, Any, Any], covariant=True
)
NumbersT = TypeVar("NumbersT", bound=NumberSystem[Any, Any, Any])


@dataclass(frozen=True)
class Model(Generic[WeightT, RowsT, ScoresT, NumbersT_co]):
    """A transformer whose weights are held in an arithmetic, ready to run.

    Attributes:
        arithmetic: the number system.
        transformer: its weights held there.
        mask: of the attention layers that have none of their own.
        temperature: the one given, for all heads or by head.

    """

    arithmetic: NumbersT_co
    transformer: Transformer[WeightT]
    mask: Mask
    temperature: Temperatures

    @property
    def embedding(self) -> WeightT:
        """``E``."""
        return self.transformer.embedding

    @property
    def causal(self) -> bool:
        """Whether earlier positions never change during generation, so that their keys and values can be kept."""
        return self.transformer.keeps_past(self.mask)

    def without_readout(self) -> Model[WeightT, RowsT, ScoresT, NumbersT_co]:
        """Return the model up to the readout's input."""
        return replace(self, transformer=self.transformer.without_readout())


@dataclass(frozen=True)
class Generation(Generic[RowsT]):
    """The result of greedy decoding.

    Attributes:
        tokens: int64, shape ``(*batch, steps)``.
        logits: for every step the logits at the last position, rows of one position.

    """

    tokens: Int[np.ndarray, "*batch steps"]
    logits: tuple[RowsT, ...]


def bind(
    transformer: ExactTransformer,
    arithmetic: NumbersT,
    temperature: Temperatures,
    weights: Mapping[str, Any] | None = None,
    *,
    mask: str,
) -> Model[Any, Any, Any, NumbersT]:
    """Return the model of a transformer in an arithmetic.

    Args:
        transformer: exact weights.
        arithmetic: the number system.
        temperature: of all heads, or of each by its name.
        weights: the weights by name if they are held already (as the buffers of a torch module are); otherwise each
            is made from its exact matrix.
        mask: the word for the mask of attention layers that have none of their own: the construction's.

    Raises:
        InvalidArgument: not a mask, temperatures for other heads than the transformer has, or in an arithmetic that
            has one for all.

    """
    check_choice("mask", mask, tuple(MASKS))
    heads = [head for layer in transformer.attentions for head in layer.heads]
    if isinstance(temperature, PerHeadSoftmax):
        temperature.check_heads(head.name for head in heads)
        if not arithmetic.per_head:
            raise InvalidArgument(
                f"q: expected one for all heads in {arithmetic.name} arithmetic, which has one symbol for it, but got"
                f" {temperature!r}"
            )
    for head in heads:
        head_temperature(temperature, head.name)  # refuses what is no temperature before any weight is made
    known = weights
    bound = transformer.map(lambda place, matrix: arithmetic.weight(matrix) if known is None else known[place.name])
    return Model(arithmetic, bound, MASKS[mask], temperature)


def check_transformer(construction: Construction) -> None:
    """Refuse a transformer of another vocabulary than its construction's, or of too few positions for its layout.

    Raises:
        InvalidArgument: that, or no transformer, or no layout, at all.

    """
    transformer, layout, name = construction.transformer, construction.layout, type(construction).__name__
    if not isinstance(transformer, Transformer):
        reject(f"transformer of {name}", "a Transformer", transformer)
    if not isinstance(layout, Layout):
        reject(f"layout of {name}", "a Layout", layout)
    exact = transformer.lowered
    if exact.vocab_size != construction.vocab_size:
        raise InvalidArgument(
            f"transformer: expected {construction.vocab_size} tokens, the vocab_size of {name}, but it has"
            f" {exact.vocab_size} (the embedding is {exact.embedding_size} x {exact.vocab_size})"
        )
    if exact.output_size != construction.output_vocab_size:
        raise InvalidArgument(
            f"transformer: expected {construction.output_vocab_size} logits, the output_vocab_size of {name}, but it"
            f" has {exact.output_size}"
        )
    if exact.context_size < layout.context_size:
        raise InvalidArgument(
            f"transformer of {name}: expected a context_size of at least {layout.context_size}, the positions that"
            f" {layout} fills, but got {exact.context_size}"
        )


def bind_construction(
    construction: Construction, arithmetic: NumbersT, *, transformer: Transformer[Any] | None = None
) -> Model[Any, Any, Any, NumbersT]:
    """Return a construction's model with its own mask and temperature, or at the default of the number format.

    It is asked for its transformer, unless the one that it gave before is passed on.

    Raises:
        InvalidArgument: the format cannot hold what the weights rely on, or the weights are of another vocabulary.

    Example:
        >>> from constructions import UnconditionalGeneration
        >>> from verify import RationalArithmetic
        >>> model = bind_construction(UnconditionalGeneration(3, 2), RationalArithmetic())
        >>> model.temperature
        RationalSoftmax(q=Fraction(10, 1))

    """
    check_transformer(construction)
    if arithmetic.fmt is not None:
        construction.check_format(arithmetic.fmt)
    lowered = (construction.transformer if transformer is None else transformer).lowered
    temperature = construction.temperature_for(arithmetic.fmt)
    try:
        return bind(lowered, arithmetic, temperature, mask=construction.mask)
    except OverflowError as error:
        raise InvalidArgument(f"dtype: {error}") from None


def forward(
    model: Model[WeightT, RowsT, ScoresT, NumberSystem[WeightT, RowsT, ScoresT]],
    embedded: RowsT,
    count: int,
    *,
    cache: Cache[RowsT] | None = None,
    trace: Trace | None = None,
    last_only: bool = False,
) -> RowsT:
    """Return the logits at ``count`` new positions.

    Args:
        model: the transformer.
        embedded: the embedding halves of the new positions (virtual tokens, or ``E[:, token]``).
        count: how many there are.
        cache: keys and values of the positions before them, extended in place; needs causal masks. ``None``: the new
            positions are all there are.
        trace: records every intermediate.
        last_only: return the logits at the last position alone. Its keys and values are all that the last attention
            layer needs of the others, so that their own queries and what follows are left out.

    Raises:
        InvalidArgument: more positions than the context has.

    Example:
        >>> from constructions import UnconditionalGeneration
        >>> from verify import RationalArithmetic
        >>> construction, arithmetic = UnconditionalGeneration(2, 2), RationalArithmetic()
        >>> model = bind_construction(construction, arithmetic)
        >>> logits = forward(model, arithmetic.prompt(construction.virtual_tokens([1, 0])), 1)
        >>> arithmetic.numbers(logits).tolist()  # at position 0, where token 1 is due
        [[Fraction(-1, 4), Fraction(0, 1)]]

    """
    arithmetic = model.arithmetic
    start = cache.length if cache else 0
    size = model.transformer.context_size
    if start + count > size:
        raise InvalidArgument(f"sequence: expected at most {size} positions, the context size, but got {start + count}")
    kept = trace if trace is not None else Trace(enabled=False)

    def record(name: str, value: Any) -> None:
        kept.record(name, arithmetic, value)

    run = Pass(arithmetic, start, count, model.mask, model.temperature, cache, record)
    rows = model.transformer.apply(run, embedded, last_only=last_only)
    if cache is not None:
        cache.length += count
    return rows


def generate(
    model: Model[WeightT, RowsT, ScoresT],
    prompt: RowsT,
    virtual: int,
    user_tokens: Int[np.ndarray, "*batch user"],
    steps: int,
    *,
    trace: Trace | None = None,
    pick: Callable[[RowsT], Int[np.ndarray, "*batch 1"]] | None = None,
) -> Generation[RowsT]:
    """Return the greedy continuation: at every step the first token of the largest logit, fed back.

    With causal masks, earlier positions never change and their keys and values are kept; otherwise every step is a
    full pass over all positions.

    Args:
        model: the transformer.
        prompt: the virtual tokens' rows.
        virtual: how many they are.
        user_tokens: int64, shape ``(*batch, user)``.
        steps: how many tokens to generate, at least 1.
        trace: records every intermediate of the LAST step.
        pick: which token the logits of a step give, by default the first of the largest one.

    Example:
        >>> import numpy as np
        >>> from constructions import UnconditionalGeneration
        >>> from verify import RationalArithmetic
        >>> construction, arithmetic = UnconditionalGeneration(2, 2), RationalArithmetic()
        >>> prompt = arithmetic.prompt(construction.virtual_tokens([1, 0]))
        >>> made = generate(bind_construction(construction, arithmetic), prompt, 1, np.zeros(0, dtype=np.int64), 2)
        >>> made.tokens.tolist()
        [1, 0]

    """
    check_integer("steps", steps, 1)
    ar = model.arithmetic
    user = user_tokens.shape[-1]
    new = ar.below(prompt, ar.embed(model.embedding, user_tokens)) if user else prompt
    length, count = virtual + user, virtual + user
    cache: Cache[RowsT] | None = Cache() if model.causal else None
    tokens: list[Int[np.ndarray, "*batch 1"]] = []
    logits: list[RowsT] = []
    while True:
        last = len(tokens) == steps - 1
        rows = forward(model, new, count, cache=cache, trace=trace if last else None)
        logits.append(ar.last(rows))
        # a model whose logits do not depend on its prompt may have computed them once for the whole batch
        tokens.append(np.broadcast_to((pick or ar.argmax)(logits[-1]), (*user_tokens.shape[:-1], 1)).copy())
        if last:
            return Generation(np.concatenate(tokens, axis=-1), tuple(logits))
        token = ar.embed(model.embedding, tokens[-1])
        length += 1
        new, count = (token, 1) if cache is not None else (ar.below(new, token), length)


def exact_logits(arithmetic: Arithmetic[Any, Any, Any], generation: Generation[Any]) -> np.ndarray[Any, Any]:
    """Return the logits of every step as one array of shape ``(*batch, steps, vocab)``."""
    return np.concatenate([arithmetic.numbers(step) for step in generation.logits], axis=-2)
