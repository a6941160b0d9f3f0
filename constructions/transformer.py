"""The architecture of the paper (section 2) as data: exact weights, written once for symbolic sizes.

A :class:`Transformer` knows nothing of targets. Its weights are sympy expressions together with the numbers of their
symbols; :attr:`Transformer.lowered` is the same object with every matrix an exact rational one. There are no residual
connections: what a later layer needs, a head must carry.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import sympy as sp
from sympy.matrices.expressions.matexpr import MatrixExpr

from constructions.exact_matrix import ExactMatrix
from constructions.lowering import Bindings, explicit_matrix, lower
from constructions.validation import InvalidArgument, check_integer

#: A weight as a user may give it: a sympy matrix (symbolic or explicit), nested sequences of numbers, or an array.
Matrix = Any
Mask = Literal["causal", "none"]


def _as_expression(name: str, value: Matrix) -> Matrix:
    return value if isinstance(value, (MatrixExpr, sp.MatrixBase)) else explicit_matrix(name, value)


@dataclass(frozen=True, eq=False)
class Head:
    """One attention head: position ``i`` weighs ``W_V x_j`` of position ``j`` by the score ``(W_Q x_i) . (W_K x_j)``.

    Attributes:
        name: what the head does, in a word.
        query: ``W_Q``, key size x stream width.
        key: ``W_K``, key size x stream width.
        value: ``W_V``, output width x stream width.

    """

    name: str
    query: Matrix
    key: Matrix
    value: Matrix

    def __post_init__(self) -> None:
        for part in ("query", "key", "value"):
            object.__setattr__(self, part, _as_expression(part, getattr(self, part)))


@dataclass(frozen=True, eq=False)
class Attention:
    """An attention layer; its output is the SUM of its heads' outputs.

    Attributes:
        heads: at least one.
        name: unique in a transformer.
        bindings: numbers of the symbols of this layer alone, such as its index.
        family: layers of one family have the same expressions and differ in their bindings; the name when empty.

    """

    heads: tuple[Head, ...]
    name: str = "attention"
    bindings: Bindings = field(default_factory=dict)
    family: str = ""


@dataclass(frozen=True, eq=False)
class Linear:
    """An MLP layer ``x -> ReLU(W x + b)``, or ``W x + b`` without the ReLU (the readout).

    Attributes:
        weight: ``W``, output width x input width.
        bias: ``b``, output width x 1.
        relu: whether a ReLU follows.
        name: unique in a transformer.
        bindings: numbers of the symbols of this layer alone, such as its index.
        family: layers of one family have the same expressions and differ in their bindings; the name when empty.

    """

    weight: Matrix
    bias: Matrix
    relu: bool = True
    name: str = "linear"
    bindings: Bindings = field(default_factory=dict)
    family: str = ""

    def __post_init__(self) -> None:
        for part in ("weight", "bias"):
            object.__setattr__(self, part, _as_expression(part, getattr(self, part)))


Layer = Attention | Linear


@dataclass(frozen=True)
class ExactHead:
    """A :class:`Head` at given numbers."""

    name: str
    query: ExactMatrix
    key: ExactMatrix
    value: ExactMatrix

    @property
    def key_size(self) -> int:
        """``k``, the number of rows of ``W_Q``, under the square root of the temperature."""
        return self.query.shape[0]


@dataclass(frozen=True)
class ExactAttention:
    """An :class:`Attention` layer at given numbers."""

    name: str
    heads: tuple[ExactHead, ...]


@dataclass(frozen=True)
class ExactLinear:
    """A :class:`Linear` layer at given numbers."""

    name: str
    weight: ExactMatrix
    bias: ExactMatrix
    relu: bool


@dataclass(frozen=True)
class ExactTransformer:
    """A :class:`Transformer` at given numbers: every weight an exact rational matrix.

    Attributes:
        embedding: ``E``, embedding size x vocabulary size.
        layers: from the input to the logits.
        context_size: the number of positions that have a position code.

    """

    embedding: ExactMatrix
    layers: tuple[ExactAttention | ExactLinear, ...]
    context_size: int

    @property
    def embedding_size(self) -> int:
        """``d_e``."""
        return self.embedding.shape[0]

    @property
    def vocab_size(self) -> int:
        """``V``."""
        return self.embedding.shape[1]

    def matrices(self) -> Mapping[str, ExactMatrix]:
        """Return every weight by name, such as ``attention.self.query`` or ``readout.bias``."""
        named = {"embedding": self.embedding}
        for layer in self.layers:
            if isinstance(layer, ExactAttention):
                for head in layer.heads:
                    for part in ("query", "key", "value"):
                        named[f"{layer.name}.{head.name}.{part}"] = getattr(head, part)
            else:
                named[f"{layer.name}.weight"] = layer.weight
                named[f"{layer.name}.bias"] = layer.bias
        return named


@dataclass(frozen=True, eq=False)
class Transformer:
    """Exact weights for symbolic sizes, and the numbers of the symbols.

    The input at position ``i`` is the embedding (of a token, or a virtual one) with the one-hot position code
    ``e_i`` concatenated under it.

    Attributes:
        embedding: ``E``, embedding size x vocabulary size.
        layers: from the input to the logits; the last one must not have a ReLU.
        context_size: number of positions, possibly symbolic.
        bindings: the number of every symbol.

    Raises:
        InvalidArgument: a ``mask``, which belongs to the construction: the one that is printed is the one that runs.

    """

    embedding: Matrix
    layers: tuple[Layer, ...]
    context_size: Any
    bindings: Bindings = field(default_factory=dict)

    def __new__(cls, *_: Any, **given: Any) -> Transformer:
        """Refuse a mask in words; other arguments are the fields."""
        if "mask" in given:
            raise InvalidArgument(
                "mask: a Transformer takes none, as its construction owns the mask (Construction.mask)"
            )
        return super().__new__(cls)

    def __post_init__(self) -> None:
        object.__setattr__(self, "embedding", _as_expression("embedding", self.embedding))

    @cached_property
    def lowered(self) -> ExactTransformer:
        """Every weight as an exact rational matrix, with the widths of neighbouring layers checked.

        Raises:
            InvalidArgument: a symbol without a number, or a layer that does not fit the one before it.

        """
        embedding = lower(self.embedding, self.bindings)
        context_size = lower(sp.Identity(self.context_size), self.bindings).shape[0]
        check_integer("context_size", context_size, 1)
        layers = tuple(_lower_layer(layer, {**self.bindings, **layer.bindings}) for layer in self.layers)
        _check_widths(embedding.shape[0] + context_size, embedding.shape[1], layers)
        return ExactTransformer(embedding, layers, context_size)


def _lower_layer(layer: Layer, bindings: Bindings) -> ExactAttention | ExactLinear:
    if isinstance(layer, Attention):
        heads = tuple(
            ExactHead(head.name, lower(head.query, bindings), lower(head.key, bindings), lower(head.value, bindings))
            for head in layer.heads
        )
        return ExactAttention(layer.name, heads)
    return ExactLinear(layer.name, lower(layer.weight, bindings), lower(layer.bias, bindings), layer.relu)


def _check_widths(width: int, vocab_size: int, layers: tuple[ExactAttention | ExactLinear, ...]) -> None:
    names = [layer.name for layer in layers]
    if len(set(names)) != len(names):
        raise InvalidArgument(f"layers: expected distinct names but got {', '.join(names)}")
    if not layers or not isinstance(layers[-1], ExactLinear) or layers[-1].relu:
        raise InvalidArgument("layers: expected the last layer to be a Linear without ReLU, the readout")
    for layer in layers:
        if isinstance(layer, ExactAttention):
            if not layer.heads:
                raise InvalidArgument(f"layers: expected {layer.name} to have at least one head")
            outputs = {head.value.shape[0] for head in layer.heads}
            fits = all(part.shape[1] == width for head in layer.heads for part in (head.query, head.key, head.value))
            fits &= all(head.query.shape[0] == head.key.shape[0] for head in layer.heads) and len(outputs) == 1
            width = outputs.pop()
        else:
            fits = layer.weight.shape[1] == width and layer.bias.shape == (layer.weight.shape[0], 1)
            width = layer.weight.shape[0]
        if not fits:
            raise InvalidArgument(f"layers: expected {layer.name} to fit the layer before it, but its shapes do not")
    if width != vocab_size:
        raise InvalidArgument(f"layers: expected {vocab_size} logits, one for each token, but the readout has {width}")
