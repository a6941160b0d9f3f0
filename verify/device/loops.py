"""The baseline for the speed of verification: decoding as anyone would write it, in plain torch."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import linear

from constructions import UnconditionalGeneration
from constructions.formats import get_format
from constructions.temperature import head_temperature
from verify.arithmetic.gaps import score_gap


class PlainLoop:
    """Theorem 1's transformer, decoding greedily with keys and values kept; tokens stay on the device.

    It shares no code with the forward pass of this package: the weights are all that they have in common.
    """

    def __init__(self, construction: UnconditionalGeneration, dtype: str, device: str) -> None:
        """Hold the weights of a construction as ``dtype`` on ``device``."""
        fmt = get_format(dtype)
        exact = construction.transformer.lowered
        self.dtype, self.device, self.steps = getattr(torch, dtype), device, construction.context_size
        self.weights = {
            name: torch.from_numpy(matrix.to_numpy(fmt).copy()).to(device, self.dtype)
            for name, matrix in exact.matrices().items()
        }
        temperature = construction.temperature_for(fmt)
        self.scales = {
            head.name: score_gap(head_temperature(temperature, head.name), key_size=head.key_size, length=1)
            for layer in exact.attentions
            for head in layer.heads
        }

    @torch.no_grad()
    def run(self, prompt: Tensor) -> Tensor:
        """Return the tokens: cases x steps.

        Args:
            prompt: the virtual token of each case, cases x width.

        """
        held, cases = self.weights, len(prompt)
        places = torch.eye(self.steps, dtype=self.dtype, device=self.device)
        keys = {name: self._room(cases, held[f"attention.{name}.key"]) for name in self.scales}
        values = {name: self._room(cases, held[f"attention.{name}.value"]) for name in self.scales}
        tokens = torch.empty(cases, self.steps, dtype=torch.int64, device=self.device)
        rows = prompt
        for step in range(self.steps):
            seen = torch.cat([rows, places[step].expand(cases, -1)], dim=1)
            found = torch.zeros(1, dtype=self.dtype, device=self.device)
            for name, scale in self.scales.items():
                query, key, value = (held[f"attention.{name}.{part}"] for part in ("query", "key", "value"))
                keys[name][:, step], values[name][:, step] = linear(seen, key), linear(seen, value)
                scores = linear(seen, query)[:, None] @ keys[name][:, : step + 1].transpose(1, 2)
                found = found + (torch.softmax(scores * scale, dim=-1) @ values[name][:, : step + 1])[:, 0]
            for name in ("select", "sum"):
                found = torch.relu(linear(found, held[f"{name}.weight"], held[f"{name}.bias"][:, 0]))
            logits = linear(found, held["readout.weight"], held["readout.bias"][:, 0])
            tokens[:, step] = logits.argmax(-1)
            rows = held["embedding"].T[tokens[:, step]]
        return tokens

    def _room(self, cases: int, weight: Tensor) -> Tensor:
        return torch.empty(cases, self.steps, len(weight), dtype=self.dtype, device=self.device)
