"""Stock models with random weights, and files of results that are cut short or edited, for tests of completions.

Importing this module skips a test module where a library is missing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

transformers = pytest.importorskip("transformers")
pytest.importorskip("safetensors")

V, LENGTH = 50, 3
#: In float64 the logits of these models, below 100 in size and sums of fewer than 10^4 products, are known to within
#: 10^4 x 2^-53 x 100 = 1.2e-10: a gap beyond that is the same for every kernel.
CERTAIN = 1.2e-10


def small(name: str, **options: Any) -> Any:
    """Return a stock model with random weights, the same for the same name."""
    none = {"bos_token_id": None, "eos_token_id": None, "pad_token_id": None, "vocab_size": V}
    wide = {"hidden_size": 32, "num_attention_heads": 2, "max_position_embeddings": 16}
    configs: dict[str, Callable[[], Any]] = {
        "gpt2": lambda: transformers.GPT2Config(
            n_embd=32, n_layer=1, n_head=2, n_positions=16, initializer_range=0.3, **none, **options
        ),
        "llama": lambda: transformers.LlamaConfig(
            num_hidden_layers=1, intermediate_size=48, initializer_range=0.3, **wide, **none, **options
        ),
        "opt": lambda: transformers.OPTConfig(
            num_hidden_layers=2, ffn_dim=48, word_embed_proj_dim=16, init_std=0.3, **wide, **none, **options
        ),
        "gpt_neox": lambda: transformers.GPTNeoXConfig(
            num_hidden_layers=2, intermediate_size=48, initializer_range=0.3, **wide, **none, **options
        ),
    }
    torch.manual_seed(1)
    return transformers.AutoModelForCausalLM.from_config(configs[name](), dtype=torch.float64).eval()


def results(path: Path) -> list[Any]:
    """Return the results in a file, without its first and last line."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()][1:-1]


class Killed(Exception):
    """Stands for a kill."""


def killed_at(count: int) -> Callable[[int, int], None]:
    """Return a progress that is killed as soon as this many are done."""

    def progress(done: int, total: int) -> None:
        if done >= count:
            raise Killed

    return progress


def resealed(path: Path, change: Callable[[list[Any]], None]) -> None:
    """Change the lines of a file and give it the digest of what it has then, as a forger would."""
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()][:-1]
    change(lines)
    body = "".join(json.dumps(line) + "\n" for line in lines)
    seal = {"saved": "2026-01-01T00:00:00+00:00", "sha256": hashlib.sha256(body.encode()).hexdigest()}
    path.write_text(body + json.dumps(seal) + "\n", encoding="utf-8")
