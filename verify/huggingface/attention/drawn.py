"""Small language models with drawn weights, adapters and texts: the identities in stock classes, fuzzed."""

from __future__ import annotations

import itertools
import time
from typing import Any

import numpy as np
import torch

from constructions.formats import FORMATS
from constructions.validation import check_choice, check_integer
from verify.arithmetic import torch_arithmetic
from verify.evidence.tally import Progress, no_progress
from verify.evidence.verdict import Verdict
from verify.extras import needed
from verify.huggingface.attention.known import DESIGNS, Sizes
from verify.huggingface.attention.measured import assumptions
from verify.huggingface.models import quiet
from verify.huggingface.prefix_report import CLAIMS, PrefixReport, objection_of, prefix_report
from verify.prefixes.tally import Tally

#: The largest sizes that are drawn.
MOST_LAYERS, MOST_HEADS, MOST_PREFIX, MOST_POSITIONS, MOST_SIZE = 2, 4, 5, 12, 8
_VOCAB = 16
#: The spread of weights, at which attention goes from flat to nearly one-hot in such small models.
_SPREAD = 0.3


def draw_model(design: str, seed: int, index: int, *, dtype: str = "float32") -> tuple[Any, list[int]]:
    """Return the ``index``-th small model of a seed, as peft wraps it with its drawn adapter, and its text.

    The adapter is one of prefix tuning or of prompt tuning. The draws depend on nothing but the arguments.

    Args:
        design: of its attention.
        seed: the same seed and index give the same model.
        index: the number of the model.
        dtype: the torch type of the weights.

    Raises:
        InvalidArgument: an unknown design or type, or a negative seed or index.

    Example:
        >>> adapted, tokens = draw_model("llama", 0, 2)
        >>> type(adapted.get_base_model()).__name__, len(tokens)
        ('LlamaForCausalLM', 5)

    """
    return _drawn(design, seed, index, dtype, {})


def _drawn(design: str, seed: int, index: int, dtype: str, models: dict[Sizes, Any]) -> tuple[Any, list[int]]:
    """Return a drawn model; its numbers replace those of the model of its sizes, where there is one already."""
    transformers, peft = needed("transformers", "design"), needed("peft", "design")
    known = DESIGNS[check_choice("design", design, tuple(DESIGNS))]
    chosen = getattr(torch, check_choice("dtype", dtype, tuple(FORMATS)))
    draw = np.random.default_rng((check_integer("seed", seed, 0), check_integer("index", index, 0)))
    groups = int(draw.integers(1, 3))
    heads = groups * int(draw.integers(1, MOST_HEADS // 2 + 1))
    prefix, positions = int(draw.integers(1, MOST_PREFIX + 1)), int(draw.integers(1, MOST_POSITIONS + 1))
    size = 2 * int(draw.integers(1, MOST_SIZE // 2 + 1))
    layers = int(draw.integers(1, MOST_LAYERS + 1))
    kind = peft.PrefixTuningConfig if draw.integers(2) else peft.PromptTuningConfig
    sizes = Sizes(_VOCAB, layers, heads, groups, size, MOST_PREFIX + MOST_POSITIONS)
    with quiet():
        if sizes not in models:
            models[sizes] = known.small(transformers, sizes).to(chosen)
        adapted = peft.get_peft_model(models[sizes], kind(task_type="CAUSAL_LM", num_virtual_tokens=prefix)).to(chosen)
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            spread = 1.0 if "prompt_encoder" in name else _SPREAD
            parameter.copy_(torch.from_numpy(draw.normal(0, spread, tuple(parameter.shape))))
    return adapted.eval(), draw.integers(_VOCAB, size=positions).tolist()


def drawn_report(design: str, seed: int, index: int, *, dtype: str = "float32") -> PrefixReport:
    """Return the report on a drawn model; the arguments are those of :func:`draw_model`.

    Example:
        >>> drawn_report("gpt-neox", 0, 2).holds
        True

    """
    adapted, tokens = draw_model(design, seed, index, dtype=dtype)
    return prefix_report(adapted, None, tokens, reproduce=_command(design, seed, index, dtype))


def fuzz_attention(
    design: str,
    *,
    dtype: str = "float32",
    device: str = "cpu",
    examples: int = 100,
    seed: int = 0,
    progress: Progress = no_progress,
) -> tuple[Verdict, ...]:
    """Check both identities on drawn models of a stock class, in every layer and head of each.

    Args:
        design: of their attention.
        dtype: the torch type of their weights.
        device: where they run.
        examples: how many models, each with an adapter and a text of its own.
        seed: the same seed draws the same models.
        progress: called with models done and models in all.

    Raises:
        InvalidArgument: an unknown design or type.

    Example:
        >>> [verdict.holds for verdict in fuzz_attention("opt", examples=2)]
        [True, True]

    """
    started = time.perf_counter()
    check_integer("examples", examples, 1)
    arithmetic = torch_arithmetic(dtype, device)
    assert arithmetic.fmt is not None
    tallies = {claim: Tally() for claim in CLAIMS}
    models: dict[Sizes, Any] = {}  # most of the time would be spent on building one for each example
    for index in itertools.count():
        adapted, tokens = _drawn(design, seed, index, dtype, models)
        command = _command(design, seed, index, dtype)
        report = prefix_report(adapted.to(device), None, tokens, reproduce=command)
        for claim, tally in tallies.items():
            tally.broken = tally.broken or objection_of(report.layers, f"drawn {seed}:{index}, ")
            found = [deviation for layer in report.layers for deviation in layer.deviations(claim)]
            tally.add(found, f"drawn {seed}:{index}, {report.model}", command)
        progress(index + 1, examples)
        if index + 1 == examples or any(tally.found for tally in tallies.values()):
            break
    parameters = {
        "model": report.model,
        "layers": f"1..{MOST_LAYERS}",
        "heads": f"1..{MOST_HEADS}",
        "positions": f"1..{MOST_POSITIONS}",
        "prefix_vectors": f"1..{MOST_PREFIX}",
    }
    return tuple(
        tally.verdict(
            claim,
            arithmetic,
            parameters=parameters,
            method="fuzzed",
            started=started,
            seed=seed,
            assumptions=assumptions(arithmetic.fmt),
        )
        for claim, tally in tallies.items()
    )


def _command(design: str, seed: int, index: int, dtype: str) -> str:
    return f"verify.huggingface.drawn_report({design!r}, {seed}, {index}, dtype={dtype!r})"
