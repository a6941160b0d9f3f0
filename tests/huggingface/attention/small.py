"""Small stock models with random weights, an adapter with a random prefix, and both in folders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from verify.extras import needed
from verify.huggingface.attention.known import DESIGNS, Sizes
from verify.huggingface.models import quiet

#: Two of four heads share keys where the design has groups.
SIZES = Sizes(vocab=16, layers=3, heads=4, groups=2, size=8, positions=16)
TOKENS = [3, 1, 4, 1, 5, 9, 2]
TEXT = "a prefix takes attention away from the content and leaves its proportions as they are"
WORDS = ["[UNK]", *TEXT.split()]


def model(design: str, dtype: str = "float32", sizes: Sizes = SIZES, spread: float = 0.3) -> Any:
    """A model of random weights, in evaluation mode."""
    draw = np.random.default_rng(7)
    made = DESIGNS[design].small(needed("transformers", "test"), sizes)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.copy_(torch.from_numpy(draw.normal(0, spread, tuple(parameter.shape))))
    return made.to(getattr(torch, dtype)).eval()


def adapted(made: Any, kind: str = "PrefixTuningConfig", prefix: int = 2, spread: float = 1.0) -> Any:
    """The model with an adapter of random numbers."""
    peft = needed("peft", "test")
    with quiet():
        found = peft.get_peft_model(made, getattr(peft, kind)(task_type="CAUSAL_LM", num_virtual_tokens=prefix))
    fill(found, "default", 8, spread)
    return found.eval()


def fill(found: Any, name: str, seed: int, spread: float = 1.0) -> None:
    """Give an adapter random numbers."""
    draw = np.random.default_rng(seed)
    with torch.no_grad():
        for parameter in found.prompt_encoder[name].parameters():
            parameter.copy_(torch.from_numpy(draw.normal(0, spread, tuple(parameter.shape))))


def saved(folder: Path, design: str, kinds: tuple[str, ...], *, tokenizer: bool = False, prefix: int = 2) -> Path:
    """A model in ``folder / "model"``, and each adapter in a folder of its kind's name."""
    made = model(design)
    with quiet():
        made.save_pretrained(folder / "model")
        for kind in kinds:
            wrapped = adapted(made, kind, prefix)
            wrapped.save_pretrained(folder / kind)
            made = wrapped.get_base_model()
        if tokenizer:
            save_tokenizer(folder / "model")
    return folder


def save_tokenizer(folder: Path) -> None:
    """A tokenizer of the words of a short sentence."""
    import tokenizers

    made = tokenizers.Tokenizer(
        tokenizers.models.WordLevel({word: place for place, word in enumerate(WORDS)}, unk_token="[UNK]")
    )
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    needed("transformers", "test").PreTrainedTokenizerFast(tokenizer_object=made).save_pretrained(folder)
