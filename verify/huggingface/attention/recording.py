"""A record of every attention call of a model's forward pass: its inputs, and what it gives.

The class's own ``eager_attention_forward`` runs, on its own tensors; a function in its place hands them on and keeps
them. So weights and outputs are those of the model, not of a second implementation, and so are the queries, keys and
values that they are held to.
"""

from __future__ import annotations

import contextlib
import inspect
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor

from constructions.validation import InvalidArgument
from verify.extras import needed

#: The table of attention functions is one for all threads.
_LOCK = threading.RLock()


@dataclass(frozen=True, eq=False)
class Call:
    """One call of one layer's attention, on one sequence.

    Attributes:
        layer_rows: the rows that the layer around it reads, positions x width.
        rows: the rows that attention reads, likewise: after the layer's norm, where it comes first.
        positions: the cosines and sines of rotary positions, each positions x turned coordinates; ``None`` without.
        query: heads x positions x head size, as it is scored.
        key: key-value heads x keys x head size; what a cache held before comes first.
        value: likewise.
        visible: the keys that each position sees, positions x keys.
        factor: of a score in the exponent.
        exponents: as softmax reads them, with the mask, heads x positions x keys.
        weights: heads x positions x keys.
        output: heads x positions x head size, before the output projection.
        softmax: the type in which softmax is computed.

    """

    layer_rows: Tensor
    rows: Tensor
    positions: tuple[Tensor, Tensor] | None
    query: Tensor
    key: Tensor
    value: Tensor
    visible: Bool[np.ndarray, "positions keys"]
    factor: float
    exponents: Tensor
    weights: Tensor
    output: Tensor
    softmax: torch.dtype


@dataclass(frozen=True, eq=False)
class Layer:
    """A layer's place in a model.

    Attributes:
        name: the full name of its attention.
        attention: the attention module.
        block: the module around it, the layer itself.

    """

    name: str
    attention: Any
    block: Any


@dataclass
class _Inputs:
    layer_rows: dict[str, Tensor] = field(default_factory=dict)
    rows: dict[str, Tensor] = field(default_factory=dict)
    positions: dict[str, tuple[Tensor, Tensor] | None] = field(default_factory=dict)


@contextlib.contextmanager
def recording(layers: list[Layer], substituted: Mapping[str, Tensor] | None = None) -> Iterator[dict[str, Call]]:
    """Record the calls of some layers' attention in the forward pass inside; the record is filled as they run.

    Args:
        layers: whose calls.
        substituted: by the names of layers, the rows that their attention is to read instead of its own, of batch 1.

    Raises:
        InvalidArgument: in the pass, an attention that is computed in another way than it is known here.

    """
    functions = needed("transformers.modeling_utils", "model").ALL_ATTENTION_FUNCTIONS
    names = {id(layer.attention): layer.name for layer in layers}
    calls: dict[str, Call] = {}
    inputs = _Inputs()

    def eager(module: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: Any, **others: Any) -> Any:
        own = inspect.unwrap(type(module).forward).__globals__["eager_attention_forward"]
        name = names.get(id(module))
        if name is None:
            return own(module, query, key, value, attention_mask, **others)
        seen = _Softmaxes()
        with seen:
            output, weights = own(module, query, key, value, attention_mask, **others)
        if name in calls or len(seen.read) != 1 or seen.read[0].shape != weights.shape:
            raise InvalidArgument(f"model: expected one softmax in {name} but got another computation")
        calls[name] = Call(
            layer_rows=inputs.layer_rows[name],
            rows=inputs.rows[name],
            positions=inputs.positions[name],
            query=query[0],
            key=key[0],
            value=value[0],
            visible=_visible(attention_mask, query.shape[2], key.shape[2]),
            factor=float(others["scaling"]),
            exponents=seen.read[0][0],
            weights=weights[0],
            output=output[0].transpose(0, 1),
            softmax=seen.given[0].dtype,
        )
        return output, weights

    with contextlib.ExitStack() as stack:
        stack.enter_context(_LOCK)
        for layer in layers:
            rows = None if substituted is None else substituted[layer.name]
            for handle in _hooks(layer, inputs, rows):
                stack.callback(handle.remove)
        if "eager" in functions:
            raise InvalidArgument(
                "model: expected the attention of transformers, but another one is registered as eager"
            )
        functions["eager"] = eager
        stack.callback(functions.__delitem__, "eager")
        yield calls
    missing = next((layer.name for layer in layers if layer.name not in calls), None)
    if missing is not None:
        raise InvalidArgument(f"model: expected {missing} to compute its attention as its class does by default")


def _hooks(layer: Layer, inputs: _Inputs, substituted: Tensor | None) -> Iterator[Any]:
    def of_block(_: Any, args: tuple[Any, ...], others: dict[str, Any]) -> None:
        inputs.layer_rows[layer.name] = _first(args, others)[0]

    def of_attention(_: Any, args: tuple[Any, ...], others: dict[str, Any]) -> Any:
        rows = _first(args, others) if substituted is None else substituted
        turned = others.get("position_embeddings")
        inputs.rows[layer.name] = rows[0]
        inputs.positions[layer.name] = None if turned is None else (turned[0][0], turned[1][0])
        if args:
            return (rows, *args[1:]), others
        return args, {**others, "hidden_states": rows}

    yield layer.block.register_forward_pre_hook(of_block, with_kwargs=True)
    yield layer.attention.register_forward_pre_hook(of_attention, with_kwargs=True)


def _first(args: tuple[Any, ...], others: dict[str, Any]) -> Tensor:
    found: Tensor = args[0] if args else others["hidden_states"]
    return found


class _Softmaxes(torch.overrides.TorchFunctionMode):
    """Keeps what softmax reads, and what it gives."""

    def __init__(self) -> None:
        super().__init__()
        self.read: list[Tensor] = []
        self.given: list[Tensor] = []

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = function(*args, **(kwargs or {}))
        if function in {torch.nn.functional.softmax, torch.softmax, Tensor.softmax}:
            self.read.append(args[0])
            self.given.append(given)
        return given


def _visible(mask: Tensor | None, positions: int, keys: int) -> Bool[np.ndarray, "positions keys"]:
    """Return the keys that an additive mask leaves visible.

    Raises:
        InvalidArgument: it adds anything but 0 to a visible score, as a bias by distance does; or it differs by heads.

    """
    if mask is None:
        return np.ones((positions, keys), dtype=np.bool_)
    if mask.shape != (1, 1, positions, keys) or not mask.is_floating_point():
        raise InvalidArgument(f"model: expected one additive mask for all heads but got one of {tuple(mask.shape)}")
    values = mask[0, 0].double().cpu().numpy()
    visible = np.asarray(values == 0)
    if not (visible | (values <= torch.finfo(mask.dtype).min)).all():
        raise InvalidArgument("model: expected a mask that hides keys, but it adds numbers to their scores")
    if not visible.any(axis=1).all():
        raise InvalidArgument("model: expected every position to see a key")
    return visible
