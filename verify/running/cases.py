"""Running cases: a construction, a target and a user input in, tokens and margins out, in any arithmetic."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from fractions import Fraction
from typing import Any

import numpy as np

from constructions.construction import Construction, Layout
from constructions.domain import Domain
from constructions.ratios import Ratios
from constructions.targets import TargetSpace
from constructions.temperature import Hardmax, PerHeadSoftmax, RationalSoftmax, Temperatures, as_temperature
from constructions.validation import IntArray
from verify.arithmetic import Arithmetic
from verify.arithmetic.base import NumberSystem
from verify.evidence.verdict import Margin, decimal
from verify.running.model import bind_construction, exact_logits, generate
from verify.running.trace import Trace

#: Memory that one batch may take in its largest intermediates.
_BATCH_BYTES = 2**26


@dataclass(frozen=True)
class Outcome:
    """What a batch of cases gave.

    Attributes:
        expected: promised tokens, int64, cases x response.
        produced: tokens of greedy decoding, the same shape.
        margins: at every step the logit of the promised token minus the largest other one: float64, or Fractions as
            objects; ``inf`` for a vocabulary of one token, NaN where any logit is not finite.
        prompts: the virtual tokens that ran, exactly.
        logits: of every step, cases x response x vocabulary.

    """

    expected: IntArray
    produced: IntArray
    margins: np.ndarray[Any, Any]
    prompts: Ratios | None = None
    logits: np.ndarray[Any, Any] | None = None

    def failures(self) -> np.ndarray[Any, Any]:
        """Return for every case and step whether it is NOT shown right: another token, or no positive margin."""
        positive = np.asarray(self.margins > 0, dtype=np.bool_)  # false for NaN
        return np.asarray((self.produced != self.expected) | ~positive)

    def case(self, place: int) -> Outcome:
        """Return the outcome of one case of the batch, as a batch of one."""
        one = slice(place, place + 1)
        prompts = None if self.prompts is None else Ratios(self.prompts.numerators[one], self.prompts.denominator)
        logits = None if self.logits is None else self.logits[one]
        return Outcome(self.expected[one], self.produced[one], self.margins[one], prompts, logits)

    def smallest_margin(self) -> Margin:
        """Return the smallest margin; NaN if there is one, or no case at all."""
        margins: list[Margin] = self.margins.reshape(-1).tolist()
        if not margins:
            return math.nan
        return math.nan if any(margin != margin for margin in margins) else min(margins)  # noqa: PLR0124 # NaN test


def spaces(construction: Construction) -> tuple[TargetSpace, Domain]:
    """Return the targets and the user inputs of a construction, counted here and not by code of its own.

    Raises:
        InvalidArgument: the targets are another class's.

    """
    return construction.target_space, construction.user_inputs


def declared(construction: Construction) -> tuple[TargetSpace, Domain, Layout, int, str]:
    """Return what a construction says of itself: targets, user inputs, layout, vocabulary size and mask."""
    return (*spaces(construction), construction.layout, construction.vocab_size, construction.mask)


class Runner:
    """A construction in an arithmetic, ready to run batches of cases.

    The dense torch arithmetic with its default kernels runs as the
    :class:`~verify.running.torch_module.TorchTransformer` that a user would get.
    """

    def __init__(self, construction: Construction, arithmetic: Arithmetic[Any, Any, Any], *, tf32: bool = False):
        """Lower the construction's weights.

        Args:
            construction: what to run.
            arithmetic: the number system.
            tf32: allow TF32 in torch's float32 products.

        Raises:
            InvalidArgument: the arithmetic's format cannot hold what the weights rely on.

        """
        self.construction = construction
        self.arithmetic = arithmetic
        self.tf32 = tf32
        #: as they were when the weights were bound
        self.declared, self.transformer = declared(construction), construction.transformer
        with arithmetic.running(tf32=tf32):  # refuses what it does not have
            self._module: Any = arithmetic.module(construction, tf32=tf32)
            if self._module is None:
                self._model = bind_construction(construction, arithmetic)

    def same_weights(self) -> bool:
        """Say whether the construction's weights, asked for twice more, are those that were bound."""
        asked = (self.construction.transformer for _ in range(2))
        before = self.transformer.lowered.sha256
        return all(transformer.lowered.sha256 == before for transformer in asked)

    @property
    def name(self) -> str:
        """The arithmetic as verdicts call it."""
        return self.arithmetic.name + (" with TF32" if self.tf32 else "")

    def run(self, targets: IntArray, user_inputs: IntArray, trace: Trace | None = None) -> Outcome:
        """Return the outcome of a batch.

        Args:
            targets: int64, shape ``(cases, *targets.shape)``.
            user_inputs: int64, shape ``(cases, user)``.
            trace: records the intermediates of the last step (of the last case, where cases run one by one).

        """
        expected = self.construction.response(targets, user_inputs)
        prompts = self.construction.virtual_tokens(targets)
        with self.arithmetic.running(tf32=self.tf32):
            if self._module is not None:
                held = self._module.arithmetic
                generation = self._module.generation(held.prompt(prompts), user_inputs, trace=trace)
                return _judged(expected, generation.tokens, exact_logits(held, generation), prompts)
            return self._run(expected, prompts, user_inputs, trace)

    def _run(self, expected: IntArray, prompts: Ratios, user_inputs: IntArray, trace: Trace | None) -> Outcome:
        layout, arithmetic = self.construction.layout, self.arithmetic
        virtual, steps = layout.virtual, layout.response
        if arithmetic.batched:
            rows = arithmetic.prompt(prompts)
            generation = generate(self._model, rows, virtual, user_inputs, steps, trace=trace)
            return _judged(expected, generation.tokens, exact_logits(arithmetic, generation), prompts)
        tokens, logits = [], []
        for case in range(len(expected)):
            rows = arithmetic.prompt(prompts[case])
            generation = generate(self._model, rows, virtual, user_inputs[case], steps, trace=trace)
            tokens.append(generation.tokens[None])
            logits.append(exact_logits(arithmetic, generation)[None])
        if not tokens:
            return Outcome(expected, expected, np.zeros(expected.shape), prompts)
        return _judged(expected, np.concatenate(tokens), np.concatenate(logits), prompts)


def _judged(expected: IntArray, produced: IntArray, logits: np.ndarray[Any, Any], prompts: Ratios) -> Outcome:
    return replace(_outcome(expected, produced, logits), prompts=prompts, logits=logits)


def _outcome(expected: IntArray, produced: IntArray, logits: np.ndarray[Any, Any]) -> Outcome:
    """Return produced tokens with the margins of the expected ones; logits have shape cases x steps x vocabulary."""
    exact = logits.dtype == object
    own = np.take_along_axis(logits, expected[..., None], axis=-1)[..., 0]
    if logits.shape[-1] == 1:
        margins = np.full(expected.shape, np.inf)
    else:
        others = logits.copy()
        np.put_along_axis(others, expected[..., None], -math.inf, axis=-1)
        with np.errstate(invalid="ignore"):  # an infinite logit is told below
            margins = np.asarray(own - others.max(axis=-1))
    if not exact:
        margins = np.where(np.isfinite(logits).all(axis=-1), margins, np.nan)
    return Outcome(expected, produced, margins)


def batch_size(construction: Construction) -> int:
    """Return how many cases fit :data:`_BATCH_BYTES` in the largest intermediate, as 8-byte numbers; at least 1."""
    layout = construction.layout
    widest = construction.transformer.lowered.widest
    numbers = max(widest, construction.vocab_size) * max(layout.context_size, layout.response)
    return max(1, _BATCH_BYTES // (8 * numbers))


def parameters_of(construction: Construction, arithmetic: NumberSystem[Any, Any, Any] | None = None) -> dict[str, Any]:
    """Return a construction's parameters as JSON values, the temperature as it was in this arithmetic."""
    found: dict[str, Any] = {}
    for item in sorted(fields(construction), key=lambda item: bool(item.kw_only)):  # sizes first
        value = getattr(construction, item.name)
        if item.name != "temperature" and value is not None:  # None: an option that was not given
            found[item.name] = value if isinstance(value, (int, float, str, bool)) else repr(value)
    if arithmetic is not None:
        found["temperature"] = show_temperature(construction.temperature_for(arithmetic.fmt))
        found["temperature"] += " (default)" if construction.temperature is None else ""
    return found


def options_of(construction: Construction) -> dict[str, Any]:
    """Return what holds for every size of a family, as JSON values: its temperature, and options that are not default.

    Args:
        construction: one of the family.

    """
    found: dict[str, Any] = {}
    for item in fields(construction):
        value = getattr(construction, item.name)
        if item.kw_only and item.init and item.name != "temperature" and value != item.default:
            found[item.name] = value if isinstance(value, (int, float, str, bool)) else repr(value)
    given = construction.temperature
    found["temperature"] = "default of each size" if given is None else show_temperature(as_temperature(given))
    return found


def show_temperature(temperature: Temperatures) -> str:
    """Return a temperature in words: ``hardmax``, ``q = 7``, ``q = 7 (first), 2 (self)``, ``T = 50, over sqrt(k)``."""
    if isinstance(temperature, Hardmax):
        return "hardmax"
    if isinstance(temperature, RationalSoftmax):
        return f"q = {_exact(temperature.q)}"
    if isinstance(temperature, PerHeadSoftmax):
        return "q = " + ", ".join(f"{_exact(q)} ({head})" for head, q in dict(temperature.q).items())
    under = {"key": "k", "length": "length"}[temperature.scaled_by]
    return f"T = {temperature.inverse_temperature:.6g}, over sqrt({under})"


def _exact(number: Fraction | int) -> str:
    whole = decimal(number.numerator)
    return whole if number.denominator == 1 else f"{whole}/{decimal(number.denominator)}"
