"""Faults of the forward pass, whatever the weights: each is one wrong operation of an arithmetic."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import flint
import numpy as np

from constructions import Hardmax, RationalSoftmax, Ratios, Temperature
from tests.mutation.wrong_arithmetic import AnyArithmetic, Delegating, wrapped
from verify.arithmetic.base import Visible
from verify.arithmetic.structured import Blocks

Wrap = Callable[[AnyArithmetic], AnyArithmetic]


def right(arithmetic: AnyArithmetic) -> AnyArithmetic:
    return arithmetic


def _seen_as(change: Callable[[Visible], np.ndarray[Any, Any]]) -> Wrap:
    def attention(self: Delegating, scores: Any, visible: Visible, temperature: Temperature, *, key_size: int) -> Any:
        seen = np.asarray(change(visible), dtype=np.bool_)
        return self.base.attention(scores, seen, temperature, key_size=key_size)

    return wrapped("attention", attention)


def _from_itself_on(visible: Visible) -> np.ndarray[Any, Any]:
    rows, keys = visible.shape
    return np.arange(keys)[None, :] >= np.arange(keys - rows, keys)[:, None]


def _before_itself(visible: Visible) -> np.ndarray[Any, Any]:
    """Hide each position from itself; the first one, which sees nothing else, keeps itself."""
    rows, keys = visible.shape
    places = np.arange(keys - rows, keys)[:, None]
    return np.asarray(visible & ((np.arange(keys)[None, :] != places) | (places == 0)))


def _without_the_first(visible: Visible) -> np.ndarray[Any, Any]:
    """Hide position 0 from every position that sees another."""
    others = visible.sum(axis=1, keepdims=True) > 1
    return np.asarray(visible & ((np.arange(visible.shape[1])[None, :] > 0) | ~others))


def heated(change: Callable[[Temperature, int], Temperature]) -> Wrap:
    def attention(self: Delegating, scores: Any, visible: Visible, temperature: Temperature, *, key_size: int) -> Any:
        return self.base.attention(scores, visible, change(temperature, key_size), key_size=key_size)

    return wrapped("attention", attention)


def _cold(_: Temperature, __: int) -> Temperature:
    return RationalSoftmax(Fraction(1))


def _inverse(temperature: Temperature, _: int) -> Temperature:
    return RationalSoftmax(1 / temperature.q if isinstance(temperature, RationalSoftmax) else Fraction(1, 2))


def _chosen(change: Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]]) -> Wrap:
    return wrapped("argmax", lambda self, logits: change(self.base.numbers(logits)))


def _first_of(scores: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.asarray(scores.argmax(-1), dtype=np.int64)


def _last_of(logits: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.asarray(logits.shape[-1] - 1 - logits[..., ::-1].argmax(-1), dtype=np.int64)


def _linear_without_bias(self: Delegating, rows: Any, weight: Any, bias: Any = None) -> Any:
    return self.base.linear(rows, weight)


def _linear_with_relu(self: Delegating, rows: Any, weight: Any, bias: Any = None) -> Any:
    made = self.base.linear(rows, weight, bias)
    return made if bias is None else self.base.relu(made)


def _first_prompt_kept(self: Any, virtual_tokens: Ratios) -> Any:
    """Use the first prompt that was ever seen for every case."""
    if not hasattr(self, "kept"):
        self.kept = virtual_tokens.numerators[:1] if self.base.batched else virtual_tokens.numerators
    numerators = np.broadcast_to(self.kept, virtual_tokens.shape).copy()
    return self.base.prompt(Ratios(numerators, virtual_tokens.denominator))


def _stale(self: Delegating, top: Any, bottom: Any) -> Any:
    """Put the newest row that is held under the held ones, in place of a single new one."""
    alone = self.base.numbers(bottom).shape[-2] == 1
    return self.base.below(top, self.base.last(top) if alone else bottom)


def _row_before(self: Delegating, rows: Any) -> Any:
    """Read the row before the last, where there is one."""
    if isinstance(rows, flint.fmpq_mat):
        place, width = max(0, rows.nrows() - 2), rows.ncols()
        return flint.fmpq_mat(1, width, rows.entries()[place * width : (place + 1) * width])
    if isinstance(rows, Blocks):
        length = max(1, rows.length - 1)
        parts = tuple(None if part is None else part[:, :length] for part in rows.parts)
        return self.base.last(Blocks(length, rows.sizes, parts))
    return rows[..., -2:-1, :] if rows.shape[-2] > 1 else rows


#: Operators whose fault shows in any arithmetic.
OPERATORS: Mapping[str, Wrap] = {
    "mask off": _seen_as(np.ones_like),
    "mask in the wrong direction": _seen_as(_from_itself_on),
    "each position hidden from itself": _seen_as(_before_itself),
    "first key hidden": _seen_as(_without_the_first),
    "temperature ignored": heated(_cold),
    "temperature inverted": heated(_inverse),
    "hardmax in place of softmax": heated(lambda _, __: Hardmax()),
    "positions one too far": wrapped(
        "positions", lambda self, size, start, stop: _positions(self, size, start, stop, by=1)
    ),
    "positions one too early": wrapped(
        "positions", lambda self, size, start, stop: _positions(self, size, start, stop, by=-1)
    ),
    "positions lost": wrapped(
        "positions",
        lambda self, size, start, stop: self.times(self.base.positions(size, start, stop), Fraction(0)),
    ),
    "the last of equal logits wins": _chosen(_last_of),
    "the smallest logit wins": _chosen(lambda logits: _first_of(-logits)),
    "the last token is never chosen": _chosen(lambda logits: _first_of(logits[..., :-1])),
    "every token comes as the next one": _chosen(lambda logits: (_first_of(logits) + 1) % logits.shape[-1]),
    "every user token read as token 0": wrapped(
        "embed", lambda self, embedding, tokens: self.base.embed(embedding, np.zeros_like(tokens))
    ),
    "heads averaged": wrapped("total", lambda self, parts: self.times(self.base.total(parts), Fraction(1, len(parts)))),
    "only the first head": wrapped("total", lambda self, parts: parts[0]),
    "only the last head": wrapped("total", lambda self, parts: parts[-1]),
    "heads subtracted": wrapped(
        "total",
        lambda self, parts: self.base.total([parts[0], *(self.times(part, Fraction(-1)) for part in parts[1:])]),
    ),
    "ReLU missing everywhere": wrapped("relu", lambda self, rows: rows),
    "ReLU of the negative": wrapped("relu", lambda self, rows: self.base.relu(self.times(rows, Fraction(-1)))),
    "ReLU after every layer": wrapped("linear", _linear_with_relu),
    "biases forgotten": wrapped("linear", _linear_without_bias),
    "attention not normalised to 1": wrapped(
        "mix", lambda self, attention, values: self.times(self.base.mix(attention, values), Fraction(2))
    ),
    "values tripled": wrapped(
        "mix", lambda self, attention, values: self.base.mix(attention, self.times(values, Fraction(3)))
    ),
    "one prompt for all cases": wrapped("prompt", _first_prompt_kept),
    "virtual tokens zero": wrapped(
        "prompt", lambda self, tokens: self.base.prompt(Ratios(0 * tokens.numerators, tokens.denominator))
    ),
    "virtual tokens rounded to whole numbers": wrapped(
        "prompt", lambda self, tokens: self.base.prompt(Ratios(tokens.numerators // tokens.denominator, 1))
    ),
    "logits read at the wrong row": wrapped("last", _row_before),
    "stale cache of keys and values": wrapped("below", _stale),
}


def _positions(self: Delegating, size: int, start: int, stop: int, *, by: int) -> Any:
    """Return the codes of positions ``by`` away, cyclically."""
    if size == 1:
        return self.base.positions(size, start, stop)
    rows = [(place + by) % size for place in range(start, stop)]
    made = self.base.positions(size, rows[0], rows[0] + 1)
    for row in rows[1:]:
        made = self.base.below(made, self.base.positions(size, row, row + 1))
    return made
