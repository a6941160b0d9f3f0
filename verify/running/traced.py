"""The forward pass under a tracer of torch, for which the batch and the length of a sequence are symbols."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor

from constructions.layers.masks import Mask
from constructions.layers.passes import Pass
from constructions.operations import Attended, Visible
from verify.arithmetic.base import Arithmetic
from verify.arithmetic.constant import constant_when_traced
from verify.running.model import Model


@dataclass(frozen=True)
class TracedPass(Pass[Tensor, Tensor, Tensor]):
    """A pass over all positions, whose number may be a symbol: masks and tables are cut out of the context's.

    Attributes:
        context_size: the most positions there can be.

    """

    context_size: int = 0

    def visible(self, mask: Mask | None) -> Visible:
        """Return a tensor: the corner of the mask of the whole context."""
        asked = self.mask if mask is None else mask
        seen = torch.from_numpy(asked.whole(self.context_size)).to(self._places.device)
        return cast("Visible", seen.index_select(0, self._places).index_select(1, self._places))

    def seen_first(self, visible: Visible) -> Attended:
        """Return what each new position sees with one more key in front, which all of them see."""
        seen = cast("Any", visible)
        return cast("Attended", torch.cat([torch.ones_like(seen[:, :1]), seen], dim=1))

    def table(self, held: Tensor, *, last_only: bool = False) -> Tensor:
        """Return the columns of a table of positions, one row for each position."""
        assert not last_only, "a traced pass returns the logits of all positions"
        return held.T.index_select(0, self._places)[None]

    @property
    def _places(self) -> Tensor:
        # positions are picked one by one: a slice is a view, and a tracer asks whether it is all of its tensor
        return torch.arange(self.count, device=cast("Any", self.operations).torch_device)


# A tracer asks a mask once, and holds the answer: of a method, as torch 2.11 takes no dataclass as an argument there.
constant_when_traced(Mask.whole)


def traced_forward(
    model: Model[Tensor, Tensor, Tensor, Arithmetic[Tensor, Tensor, Tensor]],
    virtual_tokens: Float[Tensor, "batch virtual embedding"],
    tokens: Int[Tensor, "batch length"],
) -> Float[Tensor, "batch positions vocab"]:
    """Return the logits at every position, by the operations of the eager pass; values of tokens are not checked.

    Args:
        model: weights held as tensors.
        virtual_tokens: the first positions.
        tokens: those after them, possibly none.

    """
    # picked by an operation that refuses what is no token, and whose name in an exported graph is no weight's
    columns = model.embedding.T.index_select(0, tokens.reshape(-1))
    rows = torch.cat([virtual_tokens, columns.reshape(*tokens.shape, model.embedding.shape[0])], dim=1)
    size = model.transformer.context_size
    run = TracedPass(
        model.arithmetic, 0, rows.shape[1], model.mask, model.temperature, None, lambda *_: None, context_size=size
    )
    return model.transformer.apply(run, rows)
