"""Known answers: cases with their promised tokens, their exact logits, and what a certificate allows a kernel to give.

The exact logits are those of the real numbers, for the weights of the construction and the temperature that it has in
the format, within two float64s (:class:`~verify.certificates.BallArithmetic`). The allowance is the enclosure of the
same certificate that covers all targets at once (:class:`~verify.certificates.RoundedArithmetic`), run on each case: it
holds whatever a kernel of the format computes that keeps the certificate's assumptions. Each step is fed the tokens
that are promised before it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool

from constructions.construction import Construction
from constructions.decoding import Answers
from constructions.formats import Format, get_format
from constructions.ratios import Ratios
from constructions.specification import Specification
from constructions.validation import IntArray, check_integer
from verify.conformance.bounds import Bounds as Bounds
from verify.conformance.bounds import Cases, bounds_of
from verify.evidence.kinds import EVALUATED, EXHAUSTED, FUZZED, Evidence
from verify.evidence.tally import Progress, no_progress
from verify.running.batches import enumerated, spaces
from verify.running.model import check_transformer


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
        seed: of the drawn cases.
        made: the Python expression that makes them, ``None`` where they were given one by one.

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
    made: str | None = None

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def prompts(self) -> Ratios | None:
        """The virtual tokens, exactly; ``None`` where there are none."""
        return self.specification.prompts(self.targets)

    @property
    def decided(self) -> Bool[np.ndarray, "cases response"] | None:
        """Where all logits within the bounds give the promised answer; ``None`` where no certificate bounds them.

        A margin rises with some logits and falls with others, so that it is least at an end of each bound: of a token,
        at one end of its own logit and the other end of the rest; of a number, at an end of the one logit.
        """
        if self.allowed is None:
            return None
        ends, reading = (self.allowed.low, self.allowed.high), self.specification.reading
        corners = list(ends)
        if reading.gives_tokens:
            own = np.arange(ends[0].shape[-1]) == self.promised[..., None]
            corners = [np.where(own, one, other) for one, other in (ends, ends[::-1])]
        return np.asarray(np.all([reading.margins(self.promised, corner) > 0 for corner in corners], axis=0))

    @property
    def expression(self) -> str:
        """The Python expression that makes these cases again, with ``numpy`` and ``verify.conformance`` imported."""
        if self.made is not None:
            return self.made
        cases = ", ".join(f"numpy.array({given.tolist()}, dtype=int)" for given in (self.targets, self.inputs))
        return f"verify.conformance.answers.answers_for({self.specification!r}, {self.fmt.name!r}, {cases})"


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
    made = f"verify.conformance.known_answers({specification!r}, {dtype!r}, cases={cases}, seed={seed})"
    return replace(found, kind=kind, seed=None if kind is EXHAUSTED else seed, made=made)


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
        exact, allowed, certificate = bounds_of(specification, fmt, Cases(targets, inputs, promised), progress)
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
