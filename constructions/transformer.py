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

import numpy as np
import sympy as sp
from sympy.matrices.expressions.matexpr import MatrixExpr

from constructions.exact_matrix import ExactMatrix
from constructions.layer_checks import check_layers
from constructions.lowering import Bindings, explicit_matrix, lower
from constructions.validation import InvalidArgument, check_integer, reject

#: A weight as a user may give it: a sympy matrix (symbolic or explicit), nested sequences of numbers, or an array.
Matrix = Any
Mask = Literal["causal", "none"]


def _as_expression(name: str, value: Matrix) -> Matrix:
    return value if isinstance(value, (MatrixExpr, sp.MatrixBase)) else explicit_matrix(name, value)


def _check_name(owner: str, value: Any) -> None:
    if not isinstance(value, str) or not value:
        reject(f"name of a {owner}", "a word", value)


def _tuple_of(name: str, kinds: tuple[type, ...], value: Any) -> tuple[Any, ...]:
    """Return a tuple or list as a tuple of these kinds."""
    words = " or ".join(kind.__name__ for kind in kinds)
    if not isinstance(value, (tuple, list)):
        hint = "; one alone is written (it,), with a comma" if isinstance(value, kinds) else ""
        reject(name, f"a tuple of {words}{hint},", value)
    for part in value:
        if not isinstance(part, kinds):
            reject(name, f"a tuple of {words},", part)
    return tuple(value)


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
        _check_name("head", self.name)
        for part in ("query", "key", "value"):
            object.__setattr__(self, part, _as_expression(f"{part} of head {self.name}", getattr(self, part)))


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

    def __post_init__(self) -> None:
        _check_name("layer", self.name)
        object.__setattr__(self, "heads", _tuple_of(f"heads of layer {self.name}", (Head,), self.heads))


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
        _check_name("layer", self.name)
        if type(self.relu) is not bool:
            expected = "True or False, as ReLU is the one activation that a layer can have,"
            reject(f"relu of layer {self.name}", expected, self.relu)
        for part in ("weight", "bias"):
            object.__setattr__(self, part, _as_expression(f"{part} of layer {self.name}", getattr(self, part)))


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
        object.__setattr__(self, "layers", _tuple_of("layers", (Attention, Linear), self.layers))
        if isinstance(self.context_size, bool) or not isinstance(self.context_size, (int, np.integer, sp.Expr)):
            reject("context_size", "a number of positions", self.context_size)

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
        check_layers(embedding.shape, context_size, layers)
        return ExactTransformer(embedding, layers, context_size)


def _lower_layer(layer: Layer, bindings: Bindings) -> ExactAttention | ExactLinear:
    if isinstance(layer, Attention):
        heads = tuple(
            ExactHead(head.name, lower(head.query, bindings), lower(head.key, bindings), lower(head.value, bindings))
            for head in layer.heads
        )
        return ExactAttention(layer.name, heads)
    return ExactLinear(layer.name, lower(layer.weight, bindings), lower(layer.bias, bindings), layer.relu)
