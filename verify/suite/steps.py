"""How each kind of evidence in a plan is gathered from a request: in the main job and on the command line alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from proofs import Claim
from verify.certificates import certify
from verify.evidence.enumeration import exhaust
from verify.evidence.families import families, run_family
from verify.evidence.kinds import CaseFamily
from verify.evidence.sweeping import stopped_at, sweep
from verify.evidence.tally import Progress, no_progress
from verify.evidence.verdict import Verdict
from verify.prefixes import fuzz_layers
from verify.requests import Request
from verify.running.cases import options_of, parameters_of
from verify.suite.building import built
from verify.suite.numbers import Numbers

if TYPE_CHECKING:
    from verify.evidence.fuzzing import Drawn


@dataclass(frozen=True)
class Gathering:
    """Settings of gathering beside the request.

    Attributes:
        examples: how many cases fuzzing draws.
        seed: of fuzzing; the same seed draws the same cases.
        progress: called with cases, sizes or obligations done and with all there are.
        swept: the sweeps of this plan in the same numbers so far.
        drawn: takes the distinct cases that fuzzing found right.

    """

    examples: int = 1000
    seed: int = 0
    progress: Progress = no_progress
    swept: list[Verdict] = field(default_factory=list)
    drawn: Drawn | None = None


def exhausted(
    request: Request, gathering: Gathering, *, limit: int | None = None, checkpoint: Path | None = None
) -> Verdict:
    """Check EVERY target with EVERY user input; see :func:`verify.evidence.enumeration.exhaust`."""
    construction = request.construction
    return exhaust(
        construction,
        request.arithmetic,
        claim=request.claim.id,
        command=request.command(construction),
        limit=limit,
        checkpoint=checkpoint,
        progress=gathering.progress,
    )


def fuzzed(request: Request, gathering: Gathering) -> Verdict:
    """Check drawn cases of the sizes of a request; see :func:`verify.evidence.fuzzing.fuzz`."""
    from hypothesis import strategies as st  # noqa: PLC0415 # a tenth of a second, which every command would wait for

    from verify.evidence.fuzzing import fuzz  # noqa: PLC0415 # the same
    from verify.suite.drawing import constructions_of  # noqa: PLC0415 # the same

    request = _below(request, gathering)
    largest = request.build(request.last)  # refuses what does not fit
    values = request.sizes.values()
    if all(len(each) == 1 for each in values) and any(each.start != 1 for each in values):  # not: up to 1
        drawn, parameters = st.just(largest), parameters_of(largest, request.arithmetic)
    else:
        drawn, sizes = constructions_of(request)
        parameters = sizes | options_of(largest)
    return fuzz(
        drawn,
        request.arithmetic,
        examples=gathering.examples,
        seed=gathering.seed,
        claim=request.claim.id,
        parameters=parameters,
        command=request.command,
        drawn=gathering.drawn,
        progress=gathering.progress,
    )


def fuzzed_layers(request: Request, gathering: Gathering) -> Verdict:
    """Check drawn attention layers; see :func:`verify.prefixes.fuzz_layers`."""
    return fuzz_layers(
        request.claim.id,
        request.arithmetic,
        examples=gathering.examples,
        seed=gathering.seed,
        progress=gathering.progress,
    )


@dataclass(frozen=True)
class Sweep:
    """The sizes that a request sweeps.

    Attributes:
        build: makes the construction of a vocabulary.
        last: the last vocabulary, as far as the format carries them.
        parameters: what a verdict says of the other sizes.
        refusal: where the format itself sets the end, says so.

    """

    build: Callable[[int], Any]
    last: int
    parameters: Mapping[str, Any]
    refusal: str | None


def sweep_of(request: Request) -> Sweep:
    """Return the sizes that a request sweeps, with what is said of them."""
    others = {name: size for name, size in request.first.items() if name != "vocab_size"}
    largest = last = request.last["vocab_size"]
    for vocab_size in range(1, largest + 1):
        if built(request, {"vocab_size": vocab_size, **others}) is None:
            last = max(1, vocab_size - 1)
            break
    given = "".join(f" at {name} {size}" for name, size in others.items())
    return Sweep(
        lambda vocab_size: request.build({"vocab_size": vocab_size, **others}),
        last,
        others | options_of(request.build({"vocab_size": 1, **others})),
        f"{request.arithmetic.name} holds the weights up to V = {last}{given}" if last < largest else None,
    )


def swept(request: Request, gathering: Gathering) -> Verdict:
    """Sweep the vocabularies of a request, as far as the format carries them.

    Where the format itself sets the end, the verdict's reason says so.
    """
    sizes = sweep_of(request)
    verdict = sweep(
        sizes.build,
        request.arithmetic,
        max_vocab_size=sizes.last,
        claim=request.claim.id,
        parameters=sizes.parameters,
        command=request.command,
        progress=gathering.progress,
    )
    verdict = replace(verdict, reason=verdict.reason or sizes.refusal)
    gathering.swept.append(verdict)
    return verdict


def certified(request: Request, gathering: Gathering, **limits: Any) -> Verdict:
    """Certify all cases at once; after a sweep, the largest vocabulary that is certain.

    Args:
        request: its arithmetic bounds.
        gathering: its progress, and the sweeps before it.
        limits: further arguments of :func:`verify.certificates.certify`.

    """
    request = _below(request, gathering)
    while True:
        verdict = certify(
            request.construction, request.arithmetic, claim=request.claim.id, progress=gathering.progress, **limits
        )
        # a sweep runs one kernel and a certificate is about all of them: it may stop a little earlier
        if verdict.holds or not gathering.swept or request.first["vocab_size"] == 1:
            return verdict
        request = request.with_vocabularies_to(request.first["vocab_size"] - 1)


def _below(request: Request, gathering: Gathering) -> Request:
    """Return the request for vocabularies below the one at which a sweep stopped.

    The sweep has told where the format stops; what holds below is worth knowing, the rest is known.
    """
    for verdict in gathering.swept:
        if verdict.holds is False and verdict.counterexample is not None:
            request = request.with_vocabularies_to(max(1, stopped_at(verdict) - 1))
    return request


def gathered(kind: CaseFamily, request: Request, gathering: Gathering) -> Verdict:
    """Check every case of a family; see :func:`verify.evidence.families.run_family`."""
    construction = request.construction
    return run_family(
        kind,
        construction,
        request.arithmetic,
        claim=request.claim.id,
        command=request.command(construction),
        progress=gathering.progress,
    )


@dataclass(frozen=True)
class Gatherer:
    """How a kind of evidence is gathered.

    Attributes:
        label: its name on a progress bar.
        gather: takes a request and returns the verdict.
        of_all: whether it bounds all cases at once, and so needs numbers that certify.
        draws: whether it draws cases, so that the command ``fuzz`` runs it.
        method: of its verdicts; its word in a plan if empty.
        work: the kind of run that draws its cases in shards.

    """

    label: str
    gather: Callable[[Request, Gathering], Verdict]
    of_all: bool = False
    draws: bool = False
    method: str = ""
    work: str = "fuzz"

    def arithmetic(self, numbers: Numbers) -> Any:
        """Return the arithmetic in which this evidence is gathered."""
        return numbers.certifies if self.of_all else numbers.runs


#: Kinds of evidence by their words in a plan. A family of cases is here by its own name; any other kind is added here.
STEPS: Mapping[str, Gatherer] = MappingProxyType(
    {
        "certified": Gatherer("certificate", certified, of_all=True),
        "exhausted": Gatherer("enumeration", exhausted),
        "swept": Gatherer("sweep", swept),
        "fuzzed": Gatherer("fuzzing", fuzzed, draws=True),
        "fuzzed layers": Gatherer("drawn layers", fuzzed_layers, draws=True, method="fuzzed", work="fuzz layers"),
        **{name: Gatherer(kind.label, partial(gathered, kind)) for name, kind in families().items()},
    }
)


def fuzzer_of(claim: Claim) -> Gatherer:
    """Return how cases of a claim are drawn: as its plan says, or cases of its construction."""
    drawing = (STEPS[step.evidence] for step in claim.plan or ())
    return next((gatherer for gatherer in drawing if gatherer.draws), STEPS["fuzzed"])
