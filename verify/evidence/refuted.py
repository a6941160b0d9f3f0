"""The case that refutes a claim, and margins as JSON."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from fractions import Fraction
from typing import Any

import flint

from constructions.decoding import Argmax, Decoding, decoding_from_json
from verify.numbers import Margin as Margin
from verify.numbers import decimal


@dataclass(frozen=True)
class Counterexample:
    """A case that refutes a claim.

    Attributes:
        construction: an expression that rebuilds the construction.
        rank: place of the target in its space.
        target: the target, as nested lists.
        user_input: the user's tokens.
        position: place in the response of the first token that is not as promised, 0-based.
        expected: the token promised there, or the number.
        produced: the token produced there; the same as ``expected`` where it won only by the order of tokens.
        margin: the logit of ``expected`` minus the largest other one; not positive, or NaN where a logit is not finite.
            ``None`` where the backend gives tokens alone.
        reproduce: one command that shows the case.
        batch: the batch in which it fails, where it is right alone; see :class:`~verify.running.batches.Batch`.
        decoding: how the answer was read off the logits.

    Example:
        >>> from constructions import RationalSoftmax, UnconditionalGeneration
        >>> from verify import RationalArithmetic, exhaust
        >>> verdict = exhaust(UnconditionalGeneration(2, 2, temperature=RationalSoftmax(5)), RationalArithmetic())
        >>> verdict.counterexample.target, verdict.counterexample.margin
        ([0, 1], Fraction(0, 1))

    """

    construction: str
    rank: int
    target: Any
    user_input: list[int]
    position: int
    expected: int | Margin
    produced: int | Margin
    margin: Margin | None
    reproduce: str
    batch: str | None = None
    decoding: Decoding = field(default_factory=Argmax)

    @property
    def refutes(self) -> bool:
        """Whether something else than promised was produced, or the same without a positive margin."""
        return self.produced != self.expected or (self.margin is not None and not self.margin > 0)

    def sentence(self) -> str:
        """Return the case in one sentence."""
        which = "" if self.target == [] else f"target {_short(self.target)}"  # a model without targets
        given = [which, f"user input {self.user_input}" if self.user_input else ""]
        where = "" if self.batch is None else f" in the batch {self.batch}; alone it is right"
        instead = self.decoding.instead(self.expected, self.produced, self.margin)
        margin = "" if self.margin is None else f" (margin {_show_margin(self.margin)})"
        return (
            f"{self.construction}: {' with '.join(filter(None, given))} must give {self.expected} at response position"
            f" {self.position}, but {instead}{margin}{where}"
        )

    def to_json(self) -> dict[str, Any]:
        """Return JSON values: the rank as a decimal string, exact numbers as ``"p/q"``; no ``decoding`` for argmax."""
        case = {item.name: getattr(self, item.name) for item in fields(self)}
        case["rank"], case["margin"] = decimal(self.rank), margin_to_json(self.margin)
        for name in ("expected", "produced"):
            case[name] = case[name] if isinstance(case[name], int) else margin_to_json(case[name])
        decoding = case.pop("decoding")
        return case if decoding.takes_largest else case | {"decoding": decoding.to_json()}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Counterexample:
        """Return the case that :meth:`to_json` wrote; raises ValueError and its like for anything else."""
        case = dict(record)
        case["rank"], case["margin"] = int(flint.fmpz(case["rank"])), margin_from_json(case["margin"])
        case["decoding"] = decoding_from_json(case.get("decoding", Argmax().to_json()))
        if not case["decoding"].gives_tokens:
            for name in ("expected", "produced"):
                case[name] = margin_from_json(case[name])
        return cls(**case)


@dataclass(frozen=True)
class Refutation:
    """A case that refutes a claim about anything but the tokens of a construction, such as an attention layer.

    Attributes:
        subject: what the claim is false of, in full.
        place: where in it, in words.
        expected: what the claim promises there.
        produced: what is there instead.
        margin: how far that is from the promise, where it can be measured.
        reproduce: one command that shows the case.

    """

    subject: str
    place: str
    expected: str
    produced: str
    margin: Margin | None
    reproduce: str

    def sentence(self) -> str:
        """Return the case in one sentence."""
        return f"{self.subject}: {self.place} must be {self.expected}, but it is {self.produced}"

    def to_json(self) -> dict[str, Any]:
        """Return JSON values, exact margins as ``"p/q"``."""
        case = {item.name: getattr(self, item.name) for item in fields(self)}
        return case | {"margin": margin_to_json(self.margin)}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Refutation:
        """Return the case that :meth:`to_json` wrote; raises ValueError and its like for anything else."""
        return cls(**{**record, "margin": margin_from_json(record["margin"])})


def margin_to_json(margin: Margin | None) -> str | float | None:
    """Return a margin as a JSON value: exact ones as ``"p/q"``, what is not finite as a word."""
    if margin is None:
        return None
    if isinstance(margin, Fraction):
        return _exact(margin)
    return margin if math.isfinite(margin) else str(margin)  # JSON has no NaN


def margin_from_json(value: str | float | None) -> Margin | None:
    """Return the margin that :meth:`Verdict.to_json` wrote; raises ValueError and its like for anything else."""
    if value is not None and (isinstance(value, bool) or not isinstance(value, (str, int, float))):
        raise TypeError(f"a margin is {value!r}")
    if not isinstance(value, str):
        return value
    if value in {"nan", "inf", "-inf"}:
        return float(value)
    whole = re.fullmatch(r"(-?[0-9]+)(?:/([0-9]+))?", value)  # of any length
    return Fraction(value) if whole is None else Fraction(*(int(flint.fmpz(part)) for part in whole.groups("1")))


def _exact(margin: Fraction) -> str:
    """Return a fraction as Python writes it, of any length."""
    whole = decimal(margin.numerator)
    return whole if margin.denominator == 1 else f"{whole}/{decimal(margin.denominator)}"


def _show_margin(margin: Margin) -> str:
    return _exact(margin) if isinstance(margin, Fraction) else f"{margin:.3g}"


def _short(value: Any) -> str:
    """Return nested lists in at most a line; the full target is in the record."""
    text = str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
