"""Verdicts on the refuted claims of ``constructions.counterexamples``: the failing case, and one command that shows it.

Exact where the case is about mathematics; where it is about floats, the real torch kernel runs.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from fractions import Fraction
from types import MappingProxyType
from typing import Any

import numpy as np

from constructions.counterexamples import (
    REFUTED,
    attention_reversal,
    blunt_temperature,
    changed_second_layer,
    harmful_embedding,
    swapped_values,
)
from constructions.lowering import explicit_matrix
from constructions.temperature import Hardmax, RationalSoftmax
from constructions.transformer import Attention
from constructions.unconditional_generation import UnconditionalGeneration
from constructions.validation import check_choice
from verify.arithmetic import RationalArithmetic
from verify.evidence.enumeration import exhaust
from verify.evidence.float_counterexamples import float32_failure, smallest_misread_row
from verify.evidence.verdict import Counterexample, Refutation, Verdict
from verify.prefixes import AttentionLayer, attend
from verify.prefixes.passes import scores_of
from verify.reachability import (
    NoCommonValue,
    Problem,
    decide,
    decide_pattern,
    proves_impossible,
)
from verify.running.cases import Runner
from verify.running.model import bind, generate

_EXACT = RationalArithmetic()


def refute(claim: str) -> Verdict:
    """Return the verdict on a refuted claim: ``holds`` is false, and the counterexample says where and how to see it.

    Args:
        claim: one of ``constructions.counterexamples.REFUTED``.

    Raises:
        InvalidArgument: another claim.

    """
    return _VERDICTS[check_choice("claim", claim, tuple(REFUTED))]()


def layer_of(attention: Attention, q: Fraction, mask: Any) -> AttentionLayer:
    """Return an attention layer of explicit numbers at an exact ``q``."""
    return AttentionLayer(attention.heads, RationalSoftmax(q), mask)


def _verdict(
    claim: str,
    parameters: Mapping[str, Any],
    found: Refutation | Counterexample | None,
    started: float,
    *,
    cases: int = 1,
    arithmetic: str = "rational",
) -> Verdict:
    return Verdict(
        claim=claim,
        parameters=parameters,
        method="evaluated",
        arithmetic=arithmetic,
        device="cpu",
        holds=False if found is not None else None,
        cases=cases,
        margin=None if found is None else found.margin,
        counterexample=found if isinstance(found, Counterexample) else None,
        refutation=found if isinstance(found, Refutation) else None,
        seconds=time.perf_counter() - started,
        reason=REFUTED[claim].instead if found is not None else "the counterexample did not reproduce",
    )


def _reproduce(claim: str) -> str:
    return f"prefixproof counterexample {claim}"


def _reversal() -> Verdict:
    started, claim, example = time.perf_counter(), "prefix-reverses-attention", attention_reversal()
    layer = layer_of(example.attention, example.q, example.mask)
    answer = decide_pattern(layer, example.content, [example.wanted])
    tuned = decide_pattern(layer_of(example.fine_tuned, example.q, example.mask), example.content, [example.wanted])
    found = None
    if answer.reachable is False and tuned.reachable:
        found = Refutation(
            subject=f"attention layer of width 2, 2 positions, q = {example.q}, prefixes of any length",
            place="the ratio of the attention of position 0 on contents 0 and 1",
            expected=f"1 : {example.q}, as after a rank-one change of W_K",
            produced=f"{example.q} : 1, whatever the prefix ({answer.certificate})",
            margin=None,
            reproduce=_reproduce(claim),
        )
    return _verdict(claim, {"positions": 2, "q": str(example.q)}, found, started)


def _swap() -> Verdict:
    started, claim, example = time.perf_counter(), "prefix-equals-fine-tuning", swapped_values()
    problem = Problem(layer_of(example.attention, example.q, example.mask), example.content, example.wanted)
    answer = decide(problem)
    tuned = layer_of(example.fine_tuned, example.q, example.mask)
    given = attend(tuned, example.content, ((0, 0),), _EXACT).heads[0].output
    reached = bool((given == np.array(_exact(example.wanted))).all())
    found = None
    if isinstance(answer.certificate, NoCommonValue) and proves_impossible(problem, answer.certificate) and reached:
        found = Refutation(
            subject="attention layer of width 2 with one head and uniform attention, one prefix vector",
            place="the outputs of positions 0 and 1",
            expected=f"{_row(example.wanted)}, as after the two entries of W_V are swapped",
            produced=f"never so ({answer.certificate})",
            margin=None,
            reproduce=_reproduce(claim),
        )
    return _verdict(claim, {"positions": 2, "parameters": 2}, found, started)


def _exact(rows: Any) -> list[list[Any]]:
    import flint  # noqa: PLC0415 # the one use

    return [[flint.fmpq(entry.numerator, entry.denominator) for entry in row] for row in rows]


def _row(rows: Any) -> str:
    return "(" + ", ".join(str(entry) for row in rows for entry in row) + ")"


def _temperature() -> Verdict:
    started, claim, blunt = time.perf_counter(), "temperature-does-not-matter", blunt_temperature()
    verdict = exhaust(blunt, _EXACT, claim=claim)
    assert isinstance(blunt.temperature, RationalSoftmax)
    sharper = replace(blunt, temperature=RationalSoftmax(blunt.temperature.q + 1))
    found = verdict.counterexample if exhaust(sharper, _EXACT).holds else None
    if found is not None:
        found = replace(found, reproduce=_reproduce(claim))
    return _verdict(claim, verdict.parameters, found, started, cases=verdict.cases)


def _embedding() -> Verdict:
    started, claim, harmful = time.perf_counter(), "embedding-does-not-matter", harmful_embedding()
    verdict = exhaust(harmful, _EXACT, claim=claim)
    assert harmful.embedding is not None
    magnitude = -harmful.embedding[0][0]
    harmless = harmful_embedding(magnitude=magnitude / 2)
    fine = exhaust(replace(harmful, temperature=Hardmax()), _EXACT).holds and exhaust(harmless, _EXACT).holds
    found = verdict.counterexample if fine else None
    if found is not None:
        found = replace(found, reproduce=_reproduce(claim))
    parameters = {**verdict.parameters, "magnitude": str(magnitude)}
    return _verdict(claim, parameters, found, started, cases=verdict.cases)


def _float32() -> Verdict:
    started, claim = time.perf_counter(), "float32-is-enough"
    verdict = float32_failure()
    found = verdict.counterexample
    if found is not None:
        found = replace(found, reproduce=_reproduce(claim))
    return _verdict(claim, verdict.parameters, found, started, cases=verdict.cases, arithmetic=verdict.arithmetic)


def _hard_token() -> Verdict:
    """Count, for every embedding made of virtual tokens, what its hard tokens generate at V = N = 2."""
    started, claim, construction = time.perf_counter(), "hard-token-equals-virtual-token", UnconditionalGeneration(2, 2)
    space = construction.targets
    targets = space.unrank_range(0, space.size)
    by_virtual = {tuple(row) for row in Runner(construction, _EXACT).run(targets, _none(space.size)).produced.tolist()}
    rows = construction.virtual_tokens(targets).to_fractions()
    most, cases = 0, 0
    for columns in itertools.product(range(space.size), repeat=construction.vocab_size):
        entries = [[rows[column][0][axis] for column in columns] for axis in range(construction.context_size)]
        hard = replace(construction.transformer, embedding=explicit_matrix("embedding", entries))
        model = bind(hard.lowered, _EXACT, Hardmax(), mask=construction.mask)
        made = set()
        for token in range(construction.vocab_size):
            prompt = _EXACT.embed(model.embedding, np.array([token], dtype=np.int64))
            steps = generate(model, prompt, 1, np.zeros(0, dtype=np.int64), construction.context_size)
            made.add(tuple(steps.tokens.tolist()))
            cases += 1
        most = max(most, len(made))
    found = None
    if most < len(by_virtual):
        found = Refutation(
            subject=f"{construction!r} with each of {space.size**construction.vocab_size} embeddings of virtual tokens",
            place="the number of sequences that one hard token selects",
            expected=f"{len(by_virtual)}, as for one virtual token",
            produced=f"{most} at most",
            margin=Fraction(most - len(by_virtual)),
            reproduce=_reproduce(claim),
        )
    return _verdict(claim, {"vocab_size": 2, "context_size": 2}, found, started, cases=cases)


def _none(count: int) -> Any:
    return np.zeros((count, 0), dtype=np.int64)


def _second_layer() -> Verdict:
    started, claim, example = time.perf_counter(), "prefix-changes-no-pattern", changed_second_layer()
    itself = np.eye(len(example.content), dtype=np.bool_)
    first, second = layer_of(example.first, example.q, itself), layer_of(example.second, example.q, "none")
    passes = attend(first, example.content, example.prefix, _EXACT)
    before = [[Fraction(str(entry)) for entry in row] for row in passes.heads[0].output.tolist()]
    plain = attend(second, before, ((0, 0),), _EXACT).heads[0].attention
    scores = scores_of(passes, second.heads[0])
    gap_before = plain[0, 0] / plain[0, 1]
    gap_after = example.q ** int(str(scores[0, 0] - scores[0, 1]))
    found = None
    if Fraction(str(gap_before)) != gap_after:
        found = Refutation(
            subject=f"two attention layers of width 2, q = {example.q}, one prefix vector in front of layer 1",
            place="the ratio of layer 2's attention of position 0 on contents 0 and 1",
            expected=f"{gap_before} : 1, as without the prefix",
            produced=f"{gap_after} : 1",
            margin=None,
            reproduce=_reproduce(claim),
        )
    return _verdict(claim, {"positions": 2, "q": str(example.q)}, found, started)


def _digits() -> Verdict:
    started, claim = time.perf_counter(), "float-digits-are-safe"
    case = smallest_misread_row()
    found = None
    if case is not None:
        rank, wanted, read = case
        place = next(place for place, (a, b) in enumerate(zip(wanted, read, strict=True)) if a != b)
        found = Refutation(
            subject=f"the map of two tokens at V = 10 that is 0 but for the row {wanted} of the last token",
            place=f"digit {place} of the packed row {rank}/10^10",
            expected=str(wanted[place]),
            produced=str(read[place]),
            margin=Fraction(-abs(wanted[place] - read[place])),
            reproduce=_reproduce(claim),
        )
    cases = 0 if case is None else case[0] + 1
    return _verdict(claim, {"vocab_size": 10, "input_size": 2}, found, started, cases=cases, arithmetic="torch float64")


_VERDICTS: Mapping[str, Callable[[], Verdict]] = MappingProxyType(
    {
        "prefix-reverses-attention": _reversal,
        "prefix-equals-fine-tuning": _swap,
        "temperature-does-not-matter": _temperature,
        "embedding-does-not-matter": _embedding,
        "float32-is-enough": _float32,
        "hard-token-equals-virtual-token": _hard_token,
        "prefix-changes-no-pattern": _second_layer,
        "float-digits-are-safe": _digits,
    }
)
