"""Decoding as a CUDA graph: the steps of a generation with the promised tokens fed, captured once, replayed often."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from constructions.construction import Construction
from constructions.validation import IntArray
from verify.running.model import Cache, Model, forward


class FedSteps:
    """Logits of every step of a generation whose tokens are given, with keys and values kept.

    All that depends on a case is in two tensors that stay where they are, so that a graph may read them: the rows of
    the prompt, and those of the tokens that are fed.

    Attributes:
        prompt: cases x virtual x width.
        fed: cases x (steps - 1) x width.

    """

    def __init__(self, model: Model[Any, Any, Any], construction: Construction, targets: IntArray) -> None:
        """Take a model in the dense torch arithmetic of a construction without user tokens."""
        self.model, self.construction = model, construction
        self.prompt, self.fed = self._rows(targets)

    def _rows(self, targets: IntArray) -> tuple[Tensor, Tensor]:
        arithmetic = self.model.arithmetic
        prompt: Tensor = arithmetic.prompt(self.construction.virtual_tokens(targets))
        inputs = np.zeros((len(targets), 0), dtype=np.int64)
        answers = np.asarray(self.construction.response(targets, inputs), dtype=np.int64)
        return prompt, arithmetic.embed(self.model.embedding, answers[:, :-1]).contiguous()

    def load(self, targets: IntArray) -> None:
        """Put other cases, as many as before, in the place of these."""
        for held, rows in zip((self.prompt, self.fed), self._rows(targets), strict=True):
            held.copy_(rows)

    def run(self) -> Tensor:
        """Return the logits of every step: cases x steps x outputs."""
        cache: Cache[Tensor] = Cache()
        first = forward(self.model, self.prompt, self.construction.layout.virtual, cache=cache)
        others = [forward(self.model, rows[:, None], 1, cache=cache) for rows in self.fed.unbind(1)]
        return torch.cat([rows[:, -1:] for rows in (first, *others)], dim=1)


class Captured:
    """The steps as a CUDA graph; their logits are always in the same place."""

    def __init__(self, steps: FedSteps) -> None:
        """Run it a few times beside, as torch asks for, and capture it."""
        device = steps.prompt.device
        beside: torch.cuda.Stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call] # torch's own
        beside.wait_stream(torch.cuda.current_stream(device))
        with torch.no_grad(), torch.cuda.stream(beside):
            for _ in range(3):  # torch's own number for libraries that set themselves up when they are first called
                steps.run()
        torch.cuda.current_stream(device).wait_stream(beside)
        self.graph = torch.cuda.CUDAGraph()
        with torch.no_grad(), torch.cuda.graph(self.graph):
            self.found = steps.run()

    def run(self) -> Tensor:
        """Replay it."""
        self.graph.replay()
        return self.found
