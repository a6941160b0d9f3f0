"""Section 4 of the paper held to what was trained: the identities, what no prefix reaches, and the deeper layers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import torch

from constructions.temperature import RationalSoftmax
from constructions.validation import InvalidArgument
from verify.experiments.loop import Run
from verify.experiments.models import answer_logits, read_by
from verify.experiments.tasks import TASKS
from verify.huggingface.attention.measured import format_of, measure
from verify.huggingface.attention.opened import opened
from verify.huggingface.attention.runs import check_input, run_three
from verify.huggingface.prefix_report import CLAIMS, PrefixReport, prefix_report, worst
from verify.prefixes.layer import AttentionLayer, Numbers, plain_head
from verify.prefixes.measured import Deviation
from verify.prefixes.tally import Tally
from verify.reachability.impossibility import ChangedRatio, pattern_is_impossible

#: Held-out questions on which the identities of a trained prefix are looked at.
QUESTIONS = 3
#: A wanted ratio is called impossible when it is more than so many times another than the layer's. The certificate's
#: layer has the computed weights rounded to powers of 2, which moves a ratio by at most a factor of 2, and rounding
#: errors of a float32 softmax are far below the other factor of 2: so the certificate is about the trained layer too.
_CLEAR = 4.0
#: Weights below it have no ratio here: the float32 numbers there are so far apart that rounding alone can double one.
_NORMAL = float(torch.finfo(torch.float32).smallest_normal)


def read_for(run: Run, task: str, place: int = 0) -> list[int]:
    """Return what a model reads of a held-out question and its answer."""
    questions = run.questions(place + 1)[place:]
    return [int(token) for token in read_by(questions, TASKS[task].answer(questions))[0]]


def identities(run: Run, phase: str, task: str) -> dict[str, Any]:
    """Hold a trained prefix to both identities, layer by layer, on held-out questions with their answers.

    Each layer reads the rows that it reads with the prefix. The numbers under ``own_rows`` say how far the identities
    are off where it reads those that it has without: 0 within rounding in the first layer, and what the prefix does to
    the deeper ones through the first.

    Args:
        run: the seed.
        phase: of a prefix.
        task: whose answers are read.

    Returns:
        JSON values. ``holds`` is true where both verdicts hold on every question, and a pattern that was altered by
        hand is refused on each.

    """
    model = run.finished(phase)
    reports, refused = [], []
    for place in range(QUESTIONS):
        tokens = read_for(run, task, place)
        reports.append(prefix_report(model, None, tokens))
        refused.append(altered_is_refused(model, tokens))
    return {
        "task": task,
        "questions": QUESTIONS,
        "holds": all(report.holds for report in reports) and all(refused),
        "altered_refused": sum(refused),
        "verdicts": [
            {
                "claim": verdict.claim,
                "holds": verdict.holds,
                "margin": None if verdict.margin is None else float(verdict.margin),
                "arithmetic": verdict.arithmetic,
            }
            for report in reports
            for verdict in report.verdicts
        ],
        "layers": [_layer(reports, index) for index in range(len(reports[0].layers))],
    }


def _layer(reports: Sequence[PrefixReport], index: int) -> dict[str, Any]:
    layers = [report.layers[index] for report in reports]
    strengths = np.concatenate([head.strength for layer in layers for head in layer.heads])
    return {
        "layer": index,
        "rescaling": max((worst(one) for layer in layers for one in layer.rescaling), key=_used),
        "bias": max((worst(one) for layer in layers for one in layer.bias), key=_used),
        "strength": [float(strengths.min()), float(strengths.max())],
        "own_rows": {
            "rescaling": max(layer.plain_rescaling for layer in layers),
            "bias": max(layer.plain_bias for layer in layers),
        },
    }


def _used(found: dict[str, float | str]) -> float:
    return float(found["used"])


def altered_is_refused(model: Any, tokens: Sequence[int]) -> bool:
    """Say whether every layer's pattern with the prefix is refused once two of its weights are exchanged by hand.

    The largest and the smallest weight of the last position are exchanged, in the first head.
    """
    with opened(model, None) as found, torch.no_grad():
        calls, fmt = run_three(found, check_input(list(tokens), found)), format_of(found.base.dtype)
        for index, layer in enumerate(calls):
            weights = layer.joined.weights.clone()
            row = weights[0, -1]
            places = torch.stack([row.argmax(), row.argmin()])
            row[places] = row[places.flip(0)]
            report = measure(index, replace(layer, joined=replace(layer.joined, weights=weights)), fmt)
            if not any(_refused(report.deviations(claim), report.objection) for claim in CLAIMS):
                return False
    return True


def _refused(deviations: Sequence[Deviation], objection: str | None) -> bool:
    """Say whether an identity does not hold of a layer, by these deviations."""
    tally = Tally(broken=objection)
    tally.add(list(deviations), "altered by hand", "altered by hand")
    return tally.found is not None or tally.broken is not None


def pattern_weights(run: Run, phase: str, task: str, place: int = 0) -> list[Numbers]:
    """Return the attention weights on a held-out question with its answer: for each layer heads x positions x keys."""
    model, sizes = run.finished(phase), run.preset.sizes
    read = torch.tensor([read_for(run, task, place)], device=run.device)
    positions = torch.arange(read.shape[1], device=run.device) + (sizes.prefix - run.phase(phase).adaptation.virtual)
    with torch.no_grad():
        made = model(input_ids=read, position_ids=positions[None], output_attentions=True).attentions
    return [layer[0].cpu().double().numpy() for layer in made]


def pattern_reached(run: Run, phase: str, wanted: str, task: str) -> dict[str, Any]:
    """Ask whether any prefix gives the first layer of one model the attention pattern of another one's.

    A prefix of any length scales each row over the content. It changes no ratio of two weights, so one ratio that is
    another shows that none gives the pattern.

    Args:
        run: the seed.
        phase: the model whose layer would get a prefix.
        wanted: the model whose pattern is wanted.
        task: whose answers are read.

    Returns:
        JSON values: whether it is ``impossible``, with the certificate (a head, a position and two keys) and both
        ratios; and at how many positions some ratio is clearly another.

    """
    now, then = (pattern_weights(run, name, task)[0] for name in (phase, wanted))
    layer, content = _exact_layer(now), np.eye(now.shape[1], dtype=np.int64)
    pattern = [[[Fraction(float(weight)) for weight in row] for row in head] for head in then]
    best, changed = (0.0, ChangedRatio(0, 0, 0, 0)), set()
    for head in range(len(now)):
        for position in range(now.shape[1]):
            factor, pair = _most_changed(now[head, position], then[head, position])
            if factor > _CLEAR:
                changed.add(position)
            best = max(best, (factor, ChangedRatio(head, position, *pair)), key=lambda found: found[0])
    factor, certificate = best
    row, other = (weights[certificate.head, certificate.position] for weights in (now, then))
    return {
        "impossible": factor > _CLEAR and pattern_is_impossible(layer, content, pattern, certificate),
        "certificate": {
            "head": certificate.head,
            "position": certificate.position,
            "first": certificate.first,
            "second": certificate.second,
        },
        "ratio": float(row[certificate.first] / row[certificate.second]),
        "wanted": float(other[certificate.first] / other[certificate.second]),
        "positions_changed": len(changed),
        "positions": int(now.shape[1]),
        "task": task,
    }


def _most_changed(now: Numbers, then: Numbers) -> tuple[float, tuple[int, int]]:
    """Return the largest factor by which two rows' ratios of two weights differ, and the two keys.

    Weights below the normal range have no ratio that rounding keeps, and are left out.
    """
    keys = np.flatnonzero((now >= _NORMAL) & (then >= _NORMAL))
    if len(keys) < 2:
        return 1.0, (0, 0)
    moved = np.log2(then[keys]) - np.log2(now[keys])
    return float(2 ** (moved.max() - moved.min())), (int(keys[moved.argmax()]), int(keys[moved.argmin()]))


def _exact_layer(weights: Numbers) -> AttentionLayer:
    """Return an exact layer, over one-hot content, whose weights have the given ratios to the nearest powers of 2."""
    heads = []
    for pattern in weights:
        if not np.isfinite(pattern).all():
            raise InvalidArgument("model: expected attention weights that are finite")
        tiny = math.floor(math.log2(pattern[pattern > 0].min())) - 1
        scores = [[round(math.log2(weight)) if weight > 0 else tiny for weight in row] for row in pattern]
        one_hot = np.eye(len(pattern), dtype=np.int64)
        heads.append(plain_head(np.array(scores, dtype=np.int64).T, one_hot, one_hot))
    return AttentionLayer(tuple(heads), RationalSoftmax(Fraction(2)), "causal")


def attention_outputs(run: Run, phase: str, count: int) -> Numbers:
    """Return what the first attention layer adds where the answer begins: held-out questions x width."""
    model, sizes = run.finished(phase), run.preset.sizes
    adaptation = run.phase(phase).adaptation
    base = model.get_base_model() if adaptation.virtual else model
    kept: list[torch.Tensor] = []
    handle = base.transformer.h[0].attn.register_forward_hook(lambda module, given, made: kept.append(made[0]))
    questions = run.questions(count)
    read = torch.from_numpy(read_by(questions, questions)).to(run.device)
    with torch.no_grad():
        answer_logits(model, sizes, adaptation, read)
    handle.remove()
    return np.asarray(kept[0][:, sizes.length - 1].cpu().double().numpy())


def plane(points: Numbers) -> Numbers:
    """Return points in the plane of their two principal directions: points x 2."""
    centred = points - points.mean(axis=0)
    _, _, directions = np.linalg.svd(centred, full_matrices=False)
    return np.asarray(centred @ directions[:2].T)
