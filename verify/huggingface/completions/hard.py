"""Hard prompts: the greedy completion of every single token of a causal language model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from constructions.validation import InvalidArgument, check_integer
from verify.evidence.tally import Progress, no_progress
from verify.files.json_lines import JsonLines
from verify.huggingface.completions.counting import Counted, counted, is_result, result_of, run_key, seed_of
from verify.huggingface.completions.generating import Completed, Sizes, check_length, greedy
from verify.huggingface.models import check_causal, frozen


def hard_completions(
    model: Any,
    *,
    length: int = 10,
    tokens: int | None = None,
    batch: int | None = None,
    file: Path | None = None,
    progress: Progress = no_progress,
) -> Counted:
    """Count the different greedy completions of every single token, in the order of tokens.

    Floats need not be equal across batches, so that a completion with a near tie may depend on how many prompts run at
    once. The result says how many did, and some prompts run again alone.

    Args:
        model: a causal language model of transformers, such as
            :func:`~verify.huggingface.load_model` returns.
        length: tokens of a completion.
        tokens: try the first ones only, by default all that the model reads.
        batch: how many prompts run at once; by default as many as take the memory of the weights, or 64 MiB.
        file: where every result is written, as JSON lines, as the run goes on. A killed run goes on from it.
        progress: called with prompts done and prompts in all after each batch.

    Raises:
        InvalidArgument: not a causal language model, a length that its positions do not hold, a batch that memory does
            not hold, a logit that is not finite, or a file that is another run's.

    Source:
        The paper counts 24,426 completions of LLaMA-7B's 32,000 tokens.

    Example:
        >>> from constructions import ResidualGeneration
        >>> from verify.huggingface import to_huggingface
        >>> model = to_huggingface(ResidualGeneration(vocab_size=4, context_size=3))
        >>> made = hard_completions(model, length=3)
        >>> made.prompts, made.unique  # it does not look at its tokens: all of them are one prompt
        (4, 1)

    """
    check_causal(model)
    check_length(model, length)
    sizes = Sizes.of(model)
    count = sizes.tokens if tokens is None else check_integer("tokens", tokens, 0, sizes.tokens)
    device = model.get_input_embeddings().weight.device
    size = sizes.batch(batch, count, sizes.generating(length), device)
    key = run_key(model, sizes, prompts="single tokens", count=count, length=length, batch=size)
    kept = None if file is None else JsonLines(file, "output", key)
    results: list[Any] = [] if kept is None else kept.taken_over(count)
    for place, result in enumerate(results):
        if not is_result(result, length, sizes.outputs) or result.get("token") != place:
            raise InvalidArgument(
                f"output: expected results of tokens in order but line {place + 2} of {file} has another"
            )
    before = len(results)

    def completed(first: int, last: int) -> Completed:
        return greedy(model, torch.arange(first, last, device=device), length)

    progress(before, count)
    with frozen(model):
        # batches begin where they would without an interruption
        for start in range(before - before % size, count, size):
            made = completed(start, min(count, start + size))
            new = [{"token": start + place, **result_of(made, place)} for place in range(len(made.tokens))]
            new = new[len(results) - start :]
            results += new
            if kept is not None:
                kept.add(new)
            progress(len(results), count)
        if kept is not None:
            kept.write()
        return counted(
            "single tokens",
            results,
            lambda place: completed(place, place + 1),
            seed=seed_of(kept),
            batch=size,
            length=length,
            taken_over=before,
        )
