"""A construction with changed weights or changed virtual tokens, which keeps the promise of the right one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from typing import Any, final

from constructions import Construction, Layout, Linear, Ratios, TargetSpace, Temperature, Transformer
from constructions.activations import RELU
from constructions.formats import Format
from constructions.transformer import Attention, Layer
from constructions.validation import IntArray

#: A matrix as its rows.
Rows = list[list[Fraction]]
Change = Callable[[Transformer], Transformer]
PromptChange = Callable[[Ratios], Ratios]


def unchanged(subject: Any) -> Any:
    return subject


@final
@dataclass(frozen=True, repr=False)
class Mutated(Construction):
    """A right construction's promise, layout and temperature, with a change in its weights or its virtual tokens.

    Attributes:
        right: what it was made from.
        label: which mutant it is; two of the same label and origin are the same.
        change: of the transformer.
        prompt_change: of the virtual tokens.

    """

    vocab_size: int = field(init=False)
    right: Construction
    label: str
    change: Change = field(default=unchanged, compare=False)
    prompt_change: PromptChange = field(default=unchanged, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "vocab_size", self.right.vocab_size)
        object.__setattr__(self, "temperature", self.right.temperature)
        object.__setattr__(self, "mask", self.right.mask)
        super().__post_init__()

    @property
    def layout(self) -> Layout:
        return self.right.layout

    @cached_property
    def transformer(self) -> Transformer:
        return self.change(self.right.transformer)

    @property
    def targets(self) -> TargetSpace:
        return self.right.targets

    def encode(self, targets: IntArray) -> Ratios:
        return self.prompt_change(self.right.encode(targets))

    def answer(self, targets: IntArray, user_inputs: IntArray) -> IntArray:
        return self.right.answer(targets, user_inputs)

    def default_temperature(self, fmt: Format | None) -> Temperature:
        return self.right.default_temperature(fmt)

    def check_format(self, fmt: Format) -> None:
        self.right.check_format(fmt)

    def __repr__(self) -> str:
        return f"Mutated({self.right!r}, {self.label!r})"


def with_matrix(name: str, change: Callable[[Rows], Rows]) -> Change:
    """Return the change of one weight, by its name in ``ExactTransformer.matrices``."""

    def changed(transformer: Transformer) -> Transformer:
        matrices = transformer.lowered.matrices()
        assert name in matrices, f"no weight {name}"
        rows = change(matrices[name].to_fractions())
        if name == "embedding":
            return replace(transformer, embedding=rows)
        return replace(transformer, layers=tuple(_with_matrix(layer, name, rows) for layer in transformer.layers))

    return changed


def _with_matrix(layer: Layer, name: str, rows: Rows) -> Layer:
    if isinstance(layer, Attention):
        return replace(
            layer, heads=tuple(_with_part(head, f"{layer.name}.{head.name}", name, rows) for head in layer.heads)
        )
    changed: Layer = _with_part(layer, layer.name, name, rows)
    return changed


def _with_part(owner: Any, prefix: str, name: str, rows: Rows) -> Any:
    """Return a head or an MLP layer with one of its matrices changed, if the name is one of its own."""
    part = name.removeprefix(f"{prefix}.")
    return replace(owner, **{part: rows}) if part in {"query", "key", "value", "weight", "bias"} else owner


def without_relu(name: str) -> Change:
    """Return the change that takes the ReLU of an MLP layer off."""
    return _relu(name, on=False)


def with_relu(name: str) -> Change:
    """Return the change that puts a ReLU on an MLP layer."""
    return _relu(name, on=True)


def _relu(name: str, *, on: bool) -> Change:
    def changed(transformer: Transformer) -> Transformer:
        layers = tuple(
            replace(layer, activation=RELU if on else None)
            if isinstance(layer, Linear) and layer.name == name
            else layer
            for layer in transformer.layers
        )
        return replace(transformer, layers=layers)

    return changed
