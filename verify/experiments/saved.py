"""The files of a training: where it is, so that a killed one goes on, and its weights at its end."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from constructions.validation import InvalidArgument
from verify.files.atomic import write_atomically
from verify.files.tensors import read_tensors, write_tensors

#: AdamW's two moments of a weight, as torch names them.
_MOMENTS = ("exp_avg", "exp_avg_sq")


def trained_weights(model: Any) -> dict[str, torch.nn.Parameter]:
    """Return the weights that a training changes, by their names."""
    return {name: weight for name, weight in model.named_parameters() if weight.requires_grad}


def key_sha256(key: Mapping[str, Any]) -> str:
    """Return a digest of what a run is of."""
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Files:
    """The files of one phase.

    Attributes:
        folder: of the seed.
        phase: its name.
        run: the digest of the run that they belong to.

    """

    folder: Path
    phase: str
    run: str

    @property
    def finished(self) -> Path:
        """The weights at the end; it is there when the phase is done."""
        return self.folder / f"{self.phase}.safetensors"

    @property
    def running(self) -> Path:
        """Weights and moments on the way."""
        return self.folder / f"{self.phase}.running.safetensors"

    def save(self, model: Any, optimizer: torch.optim.Optimizer, step: int) -> None:
        """Write where the training is, in place of where it was.

        Random numbers have no state that is lost: each step's are drawn from the seed, the phase and the step.
        """
        weights = trained_weights(model)
        tensors = {f"weight {name}": weight.detach() for name, weight in weights.items()}
        for name, weight in weights.items():
            state = optimizer.state[weight]
            tensors |= {f"{moment} {name}": state[moment] for moment in _MOMENTS if moment in state}
        write_atomically(self.running, write_tensors(tensors, {"run": self.run, "step": str(step)}))

    def resume(self, model: Any, optimizer: torch.optim.Optimizer) -> int:
        """Put the training back where it was; return how many steps were done, 0 where no file is.

        Raises:
            InvalidArgument: the file is damaged, or another run's.

        """
        if not self.running.exists():
            return 0
        tensors, words = self._read(self.running)
        step = int(words["step"])
        weights = trained_weights(model)
        self._check(set(tensors), weights, _MOMENTS if step else ())
        with torch.no_grad():
            for name, weight in weights.items():
                weight.copy_(tensors[f"weight {name}"])
                if step:
                    moments = {
                        moment: torch.empty_like(weight).copy_(tensors[f"{moment} {name}"]) for moment in _MOMENTS
                    }
                    optimizer.state[weight] = {"step": torch.tensor(float(step)), **moments}
        return step

    def step(self) -> int:
        """Return how many steps the file of the way has behind it."""
        return int(self._read(self.running)[1]["step"])

    def finish(self, model: Any) -> None:
        """Write the weights at the end, and remove the file of the way."""
        tensors = {f"weight {name}": weight.detach() for name, weight in trained_weights(model).items()}
        write_atomically(self.finished, write_tensors(tensors, {"run": self.run}))
        self.running.unlink(missing_ok=True)

    def load(self, model: Any) -> None:
        """Put the weights at the end into a model.

        Raises:
            InvalidArgument: the file is damaged, or another run's.

        """
        tensors, _ = self._read(self.finished)
        weights = trained_weights(model)
        self._check(set(tensors), weights, ())
        with torch.no_grad():
            for name, weight in weights.items():
                weight.copy_(tensors[f"weight {name}"])

    def _read(self, path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
        tensors, words = read_tensors(path.read_bytes(), str(path))
        if words.get("run") != self.run:
            raise InvalidArgument(f"out: expected the files of this very run but {path} is another's; remove it")
        return tensors, words

    def _check(self, found: set[str], weights: Mapping[str, Any], moments: tuple[str, ...]) -> None:
        if found != {f"{kind} {name}" for kind in ("weight", *moments) for name in weights}:
            raise InvalidArgument(f"out: expected the weights of {self.phase} in {self.folder} but the file has others")
