"""How an answer is read off the logits: the largest, the smallest, or one logit as a number.

A decoding says what was produced, by how much it is as promised (the margin), and tells a failure in words. Evidence
believes a margin, so only the decodings of :data:`DECODINGS` are accepted: a new one is a class here and a place there.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields
from fractions import Fraction
from typing import Any, ClassVar, final

import numpy as np

from constructions.returned import checked_answer, checked_numbers
from constructions.validation import InvalidArgument, check_positive_rational, reject

#: Answers of a batch: int64 tokens, or exact numbers as objects; shape ``(cases, response)``.
Answers = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Decoding(ABC):
    """How answers are read off logits.

    Attributes:
        name: as verdicts call it.
        gives_tokens: whether an answer is a token, which can be fed back; otherwise it is a number.
        sign: the answer is the token whose logit times this is the largest, which certificates bound; 0 where the
            answer is a number.

    """

    name: ClassVar[str]
    gives_tokens: ClassVar[bool] = True
    sign: ClassVar[int] = 0

    @property
    def takes_largest(self) -> bool:
        """Whether the answer is the first token of the largest logit, which every arithmetic finds by itself."""
        return self.sign == 1

    def words(self) -> str:
        """Return the decoding in words, as a verdict's parameters name it."""
        return self.name

    def checked(self, owner: str, found: Any, shape: tuple[int, int], outputs: int) -> Answers:
        """Return the answers that a specification gave, checked: tokens below ``outputs``.

        Args:
            owner: the specification's name.
            found: what ``answer`` returned.
            shape: cases x response.
            outputs: how many tokens can be produced, one for each logit.

        Raises:
            InvalidArgument: anything but such answers.

        """
        return checked_answer(owner, found, shape, outputs)

    @abstractmethod
    def produced(self, logits: np.ndarray[Any, Any]) -> Answers:
        """Return what is read off logits of shape ``(..., outputs)``: an array of shape ``(...)``."""

    @abstractmethod
    def margins(self, expected: Answers, logits: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Return by how much every answer is as promised; it is so where the margin is positive.

        Args:
            expected: the promised answers, shape ``(...)``.
            logits: shape ``(..., outputs)``; float64, or exact numbers as objects.

        Returns:
            Float64, or exact numbers as objects. NaN where a logit is not finite; infinite where there is no other
            token that could be produced.

        """

    def differ(self, expected: Answers, produced: Answers) -> np.ndarray[Any, Any]:
        """Return for every answer whether what was produced is not what was promised."""
        return np.asarray(produced != expected, dtype=np.bool_)

    def instead(self, expected: Any, produced: Any, margin: Any) -> str:
        """Return in words what came in the place of a promise that was not kept; a tie is not told as a wrong token."""
        if margin is not None and margin != margin:  # noqa: PLR0124 # NaN
            return f"{produced} was produced, and a logit is not finite"
        if margin == 0 and produced == expected:
            return f"{expected} ties with a later token, and wins by the order of tokens alone"
        if margin == 0:
            return f"{produced} ties with it, and was produced, as it comes first"
        return f"{produced} was produced"

    def to_json(self) -> Any:
        """Return a JSON value from which :func:`decoding_from_json` makes the decoding again."""
        return self.name


@final
@dataclass(frozen=True)
class Argmax(Decoding):
    """The first token of the largest logit; the margin is that of the promised token over the largest other one.

    Example:
        >>> import numpy as np
        >>> Argmax().margins(np.array([1]), np.array([[0.5, 2.0, -1.0]])).tolist()
        [1.5]

    """

    name = "argmax"
    sign = 1

    def produced(self, logits: np.ndarray[Any, Any]) -> Answers:
        """Return the first coordinate of the largest logit."""
        return np.asarray(logits.argmax(axis=-1), dtype=np.int64)

    def margins(self, expected: Answers, logits: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Return the promised token's logit minus the largest other one."""
        exact = logits.dtype == object
        own = np.take_along_axis(logits, expected[..., None], axis=-1)[..., 0]
        if logits.shape[-1] == 1:
            margins = np.full(expected.shape, np.inf)
        else:
            others = logits.copy()
            np.put_along_axis(others, expected[..., None], -math.inf, axis=-1)
            with np.errstate(invalid="ignore", over="ignore"):  # an infinite logit is told below
                margins = np.asarray(own - others.max(axis=-1))
        if not exact:
            margins = np.where(np.isfinite(logits).all(axis=-1), margins, np.nan)
        return margins


@final
@dataclass(frozen=True)
class Argmin(Decoding):
    """The first token of the smallest logit; the margin is that of the smallest other one over the promised token's.

    Example:
        >>> import numpy as np
        >>> Argmin().margins(np.array([2]), np.array([[0.5, 2.0, -1.0]])).tolist()
        [1.5]

    """

    name = "argmin"
    sign = -1

    def produced(self, logits: np.ndarray[Any, Any]) -> Answers:
        """Return the first coordinate of the smallest logit."""
        return np.asarray(logits.argmin(axis=-1), dtype=np.int64)

    def margins(self, expected: Answers, logits: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Return the smallest other logit minus that of the promised token; a change of sign rounds nothing."""
        return Argmax().margins(expected, -logits)


@final
@dataclass(frozen=True)
class Number(Decoding):
    """The one logit, read as a number; the margin is the tolerance minus its distance from the promised number.

    Tolerance, promise and distance are exact rationals, a float logit being the dyadic number that it is. The margin of
    a float is rounded once at the end, which keeps its sign or makes it 0, so that it is never positive wrongly.

    Attributes:
        tolerance: how far the number may be from the promised one; exactly that far is not enough.

    Example:
        >>> import numpy as np
        >>> from fractions import Fraction
        >>> Number("1/10").margins(np.array([Fraction(2)], dtype=object), np.array([[2.0625]])).tolist()
        [0.0375]

    """

    tolerance: Fraction | float | str
    name = "number"
    gives_tokens = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "tolerance", check_positive_rational("tolerance", self.tolerance))

    def words(self) -> str:
        """Return the tolerance in words."""
        return f"a number to within {self.tolerance}"

    def checked(self, owner: str, found: Any, shape: tuple[int, int], outputs: int) -> Answers:
        """Return the promised numbers as Fractions."""
        if outputs != 1:
            raise InvalidArgument(
                f"output_vocab_size: expected 1 for {owner}, whose answer is one logit read as a number, but got"
                f" {outputs}"
            )
        return checked_numbers(owner, found, shape)

    def produced(self, logits: np.ndarray[Any, Any]) -> Answers:
        """Return the logit."""
        return np.asarray(logits[..., 0])

    def margins(self, expected: Answers, logits: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Return the tolerance minus the distance, exactly where the logits are exact."""
        found = self._left(expected, self.produced(logits))
        if logits.dtype == object:
            return found
        return np.array([_as_float(margin) for margin in found.reshape(-1)]).reshape(found.shape)

    def differ(self, expected: Answers, produced: Answers) -> np.ndarray[Any, Any]:
        """Return where the distance is not below the tolerance, or the number is not finite."""
        with np.errstate(invalid="ignore"):  # NaN is never near
            return ~np.asarray(self._left(expected, produced) > 0, dtype=np.bool_)

    def instead(self, expected: Any, produced: Any, margin: Any) -> str:
        """Return the number that came, and how near it should have been."""
        if margin is None or margin != margin:  # noqa: PLR0124 # NaN
            return f"{produced} was produced, which is not finite"
        return f"{produced} was produced, not within {self.tolerance} of it"

    def to_json(self) -> Any:
        """Return the name with the tolerance."""
        return {"name": self.name, "tolerance": str(self.tolerance)}

    def _left(self, expected: Answers, produced: Answers) -> np.ndarray[Any, Any]:
        """Return exactly what is left of the tolerance; NaN where the number is not finite."""
        tolerance = Fraction(self.tolerance)
        left = np.empty(produced.shape, dtype=object)
        for place in np.ndindex(produced.shape):
            value = _as_fraction(produced[place])
            left[place] = math.nan if value is None else tolerance - abs(value - expected[place])
        return left


def _as_fraction(value: Any) -> Fraction | None:
    """Return a number exactly, ``None`` where it is not finite or not known as a rational."""
    if isinstance(value, (Fraction, int)):
        return Fraction(value)
    finite = isinstance(value, float) and math.isfinite(value)  # an expression may be irrational
    return Fraction(value) if finite else None


def _as_float(margin: Fraction | float) -> float:
    """Return a margin rounded to nearest; one beyond all floats is far on the wrong side."""
    try:
        return float(margin)
    except OverflowError:  # never on the right side, as no margin is larger than the tolerance, which is a float
        return -math.inf if margin < 0 else 0.0


#: All decodings, by name.
DECODINGS: Mapping[str, type[Decoding]] = {kind.name: kind for kind in (Argmax, Argmin, Number)}


def check_decoding(owner: str, value: Any) -> Decoding:
    """Return a decoding of :data:`DECODINGS`; a subclass is refused, as evidence believes its margins.

    Raises:
        InvalidArgument: anything else.

    """
    if type(value) not in DECODINGS.values():
        reject(f"decoding of {owner}", f"one of {', '.join(kind.__name__ for kind in DECODINGS.values())}", value)
    assert isinstance(value, Decoding)
    return value


def decoding_from_json(value: Any) -> Decoding:
    """Return the decoding that ``to_json`` wrote.

    Raises:
        InvalidArgument: another value.

    """
    options = dict(value) if isinstance(value, Mapping) else {"name": value}
    kind = DECODINGS.get(str(options.pop("name", None)))
    if kind is None or set(options) != {item.name for item in fields(kind)}:
        reject("decoding", f"one of {', '.join(DECODINGS)}", value)
    return kind(**options)
