"""Greedy completions of a causal language model, and how many prompts fit in memory at once."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from constructions.validation import IntArray, InvalidArgument, check_integer
from verify.files.memory import machine_memory
from verify.running.cases import BATCH_BYTES

#: The argument in which a model takes the keys and values of the positions before, and the name under which it returns
#: them: since transformers 5.24, and before. A model with neither runs in full at each step.
_CACHES = ("cache", "past_key_values")


@dataclass(frozen=True, eq=False)
class Completed:
    """Greedy completions of a batch of prompts.

    Attributes:
        tokens: int64, prompts x length.
        margins: float64, for each prompt the smallest difference of any step between the two largest logits; 0 for a
            tie, which the first of the tokens won; infinite where there is one token alone.

    """

    tokens: IntArray
    margins: np.ndarray[Any, Any]


def greedy(model: Any, prompts: torch.Tensor, length: int) -> Completed:
    """Return the greedy completions of prompts of one position each.

    Every step takes the first token of the largest logit and feeds it back. No token ends a completion early, and none
    of the model's settings for generation (penalties, forced tokens) is used.

    Args:
        model: a causal language model of transformers.
        prompts: tokens, int64 of shape ``(prompts,)``; or virtual tokens, floats of shape ``(prompts, size)``.
        length: how many tokens to generate.

    Raises:
        InvalidArgument: a logit is not finite.

    """
    known = inspect.signature(model.forward).parameters
    cached = next((name for name in _CACHES if name in known), None)
    word = "inputs_embeds" if prompts.is_floating_point() else "input_ids"
    first = {word: prompts[:, None]}
    tokens: list[torch.Tensor] = []
    margins = torch.full((len(prompts),), torch.inf, dtype=torch.float64, device=prompts.device)
    cache: Any = None
    with torch.inference_mode():
        for step in range(length):
            if step and cached is not None:
                output = model(input_ids=tokens[-1][:, None], **{cached: cache}, use_cache=True)
            else:
                output = model(**_with(model, first, tokens), use_cache=cached is not None)
            cache = None if cached is None else getattr(output, cached)
            logits = output.logits[:, -1]
            if not torch.isfinite(logits).all():
                place = int(torch.nonzero(~torch.isfinite(logits).all(dim=1))[0, 0])
                raise InvalidArgument(
                    f"model: expected finite logits but prompt {place} of its batch has others at step {step}"
                )
            if logits.shape[1] > 1:
                largest, second = logits.topk(2, dim=1).values.double().unbind(dim=1)
                margins = torch.minimum(margins, largest - second)
            tokens.append(logits.argmax(dim=1))
    return Completed(torch.stack(tokens, dim=1).cpu().numpy(), margins.cpu().numpy())


def _with(model: Any, first: dict[str, torch.Tensor], tokens: list[torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the prompts with the tokens so far behind them, as the model takes them."""
    if not tokens:
        return first
    ((word, prompts),) = first.items()
    fed = torch.stack(tokens, dim=1)
    return {word: torch.cat([prompts, model.get_input_embeddings()(fed) if word == "inputs_embeds" else fed], dim=1)}


#: Vectors of the model's width that a layer keeps for each position: a key and a value while it generates. For a
#: gradient they are about sixteen: the inputs of its linear maps (four of the width and two of four times the width),
#: of its norms and of its residual sums. Nothing but memory depends on them.
_CACHED, _KEPT = 2, 16
#: Arrays like the logits that a gradient needs: themselves, their logarithms after the softmax, and their gradient.
_COPIES = 3


@dataclass(frozen=True)
class Sizes:
    """The sizes of a model that matter here.

    Attributes:
        tokens: how many tokens it reads: rows of its embedding.
        size: of an embedding.
        outputs: how many tokens it writes.
        layers: how many it has.
        bytes: of one of its numbers.
        weights: bytes of all its weights.

    """

    tokens: int
    size: int
    outputs: int
    layers: int
    bytes: int
    weights: int

    @classmethod
    def of(cls, model: Any) -> Sizes:
        """Return the sizes of a model.

        Raises:
            InvalidArgument: it writes tokens that it cannot read, so that not every completion can be fed back.

        """
        table = model.get_input_embeddings().weight
        head = model.get_output_embeddings()
        if head is not None and len(head.weight) > len(table):
            raise InvalidArgument(
                f"model: expected one that reads the {len(head.weight)} tokens that it writes but it reads {len(table)}"
            )
        return cls(
            tokens=table.shape[0],
            size=table.shape[1],
            outputs=table.shape[0] if head is None else head.weight.shape[0],
            layers=getattr(model.config, "num_hidden_layers", 1),
            bytes=table.element_size(),
            weights=sum(weight.numel() * weight.element_size() for weight in model.parameters()),
        )

    def generating(self, length: int) -> int:
        """Return about how many bytes one prompt takes while a completion of ``length`` tokens is generated."""
        return self.bytes * (self.outputs + _CACHED * self.layers * self.size * length)

    def training(self, length: int) -> int:
        """Return about how many bytes one virtual token takes while it is trained for ``length`` tokens."""
        return self.bytes * length * (_COPIES * self.outputs + _KEPT * self.layers * self.size)

    def batch(self, given: int | None, count: int, each: int, device: Any) -> int:
        """Return how many of ``count`` prompts run at once.

        Args:
            given: the user's number; ``None`` for as many as take the memory of the weights, or :data:`BATCH_BYTES`.
            count: how many there are.
            each: bytes that one takes.
            device: where they are.

        Raises:
            InvalidArgument: not a positive number, or more than memory holds.

        """
        fits = memory(device) // each
        if fits < 1:
            raise InvalidArgument(
                f"model: expected a vocabulary and a length that fit in memory but one prompt takes {each:,} bytes"
            )
        if given is None:
            return max(1, min(max(BATCH_BYTES, self.weights) // each, count, fits))
        if check_integer("batch", given, 1) > fits:
            raise InvalidArgument(f"batch: expected at most {fits:,} prompts, which fit in memory, but got {given:,}")
        return min(given, max(count, 1))


def memory(device: Any) -> int:
    """Return the bytes of memory that a device has; all that can be counted where that is not known."""
    device = torch.device(device)
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    return machine_memory()


def check_length(model: Any, length: Any) -> int:
    """Return the length of completions, checked.

    Raises:
        InvalidArgument: not a positive integer, or more positions than the model has.

    """
    check_integer("length", length, 1)
    positions = getattr(model.config, "max_position_embeddings", None)
    if isinstance(positions, int) and positions > 0 and length > positions:
        raise InvalidArgument(
            f"length: expected at most {positions} tokens, the positions of {type(model).__name__}, but got {length}"
        )
    return int(length)
