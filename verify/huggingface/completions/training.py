"""Training single virtual tokens for given completions: Adam on the virtual tokens, many at once, the model frozen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from constructions.validation import IntArray, check_finite_positive, check_integer, reject
from verify.huggingface.completions.generating import greedy
from verify.huggingface.models import frozen

#: Adam's own defaults, as its authors give them.
_BETAS, _EPSILON = (0.9, 0.999), 1e-8


@dataclass(frozen=True)
class Training:
    """The settings of a training; no count depends on them but how many targets are reached.

    Attributes:
        steps: of Adam, at most; a target that is reached stops earlier.
        rate: Adam's learning rate; ``None`` for a tenth of the scale of the embeddings (the root of the mean square of
            their entries). A step of Adam moves each coordinate by about the rate, so that ten steps cross the scale on
            which the model reads. On small random models, rates from a tenth of that scale to all of it reach about as
            many targets, and smaller ones fewer.
        seed: of the targets and of the tokens at whose embeddings the virtual tokens start.

    """

    steps: int = 2000
    rate: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        check_integer("steps", self.steps, 0)
        check_integer("seed", self.seed, 0)
        if self.rate is not None:
            object.__setattr__(self, "rate", check_finite_positive("rate", self.rate))

    def rate_for(self, model: Any) -> float:
        """Return the learning rate for a model."""
        if self.rate is not None:
            return self.rate
        scale = float(model.get_input_embeddings().weight.detach().double().square().mean().sqrt())
        # a table of zeros has no scale: the virtual tokens may be of any
        return scale / 10 if scale > 0 else 0.1

    def to_json(self, model: Any) -> dict[str, Any]:
        """Return what was used, as JSON values."""
        return {
            **asdict(self),
            "rate": self.rate_for(model),
            "optimizer": f"Adam, betas {_BETAS[0]} and {_BETAS[1]}, epsilon {_EPSILON}",
            "loss": "mean cross-entropy of the target's tokens",
            "start": "the embedding of a random token",
        }


@dataclass(frozen=True, eq=False)
class Trained:
    """The virtual tokens of a batch of targets.

    Attributes:
        tokens: targets x size, in the model's float format.
        steps: for each target the steps of Adam until it was reached, or all of them.
        losses: for each target the loss at its last step, which may not be finite.

    """

    tokens: torch.Tensor
    steps: IntArray
    losses: np.ndarray[Any, Any]


def train(
    model: Any,
    targets: IntArray,
    start: torch.Tensor,
    training: Training,
    *,
    stepped: Callable[[int], None] = lambda done: None,
) -> Trained:
    """Return virtual tokens trained for targets.

    The loss of each target depends on its own virtual token alone, and Adam treats every coordinate by itself: trained
    together, up to rounding, each goes the way that it would go alone. A target is reached when greedy generation gives
    it; its virtual token stops there, and the rest goes on without it. One whose loss is not finite stops too, at the
    last virtual token whose loss was.

    Args:
        model: a causal language model of transformers.
        targets: tokens, targets x length.
        start: the virtual tokens at first, targets x size, in the model's float format.
        training: the settings.
        stepped: called after every step with how many targets are done.

    Raises:
        InvalidArgument: a rate that Adam cannot take in this format, or a logit that is not finite while a completion
            is generated.

    """
    dtype, device, (count, length) = start.dtype, start.device, targets.shape
    wanted = torch.from_numpy(np.asarray(targets, dtype=np.int64)).to(device)
    # a format of fewer bits would lose steps that are small beside a coordinate
    virtual = start.detach().to(torch.promote_types(dtype, torch.float32)).clone().requires_grad_()
    rate, largest = training.rate_for(model), torch.finfo(virtual.dtype).max
    if rate > largest * (1 - _BETAS[0]):  # its first step is the rate over 1 - beta
        reject("rate", f"a number <= {largest * (1 - _BETAS[0]):.3g}, or a step of Adam is beyond all floats", rate)
    optimizer = torch.optim.Adam([virtual], lr=rate, betas=_BETAS, eps=_EPSILON)
    best, losses, steps = start.detach().clone(), np.full(count, np.inf), np.zeros(count, dtype=np.int64)
    active = torch.arange(count, device=device)
    with frozen(model), torch.enable_grad():
        fed = model.get_input_embeddings()(wanted[:, :-1])
        for step in range(training.steps + 1):
            prompts = virtual[active].to(dtype)
            logits = model(inputs_embeds=torch.cat([prompts[:, None], fed[active]], dim=1), use_cache=False).logits
            each = cross_entropy(logits.flatten(0, 1).float(), wanted[active].flatten(), reduction="none")
            loss = each.view(-1, length).mean(dim=1)
            going = torch.isfinite(loss)
            best[active[going]] = prompts.detach()[going]
            places = active.cpu().numpy()
            losses[places], steps[places] = loss.detach().double().cpu().numpy(), step
            right = going & (logits.argmax(dim=2) == wanted[active]).all(dim=1)
            if right.any():
                # what the loss sees is one pass; the completion is what is wanted
                made = torch.from_numpy(greedy(model, prompts.detach()[right], length).tokens).to(device)
                going[right.nonzero()[:, 0][(made == wanted[active][right]).all(dim=1)]] = False
            stepped(count - int(going.sum()))
            if step == training.steps or not going.any():
                break
            optimizer.zero_grad()
            torch.autograd.backward(loss[going].sum())
            optimizer.step()
            active = active[going]
    return Trained(best, steps, losses)
