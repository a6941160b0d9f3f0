"""A family of stock classes: its configuration, and where each weight of a decoder lies in its tensors."""

from __future__ import annotations

import math
from abc import ABC
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar

from constructions.activations import GELU, IDENTITY, RELU, SIGMOID, SILU, TANH, TANH_GELU, Activation
from constructions.layers import LayerNorm, Norm
from constructions.validation import reject

#: The names of activations in ``transformers.activations.ACT2FN``; the first name of each is the one that is written.
ACTIVATIONS: tuple[tuple[str, Activation], ...] = (
    ("relu", RELU),
    ("gelu", GELU),
    ("gelu_new", TANH_GELU),
    ("gelu_pytorch_tanh", TANH_GELU),
    ("silu", SILU),
    ("swish", SILU),
    ("tanh", TANH),
    ("sigmoid", SIGMOID),
    ("linear", IDENTITY),
)

#: The fields of configurations that most families have under one name, by the size of :class:`Sizes` that they hold.
COMMON_FIELDS: Mapping[str, str] = {
    "vocab": "vocab_size",
    "width": "hidden_size",
    "blocks": "num_hidden_layers",
    "heads": "num_attention_heads",
    "positions": "max_position_embeddings",
    "tied": "tie_word_embeddings",
}


@dataclass(frozen=True)
class Slot:
    """Where a matrix of ours, output x input, lies in a tensor of a stock class.

    Attributes:
        tensor: the tensor's name in the state dict; a vector counts as a column.
        row: its first row there.
        column: its first column there.
        transposed: whether the tensor holds the matrix input x output.

    """

    tensor: str
    row: int = 0
    column: int = 0
    transposed: bool = False


@dataclass(frozen=True)
class Sizes:
    """Everything about a stock model but its weights, in words that all families share.

    Attributes:
        vocab: tokens.
        width: of the residual stream.
        blocks: their number.
        heads: in each block.
        groups: heads that have keys and values of their own, each shared by ``heads / groups`` heads.
        head_size: numbers in a query, a key and a value of one head.
        hidden: width of the MLP between its two linear maps.
        positions: the longest context.
        activation: of the MLP; ``None`` for one that we do not have.
        eps: of the norms.
        parallel: whether attention and MLP of a block read the same stream.
        tied: whether the readout is the embedding.
        turned: how many coordinates of queries and keys the rotary positions turn.

    """

    vocab: int
    width: int
    blocks: int
    heads: int
    groups: int
    head_size: int
    hidden: int
    positions: int
    activation: Activation | None
    eps: Fraction
    parallel: bool = False
    tied: bool = False
    turned: int = 0


class Family(ABC):
    """A family of stock classes; a new one is a subclass in a file of its own, and a line in the registry.

    Attributes:
        name: as a user writes it, as architectures of constructions are called.
        model_class: the name of the class with a language model head.
        config_class: the name of its configuration.
        norm: its kind of norm.
        gated: whether its MLP has a gate.
        learned_positions: whether it adds a table of positions.
        rotary: whether it turns queries and keys by their positions.
        grouped: whether heads may share keys and values.
        parallel: whether attention and MLP of a block may read the same stream.
        free_head_size: whether heads may have another size than ``width / heads``.
        fixed_eps: the eps of its norms where the configuration has none.
        default_activation: of an untouched configuration.
        fields: for each size of :class:`Sizes` the field of the configuration that holds it, where there is one.
        names: for each part of a decoder, the name of its tensors without ``.weight`` or ``.bias``; ``{block}`` stands
            for the number of the block.
        transposed: the parts that are held input x output.
        fixed: fields of the configuration that another value would make another architecture, with the one that is
            meant.

    """

    name: ClassVar[str]
    model_class: ClassVar[str]
    config_class: ClassVar[str]
    norm: ClassVar[type[Norm[Any]]] = LayerNorm
    gated: ClassVar[bool] = False
    learned_positions: ClassVar[bool] = False
    rotary: ClassVar[bool] = False
    grouped: ClassVar[bool] = False
    parallel: ClassVar[bool] = False
    free_head_size: ClassVar[bool] = False
    fixed_eps: ClassVar[Fraction | None] = None
    default_activation: ClassVar[Activation] = RELU
    fields: ClassVar[Mapping[str, str]]
    names: ClassVar[Mapping[str, str]]
    transposed: ClassVar[frozenset[str]] = frozenset({"embedding", "positions"})
    fixed: ClassVar[Mapping[str, Any]] = {}

    def options(self, sizes: Sizes) -> dict[str, Any]:
        """Return the fields of a configuration of these sizes that are not at their defaults."""
        return {field: _WRITTEN.get(name, _same)(getattr(sizes, name)) for name, field in self.fields.items()}

    def sizes(self, config: Any) -> Sizes:
        """Return the sizes of a configuration. By default heads share no keys, and split the width of the stream.

        Raises:
            InvalidArgument: eps is not finite, or there is no head.

        """
        read: dict[str, Any] = {"eps": self.fixed_eps}
        for name, field in self.fields.items():
            read[name] = _READ.get(name, _same)(getattr(config, field))
        if read["heads"] < 1:
            reject(f"{self.fields['heads']} of config", "an integer >= 1", read["heads"])
        read.setdefault("groups", read["heads"])
        read.setdefault("head_size", read["width"] // read["heads"])
        return Sizes(**read)

    def check(self, config: Any) -> None:
        """Refuse a configuration that makes another architecture of the class.

        Raises:
            InvalidArgument: it does.

        """
        for field, meant in self.fixed.items():
            if getattr(config, field) != meant:
                reject(f"{field} of config", repr(meant), getattr(config, field))
        if not getattr(config, "is_causal", True):
            reject("is_causal of config", "True", config.is_causal)
        if getattr(config, "quantization_config", None) is not None:
            reject("quantization_config of config", "None, as weights are whole floats,", config.quantization_config)
        rope = getattr(config, "rope_parameters", None) or {}
        if rope.get("rope_type", "default") != "default":
            reject("rope_type of config", "'default'", rope["rope_type"])

    def rotary_module(self, model: Any) -> Any:
        """Return the module that computes cosines and sines, ``None`` where there is none."""
        return None

    def row(self, part: str, head: int, sizes: Sizes) -> int:
        """Return the first row of a part in its tensor; of queries, keys and values that of one head.

        Args:
            part: of the decoder.
            head: of the block; for keys and values the group.
            sizes: of the model.

        """
        return head * sizes.head_size if part in ("query", "key", "value") else 0

    def column(self, part: str, head: int, sizes: Sizes) -> int:
        """Return the first column of a part in its tensor; of the output projection that of one head."""
        return head * sizes.head_size if part == "output" else 0

    def slot(self, part: str, kind: str, sizes: Sizes, *, block: int = 0, head: int = 0) -> Slot:
        """Return where a weight lies.

        Args:
            part: of the decoder.
            kind: ``weight`` or ``bias``.
            sizes: of the model.
            block: its number.
            head: its number in the block; for keys and values the group.

        """
        tensor = f"{self.names[part].format(block=block)}.{kind}"
        row = self.row(part, head, sizes)
        if kind == "bias":
            return Slot(tensor, row)
        return Slot(tensor, row, self.column(part, head, sizes), part in self.transposed)


def activation_name(activation: Activation | None) -> str | None:
    """Return transformers' name of an activation, ``None`` where it has none.

    One of another class may equal it, and do otherwise.
    """
    return next((name for name, known in ACTIVATIONS if type(known) is type(activation) and known == activation), None)


def activation_called(name: Any) -> Activation | None:
    """Return the activation of a name of transformers', ``None`` for one that we do not have."""
    return next((known for known_name, known in ACTIVATIONS if known_name == name), None)


def _same(value: Any) -> Any:
    return value


def _exact(eps: Any) -> Fraction:
    if not math.isfinite(eps):
        reject("eps of config", "a finite number", eps)
    return Fraction(eps)


#: How a size that is not an integer is written into a field, and read from it.
_WRITTEN: Mapping[str, Callable[[Any], Any]] = {"activation": activation_name, "eps": float}
_READ: Mapping[str, Callable[[Any], Any]] = {"activation": activation_called, "eps": _exact}
