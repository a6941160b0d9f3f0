"""Section 3: completions of all single tokens, and of trained single virtual tokens, counted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar

import torch

from verify.experiments.base import TINY, Check, Experiment, Papers, Presets, Results, at_least, tiny
from verify.experiments.draws import number
from verify.experiments.loop import Run
from verify.experiments.models import Sizes
from verify.experiments.phases import Preset
from verify.extras import needed
from verify.huggingface.completions import Training, hard_completions, soft_completions
from verify.huggingface.models import quiet

#: Weights are drawn with this spread, at which attention goes from flat to nearly one-hot in such small models.
_SPREAD = 0.3


class HardAndSoft(Experiment):
    """The counts are those of ``prefixproof completions``; the model is of a stock class and has drawn weights."""

    name = "hard-and-soft"
    summary = "Single virtual tokens select more completions than there are single tokens."
    source = "Section 3"
    paper: ClassVar[Papers] = {}
    #: unique completions in the paper, of how many
    counts: ClassVar[Any] = {"single tokens": [24_426, 32_000], "trained virtual tokens": [46_812, 48_218]}
    presets: ClassVar[Presets] = {
        "cpu": Preset(
            Sizes(layers=2, heads=4, width=64, length=4, prefix=0),
            (),
            "GPT-2 of 2 layers and width 64 with DRAWN weights, 64 tokens and completions of 4, in place of LLaMA-7B,"
            " 32,000 tokens and completions of 10; 160 virtual tokens in place of 48,218.",
            more=(("tokens", 64), ("targets", 160), ("steps", 400)),
        ),
        TINY: tiny(
            Sizes(layers=1, heads=2, width=16, length=2, prefix=0),
            (),
            more=(("tokens", 8), ("targets", 4), ("steps", 5)),
        ),
    }
    absent: ClassVar[dict[str, str]] = {
        "paper": "needs LLaMA-7B's weights; with them: prefixproof completions --model DIR --length 10 --train 48218"
    }

    def judge(self, results: Results) -> Iterator[Check]:
        """Yield that virtual tokens select more completions than there are tokens, as no choice of tokens can."""
        soft = [extra["counts"]["trained virtual tokens"] for extra in results.extras]
        tokens = results.extras[0]["model"]["tokens"]
        yield at_least(
            "unique completions of trained virtual tokens", [float(one["unique"]) for one in soft], tokens + 1
        )
        yield at_least(
            "targets that trained virtual tokens reach, beyond the number of tokens",
            [float(one["reached"] - tokens) for one in soft],
            1,
        )

    def after(self, run: Run) -> dict[str, Any]:
        """Return both counts."""
        sizes, more = run.preset.sizes, dict(run.preset.more)
        model = _model(run, more["tokens"])
        hard = hard_completions(model, length=sizes.length, file=run.folder / "tokens.jsonl")
        soft = soft_completions(
            model,
            Path(run.folder),
            targets=more["targets"],
            length=sizes.length,
            training=Training(steps=more["steps"], seed=run.seed),
        )
        counts = {one.kind: one.to_json() for one in (hard, soft)}
        for one in counts.values():
            del one["taken_over"]  # of this start of the program
        return {"counts": counts, "paper": self.counts, "model": asdict(sizes) | {"tokens": more["tokens"]}}


def _model(run: Run, tokens: int) -> Any:
    transformers, sizes = needed("transformers", "experiment"), run.preset.sizes
    config = transformers.GPT2Config(
        vocab_size=tokens,
        n_positions=sizes.length + 1,
        n_embd=sizes.width,
        n_layer=sizes.layers,
        n_head=sizes.heads,
        initializer_range=_SPREAD,
        bos_token_id=None,
        eos_token_id=None,
        pad_token_id=None,
    )
    with torch.random.fork_rng(devices=[]), quiet():
        torch.manual_seed(number("drawn", run.seed))
        return transformers.GPT2LMHeadModel(config).to(run.device).eval()
