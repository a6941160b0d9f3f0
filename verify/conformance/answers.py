"""Known answers: cases with their promised tokens, their exact logits, and what a certificate allows a kernel to give.

The exact logits are those of the real numbers, for the weights of the construction and the temperature that it has in
the format, within two float64s (:class:`~verify.certificates.BallArithmetic`). The allowance is the enclosure of the
same certificate that covers all targets at once (:class:`~verify.certificates.RoundedArithmetic`), run on each case: it
holds whatever a kernel of the format computes that keeps the certificate's assumptions. Each step is fed the tokens
that are promised before it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from constructions.construction import Construction
from constructions.decoding import Answers
from constructions.formats import Format, get_format
from constructions.ratios import Ratios
from constructions.specification import Specification
from constructions.temperature import Temperatures
from constructions.validation import IntArray, InvalidArgument, check_integer
from verify.certificates import certificate_arithmetic
from verify.certificates.all_targets import check_one_pass
from verify.certificates.code_on_bounds import CellsError
from verify.certificates.enclosing import EnclosingArithmetic
from verify.evidence.kinds import EVALUATED, EXHAUSTED, FUZZED, Evidence
from verify.evidence.tally import Progress, no_progress
from verify.running.batches import enumerated, spaces
from verify.running.cases import batch_size
from verify.running.model import Model, bind, check_transformer, forward

_Logits = Float[np.ndarray, "cases response outputs"]


@dataclass(frozen=True, eq=False)
class Bounds:
    """Bounds of logits, cases x response x outputs.

    Attributes:
        low: lower bounds.
        high: upper bounds.

    """

    low: _Logits
    high: _Logits

    @property
    def finite(self) -> bool:
        """Whether every logit has bounds."""
        return bool(np.isfinite(self.low).all() and np.isfinite(self.high).all())

    def part(self, chosen: slice) -> Bounds:
        """Return the bounds of some of the cases."""
        return Bounds(self.low[chosen], self.high[chosen])


@dataclass(frozen=True, eq=False)
class KnownAnswers:
    """Cases of a specification with all that a kernel must give for them.

    Attributes:
        specification: whose cases they are.
        fmt: the format that the kernel computes in.
        targets: int64, cases x the axes of a target.
        inputs: int64, cases x user.
        promised: the answers, cases x response.
        exact: bounds of the exact logits, a unit in the last place of float64 or so apart; ``None`` where none are
            known.
        allowed: bounds of what a kernel may give; ``None`` where no certificate bounds it.
        certificate: which one that is, with its assumptions; or why there is none.
        kind: the evidence that these cases are: all of them, some that were drawn, or some that were given.
        seed: of what was drawn.

    """

    specification: Specification
    fmt: Format
    targets: IntArray
    inputs: IntArray
    promised: Answers
    exact: Bounds | None
    allowed: Bounds | None
    certificate: str
    kind: Evidence = EVALUATED
    seed: int | None = None

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def prompts(self) -> Ratios | None:
        """The virtual tokens, exactly; ``None`` where there are none."""
        return self.specification.prompts(self.targets)


def known_answers(
    specification: Specification,
    dtype: str = "float32",
    *,
    cases: int = 200,
    seed: int = 0,
    progress: Progress = no_progress,
) -> KnownAnswers:
    """Return cases with their known answers.

    Every case of the specification where there are no more than ``cases``; otherwise the first target, the last one and
    one that alternates between the ends of its alphabet, and drawn ones, all of them distinct.

    Args:
        specification: a construction, or a promise without weights, of which no logits are known.
        dtype: the format that the kernel computes in.
        cases: how many, at least one.
        seed: the same seed draws the same cases.
        progress: called with cases done and cases in all.

    Raises:
        InvalidArgument: an unknown format, or one that cannot hold what the weights rely on.

    Example:
        >>> from constructions import UnconditionalGeneration
        >>> answers = known_answers(UnconditionalGeneration(10, 4), "float32", cases=5)
        >>> answers.targets[:3].tolist()
        [[0, 0, 0, 0], [9, 9, 9, 9], [0, 9, 0, 9]]
        >>> bool((answers.allowed.high - answers.allowed.low).max() < 1e-6)
        True

    """
    check_integer("cases", cases, 1)
    check_integer("seed", seed, 0)
    get_format(dtype)
    targets, inputs, kind = _chosen(specification, cases, seed)
    found = answers_for(specification, dtype, targets, inputs, progress=progress)
    return replace(found, kind=kind, seed=None if kind is EXHAUSTED else seed)


def answers_for(
    specification: Specification,
    dtype: str,
    targets: IntArray,
    inputs: IntArray,
    *,
    progress: Progress = no_progress,
) -> KnownAnswers:
    """Return the known answers of given cases; see :func:`known_answers`.

    Args:
        specification: whose cases they are.
        dtype: the format that the kernel computes in.
        targets: int64, cases x the axes of a target.
        inputs: int64, cases x user.
        progress: called with cases done and cases in all.

    """
    fmt = get_format(dtype)
    promised = specification.response(targets, inputs)
    exact, allowed, certificate = None, None, "its specification has no weights, so that no logits are known"
    if isinstance(specification, Construction):
        check_transformer(specification)
        specification.check_format(fmt)
        exact, allowed, certificate = _bounds(specification, fmt, _Cases(targets, inputs, promised), progress)
    return KnownAnswers(specification, fmt, targets, inputs, promised, exact, allowed, certificate)


def count_of(specification: Specification, cases: int) -> int:
    """Return how many known answers there are where ``cases`` of them are asked for: no more than there are cases."""
    space, users = spaces(specification)
    return min(check_integer("cases", cases, 1), space.size * users.size)


def _chosen(specification: Specification, cases: int, seed: int) -> tuple[IntArray, IntArray, Evidence]:
    space, users = spaces(specification)
    if space.size * users.size <= cases:
        everything = enumerated(specification, 0, space.size * users.size)
        return everything.targets, everything.inputs, EXHAUSTED
    last = space.vocab_size - 1
    ends = np.stack([np.zeros(space.digits, np.int64), np.full(space.digits, last), np.arange(space.digits) % 2 * last])
    found: dict[bytes, tuple[IntArray, IntArray]] = {}
    for targets, inputs in _drawn(specification, ends.reshape(3, *space.shape), cases, seed):
        for target, given in zip(targets, inputs, strict=True):
            found.setdefault(target.tobytes() + given.tobytes(), (target, given))
        if len(found) >= cases:
            break
    kept = list(found.values())[:cases]
    return np.stack([target for target, _ in kept]), np.stack([given for _, given in kept]), FUZZED


def _drawn(specification: Specification, ends: IntArray, cases: int, seed: int) -> Iterator[tuple[IntArray, IntArray]]:
    """Yield the targets at the ends of the alphabet, and then drawn ones without end, each with a drawn user input."""
    space, users = spaces(specification)
    for draw in itertools.count():
        # two seeds: targets and user inputs of one stream would be the same numbers
        target_seed, user_seed = np.random.SeedSequence([seed, draw]).generate_state(2, np.uint64).tolist()
        targets = space.sample(cases, seed=target_seed) if draw else ends
        yield targets, users.sample(len(targets), seed=user_seed)


class _Cases(NamedTuple):
    targets: IntArray
    inputs: IntArray
    promised: Answers

    def part(self, chosen: slice) -> _Cases:
        """Return some of them."""
        return _Cases(self.targets[chosen], self.inputs[chosen], self.promised[chosen])


def _bounds(
    construction: Construction, fmt: Format, cases: _Cases, progress: Progress
) -> tuple[Bounds | None, Bounds | None, str]:
    """Return the exact logits, those that a certificate allows, and which one it is or why there is none."""
    count = len(cases.targets)
    exact, _ = _tried(construction, fmt, certificate_arithmetic("ball"), cases, lambda done: progress(done, 2 * count))
    rounded = certificate_arithmetic("rounded", fmt.name)
    allowed, said = _tried(construction, fmt, rounded, cases, lambda done: progress(count + done, 2 * count))
    return exact, allowed, said


def _tried(
    construction: Construction,
    fmt: Format,
    bounding: EnclosingArithmetic[Any, Any, Any],
    cases: _Cases,
    done: Callable[[int], None],
) -> tuple[Bounds | None, str]:
    """Return bounds of the logits with what they assume, or ``None`` and why there are none."""
    arithmetic = bounding.for_cells()
    try:
        found = _enclosed(construction, arithmetic, construction.temperature_for(fmt), cases, done)
    except (InvalidArgument, CellsError) as error:
        return None, f"no certificate bounds the logits: {error}"
    except OverflowError as error:
        raise InvalidArgument(f"dtype: {error}") from None
    if not found.finite:
        return None, f"the certificate in {arithmetic.name} arithmetic leaves a logit without bounds"
    return found, f"{arithmetic.name}: {arithmetic.assumptions()}"


def _enclosed(
    construction: Construction,
    arithmetic: EnclosingArithmetic[Any, Any, Any],
    temperature: Temperatures,
    cases: _Cases,
    done: Callable[[int], None],
) -> Bounds:
    """Return bounds of the logits of every step, of as many cases at once as a batch has."""
    with arithmetic.bounding(), np.errstate(all="ignore"):  # what is not finite bounds nothing
        model = bind(construction.transformer.lowered, arithmetic, temperature, mask=construction.mask)
        check_one_pass(model, construction.layout.response)
        size, count, parts = batch_size(construction), len(cases.targets), []
        for start in range(0, count, size):
            parts.append(_logits(model, construction, cases.part(slice(start, start + size))))
            done(min(count, start + size))
        if arithmetic.undefined:
            raise InvalidArgument("something in it may be no number at all, such as a row of zeros over its length")
    found = np.concatenate(parts)
    return Bounds(found[..., 0], found[..., 1])


def _logits(
    model: Model[Any, Any, Any, Any], construction: Construction, cases: _Cases
) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return bounds of the logits where the response is read, cases x response x outputs x 2."""
    arithmetic, layout = model.arithmetic, construction.layout
    arithmetic.undefined = False
    rows, count = arithmetic.prompt(construction.prompts(cases.targets)), layout.virtual + layout.user
    if layout.user:
        rows = arithmetic.below(rows, arithmetic.embed(model.embedding, cases.inputs))
    if layout.read is not None:
        whole = arithmetic.numbers(forward(model, rows, count))
        found = whole[:, [layout.virtual + place for place in layout.read]]
    else:
        steps = []
        for step in range(layout.response):
            if step:
                fed = arithmetic.embed(model.embedding, cases.promised[:, step - 1 : step])
                rows, count = arithmetic.below(rows, fed), count + 1
            steps.append(arithmetic.numbers(forward(model, rows, count, last_only=True)))
        found = np.concatenate([np.broadcast_to(step, (len(cases.targets), *step.shape[1:])) for step in steps], axis=1)
    # logits that depend on no input may have been computed once for all cases
    return np.broadcast_to(found, (len(cases.targets), *found.shape[1:]))
