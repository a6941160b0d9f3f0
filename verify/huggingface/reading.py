"""A stock model as a construction: its own weights, exactly, against a promise of yours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np
import torch

from constructions.entries import Entries
from constructions.exact_matrix import ExactMatrix, Leaf
from constructions.hand_built import HandBuilt
from constructions.layers import (
    Added,
    Attention,
    Chain,
    Gated,
    Head,
    Layer,
    Linear,
    Norm,
    Positions,
    Residual,
    Rotary,
    Sum,
    Unmarked,
)
from constructions.specification import Specification
from constructions.temperature import Softmax
from constructions.transformer import Transformer
from constructions.validation import InvalidArgument, reject
from verify.huggingface.classes import dtype_of, family_of
from verify.huggingface.families import Family, Sizes, Slot
from verify.huggingface.stock import check_attention, check_stock, tensors
from verify.huggingface.turning import tables


def from_huggingface(model: Any, specification: Specification) -> HandBuilt:
    """Return a stock model with a promise, to be run in any arithmetic and certified as any construction is.

    Every weight is the exact number that the model holds, a dyadic one. What is computed from them is what this
    package's forward pass computes; the class's own kernels are held against a promise by
    :class:`~verify.huggingface.HuggingFaceBackend`.

    Args:
        model: of a stock class, with weights of any origin, small enough for exact arithmetic.
        specification: with a single target and no virtual tokens, such as ``specify`` makes, of the model's tokens.

    Raises:
        InvalidArgument: not a stock class, or one that was changed; an activation, or a field of the configuration,
            that this package does not have; a weight that is not a number; more positions in the promise than the
            model has.

    Example:
        >>> import torch, transformers
        >>> from constructions import Domain, specify
        >>> config = transformers.GPT2Config(vocab_size=3, n_embd=4, n_layer=1, n_head=2, n_positions=2)
        >>> model = transformers.GPT2LMHeadModel(config).eval()
        >>> made = from_huggingface(model, specify(Domain.of(3, 2), lambda x: x[:, -1:]))
        >>> made.transformer.lowered.embedding_size
        4

    """
    family = family_of(model)
    family.check(model.config)
    check_stock(model)
    check_attention(model)
    dtype_of(model)
    sizes = family.sizes(model.config)
    if sizes.activation is None:
        raise InvalidArgument("config: expected an activation that this package has, such as gelu_new or silu")
    if not isinstance(specification, Specification):
        reject("specification", "a Specification", specification)
    context = specification.layout.context_size
    if context > sizes.positions:
        raise InvalidArgument(
            f"specification: expected at most {sizes.positions} positions, those of the model, but got {context}"
        )
    made = HandBuilt.of(_Read(model, family, sizes, context).transformer(), specification)
    return replace(made, temperature=Softmax(1.0))


@dataclass(frozen=True, eq=False)
class _Read:
    """A stock model, read tensor by tensor."""

    model: Any
    family: Family
    sizes: Sizes
    context: int

    @cached_property
    def held(self) -> Mapping[str, np.ndarray[Any, Any]]:
        """Every tensor in float64, which holds all formats, a vector as a column."""
        found = {}
        for name, tensor in tensors(self.model).items():
            if not torch.isfinite(tensor).all():
                raise InvalidArgument(f"model: expected weights that are numbers but {name} has others")
            values = tensor.detach().to("cpu", torch.float64).numpy()
            found[name] = values[:, None] if values.ndim == 1 else values
        return found

    @cached_property
    def turned(self) -> Rotary[Any] | None:
        """The rotary positions that all heads share."""
        module = self.family.rotary_module(self.model)
        return None if module is None else tables(module, self.sizes.head_size, self.context)

    def transformer(self) -> Transformer[Any]:
        sizes = self.sizes
        positions: Positions[Any] = Unmarked()
        if self.family.learned_positions:
            positions = Added(self.matrix("positions", sizes.width, sizes.positions))
        layers = [layer for block in range(sizes.blocks) for layer in self.block(block)]
        if self.model.get_output_embeddings().weight is self.model.get_input_embeddings().weight:
            readout = self.cut(replace(self.family.slot("embedding", "weight", sizes), transposed=False), None, None)
        else:
            readout = self.matrix("readout", sizes.vocab, sizes.width)
        return Transformer(
            self.matrix("embedding", sizes.width, sizes.vocab),
            (*layers, self.norm("norm", 0, "norm"), Linear(readout, None, None, "readout")),
            self.context,
            positions=positions,
        )

    def block(self, block: int) -> list[Layer[Any]]:
        seen = (self.norm("attention norm", block, f"norm before attention {block}"), self.attention(block))
        worked = (self.norm("mlp norm", block, f"norm before mlp {block}"), *self.mlp(block))
        if not self.sizes.parallel:
            return [Residual(seen, f"attending {block}"), Residual(worked, f"working {block}")]
        both = Sum((Chain(seen, f"attending {block}"), Chain(worked, f"working {block}")), f"both {block}")
        return [Residual((both,), f"block {block}")]

    def norm(self, part: str, block: int, name: str) -> Norm[Any]:
        width = self.sizes.width
        weight, bias = (self.matrix(part, width, 1, kind, block=block) for kind in ("weight", "bias"))
        return self.family.norm(self.sizes.eps, weight, bias, name)

    def attention(self, block: int) -> Attention[Any]:
        sizes, shared = self.sizes, self.sizes.heads // self.sizes.groups
        heads = []
        for index in range(sizes.heads):
            group, later = divmod(index, shared)
            own = {} if later else self.of_head("key", block, group) | self.of_head("value", block, group)
            heads.append(
                Head(
                    f"head {index}",
                    **self.of_head("query", block, index),
                    **own,
                    rotary=self.turned,
                    shares=f"head {group * shared}" if later else None,
                )
            )
        return Attention(
            tuple(heads),
            f"attention {block}",
            output=self.matrix("output", sizes.width, sizes.heads * sizes.head_size, block=block),
            output_bias=self.matrix("output", sizes.width, 1, "bias", block=block),
        )

    def of_head(self, part: str, block: int, head: int) -> dict[str, Any]:
        """Return the weight and the bias of a head's queries, keys or values, as a head takes them."""
        size, width = self.sizes.head_size, self.sizes.width
        weight = self.matrix(part, size, width, block=block, head=head)
        return {part: weight, f"{part}_bias": self.matrix(part, size, 1, "bias", block=block, head=head)}

    def mlp(self, block: int) -> tuple[Layer[Any], ...]:
        sizes, activation = self.sizes, self.sizes.activation
        down = self.linear("down", block, sizes.width, sizes.hidden, None)
        if not self.family.gated:
            return (self.linear("up", block, sizes.hidden, sizes.width, activation), down)
        gate = self.linear("gate", block, sizes.hidden, sizes.width, activation)
        return (Gated(gate, self.linear("up", block, sizes.hidden, sizes.width, None), f"gated {block}"), down)

    def linear(self, part: str, block: int, rows: int, columns: int, activation: Any) -> Linear[Any]:
        weight, bias = self.matrix(part, rows, columns, block=block), self.matrix(part, rows, 1, "bias", block=block)
        return Linear(weight, bias, activation, f"{part} {block}")

    def matrix(self, part: str, rows: int, columns: int, kind: str = "weight", *, block: int = 0, head: int = 0) -> Any:
        """Return a weight exactly, ``None`` for one that the class does not have."""
        slot = self.family.slot(part, kind, self.sizes, block=block, head=head)
        return self.cut(slot, rows, columns) if slot.tensor in self.held else None

    def cut(self, slot: Slot, rows: int | None, columns: int | None) -> ExactMatrix:
        whole = self.held[slot.tensor].T if slot.transposed else self.held[slot.tensor]
        bottom, right = (
            None if count is None else first + count for first, count in ((slot.row, rows), (slot.column, columns))
        )
        return exact_matrix(whole[slot.row : bottom, slot.column : right])


def exact_matrix(numbers: np.ndarray[Any, Any]) -> ExactMatrix:
    """Return floats as the exact rationals that they are."""
    places = np.argwhere(numbers)
    entries = Entries.of((row, column, Fraction(float(numbers[row, column]))) for row, column in places.tolist())
    leaves = {(0, 0): Leaf("entries", nonzero=entries)} if len(places) else {}
    return ExactMatrix((numbers.shape[0],), (numbers.shape[1],), leaves)
