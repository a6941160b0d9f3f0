"""A user's own attention layer, its content and its prefix, held in any arithmetic.

Nothing here assumes the architecture of the constructions: the rows of the content are vectors of the residual
stream, whatever they contain.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from jaxtyping import Bool

from constructions.formats import Format, round_to_format
from constructions.layers import Attention, Head
from constructions.layers.masks import MASKS
from constructions.layers.weighted import tuple_of
from constructions.temperature import (
    Hardmax,
    PerHeadSoftmax,
    RationalSoftmax,
    Softmax,
    Temperature,
    as_temperature,
)
from constructions.validation import InvalidArgument, reject
from verify.arithmetic import Arithmetic
from verify.arithmetic.gaps import score_gap

#: Real numbers as they were given: float64, or Fractions as objects.
Numbers = np.ndarray[Any, Any]

#: ``causal``, ``none``, or a square array of 0 and 1.
Mask = Any


def as_matrix(name: str, value: Any) -> Numbers:
    """Return a two-dimensional array of real numbers: float64 where all are given as floats, Fractions otherwise.

    Args:
        name: the argument as the caller knows it.
        value: nested sequences or an array of numbers (integers, Fractions, floats, strings such as ``"2/3"``), or a
            torch tensor of any dtype on any device; a head's weight, a sympy or an exact matrix, too.

    Raises:
        InvalidArgument: not two-dimensional and at least 1 x 1, or an entry that is not a finite number.

    """
    if hasattr(value, "detach"):  # a torch tensor, without importing torch; float64 holds every format
        value = value.detach().cpu().double().numpy()
    elif hasattr(value, "to_fractions"):
        value = value.to_fractions()
    try:
        array = np.asarray(value) if isinstance(value, np.ndarray) else np.array(value, dtype=object)
    except (ValueError, TypeError):  # ragged nesting, or a matrix whose sizes are symbols
        reject(name, "a matrix of finite numbers", value)
    if array.ndim != 2 or 0 in array.shape:
        reject(name, "a matrix of finite numbers, at least 1 x 1", value)
    if np.issubdtype(array.dtype, np.floating):
        array = np.asarray(array, dtype=np.float64)
        if not np.isfinite(array).all():
            reject(name, "finite numbers", float(array[~np.isfinite(array)][0]))
        return array
    entries = [_number(name, entry) for entry in array.reshape(-1).tolist()]
    if all(isinstance(entry, float) for entry in entries):
        return np.array(entries, dtype=np.float64).reshape(array.shape)
    exact = np.empty(len(entries), dtype=object)
    exact[:] = [Fraction(entry) for entry in entries]
    return exact.reshape(array.shape)


def _number(name: str, entry: Any) -> Fraction | float:
    if isinstance(entry, (bool, np.bool_)):
        reject(name, "finite numbers", entry)
    try:
        exact = Fraction(entry)
    except (TypeError, ValueError, OverflowError, ZeroDivisionError):
        reject(name, "finite numbers", entry)
    return float(entry) if isinstance(entry, float) else exact


_UNWRITTEN = Head("head", query=[[0]], key=[[0]], value=[[0]])


def plain_head(query: Any, key: Any, value: Any) -> Head[Numbers]:
    """Return a head of a query, key and value alone, which holds the numbers as they are given.

    A :class:`~constructions.Head` written out does as well. This one needs no name, and takes strings such as
    ``"2/3"`` from a file.

    Args:
        query: ``W_Q``, key size x width, as :func:`as_matrix` takes it.
        key: ``W_K``, key size x width.
        value: ``W_V``, output width x width.

    Raises:
        InvalidArgument: no matrices of finite numbers, or shapes that do not fit.

    Example:
        >>> head = plain_head(query=[[1, 1]], key=[[1, 0]], value=[["1/2", 0], [0, 1]])
        >>> head.key_size, head.value[0, 0]
        (1, Fraction(1, 2))

    """
    given = {"query": query, "key": key, "value": value}
    return _fitting(_UNWRITTEN.changed(**{name: as_matrix(name, weight) for name, weight in given.items()}))


def as_plain(head: Any) -> Head[Numbers]:
    """Return a user's head with its weights as numbers.

    Raises:
        InvalidArgument: not a head, a head of more than a query, key and value, weights that are no numbers, or shapes
            that do not fit.

    """
    if not isinstance(head, Head):
        reject("head", "a Head", head)
    if not head.is_plain:
        raise InvalidArgument(
            f"head {head.name}: expected a query, key and value alone, as the paper's heads have, but it has more: a"
            " bias, a score bias, rotary positions, shared keys, or a class of its own"
        )
    return _fitting(head.map(lambda place, weight: as_matrix(place.name, weight)))


def _fitting(head: Any) -> Head[Numbers]:
    if head.query.shape != head.key.shape or head.value.shape[1] != head.query.shape[1]:
        raise InvalidArgument(
            "head: expected query and key of one shape, and a value that reads the same width, but got query"
            f" {head.query.shape}, key {head.key.shape} and value {head.own_value.shape}"
        )
    fitting: Head[Numbers] = head
    return fitting


@dataclass(frozen=True, eq=False)
class AttentionLayer:
    """Heads whose outputs are added up, one inverse temperature and a mask.

    Attributes:
        heads: at least one, all of one width and one output width, of a query, key and value alone: with a bias or
            positions the identities are other ones. Their names do not matter.
        temperature: hardmax, softmax at ``T/sqrt(k)`` or at an exact ``q``; a number counts as ``T``. A softmax that
            is scaled by the length of the input is refused: a prefix changes the length, and with it the scale.
        mask: ``causal``, ``none``, or for every position (row) the positions that it sees (columns). Every position
            sees the whole prefix.

    Example:
        >>> from constructions import Head, RationalSoftmax
        >>> head = Head("sum", query=[[1, 1]], key=[[1, 0]], value=[[1, 0], [0, 1]])
        >>> layer = AttentionLayer((head,), RationalSoftmax(2), "causal")
        >>> layer.visible(2, prefix=1).tolist()  # one prefix vector, then two positions
        [[True, True, False], [True, True, True]]

    """

    heads: tuple[Head[Any], ...]
    temperature: Temperature
    mask: Mask = "causal"

    def __post_init__(self) -> None:
        given = tuple_of("heads", "Head", Head, tuple(self.heads))
        object.__setattr__(self, "heads", tuple(as_plain(head) for head in given))
        object.__setattr__(self, "temperature", as_temperature(self.temperature))
        if isinstance(self.temperature, PerHeadSoftmax):
            reject("temperature", "one for all heads", self.temperature)
        shapes = {(head.own_value.shape[0], head.own_value.shape[1]) for head in self.heads}
        if len(shapes) != 1:
            raise InvalidArgument(f"heads: expected at least one, all of one width and output width, but got {shapes}")
        if isinstance(self.temperature, Softmax) and self.temperature.scaled_by != "key":
            raise InvalidArgument(
                "temperature: expected a scale that a prefix does not change but got one by the length of the input"
            )
        if isinstance(self.mask, str):
            if self.mask not in MASKS:
                reject("mask", "causal, none or a square array of booleans", self.mask)
            return
        mask = np.asarray(self.mask)
        if mask.ndim != 2 or mask.shape[0] != mask.shape[1] or not np.isin(mask, (0, 1)).all():
            reject("mask", "causal, none or a square array of booleans", self.mask)
        mask = mask.astype(np.bool_)
        if not mask.any(axis=1).all():
            empty = int(np.argmin(mask.any(axis=1)))
            raise InvalidArgument(f"mask: expected every position to see some content but row {empty} sees none")
        object.__setattr__(self, "mask", mask)

    @property
    def width(self) -> int:
        """The width of the rows that the layer reads."""
        return int(self.heads[0].own_value.shape[1])

    @property
    def output_width(self) -> int:
        """The width of the rows that the layer writes."""
        return int(self.heads[0].own_value.shape[0])

    @property
    def mask_word(self) -> str:
        """The word for the mask, ``given`` where it is an array."""
        return self.mask if isinstance(self.mask, str) else "given"

    @property
    def attention(self) -> Attention[Numbers]:
        """The layer as a transformer has it; its heads are called by their numbers."""
        return Attention(tuple(head.changed(name=str(place)) for place, head in enumerate(self.heads)))

    def visible(self, positions: int, prefix: int = 0) -> Bool[np.ndarray, "positions keys"]:
        """Return the keys that each content position sees: first the whole prefix, then the content by the mask.

        Raises:
            InvalidArgument: the mask is for another number of positions.

        """
        content = MASKS[self.mask].visible(0, positions) if isinstance(self.mask, str) else np.asarray(self.mask)
        if content.shape[0] != positions:
            raise InvalidArgument(f"mask: expected one for {positions} positions but got one for {content.shape[0]}")
        return np.concatenate([np.ones((positions, prefix), dtype=np.bool_), content], axis=1)

    def rows(self, name: str, value: Any, *, width: int | None = None) -> Numbers:
        """Return rows of this layer's width (or of another), at least one.

        Raises:
            InvalidArgument: not such rows.

        """
        if not hasattr(value, "shape") and isinstance(value, Sequence) and len(value) == 0:
            raise InvalidArgument(f"{name}: expected at least one row but got none")
        if hasattr(value, "shape") and len(value.shape) == 2 and value.shape[0] == 0:
            raise InvalidArgument(f"{name}: expected at least one row but got none")
        matrix = as_matrix(name, value)
        wanted = self.width if width is None else width
        if matrix.shape[1] != wanted:
            raise InvalidArgument(f"{name}: expected rows of width {wanted} but got {matrix.shape[1]}")
        return matrix


def hold(arithmetic: Arithmetic[Any, Any, Any], numbers: Numbers, *, rows: bool) -> Any:
    """Return numbers in an arithmetic, rounded once where it rounds.

    Args:
        arithmetic: rational, numpy or torch.
        numbers: a matrix.
        rows: whether it holds rows of a sequence (with a batch axis where the arithmetic has one) or is a weight.

    """
    rounded = numbers if arithmetic.fmt is None else rounded_to(numbers, arithmetic.fmt)
    return arithmetic.held(rounded[None] if rows and arithmetic.batched else rounded)


def rounded_to(numbers: Numbers, fmt: Format) -> Numbers:
    """Return every number rounded to a format, as float64, which holds all formats; refuses numbers that overflow."""
    if numbers.dtype != object and fmt.name != "bfloat16":  # numpy rounds float64 once, to nearest even
        with np.errstate(over="ignore"):
            rounded = numbers.astype(fmt.name).astype(np.float64)
        if not np.isfinite(rounded).all():
            raise InvalidArgument(f"weights: expected numbers that {fmt.name} holds but got {numbers.max()!r}")
        return np.asarray(rounded)
    try:
        flat = [round_to_format(Fraction(entry), fmt) for entry in numbers.reshape(-1).tolist()]
    except OverflowError as error:
        raise InvalidArgument(f"weights: expected numbers that {fmt.name} holds: {error}") from None
    return np.array(flat, dtype=np.float64).reshape(numbers.shape)


def exact_gap(layer: AttentionLayer) -> Fraction:
    """Return the exact ``q`` of a layer.

    Raises:
        InvalidArgument: its temperature is not an exact softmax.

    """
    if not isinstance(layer.temperature, RationalSoftmax):
        raise InvalidArgument(f"temperature: expected an exact q = exp(T/sqrt(k)) but got {layer.temperature!r}")
    return layer.temperature.q


def check_float_temperature(layer: AttentionLayer) -> None:
    """Refuse hardmax, which no rounding analysis of floats bounds; raises :class:`InvalidArgument`."""
    if isinstance(layer.temperature, Hardmax):
        raise InvalidArgument(
            "temperature: expected a finite one in floats, as no rounding analysis separates the largest score from the"
            " next, but got hardmax; use rational arithmetic"
        )


def float_gap(layer: AttentionLayer, head: Head[Any]) -> float:
    """Return the part of a head's exponent that a score of 1 adds, as float64.

    Raises:
        InvalidArgument: hardmax.

    """
    check_float_temperature(layer)
    return score_gap(layer.temperature, key_size=head.key_size, length=0)  # scaled by the key size alone
