"""An attention class of transformers describes itself: where its projections are, and how it scales its queries."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float

from constructions.validation import InvalidArgument


@dataclass(frozen=True, eq=False)
class Projection:
    """One projection of the rows that attention reads, as float64 arrays, which hold every format.

    Attributes:
        weight: heads x head size x width.
        bias: heads x head size, 0 where the class has none.

    """

    weight: Float[np.ndarray, "heads size width"]
    bias: Float[np.ndarray, "heads size"]


@dataclass(frozen=True, eq=False)
class Projections:
    """The projections to queries, keys and values.

    Attributes:
        query: of as many heads as the layer has.
        key: of its key-value heads, of which each serves a group of heads.
        value: likewise.
        query_scale: the factor of the queries before they are scored.

    """

    query: Projection
    key: Projection
    value: Projection
    query_scale: float = 1.0


@dataclass(frozen=True)
class Sizes:
    """The sizes of a small model that is drawn.

    Attributes:
        vocab: how many tokens.
        layers: how many layers.
        heads: of queries.
        groups: heads of keys and values, a divisor; a class without groups has as many as of queries.
        size: the width of a head, even.
        positions: the most positions.

    """

    vocab: int
    layers: int
    heads: int
    groups: int
    size: int
    positions: int

    @property
    def width(self) -> int:
        """The width of the rows."""
        return self.heads * self.size


class KnownAttention(ABC):
    """What must be known of a class of attention. A new one is a file here and a line in ``KNOWN``.

    The class calls the function ``eager_attention_forward`` of its own module with its queries, keys and values, where
    the rotary positions, if there are any, turn the halves of a head's first coordinates (``rotate_half``).

    Attributes:
        name: of the design, on a command line and in messages.
        names: full names of the classes in transformers that this describes.

    """

    name: ClassVar[str]
    names: ClassVar[tuple[str, ...]]

    @abstractmethod
    def projections(self, module: Any) -> Projections:
        """Return the projections of a module of one of these classes."""

    @abstractmethod
    def small(self, transformers: Any, sizes: Sizes) -> Any:
        """Return a small causal language model of this design, whose weights are to be drawn.

        Args:
            transformers: the library.
            sizes: of the model.

        """


def options_of(sizes: Sizes) -> dict[str, Any]:
    """Return what the configurations of all designs share: sizes, eager attention, and no special tokens."""
    return {
        "vocab_size": sizes.vocab,
        "num_hidden_layers": sizes.layers,
        "num_attention_heads": sizes.heads,
        "hidden_size": sizes.width,
        "max_position_embeddings": sizes.positions,
        "attn_implementation": "eager",
        "bos_token_id": None,
        "eos_token_id": None,
        "pad_token_id": None,
    }


def projection(weight: Any, bias: Any, size: int) -> Projection:
    """Return a projection of a weight of output x width, and its bias or ``None``, in heads of a size.

    Raises:
        InvalidArgument: the weight is not a matrix of floats, as in a quantized model.

    """
    if not weight.is_floating_point() or weight.ndim != 2:
        raise InvalidArgument(
            f"model: expected weights of floats but got {weight.dtype} of shape {tuple(weight.shape)}"
        )
    rows = weight.detach().double().cpu().numpy()
    shift = np.zeros(len(rows)) if bias is None else bias.detach().double().cpu().numpy()
    return Projection(rows.reshape(-1, size, rows.shape[1]), shift.reshape(-1, size))


def separate(module: Any, *, size: int, query_scale: float = 1.0) -> Projections:
    """Return the projections of a class that has ``q_proj``, ``k_proj`` and ``v_proj``."""
    query, key, value = (
        projection(part.weight, part.bias, size) for part in (module.q_proj, module.k_proj, module.v_proj)
    )
    return Projections(query, key, value, query_scale)
