r"""The inverse temperature of attention, and the gap at which float attention is one-hot.

With key size ``k`` (the number of rows of ``W_Q``) a head weighs key ``j`` by ``exp(T/sqrt(k) * score_j)``; the paper
writes this with the factor ``T/sqrt(k)`` too (section 2). ``q = exp(T/sqrt(k))`` is the factor that a score of 1 has
over a score of 0.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar, Literal

import flint

from constructions.formats import Format
from constructions.validation import (
    InvalidArgument,
    check_choice,
    check_finite_positive,
    check_integer,
    check_positive_rational,
    reject,
)


@dataclass(frozen=True)
class Hardmax:
    """``T = inf``: attention is uniform over the visible keys of the largest score.

    Example:
        >>> from constructions import UnconditionalGeneration
        >>> UnconditionalGeneration(3, 2, temperature=Hardmax())
        UnconditionalGeneration(vocab_size=3, context_size=2, temperature=Hardmax())

    """

    @property
    def words(self) -> dict[str, str]:
        """How a user writes it: option -> value."""
        return {"temperature": "inf"}

    #: as verdicts tell it
    sentence: ClassVar[str] = "hardmax"


@dataclass(frozen=True)
class Softmax:
    """A finite inverse temperature, the same ``T`` for every head.

    Attributes:
        inverse_temperature: ``T``, finite and positive.
        scaled_by: the number whose square root ``T`` is divided by: ``key``, the head's key size, as in the paper's
            text; or ``length``, the number of positions in the input, as in the paper's notebook, where attention gets
            blunter as the sequence grows.

    Example:
        >>> Softmax(50).gap(key_size=4, length=20)
        25.0
        >>> Softmax(50, "length").gap(key_size=4, length=25)
        10.0

    """

    inverse_temperature: float
    scaled_by: Literal["key", "length"] = "key"

    def __post_init__(self) -> None:
        finite = check_finite_positive("temperature", self.inverse_temperature)
        object.__setattr__(self, "inverse_temperature", finite)
        check_choice("scaled_by", self.scaled_by, ("key", "length"))

    @property
    def words(self) -> dict[str, str]:
        """How a user writes it: option -> value."""
        scaled = {} if self.scaled_by == "key" else {"scaled-by": self.scaled_by}
        return {"temperature": repr(self.inverse_temperature), **scaled}

    @property
    def sentence(self) -> str:
        """As verdicts tell it."""
        return f"T = {self.inverse_temperature:.6g}, over sqrt({'k' if self.scaled_by == 'key' else 'length'})"

    def gap(self, *, key_size: int, length: int) -> float:
        """Return ``T/sqrt(k)``, the part of the exponent that a score of 1 adds.

        Args:
            key_size: ``k`` of the head.
            length: number of positions in the input.

        """
        return self.inverse_temperature / math.sqrt(key_size if self.scaled_by == "key" else length)


@dataclass(frozen=True)
class RationalSoftmax:
    """Softmax with ``q = exp(T/sqrt(k))`` given as an exact rational, the same in every head.

    Attention weights are then exact rationals wherever the scores are integers.

    Attributes:
        q: positive.

    Example:
        >>> RationalSoftmax("3/2")
        RationalSoftmax(q=Fraction(3, 2))

    """

    q: Fraction

    def __post_init__(self) -> None:
        object.__setattr__(self, "q", check_positive_rational("q", self.q))

    @property
    def words(self) -> dict[str, str]:
        """How a user writes it: option -> value."""
        return {"q": _ratio(self.q)}

    @property
    def sentence(self) -> str:
        """As verdicts tell it."""
        return f"q = {_shown(self.q)}"


@dataclass(frozen=True, repr=False)
class PerHeadSoftmax:
    """Softmax with an exact rational ``q`` for each head, by the head's name.

    A model that has heads of one name in several layers gives all of them the same ``q``.

    Attributes:
        q: head name -> positive ``q``, in any order; kept as pairs sorted by name, which can be hashed.

    Example:
        >>> temperature = PerHeadSoftmax({"self": 7, "first": "9/2"})
        >>> temperature.for_head("first")
        RationalSoftmax(q=Fraction(9, 2))

    """

    q: Mapping[str, Fraction | int] | tuple[tuple[str, Fraction | int], ...]

    def __post_init__(self) -> None:
        expected = "a q for each head by its name, such as {'self': 7, 'first': Fraction(9, 2)},"
        pairs = tuple(self.q.items()) if isinstance(self.q, Mapping) else self.q
        is_pairs = isinstance(pairs, tuple) and all(isinstance(pair, tuple) and len(pair) == 2 for pair in pairs)
        if not is_pairs or not pairs or any(not isinstance(name, str) or not name for name, _ in pairs):
            reject("q", expected, self.q)
        if len({name for name, _ in pairs}) != len(pairs):
            reject("q", "each head once", self.q)
        checked = ((name, check_positive_rational(f"q of head {name}", q)) for name, q in pairs)
        object.__setattr__(self, "q", tuple(sorted(checked)))

    def __repr__(self) -> str:
        """Return an expression that rebuilds it."""
        return f"{type(self).__name__}({dict(self.q)!r})"

    @property
    def words(self) -> dict[str, str]:
        """How a user writes it: option -> value."""
        return {"q": ",".join(f"{head}={_ratio(q)}" for head, q in dict(self.q).items())}

    @property
    def sentence(self) -> str:
        """As verdicts tell it."""
        return "q = " + ", ".join(f"{_shown(q)} ({head})" for head, q in dict(self.q).items())

    def for_head(self, name: str) -> RationalSoftmax:
        """Return the temperature of a head, which must be one of those named."""
        return RationalSoftmax(Fraction(dict(self.q)[name]))

    def check_heads(self, names: Iterable[str]) -> None:
        """Refuse a model whose heads are others than those named.

        Args:
            names: the names of the heads of the model.

        Raises:
            InvalidArgument: a head without a ``q``, or a ``q`` without a head.

        """
        heads, named = dict.fromkeys(names), dict(self.q)
        if set(heads) != set(named):
            raise InvalidArgument(
                f"q: expected a q for each of the heads {', '.join(heads)} but got one for {', '.join(named)}"
            )


def _ratio(number: Fraction | int) -> str:
    """Return ``P/Q`` of any length (Python itself stops at 4,300 digits)."""
    return f"{flint.fmpz(number.numerator)}/{flint.fmpz(number.denominator)}"


def _shown(number: Fraction | int) -> str:
    """Return ``P/Q``, or ``P`` for a whole number."""
    return _ratio(number).removesuffix("/1")


#: The temperature of a head.
Temperature = Hardmax | Softmax | RationalSoftmax
#: The temperature of a model: one for all heads (``T`` is divided by each head's own ``sqrt(k)``), or one for each.
Temperatures = Temperature | PerHeadSoftmax


def head_temperature(temperature: Temperatures, head: str) -> Temperature:
    """Return a model's temperature for one head."""
    return temperature.for_head(head) if isinstance(temperature, PerHeadSoftmax) else temperature


def as_temperature(value: Any) -> Temperatures:
    """Return a temperature from a user's input: a :data:`Temperatures`, or a number ``T`` (``inf`` is hardmax).

    Raises:
        InvalidArgument: not a number, NaN, zero or negative.

    """
    kinds = (Hardmax, Softmax, RationalSoftmax, PerHeadSoftmax)
    if isinstance(value, kinds) and type(value) in kinds:  # a subclass may fall with the length, unknown to bounds
        return value
    if isinstance(value, numbers.Real) and not isinstance(value, bool) and value == math.inf:
        return Hardmax()
    return Softmax(check_finite_positive("temperature", value))


def one_hot_gap(fmt: Format, *, keys: int, content_ratio: Fraction) -> int:
    r"""Return a gap at which softmax attention is one-hot up to rounding: every addition absorbs the leak.

    A head has one key of score 1 among ``n`` visible ones, the others of score 0, and reads contents whose non-zero
    magnitudes lie between ``c_min`` and ``c_max``; ``content_ratio = c_max/c_min``. With a gap ``g`` between the
    exponents, each other key has a weight of at most ``e^-g``, and all of them together leak at most
    ``(n-1) e^-g c_max``. That is below half a unit in the last place of every non-zero content if it is below
    ``(u/2) c_min``, with ``u = 2^-p``: a number ``x`` lies in a binade ``[2^e, 2^(e+1))`` and half its last place is
    ``2^(e-p) > x u/2``. Then a sum plus the leak rounds to that sum, the normaliser
    ``1 + (n-1) e^-g`` rounds to 1, and the weight of the hot key is exactly 1. So it is enough that

    ``ln(n-1) + ln(content_ratio) + (p+1) ln 2 < g``.

    Computed with roundings: the exponent is a product of at most six roundings (``T``, a square root, their quotient,
    the score and their products), so the computed gap is at least ``(1 - 6u) g``; ``exp`` is assumed right within a
    factor of two, which costs ``ln 2``; the sums and products over ``n`` terms have a factor of at most
    ``e^((n+4)u)``. The result is the next integer.

    Args:
        fmt: the number format.
        keys: the largest number of visible keys ``n``, at least 1.
        content_ratio: the largest magnitude that the head reads over the smallest one that is not 0.

    Example:
        >>> from fractions import Fraction
        >>> from constructions import FORMATS
        >>> one_hot_gap(FORMATS["float32"], keys=20, content_ratio=Fraction(94))
        26

    """
    check_integer("keys", keys, 1)
    u = float(fmt.unit_roundoff)
    ratio = math.log(content_ratio.numerator) - math.log(content_ratio.denominator)
    needed = math.log(max(1, keys - 1)) + ratio + (fmt.precision + 1) * math.log(2)
    allowance = math.log(2) + (keys + 4) * u
    return math.ceil((needed + allowance) / (1 - 6 * u))


def one_hot_temperature(fmt: Format, *, keys: int, content_ratio: Fraction, largest_key_size: int) -> Softmax:
    """Return the softmax whose bluntest head, the one of the largest key size, has the :func:`one_hot_gap`.

    Args:
        fmt: the number format.
        keys: the largest number of visible keys.
        content_ratio: see :func:`one_hot_gap`.
        largest_key_size: the largest ``k`` of the heads; ``T/sqrt(k)`` is smallest there.

    """
    gap = one_hot_gap(fmt, keys=keys, content_ratio=content_ratio)
    return Softmax(gap * math.sqrt(largest_key_size))


def above(threshold: Fraction) -> RationalSoftmax:
    """Return the exact softmax of the next integer ``q`` strictly above a threshold."""
    return RationalSoftmax(Fraction(math.floor(threshold) + 1))


def parse_q(text: str) -> RationalSoftmax:
    """Return the exact softmax of ``q`` written as ``P/Q`` or ``P``."""
    try:
        return RationalSoftmax(Fraction(text))
    except (ValueError, ZeroDivisionError):
        reject("q", "a positive rational number, such as 7 or 3/2", text)


def parse_head_q(text: str) -> RationalSoftmax | PerHeadSoftmax:
    """Return the exact softmax of ``P/Q`` for all heads, or of ``NAME=P/Q,NAME=P/Q,...`` for each."""
    if "=" not in text:
        return parse_q(text)
    pairs = [part.partition("=")[::2] for part in text.split(",")]
    return PerHeadSoftmax(tuple((name.strip(), parse_q(q).q) for name, q in pairs))
