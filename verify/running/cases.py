"""Running cases: a specification, a target and a user input in, tokens and margins out, on any backend."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np

from constructions.construction import Construction
from constructions.decoding import Answers, Argmax, Decoding
from constructions.domain import Domain
from constructions.ratios import Ratios
from constructions.specification import Specification, at_default
from constructions.targets import TargetSpace
from constructions.temperature import as_temperature
from constructions.validation import IntArray
from verify.backends import Runs, as_backend
from verify.numbers import Margin
from verify.running.temperatures import show_temperature as show_temperature
from verify.running.trace import Trace

#: Memory that one batch may take in its largest intermediates.
BATCH_BYTES = 2**26


@dataclass(frozen=True)
class Outcome:
    """The outcome of a batch of cases.

    Attributes:
        expected: promised tokens, int64, cases x response; exact numbers as objects, where a logit is read as one.
        produced: what was read off the logits, the same shape.
        margins: at every step by how much it is as promised, as the decoding has it (the logit of the promised token
            minus the largest other one): float64, or Fractions as objects; ``inf`` where there is no other token, or
            where logits are not known, NaN where any logit is not finite.
        prompts: the virtual tokens that ran, exactly; ``None`` where there are none.
        logits: of every step, cases x response x outputs; ``None`` where the backend gives tokens alone.
        decoding: how the answers were read.

    Example:
        >>> import numpy as np
        >>> from constructions import ConditionalGeneration
        >>> from verify import RationalArithmetic, Runner
        >>> outcome = Runner(ConditionalGeneration(3), RationalArithmetic()).run(np.array([[2, 0, 1]]), np.array([[0]]))
        >>> outcome.margins.tolist()
        [[Fraction(1, 9)]]

    """

    expected: Answers
    produced: Answers
    margins: np.ndarray[Any, Any]
    prompts: Ratios | None = None
    logits: np.ndarray[Any, Any] | None = None
    decoding: Decoding = field(default_factory=Argmax)

    def failures(self) -> np.ndarray[Any, Any]:
        """Return for every case and step whether it is NOT shown right: another token, or no positive margin."""
        with np.errstate(invalid="ignore"):
            positive = np.asarray(self.margins > 0, dtype=np.bool_)  # false for NaN
        return np.asarray(self.decoding.differ(self.expected, self.produced) | ~positive)

    def case(self, place: int) -> Outcome:
        """Return the outcome of one case of the batch, as a batch of one."""
        one = slice(place, place + 1)
        prompts = None if self.prompts is None else Ratios(self.prompts.numerators[one], self.prompts.denominator)
        logits = None if self.logits is None else self.logits[one]
        return Outcome(self.expected[one], self.produced[one], self.margins[one], prompts, logits, self.decoding)

    def smallest_margin(self) -> Margin:
        """Return the smallest margin; NaN if there is one, or no case at all."""
        margins: list[Margin] = self.margins.reshape(-1).tolist()
        if not margins:
            return math.nan
        return math.nan if any(margin != margin for margin in margins) else min(margins)  # noqa: PLR0124 # NaN test


def spaces(construction: Specification) -> tuple[TargetSpace, Domain]:
    """Return the targets and the user inputs of a construction, counted here and not by code of its own.

    Raises:
        InvalidArgument: the targets are another class's.

    """
    return construction.target_space, construction.user_inputs


def declared(construction: Specification) -> tuple[Any, ...]:
    """Return what a specification says of itself: targets, user inputs, layout, vocabularies, decoding and mask."""
    mask = getattr(construction, "mask", None)
    sizes = construction.vocab_size, construction.output_vocab_size
    return (*spaces(construction), construction.layout, *sizes, construction.reading, mask)


class Runner:
    """A specification and a backend, ready to run batches of cases.

    Attributes:
        construction: the specification; a construction, where the backend runs its weights.
        backend: what generates.
        prepared: the backend, made ready for it.
        declared: what the specification said of itself then.

    Example:
        >>> import numpy as np
        >>> from constructions import ConditionalGeneration
        >>> from verify import RationalArithmetic
        >>> runner = Runner(ConditionalGeneration(3), RationalArithmetic())
        >>> outcome = runner.run(np.array([[2, 0, 1], [0, 0, 2]]), np.array([[0], [2]]))  # two maps, a user token each
        >>> outcome.produced.tolist()
        [[2], [2]]

    """

    def __init__(self, construction: Specification, runs: Runs) -> None:
        """Make a backend ready.

        Args:
            construction: what to run.
            runs: an arithmetic, or a backend.

        Raises:
            InvalidArgument: the arithmetic's format cannot hold what the weights rely on, the backend cannot run it, or
                it has several targets and no prompt that tells them apart.

        """
        self.construction, self.backend = construction, as_backend(runs)
        self.declared = declared(construction)
        self.prepared = self.backend.prepare(construction)

    @property
    def has_margins(self) -> bool:
        """Whether every case has a margin to speak of: logits are known, and something else could be produced."""
        several = self.construction.output_vocab_size > 1 or not self.construction.reading.gives_tokens
        return self.backend.gives_logits and several

    def run(self, targets: IntArray, user_inputs: IntArray, trace: Trace | None = None) -> Outcome:
        """Return the outcome of a batch.

        Args:
            targets: int64, shape ``(cases, *targets.shape)``.
            user_inputs: int64, shape ``(cases, user)``.
            trace: records the intermediates of the last step (of the last case, where cases run one by one).

        """
        expected = self.construction.response(targets, user_inputs)
        prompts = self.construction.prompts(targets)
        made = self.prepared.run(prompts, user_inputs.copy(), trace)
        found = _outcome(expected, made.answers, made.logits, self.construction.reading)
        return replace(found, prompts=prompts, logits=made.logits)


def _outcome(expected: Answers, produced: Answers, logits: np.ndarray[Any, Any] | None, decoding: Decoding) -> Outcome:
    """Return what was produced with the margins of what was promised; without logits there are none to speak of."""
    margins = np.full(expected.shape, np.inf) if logits is None else decoding.margins(expected, logits)
    return Outcome(expected, produced, margins, decoding=decoding)


def batch_size(construction: Specification) -> int:
    """Return how many cases fit :data:`BATCH_BYTES` in the largest intermediate, as 8-byte numbers; at least 1.

    Of a specification without weights the largest intermediate that is known is its logits, at every position.
    """
    layout = construction.layout
    widest = construction.transformer.lowered.widest if isinstance(construction, Construction) else 1
    numbers = max(widest, construction.vocab_size, construction.output_vocab_size)
    return max(1, BATCH_BYTES // (8 * numbers * max(layout.context_size, layout.response)))


def parameters_of(construction: Specification, runs: Runs | None = None) -> dict[str, Any]:
    """Return a specification's parameters as JSON values, with the settings of what runs (such as its temperature)."""
    found: dict[str, Any] = {}
    for item in sorted(fields(construction), key=lambda item: bool(item.kw_only)):  # sizes first
        value = getattr(construction, item.name)
        if item.repr and item.name != "temperature" and value is not None:  # None: an option that was not given
            found[item.name] = _as_json(value)
    if own := _own_masks(construction):
        found["masks"] = own
    if not construction.reading.takes_largest:
        found["decoding"] = construction.reading.words()
    return found if runs is None else found | dict(as_backend(runs).settings(construction))


def _as_json(value: Any) -> Any:
    return value if isinstance(value, (int, float, str, bool)) else repr(value)


def _own_masks(construction: Specification) -> str:
    """Return the layers that the construction's mask is not the mask of, each with its own."""
    if not isinstance(construction, Construction):
        return ""
    layers = construction.transformer.attentions
    return ", ".join(f"{layer.mask.name} in {layer.name}" for layer in layers if layer.mask is not None)


def options_of(construction: Construction) -> dict[str, Any]:
    """Return what holds for every size of a family, as JSON values: its temperature, and options that are not default.

    Args:
        construction: one of the family.

    """
    found: dict[str, Any] = {}
    for item in fields(construction):
        value = getattr(construction, item.name)
        if item.kw_only and item.init and item.name != "temperature" and not at_default(item, value):
            found[item.name] = _as_json(value)
    given = construction.temperature
    found["temperature"] = "default of each size" if given is None else show_temperature(as_temperature(given))
    return found
