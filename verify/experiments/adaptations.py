"""What a training changes in a model: all of its weights, a prefix of peft, or matrices of rank one of peft."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass
from typing import Any

import torch

from verify.extras import needed
from verify.huggingface.models import quiet

#: Weight decay of matrix products where all weights are trained, as minGPT has it; torch's own of AdamW elsewhere.
_DECAY, _TORCHS = 0.1, 0.01


class Adaptation(ABC):
    """What a training changes."""

    #: How many virtual tokens stand in front.
    virtual: int = 0
    #: Whether dropout is at work: while all weights are trained from the start, as in the paper.
    dropout: bool = False

    @abstractmethod
    def applied(self, model: Any) -> Any:
        """Return a model of transformers as this trains it: what is trained has ``requires_grad``."""

    def groups(self, model: Any) -> list[dict[str, Any]]:
        """Return what AdamW takes: the trained weights of :meth:`applied` with their weight decay."""
        return [{"params": [weight for weight in model.parameters() if weight.requires_grad], "weight_decay": _TORCHS}]

    def to_json(self) -> dict[str, Any]:
        """Return JSON values."""
        return {"kind": type(self).__name__, **asdict(self)}  # type: ignore[call-overload] # each is a dataclass


@dataclass(frozen=True)
class AllWeights(Adaptation):
    """Every weight of the model.

    Attributes:
        dropout: whether it is at work.

    """

    dropout: bool = False

    def applied(self, model: Any) -> Any:
        """Return the model itself."""
        return model

    def groups(self, model: Any) -> list[dict[str, Any]]:
        """Return matrix products with weight decay, and embeddings, norms and biases without."""
        tables = {id(module.weight) for module in model.modules() if isinstance(module, torch.nn.Embedding)}
        products: list[torch.nn.Parameter] = []
        others: list[torch.nn.Parameter] = []
        for weight in model.parameters():
            (products if weight.ndim > 1 and id(weight) not in tables else others).append(weight)
        return [{"params": products, "weight_decay": _DECAY}, {"params": others, "weight_decay": 0.0}]


@dataclass(frozen=True)
class Prefix(Adaptation):
    """Keys and values in front, in every layer: peft's prefix tuning.

    Attributes:
        virtual: how many.

    """

    virtual: int = 1

    def applied(self, model: Any) -> Any:
        """Return the model as peft wraps it; each number of the prefix is drawn from N(0, 1)."""
        peft = needed("peft", "experiment")
        with quiet():
            config = peft.PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=self.virtual)
            return peft.get_peft_model(model, config)


@dataclass(frozen=True)
class LowRank(Adaptation):
    """A matrix of low rank beside each product of the MLPs, and beside attention's output: peft's LoRA.

    The name of the MLP's second product is that of attention's output too, so that the paper's "rank one on the MLP"
    has both.

    Attributes:
        rank: of each matrix.

    """

    rank: int = 1

    def applied(self, model: Any) -> Any:
        """Return the model as peft wraps it."""
        peft = needed("peft", "experiment")
        with quiet():
            config = peft.LoraConfig(
                task_type="CAUSAL_LM",
                r=self.rank,
                lora_alpha=self.rank,
                lora_dropout=0.0,
                target_modules=["c_fc", "c_proj"],
                fan_in_fan_out=True,
            )
            return peft.get_peft_model(model, config)
