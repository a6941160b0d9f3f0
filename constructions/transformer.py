"""The architecture as data: exact weights, written once for symbolic sizes, in a tree of layers.

A :class:`Transformer` knows nothing of targets. Its weights are sympy expressions together with the numbers of their
symbols; :attr:`Transformer.lowered` is the same object with every matrix an exact rational one, and an arithmetic
holds the same object once more with its own kind of weights. The paper's architecture (section 2) is the special case
of one-hot position codes under the embedding, attention and ReLU layers, and no residual connections: what a later
layer needs, a head must carry.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any, Generic, Literal, TypeAlias, cast

import numpy as np
import sympy as sp

from constructions.exact_matrix import ExactMatrix
from constructions.layers.attention import Attention as Attention
from constructions.layers.attention import check_distinct
from constructions.layers.base import Layer as Layer
from constructions.layers.base import narrowed
from constructions.layers.described import kind_of
from constructions.layers.head import Head as Head
from constructions.layers.linear import Linear as Linear
from constructions.layers.masks import Mask
from constructions.layers.passes import Pass
from constructions.layers.positions import OneHot, Positions, counted
from constructions.layers.weighted import Matrix as Matrix
from constructions.layers.weighted import NewT, Place, Weighted, as_expression, authored, runs_by_position, tuple_of
from constructions.lowering import Bindings, lower
from constructions.operations import RowsT, ScoresT, WeightT
from constructions.validation import InvalidArgument, check_integer, reject

#: The masks that a construction may ask for by a word, see :data:`constructions.layers.masks.MASKS`.
MaskName = Literal["causal", "none"]


@dataclass(frozen=True, eq=False)
class Transformer(Generic[WeightT]):
    """Exact weights for symbolic sizes, and the numbers of the symbols.

    The input at position ``i`` is the embedding (of a token, or a virtual one), with its position told as
    ``positions`` say: by default the one-hot position code ``e_i`` is concatenated under it.

    Attributes:
        embedding: ``E``, embedding size x vocabulary size.
        layers: from the input to the logits; the last one must be a :class:`Linear` without an activation.
        context_size: number of positions, possibly symbolic.
        bindings: the number of every symbol.
        positions: how positions are told apart.
        output_vocab_size: how many tokens can be written, one logit each, where it is not the number of tokens that can
            be read; possibly symbolic.

    Raises:
        InvalidArgument: a ``mask``, which belongs to a layer, or to the construction: the mask that is printed is the
            one that runs.

    Example:
        >>> readout = Linear([[1, 0], [0, 1]], [[0], [0]], activation=None, name="readout")
        >>> add = Attention(
        ...     (Head("add", query=[[0, 0, 0, 0]], key=[[0, 0, 0, 0]], value=[[1, 0, 0, 0], [0, 1, 0, 0]]),)
        ... )
        >>> transformer = Transformer([[1, 0], [0, 1]], (add, readout), context_size=2)
        >>> transformer.lowered.matrices()["readout.weight"].to_fractions()[0]
        [Fraction(1, 1), Fraction(0, 1)]

    """

    embedding: WeightT
    layers: tuple[Layer[WeightT], ...]
    context_size: Any
    bindings: Bindings = field(default_factory=dict)
    positions: Positions[WeightT] = field(default_factory=OneHot)
    output_vocab_size: Any = None

    def __new__(cls, *_: Any, **given: Any) -> Transformer[WeightT]:
        """Refuse a mask in words; other arguments are the fields."""
        if "mask" in given:
            raise InvalidArgument("mask: a Transformer takes none, as its construction owns it (Construction.mask)")
        return super().__new__(cls)

    def __post_init__(self) -> None:
        object.__setattr__(self, "embedding", as_expression("embedding", self.embedding))
        object.__setattr__(self, "layers", tuple_of("layers", "layers", Layer, self.layers))
        for name, value in (("context_size", self.context_size), ("output_vocab_size", self.output_vocab_size)):
            given = value is not None or name == "context_size"
            if given and (isinstance(value, bool) or not isinstance(value, (int, np.integer, sp.Expr))):
                reject(name, f"a number of {'positions' if name == 'context_size' else 'tokens'}", value)
        if not isinstance(self.positions, Positions):
            reject("positions", "Positions, such as OneHot()", self.positions)

    @cached_property
    def lowered(self) -> ExactTransformer:
        """Every weight as an exact rational matrix, with the widths of neighbouring layers checked.

        Raises:
            InvalidArgument: a symbol without a number, or a layer that does not fit the one before it.

        """
        context_size = lower(sp.Identity(self.context_size), self.bindings).shape[0]
        check_integer("context_size", context_size, 1)
        exact = self.map(lambda place, expression: lower(expression, place.bindings))
        object.__setattr__(exact, "context_size", context_size)
        if self.output_vocab_size is not None:
            written = lower(sp.Identity(self.output_vocab_size), self.bindings).shape[0]
            object.__setattr__(exact, "output_vocab_size", check_integer("output_vocab_size", written, 1))
        _check(exact)
        return exact

    def map(self, change: Callable[[Place, WeightT], NewT]) -> Transformer[NewT]:
        """Return the same transformer with every weight changed.

        Args:
            change: called with each weight's place (its name, and the numbers of the symbols there) and the weight.

        """
        made: Transformer[NewT] = object.__new__(cast("type[Transformer[NewT]]", type(self)))
        changed = {
            "embedding": change(Place("embedding", self.bindings), self.embedding),
            "layers": tuple(layer.map(change, self.bindings) for layer in self.layers),
            "context_size": self.context_size,
            "bindings": self.bindings,
            "positions": self.positions.map(change, self.bindings),
            "output_vocab_size": self.output_vocab_size,
        }
        for name, value in changed.items():
            object.__setattr__(made, name, value)
        return made

    def matrices(self) -> Mapping[str, WeightT]:
        """Return every weight by name, such as ``attention.self.query`` or ``readout.bias``."""
        return dict(self._matrices())

    def _matrices(self) -> Iterator[tuple[str, WeightT]]:
        yield "embedding", self.embedding
        yield from self.positions.matrices()
        for layer in self.layers:
            yield from layer.matrices()

    @property
    def leaves(self) -> Iterator[Layer[WeightT]]:
        """The layers that hold no other layer, in the order in which they run."""
        for layer in self.layers:
            yield from layer.leaves

    @property
    def attentions(self) -> Iterator[Attention[WeightT]]:
        """The attention layers, wherever they are, in the order in which they run."""
        return (layer for layer in _everywhere(self.layers) if isinstance(layer, Attention))

    def keeps_past(self, mask: Mask) -> bool:
        """Whether a step of generation needs the new position alone, see :meth:`Layer.keeps_past`."""
        return all(layer.keeps_past(mask) for layer in _everywhere(self.layers))

    @property
    def _parts(self) -> tuple[Weighted[WeightT], ...]:
        return (self.positions, *self.layers)

    @property
    def authored(self) -> list[str]:
        """The names of its classes, and of those of its parts, that other authors wrote."""
        own = [] if type(self) is Transformer else [type(self).__name__]
        return sorted({*own, *(kind.__name__ for part in self._parts for kind in authored(part))})

    @property
    def runs_by_position(self) -> bool:
        """Whether the output at a position is the same in a longer pass that shows it the same positions."""
        return type(self) is Transformer and all(map(runs_by_position, self._parts))

    @property
    def readout(self) -> Linear[WeightT]:
        """The last layer."""
        return cast("Linear[WeightT]", self.layers[-1])

    @property
    def is_plain(self) -> bool:
        """Whether this is the paper's architecture, of which the proofs speak: one-hot codes below, plain layers."""
        plain = type(self) is Transformer and type(self.positions) is OneHot
        return plain and all(layer.is_plain for layer in self.layers)

    def without_readout(self) -> Transformer[WeightT]:
        """Return the transformer up to the readout's input."""
        made: Transformer[WeightT] = object.__new__(type(self))
        for item in fields(self):  # not vars, which keep the lowered weights, readout included
            object.__setattr__(made, item.name, getattr(self, item.name))
        object.__setattr__(made, "layers", self.layers[:-1])
        return made

    def apply(self, run: Pass[WeightT, RowsT, ScoresT], embedded: RowsT, *, last_only: bool = False) -> RowsT:
        """Return the last layer's output at the new positions.

        Args:
            run: the forward pass.
            embedded: the embeddings of the new positions: virtual tokens, or ``E[:, token]``.
            last_only: return the output at the last position alone.

        """
        rows = self.positions.apply(run, embedded, self.context_size)
        run.record("input", rows)
        return narrowed(self.layers, run, rows, last_only=last_only)

    # at given numbers -------------------------------------------------------------------------------------------------

    @property
    def embedding_size(self: Transformer[ExactMatrix]) -> int:
        """``d_e``."""
        return self.embedding.shape[0]

    @property
    def vocab_size(self: Transformer[ExactMatrix]) -> int:
        """``V``, the number of tokens that can be read."""
        return self.embedding.shape[1]

    @property
    def output_size(self: Transformer[ExactMatrix]) -> int:
        """The number of logits: the tokens that can be written, ``V`` unless the two vocabularies differ."""
        return self.readout.weight.shape[0]

    @property
    def widest(self: Transformer[ExactMatrix]) -> int:
        """The most rows of any weight but the embedding: the widest intermediate."""
        return max(matrix.shape[0] for layer in self.layers for _, matrix in layer.matrices())

    @property
    def sha256(self: Transformer[ExactMatrix]) -> str:
        """A digest of every exact weight, of everything else that the layers say of themselves, and of the context."""
        digest = hashlib.sha256()
        for name, matrix in self.matrices().items():
            digest.update(f"{name} {matrix.shape}".encode())
            for entry in matrix.nonzero():
                digest.update(repr(entry).encode())
        digest.update(self.structure.encode())
        return digest.hexdigest()

    @property
    def structure(self: Transformer[ExactMatrix]) -> str:
        """Everything but the weights, in words."""
        parts = "".join(part.describe() for part in self._parts)
        return f"{parts}{self.context_size} {kind_of(self)}"


#: A transformer at given numbers: every weight an exact rational matrix.
ExactTransformer: TypeAlias = Transformer[ExactMatrix]


def _check(exact: ExactTransformer) -> None:
    """Refuse layers that do not fit the one before them, or that cannot be told apart by their names.

    Raises:
        InvalidArgument: they do not fit.

    """
    check_distinct("layers", [layer.name for layer in _everywhere(exact.layers)])
    for attention in exact.attentions:
        check_distinct(f"heads of layer {attention.name}", [head.name for head in attention.heads])
    names = [name for name, _ in exact._matrices()]  # of this module
    check_distinct("names of matrices", names)  # "a.b" with head "c", and "a" with head "b.c"
    last = exact.layers[-1] if exact.layers else None
    if not isinstance(last, Linear) or not last.is_readout:
        raise InvalidArgument("layers: expected the last layer to be a Linear without an activation, the readout")
    width = exact.positions.fitted(exact.embedding_size, exact.context_size)
    for layer in exact.layers:
        width = layer.fitted(width)
        layer.check_positions(exact.context_size)
    tokens = exact.vocab_size if exact.output_vocab_size is None else exact.output_vocab_size
    if width.size != tokens:
        column = " (a column of the embedding)" if exact.output_vocab_size is None else ""
        raise InvalidArgument(
            f"layers: expected weight of layer {last.name} to have {counted(tokens, 'row')}, one logit for each"
            f" token{column}, but it is {last.weight.shape[0]} x {last.weight.shape[1]}"
        )


def _everywhere(layers: Iterable[Weighted[WeightT]]) -> Iterator[Layer[WeightT]]:
    """Yield the layers and those inside them, also inside one that is no mere container: attention may hold a norm."""
    for layer in layers:
        if isinstance(layer, Layer):
            yield layer
        yield from _everywhere(layer.own_parts)
