r"""The two identities of one layer of a language model, each held to the bound that its rounding allows.

The exact layer is softmax of the exponents that the pass WITH the prefix read, and its values. There both identities
hold exactly, so a deviation is a sum of rounding errors, as :mod:`verify.prefixes.error_bounds` derives it, from step 3
on:

- Exponents and values of the pass without the prefix are off by the difference that was measured, most often 0. (Both
  passes' must be those of the layer within rounding errors: :mod:`verify.huggingface.attention.projected`.)
- Softmax is computed in the type that was recorded: most classes take float32 in a model of any type, GPT-2 the model's
  own. An exponent is converted to it, and each weight back: :func:`~verify.prefixes.rounding.attended_as_read`.
- Sums over values are sums of products in the model's format.
- In 16 bits softmax and sums of products are ASSUMED to be held in float32 until they are rounded, as torch's kernels
  do; a bound without that says nothing of most models.

Norms do not enter: both passes read the same rows, behind them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch

from constructions.formats import FORMATS, Format
from constructions.validation import InvalidArgument
from proofs.attention import BIAS, RESCALING
from verify.certificates.floats.kernel import EXP_ULPS
from verify.certificates.floats.rounding.base import accumulator_of
from verify.huggingface.attention.known import known_attention
from verify.huggingface.attention.projected import array, projected, scores_read
from verify.huggingface.attention.recording import Call
from verify.huggingface.attention.runs import LayerCalls
from verify.prefixes.error_bounds import head_bounds, inflation, summed_bias
from verify.prefixes.measured import Deviation
from verify.prefixes.results import HeadResults
from verify.prefixes.rounding import Near, OperationError, attended_as_read


@dataclass(frozen=True, eq=False)
class LayerReport:
    """The attention of one layer with and without the prefix.

    Attributes:
        index: the number of the layer.
        attention: the name of its class.
        heads: head by head; the pass without the prefix reads the rows of the pass with it.
        rescaling: the deviations of ``A^pt`` from ``(1 - alpha) A``, head by head, with their bounds.
        bias: those of ``t^pt`` from ``(1 - alpha) t + sum_p alpha_p W_V s_p``, before the output projection.
        objection: why these bounds are not about this layer, in words; ``None`` where they are.
        plain_rescaling: how far ``A^pt`` is from ``(1 - alpha) A`` where each pass reads its own rows.
        plain_bias: the same of ``t^pt``.

    """

    index: int
    attention: str
    heads: tuple[HeadResults, ...]
    rescaling: tuple[Deviation, ...]
    bias: tuple[Deviation, ...]
    objection: str | None
    plain_rescaling: float
    plain_bias: float

    @cached_property
    def subject(self) -> str:
        """The layer in words."""
        return f"layer {self.index} ({self.attention}, {len(self.heads)} heads)"

    def deviations(self, claim: str) -> tuple[Deviation, ...]:
        """Return the deviations from one of the two identities, by its claim."""
        return {RESCALING: self.rescaling, BIAS: self.bias}[claim]


def format_of(dtype: torch.dtype) -> Format:
    """Return the format of a torch type.

    Raises:
        InvalidArgument: no bound is derived for it.

    """
    name = str(dtype).removeprefix("torch.")
    if name not in FORMATS:
        raise InvalidArgument(f"model: expected one of {', '.join(FORMATS)} but got {name}")
    return FORMATS[name]


def assumptions(fmt: Format) -> str:
    """Return what the bounds take for granted of the kernels of a format."""
    inner = accumulator_of(fmt)
    held = "" if inner is None else f"; sums of {fmt.name} products and softmax are held in {inner.name} until rounded"
    return f"exp is right within {EXP_ULPS} units in the last place{held}"


def measure(index: int, calls: LayerCalls, fmt: Format) -> LayerReport:
    """Hold one layer to both identities.

    Args:
        index: the number of the layer.
        calls: what it computed.
        fmt: the format of the model's numbers.

    Raises:
        InvalidArgument: types that are mixed, or for which no bound is derived.

    """
    joined, alone = calls.joined, calls.alone
    count = alone.query.shape[1]
    heads = tuple(_results(joined, alone, count))
    output = _output(joined, count)
    of, softmax = _errors(joined, alone, fmt)
    visible = joined.visible[-count:]
    values, exponents = _near(joined.value, alone.value, 1), _near(joined.exponents[:, -count:], alone.exponents, 2)
    group = len(heads) // len(values.value)
    inflated = inflation(2 * joined.query.shape[2] + 2 * values.value.shape[1] + 1)
    with np.errstate(all="ignore"):  # a number that is not finite bounds nothing and never passes
        bounds = head_bounds(
            attended_as_read(
                Near(exponents.value[..., -count:], exponents.error[..., -count:]), visible[:, -count:], softmax, of
            ),
            attended_as_read(exponents, visible, softmax, of),
            Near(*(np.repeat(part, group, axis=0) for part in (values.value, values.error))),
            visible=visible,
            of=of,
        )
        # of each head alone, which is why no errors of a sum over heads come in
        allowed = summed_bias([bounds], of, heads[0].prefix) * inflated
    rescaling, bias = [], []
    for place, made in enumerate(heads):
        where = f"of layer {index}, head {place}"
        left, right = made.rescaling_sides()
        # a weight lies in [0, 1], and a mean of values between their extremes (all 0: any other output is seen)
        rescaling.append(Deviation(f"A^pt {where}", left, right, bounds.rescaling[place] * inflated, most=1))
        largest = 2 * float(np.abs(made.values).max()) or np.inf
        bias.append(Deviation(f"t^pt {where}", output[place], made.kept + made.bias, allowed[place], most=largest))
    plain = tuple(_results(joined, calls.plain, count))
    off = [np.abs(np.subtract(*made.rescaling_sides())).max() for made in plain]
    moved = np.array([made.kept + made.bias for made in plain]) - output
    return LayerReport(
        index=index,
        attention=type(calls.layer.attention).__name__,
        heads=heads,
        rescaling=tuple(rescaling),
        bias=tuple(bias),
        objection=_objection(calls, of),
        plain_rescaling=float(np.max(off)),
        plain_bias=float(np.abs(moved).max()),
    )


def _near(joined: Any, alone: Any, axis: int) -> Near:
    """Return the numbers of the pass with the prefix, and how far those of the other pass are from them.

    Args:
        joined: of the prefix and the content along an axis.
        alone: of the content.
        axis: which one.

    """
    value, other = array(joined), array(alone)
    own = tuple(slice(-other.shape[place], None) if place == axis else slice(None) for place in range(value.ndim))
    error = np.zeros_like(value)
    with np.errstate(invalid="ignore"):  # -inf less itself, at hidden keys, whose errors are not read
        error[own] = np.abs(value[own] - other)
    return Near(value, error)


def _output(call: Call, count: int) -> Any:
    return array(call.output)[:, -count:]


def _results(joined: Call, alone: Call, count: int) -> list[HeadResults]:
    weights, before, output = array(joined.weights)[:, -count:], array(alone.weights), array(alone.output)
    values = array(joined.value)
    group = len(weights) // len(values)
    return [
        HeadResults(before[place], weights[place], values[place // group], output[place])
        for place in range(len(weights))
    ]


def _errors(joined: Call, alone: Call, fmt: Format) -> tuple[OperationError, OperationError]:
    """Return the errors of the model's format, and those of softmax."""
    parts = ("rows", "query", "key", "value", "exponents", "weights", "output")
    types = {str(getattr(call, part).dtype) for call in (joined, alone) for part in parts}
    if types != {f"torch.{fmt.name}"} or joined.softmax != alone.softmax:
        raise InvalidArgument(f"model: expected numbers of {fmt.name} alone but got {', '.join(sorted(types))}")
    soft = format_of(joined.softmax)
    return OperationError.of(fmt, accumulator_of(fmt)), OperationError.of(accumulator_of(soft) or soft)


def _objection(calls: LayerCalls, of: OperationError) -> str | None:
    """Return why the recorded queries, keys and values are not those of one layer, ``None`` where they are."""
    factors = calls.joined.factor, calls.alone.factor
    if factors[0] != factors[1]:  # each call's exponents are held to its own factor
        return f"scores are multiplied by {factors[0]:.6g} with the prefix and by {factors[1]:.6g} without it"
    known = known_attention(calls.layer.attention)
    assert known is not None
    projections = known.projections(calls.layer.attention)
    for words, call in (("with the prefix", calls.joined), ("without it", calls.alone)):
        for deviation in (*projected(call, projections, of), scores_read(call, of)):
            if not np.isfinite(deviation.left).all():
                return f"{deviation.where} {words} are not finite"
            exact, bounded = deviation.left == deviation.right, np.isfinite(np.asarray(deviation.bound))
            if not (exact | (bounded & (deviation.used() <= 1))).all():
                return f"{deviation.where} {words} are not those of its weights and rows within rounding errors"
    if calls.held is not None:
        cached = (calls.joined.key, calls.joined.value)
        for words, made, given in zip(("keys", "values"), cached, calls.held, strict=True):
            if not torch.equal(made[:, : given.shape[1]], given):
                return f"the {words} of the prefix are not those of the adapter"
    return None
