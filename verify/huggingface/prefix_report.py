"""Section 4 of the paper on a language model: its attention with and without a prefix, layer by layer."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from constructions.validation import check_integer
from proofs.attention import BIAS, RESCALING
from verify.arithmetic import torch_arithmetic
from verify.evidence.tally import Progress, no_progress
from verify.evidence.verdict import Verdict
from verify.huggingface.attention.measured import LayerReport, assumptions, format_of, measure
from verify.huggingface.attention.opened import opened
from verify.huggingface.attention.runs import check_input, check_positions, run_three
from verify.prefixes.measured import Deviation
from verify.prefixes.picture import caption_of, draw_results
from verify.prefixes.results import HeadResults
from verify.prefixes.tally import Tally

#: The identities that a report is about, by their claims.
CLAIMS = (RESCALING, BIAS)

#: Shows a counterexample again where no command line does.
_CALL = "verify.huggingface.prefix_report(model, adapter, input_ids)"


@dataclass(frozen=True, eq=False)
class PrefixReport:
    """Attention of a language model with a prefix, renormalised over the content, and without it.

    Attributes:
        model: the name of its class.
        adapter: the adapter's name, or its folder.
        kind: ``prefix tuning`` or ``prompt tuning``.
        prefix: how many virtual tokens stand in front.
        tokens: the content.
        layers: layer by layer.
        verdicts: on ``attention-rescaling`` and ``attention-bias``, over all layers and heads.

    """

    model: str
    adapter: str
    kind: str
    prefix: int
    tokens: tuple[int, ...]
    layers: tuple[LayerReport, ...]
    verdicts: tuple[Verdict, ...]

    @property
    def holds(self) -> bool:
        """Whether both identities hold."""
        return all(verdict.holds is True for verdict in self.verdicts)

    def layer(self, index: int) -> LayerReport:
        """Return a layer by its number; raises :class:`~constructions.InvalidArgument` where there is none."""
        return self.layers[check_integer("layer", index, 0, len(self.layers) - 1)]

    def head(self, layer: int, head: int) -> HeadResults:
        """Return the patterns, values and outputs of one head; raises likewise."""
        heads = self.layer(layer).heads
        return heads[check_integer("head", head, 0, len(heads) - 1)]

    def draw(self, path: Path, layer: int = 0, head: int = 0) -> str:
        """Draw one head's attention without the prefix, with it, and renormalised; return the caption.

        Raises:
            InvalidArgument: no such layer or head, or matplotlib is not installed.

        """
        made = self.head(layer, head)
        found = self.layers[layer].rescaling[head]
        verdict = self.verdicts[0]
        words = f"{verdict.arithmetic}, layer {layer}, head {head}"
        caption = caption_of(found.left, found.right, found.bound, words)
        draw_results(path, made, caption)
        return caption

    def to_json(self, layer: int | None = None, head: int | None = None) -> dict[str, Any]:
        """Return JSON values: the numbers of every layer and head, and all patterns of one head.

        Args:
            layer: the layer of the head whose patterns are added; ``None`` for no patterns.
            head: the head; ``None`` for no patterns.

        """
        record: dict[str, Any] = {name: getattr(self, name) for name in ("model", "adapter", "kind", "prefix")}
        record["tokens"] = list(self.tokens)
        record["layers"] = [_layer_json(report) for report in self.layers]
        if layer is not None and head is not None:
            record["patterns"] = {"layer": layer, "head": head, **_patterns(self.head(layer, head))}
        return record


def prefix_report(
    model: Any,
    adapter: str | Path | None,
    input_ids: Any,
    *,
    position_ids: Any = None,
    progress: Progress = no_progress,
    reproduce: str | None = None,
) -> PrefixReport:
    """Compare a language model's attention with a prefix to its attention without, at fair positions.

    With the prefix the content stands at positions ``m..m+n-1``, and it is put there without the prefix too. Without
    the prefix every layer reads the rows that it reads with it, as the identities speak of one layer. The report also
    says how far they are off where each layer reads its own rows; that is not part of the verdict.

    Args:
        model: a causal language model of transformers in evaluation mode, loaded with ``attn_implementation="eager"``,
            or one that peft wraps. It is left as it was.
        adapter: the folder of a prefix-tuning or prompt-tuning adapter; of a model that peft wraps, the name of one of
            its adapters, or ``None`` for the active one.
        input_ids: the tokens of one sequence: the content.
        position_ids: the positions of the content without the prefix; any but the fair ones are refused.
        progress: called with layers done and layers in all.
        reproduce: the command that shows the case, for a counterexample.

    Returns:
        The report. Its verdicts hold where every deviation of every head is within the bound that is computed for its
        layer, in the types in which the layer computes. They show nothing where a bound says nothing, or a number is
        not finite.

    Raises:
        InvalidArgument: an unknown kind of attention or of adapter, an adapter of another model, a model that gives no
            attention weights, an unfair comparison, or tokens that the model does not have.

    Example:
        >>> from verify.huggingface import draw_model
        >>> adapted, tokens = draw_model("gpt2", 0, 0)  # a small model under an adapter of peft
        >>> report = prefix_report(adapted, None, tokens)
        >>> report.holds, len(report.layers[0].heads)
        (True, 4)

    """
    started = time.perf_counter()
    with opened(model, adapter) as found:
        tokens = check_input(input_ids, found)
        check_positions(position_ids, found.prefix, tokens.shape[1])
        fmt = format_of(found.base.dtype)
        arithmetic = torch_arithmetic(fmt.name, str(found.base.device)).ieee()
        with arithmetic.running():
            calls = run_three(found, tokens)
        layers = []
        for index, layer in enumerate(calls):
            layers.append(measure(index, layer, fmt))
            progress(index + 1, len(calls))
        name, adapter_name, kind, prefix = type(found.base).__name__, found.adapter, found.kind, found.prefix
    parameters = {
        "model": name,
        "layers": len(layers),
        "heads": len(layers[0].heads),
        "positions": tokens.shape[1],
        "prefix_vectors": prefix,
        "adapter": f"{adapter_name} ({kind})",
    }
    verdicts = []
    for claim in CLAIMS:
        tally = Tally(broken=objection_of(layers))
        for report in layers:
            tally.add(report.deviations(claim), report.subject, reproduce or _CALL)
        verdicts.append(
            tally.verdict(
                claim,
                arithmetic,
                parameters=parameters,
                method="evaluated",
                started=started,
                assumptions=assumptions(fmt),
                all_count=True,
            )
        )
    content = tuple(tokens[0].tolist())
    return PrefixReport(name, adapter_name, kind, prefix, content, tuple(layers), tuple(verdicts))


def objection_of(layers: Sequence[LayerReport], subject: str = "") -> str | None:
    """Return the first layer whose bounds are not about it, and why; ``None`` where there is none."""
    objections = (f"{subject}{report.subject}: {report.objection}" for report in layers if report.objection is not None)
    return next(objections, None)


def _layer_json(report: LayerReport) -> dict[str, Any]:
    heads = zip(report.heads, report.rescaling, report.bias, strict=True)
    return {
        "layer": report.index,
        "attention": report.attention,
        "objection": report.objection,
        "plain": {"rescaling": _number(report.plain_rescaling), "bias": _number(report.plain_bias)},
        "heads": [
            {
                "head": head,
                "rescaling": worst(rescaling),
                "bias": worst(bias),
                "strength": [_number(value) for value in made.strength],
                "bias_norm": [_number(value) for value in np.linalg.norm(made.bias, axis=1)],
            }
            for head, (made, rescaling, bias) in enumerate(heads)
        ],
    }


def worst(found: Deviation) -> dict[str, float | str]:
    """Return the largest deviation, and the largest part of a bound that one uses, as JSON values."""
    off = np.abs(found.left - found.right)
    return {
        "deviation": _number(off.max()),
        "bound": _number(np.max(np.asarray(found.bound))),
        "used": _number(found.used().max()),
    }


def _patterns(made: HeadResults) -> dict[str, Any]:
    parts = {
        "with_prefix": made.with_prefix,
        "renormalised": made.renormalised(),
        "without": made.attention,
        "prefix_values": made.values[: made.prefix],
        "bias": made.bias,
    }
    return {name: [[_number(entry) for entry in row] for row in part] for name, part in parts.items()}


def _number(value: Any) -> float | str:
    """Return a number as JSON has it; one that is not finite as a word."""
    return float(value) if np.isfinite(value) else str(float(value))
