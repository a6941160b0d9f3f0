"""The main job: every claim, by every kind of evidence that fits a minute or two on two cores."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from hypothesis.strategies import SearchStrategy

from constructions.construction import Construction
from constructions.formats import FORMATS, Format
from constructions.temperature import Hardmax, Temperature
from constructions.validation import InvalidArgument
from proofs import Claim, LayerClaim, ObligationError, get_claim
from verify.arithmetic import Arithmetic, RationalArithmetic, torch_arithmetic
from verify.certificates import BallArithmetic, RoundedArithmetic, certificate_arithmetic, certify
from verify.cli.sizes import SIZE_NAMES, command_for
from verify.evidence import strategies
from verify.evidence.enumeration import Progress, exhaust, no_progress
from verify.evidence.fuzzing import fuzz
from verify.evidence.sweeping import stopped_at, sweep
from verify.evidence.verdict import Verdict
from verify.prefixes import fuzz_layers
from verify.running.cases import options_of
from verify.suite.coq_record import CoqRecord, coq_verdict
from verify.suite.subjects import Subject, short

#: Sizes whose whole space is enumerated in rational arithmetic.
RATIONAL_SIZES: dict[str, tuple[dict[str, int], ...]] = {
    "theorem-1": ({"vocab": 4, "context": 4},),
    "theorem-2": ({"vocab": 4},),
    "longer-responses": ({"vocab": 3, "response": 2},),
    "longer-inputs": ({"vocab": 2, "input": 2}, {"vocab": 2, "input": 3}),
}
#: Sizes whose whole space is enumerated in floats.
FLOAT_SIZES: dict[str, tuple[dict[str, int], ...]] = {
    "theorem-1": ({"vocab": 4, "context": 8}, {"vocab": 10, "context": 5}),
    "theorem-2": ({"vocab": 5},),
    "longer-responses": ({"vocab": 3, "response": 2}, {"vocab": 2, "response": 4}),
    "longer-inputs": ({"vocab": 2, "input": 2}, {"vocab": 2, "input": 3}, {"vocab": 3, "input": 2}),
}
#: Every vocabulary up to this one is swept: the printable characters, 94 in the paper's notebook.
SWEPT_VOCABULARY = 94
#: Other sizes of a sweep.
SWEPT: dict[str, dict[str, int]] = {
    "theorem-1": {"context": 8},
    "theorem-2": {},
    "longer-responses": {"response": 4},
    "longer-inputs": {"input": 2},
}
#: Largest sizes that the main job fuzzes, in exact arithmetic and in floats.
FUZZED_EXACT: dict[str, dict[str, int]] = {
    "theorem-1": {"vocab": 60, "context": 24},
    "theorem-2": {"vocab": 60},
    "longer-responses": {"vocab": 20, "response": 6},
    "longer-inputs": {"vocab": 8, "input": 4},
}
FUZZED_FLOATS: dict[str, dict[str, int]] = {
    "theorem-1": {"vocab": 300, "context": 64},
    "theorem-2": {"vocab": 300},
    "longer-responses": {"vocab": 60, "response": 16},
    "longer-inputs": {"vocab": 13, "input": 4},
}

#: Sizes whose every target is certified at once: in real numbers, and in floats, at the notebook's 94 characters.
CERTIFIED: dict[str, dict[str, int]] = {
    "theorem-1": {"vocab": 94, "context": 20},
    "theorem-2": {"vocab": 94},
    "longer-responses": {"vocab": 30, "response": 4},
    "longer-inputs": {"vocab": 4, "input": 2},
}
#: Where the real-number certificate needs another temperature than the default: longer inputs are claimed at hardmax,
#: and at the default ``q``, just above what is proved to be enough, bounds of each coordinate alone are too wide.
CERTIFIED_TEMPERATURE: dict[str, Temperature] = {"longer-inputs": Hardmax()}

AnyArithmetic = Arithmetic[Any, Any, Any]


@dataclass(frozen=True)
class Task:
    """One piece of evidence to gather.

    Attributes:
        claim: whose evidence it is.
        label: what it does, for a progress bar.
        run: gathers it.

    """

    claim: Claim | LayerClaim | Subject
    label: str
    run: Callable[[Progress], Verdict]


def tasks(
    claims: Sequence[Claim | LayerClaim],
    *,
    dtypes: Sequence[str],
    device: str,
    examples: int,
    seed: int,
    tf32: bool = False,
    record: CoqRecord | None = None,
) -> Iterator[Task]:
    """Yield the evidence to gather, claim by claim: proved, then exact, then float by float.

    Args:
        claims: which claims.
        dtypes: the float formats, run with torch.
        device: where torch runs; exact arithmetic runs on the cpu.
        examples: how many cases each fuzzing draws.
        seed: of the fuzzing.
        tf32: allow TF32 in torch's float32 products.
        record: of the Coq proofs' build, where there is one for these sources.

    """
    exact = RationalArithmetic()
    floats = [torch_arithmetic(dtype, device) for dtype in dtypes]
    for claim in claims:
        if claim.obligations:
            yield Task(claim, "proof obligations", partial(prove, claim))
        in_coq = None if record is None else coq_verdict(claim.id, record)
        if in_coq is not None:
            yield Task(claim, "theorems in Coq", partial(_known, in_coq))
        if isinstance(claim, LayerClaim):
            kinds: tuple[AnyArithmetic, ...] = (exact, *floats)
            for kind in kinds:
                yield _layers_task(claim, kind, examples, seed)
            continue
        yield _certify_task(claim, BallArithmetic(), ())
        for sizes in RATIONAL_SIZES[claim.id]:
            yield _exhaust_task(claim, sizes, exact, tf32=False)
        yield _fuzz_task(claim, exact, examples, seed, tf32=False)
        for arithmetic in floats:
            reduced = tf32 and arithmetic.fmt == FORMATS["float32"]
            for sizes in FLOAT_SIZES[claim.id]:
                if _fits(claim.build(options=None, **sizes), arithmetic.fmt):
                    yield _exhaust_task(claim, sizes, arithmetic, tf32=reduced)
            swept: list[Verdict] = []
            yield Task(
                claim, f"sweep, {arithmetic.name}", partial(_sweep_and_keep, swept, claim, arithmetic, tf32=reduced)
            )
            yield _certify_task(claim, certificate_arithmetic("rounded", arithmetic.fmt.name, tf32=reduced), swept)
            yield _fuzz_task(claim, arithmetic, examples, seed, tf32=reduced, swept=swept)


def _known(verdict: Verdict, _: Progress) -> Verdict:
    return verdict


def _layers_task(claim: LayerClaim, arithmetic: AnyArithmetic, examples: int, seed: int) -> Task:
    def run(progress: Progress) -> Verdict:
        return fuzz_layers(claim.id, arithmetic, examples=examples, seed=seed, progress=progress)

    return Task(claim, f"drawn layers, {arithmetic.name}", run)


def _certify_task(claim: Claim, arithmetic: BallArithmetic | RoundedArithmetic, swept: Sequence[Verdict]) -> Task:
    def run(progress: Progress) -> Verdict:
        sizes = _below(swept, CERTIFIED[claim.id])
        real = isinstance(arithmetic, BallArithmetic) and claim.id in CERTIFIED_TEMPERATURE
        options = {"temperature": CERTIFIED_TEMPERATURE[claim.id]} if real else None
        verdict = certify(claim.build(options=options, **sizes), arithmetic, claim=claim.id, progress=progress)
        # a sweep runs one kernel and a certificate is about all of them: it may stop a little earlier
        while swept and not verdict.holds and sizes["vocab"] > 1:
            sizes["vocab"] -= 1
            verdict = certify(claim.build(options=options, **sizes), arithmetic, claim=claim.id, progress=progress)
        return verdict

    return Task(claim, f"certificate, {arithmetic.name}", run)


def _below(swept: Sequence[Verdict], sizes: Mapping[str, int]) -> dict[str, int]:
    """Return sizes with a vocabulary below the one at which a sweep stopped.

    The sweep before has told where the format stops; what holds below is worth knowing, the rest is known.
    """
    bounds = dict(sizes)
    for verdict in swept:
        if verdict.holds is False and verdict.counterexample is not None:
            bounds["vocab"] = min(bounds["vocab"], max(1, stopped_at(verdict) - 1))
    return bounds


def _exhaust_task(claim: Claim, sizes: Mapping[str, int], arithmetic: AnyArithmetic, *, tf32: bool) -> Task:
    construction = claim.build(options=None, **sizes)

    def run(progress: Progress) -> Verdict:
        return exhaust(
            construction,
            arithmetic,
            claim=claim.id,
            command=command_for(claim.id, construction),
            progress=progress,
            tf32=tf32,
        )

    return Task(claim, f"enumeration, {arithmetic.name}", run)


def _fuzz_task(
    claim: Claim,
    arithmetic: AnyArithmetic,
    examples: int,
    seed: int,
    *,
    tf32: bool,
    swept: Sequence[Verdict] = (),
) -> Task:
    largest = FUZZED_EXACT[claim.id] if arithmetic.fmt is None else FUZZED_FLOATS[claim.id]

    def run(progress: Progress) -> Verdict:
        bounds = _below(swept, largest)
        return fuzz_claim(claim, arithmetic, bounds=bounds, examples=examples, seed=seed, progress=progress, tf32=tf32)

    return Task(claim, f"fuzzing, {arithmetic.name}", run)


def fuzz_claim(
    claim: Claim,
    arithmetic: AnyArithmetic,
    *,
    bounds: Mapping[str, int],
    examples: int,
    seed: int,
    progress: Progress = no_progress,
    tf32: bool = False,
    options: Callable[[Construction], Construction] = lambda construction: construction,
) -> Verdict:
    """Fuzz a claim over all sizes up to ``bounds``.

    Args:
        claim: which claim.
        arithmetic: the number system.
        bounds: the largest sizes, by the names that ``Claim.build`` takes.
        examples: how many cases to draw.
        seed: the same seed draws the same cases.
        progress: called with examples done and examples in all.
        tf32: allow TF32 in torch's float32 products.
        options: sets a temperature or a mask on a drawn construction.

    """
    drawn = size_strategy(claim, bounds, arithmetic.fmt).map(options)
    return fuzz(
        drawn,
        arithmetic,
        examples=examples,
        seed=seed,
        claim=claim.id,
        parameters=_fuzzed_sizes(claim, bounds, arithmetic.fmt)
        | options_of(options(claim.build(options=None, **bounds))),
        command=lambda construction: command_for(claim.id, construction),
        progress=progress,
        tf32=tf32,
    )


def fuzz_subject(
    subject: Subject,
    arithmetic: AnyArithmetic,
    *,
    ranges: Mapping[str, range],
    options: Callable[[Construction], Construction],
    **how: Any,
) -> Verdict:
    """Fuzz a claim, or a construction of the user's own, over ranges of its sizes.

    Args:
        subject: what to fuzz.
        arithmetic: the number system.
        ranges: for every size its values, by the construction's fields.
        options: sets a temperature or a mask on a drawn construction.
        how: the other arguments of :func:`~verify.evidence.fuzzing.fuzz`.

    """
    if not subject.own and all(values.start == 1 for values in ranges.values()):
        bounds = {short(name): values[-1] for name, values in ranges.items()}
        return fuzz_claim(get_claim(subject.id), arithmetic, bounds=bounds, options=options, **how)
    drawn = strategies.constructions_of(subject, ranges, arithmetic.fmt).map(options)
    largest = options(subject.build({name: values[-1] for name, values in ranges.items()}))
    return fuzz(
        drawn,
        arithmetic,
        claim=subject.id,
        parameters={
            **{name: f"{values[0]}..{values[-1]}" for name, values in ranges.items()},
            **options_of(largest),
        },
        command=lambda construction: command_for(subject.id, construction),
        **how,
    )


def _fuzzed_sizes(claim: Claim, bounds: Mapping[str, int], fmt: Format | None) -> dict[str, str]:
    """Return the sizes that are really drawn: for longer inputs the format and the depth set the vocabulary."""
    if claim.id != "longer-inputs":
        return {SIZE_NAMES[name]: f"1..{bound}" for name, bound in bounds.items()}
    drawn = strategies.longer_inputs_sizes(bounds["vocab"], bounds["input"], fmt=fmt)
    largest = {inputs: max(vocab for vocab, other in drawn if other == inputs) for _, inputs in drawn}
    shown = ", ".join(f"1..{largest[inputs]}" for inputs in sorted(largest))
    return {"vocab_size": shown, "input_size": ", ".join(str(inputs) for inputs in sorted(largest))}


def size_strategy(claim: Claim, bounds: Mapping[str, int], fmt: Format | None) -> SearchStrategy[Construction]:
    """Return a strategy for a claim's constructions of sizes up to ``bounds`` that the format can carry."""
    vocab = bounds["vocab"]
    if claim.id == "theorem-1":
        return strategies.unconditional_generations(vocab, bounds["context"])
    if claim.id == "theorem-2":
        return strategies.conditional_generations(vocab)
    if claim.id == "longer-responses":
        return strategies.longer_responses(vocab, bounds["response"])
    return strategies.longer_inputs(vocab, bounds["input"], fmt=fmt)


def _sweep_and_keep(
    kept: list[Verdict], claim: Claim, arithmetic: AnyArithmetic, progress: Progress, *, tf32: bool
) -> Verdict:
    kept.append(sweep_vocabularies(claim, arithmetic, progress, tf32=tf32))
    return kept[-1]


def sweep_vocabularies(claim: Claim, arithmetic: AnyArithmetic, progress: Progress, *, tf32: bool) -> Verdict:
    """Sweep a claim over all vocabularies up to :data:`SWEPT_VOCABULARY` that the format can carry at all.

    For longer inputs the format itself sets the end; the verdict's reason says where and why.
    """
    sizes = SWEPT[claim.id]
    last, refusal = SWEPT_VOCABULARY, None
    if claim.id == "longer-inputs":
        carried = strategies.longer_inputs_sizes(SWEPT_VOCABULARY, 2, max_digits=SWEPT_VOCABULARY, fmt=arithmetic.fmt)
        last = max(vocab for vocab, _ in carried)
        refusal = f"{arithmetic.name} carries two user tokens up to V = {last}"
    verdict = sweep(
        lambda vocab: claim.build(options=None, vocab=vocab, **sizes),
        arithmetic,
        max_vocab_size=last,
        claim=claim.id,
        parameters={SIZE_NAMES[name]: size for name, size in sizes.items()}
        | options_of(claim.build(options=None, vocab=1, **sizes)),
        command=lambda construction: command_for(claim.id, construction),
        progress=progress,
        tf32=tf32,
    )
    return replace(verdict, reason=verdict.reason or refusal)


def prove(claim: Claim | LayerClaim, progress: Progress) -> Verdict:
    """Discharge a claim's obligations with sympy; one that is undecided leaves the claim unknown.

    The verdict is about real arithmetic and all sizes; ``cases`` counts the obligations.
    """
    started = time.perf_counter()
    done, reason = 0, None
    for obligation in claim.obligations:
        try:
            obligation.discharge()
        except ObligationError as error:
            reason = f"obligation {obligation.id}: {error}"
            break
        done += 1
        progress(done, len(claim.obligations))
    return Verdict(
        claim=claim.id,
        parameters={"sizes": "all", "prover": "sympy"},
        method="proved",
        arithmetic="real",
        device="cpu",
        holds=True if done and reason is None else None,
        cases=done,
        space=len(claim.obligations),
        seconds=time.perf_counter() - started,
        reason=reason or claim.caveat or None,
    )


def _fits(construction: Construction, fmt: Format | None) -> bool:
    if fmt is None:
        return True
    try:
        construction.check_format(fmt)
    except InvalidArgument:
        return False
    return True
