"""Running cases: a construction, a target and a user input in, tokens and margins out, in any arithmetic."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, fields
from fractions import Fraction
from typing import Any, Literal

import numpy as np

from constructions.construction import Construction
from constructions.temperature import Hardmax, PerHeadSoftmax, RationalSoftmax, Temperatures, as_temperature
from constructions.transformer import ExactAttention
from constructions.validation import IntArray
from verify.arithmetic import Arithmetic
from verify.forward import bind_construction, exact_logits, generate
from verify.trace import Trace
from verify.verdict import Counterexample, Margin, decimal

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

    """

    expected: IntArray
    produced: IntArray
    margins: np.ndarray[Any, Any]

    def failures(self) -> np.ndarray[Any, Any]:
        """Return for every case and step whether it is NOT shown right: another token, or no positive margin."""
        positive = np.asarray(self.margins > 0, dtype=np.bool_)  # false for NaN
        return np.asarray((self.produced != self.expected) | ~positive)

    def smallest_margin(self) -> Margin:
        """Return the smallest margin; NaN if there is one, or no case at all."""
        margins: list[Margin] = self.margins.reshape(-1).tolist()
        if not margins:
            return math.nan
        return math.nan if any(margin != margin for margin in margins) else min(margins)  # noqa: PLR0124 # NaN test


class Runner:
    """A construction in an arithmetic, ready to run batches of cases.

    The dense torch arithmetic with its default kernels runs as the :class:`~verify.torch_module.TorchTransformer` that
    a user would get.
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
        self._module: Any = None
        if arithmetic.name.startswith("torch"):
            from verify.arithmetic.tensors import TorchArithmetic  # noqa: PLC0415 # torch takes seconds to import
            from verify.torch_module import to_torch  # noqa: PLC0415 # the same

            if isinstance(arithmetic, TorchArithmetic) and arithmetic.plain:
                precision: Literal["high", "highest"] = "high" if tf32 else "highest"
                self._module = to_torch(construction, arithmetic.fmt.name, arithmetic.device, precision=precision)
        if self._module is None:
            self._model = bind_construction(construction, arithmetic)

    def run(self, targets: IntArray, user_inputs: IntArray, trace: Trace | None = None) -> Outcome:
        """Return the outcome of a batch.

        Args:
            targets: int64, shape ``(cases, *targets.shape)``.
            user_inputs: int64, shape ``(cases, user)``.
            trace: records the intermediates of the last step (of the last case, where cases run one by one).

        """
        expected = self.construction.response(targets, user_inputs)
        if self._module is not None:
            generation = self._module.generation(self._module.prompt(targets), user_inputs, trace=trace)
            return _outcome(expected, generation.tokens, exact_logits(self._module.arithmetic, generation))
        layout, prompts = self.construction.layout, self.construction.virtual_tokens(targets)
        arithmetic, steps = self.arithmetic, layout.response
        if arithmetic.batched:
            with np.errstate(all="ignore"):  # an overflow shows as a logit that is not finite, which never verifies
                rows = arithmetic.prompt(prompts)
                generation = generate(self._model, rows, layout.virtual, user_inputs, steps, trace=trace)
            return _outcome(expected, generation.tokens, exact_logits(arithmetic, generation))
        outcomes = []
        for case in range(len(targets)):
            rows = arithmetic.prompt(prompts[case])
            generation = generate(self._model, rows, layout.virtual, user_inputs[case], steps, trace=trace)
            logits = exact_logits(arithmetic, generation)[None]
            outcomes.append(_outcome(expected[case : case + 1], generation.tokens[None], logits))
        return Outcome(
            expected,
            np.concatenate([outcome.produced for outcome in outcomes]) if outcomes else expected,
            np.concatenate([outcome.margins for outcome in outcomes]) if outcomes else np.zeros(expected.shape),
        )


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
    layers = construction.transformer.lowered.layers
    widest = max(
        max(head.value.shape[0] for head in layer.heads) if isinstance(layer, ExactAttention) else layer.weight.shape[0]
        for layer in layers
    )
    layout = construction.layout
    numbers = max(widest, construction.vocab_size) * max(layout.context_size, layout.response)
    return max(1, _BATCH_BYTES // (8 * numbers))


def parameters_of(construction: Construction, arithmetic: Arithmetic[Any, Any, Any] | None = None) -> dict[str, Any]:
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


def counterexample(
    construction: Construction,
    arithmetic: Arithmetic[Any, Any, Any],
    outcome: Outcome,
    case: int,
    *,
    target: IntArray,
    user_input: IntArray,
    command: Mapping[str, str] | None = None,
    tf32: bool = False,
) -> Counterexample:
    """Return the record of a failing case, with the command that shows it.

    Args:
        construction: what was run.
        arithmetic: the number system.
        outcome: of the batch.
        case: the case's place in the batch.
        target: the case's target.
        user_input: the case's user tokens.
        command: ``{"claim": ..., "--vocab": ..., ...}`` when the command line can build the construction.
        tf32: whether TF32 was allowed in torch's float32 products.

    """
    position = int(np.argmax(outcome.failures()[case]))
    rank = construction.targets.rank(target)
    margin = outcome.margins[case, position]
    tokens = [int(token) for token in user_input]
    return Counterexample(
        construction=repr(construction),
        rank=rank,
        target=target.tolist(),
        user_input=tokens,
        position=position,
        expected=int(outcome.expected[case, position]),
        produced=int(outcome.produced[case, position]),
        margin=margin if isinstance(margin, Fraction) else float(margin),
        reproduce=_reproduce(construction, arithmetic, target, tokens, command=command, tf32=tf32),
    )


def _reproduce(
    construction: Construction,
    arithmetic: Arithmetic[Any, Any, Any],
    target: IntArray,
    user_input: list[int],
    *,
    command: Mapping[str, str] | None,
    tf32: bool,
) -> str:
    kind, *dtype = arithmetic.name.split()
    if command is None:
        case = f"target={target.tolist()}, user_input={user_input}"
        given = [f"bias={name!r}" for name in ("separate", "fma") if name in dtype]
        given += ["tf32_factors=True"] if "tf32-factors" in dtype else []
        if given:
            made = f"TorchArithmetic({', '.join([repr(dtype[0]), repr(arithmetic.device), *given])})"
            return f"verify.check({construction!r}, {case}, arithmetic=verify.arithmetic.tensors.{made})"
        options = f", dtype={dtype[0]!r}, device={arithmetic.device!r}" if dtype else ""
        options += ", tf32=True" if tf32 else ""
        return f"verify.check({construction!r}, {case}, arithmetic={kind!r}{options})"
    words = ["prefixproof", "check", command["claim"]]
    for name, value in command.items():
        if name != "claim":
            words += [name, value]
    words += ["--rank", decimal(construction.targets.rank(target)), "--arithmetic", kind]
    if user_input:
        words += ["--user", ",".join(map(str, user_input))]
    if dtype:
        words += ["--dtype", dtype[0]]
        for name in ("separate", "fma"):
            words += ["--bias", name] if name in dtype else []
        words += ["--tf32-factors"] if "tf32-factors" in dtype else []
    if arithmetic.device != "cpu":
        words += ["--device", arithmetic.device]
    if tf32:
        words += ["--tf32"]
    return shlex.join(words)
