"""What was found of a function on some of its arguments, so that it can be added up and written down."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

#: Errors beyond which arguments are counted, in units in the last place; half a unit is what correct rounding costs.
THRESHOLDS = (0.5, 1.0, 2.0, 3.0)

#: What is counted beside errors, and what it means.
COUNTS = {
    "arguments": "arguments that are not NaN",
    "nan": "arguments that are NaN",
    "nan lost": "of these, those whose value is not NaN",
    "nan made": "arguments that are not NaN whose value is NaN",
    "zero not to one": "zeros whose value is not 1",
    "infinity wrong": "infinities whose value is not 0 or infinity",
    "falls": "steps to the next number at which the value falls",
    "above one": "negative arguments whose value is above 1",
    "below one": "positive arguments whose value is below 1",
    "negative": "values with a sign, -0 among them",
    "finite beyond": "finite values where the true one is above the next power of 2 after the largest number",
    "not gone": "values other than 0 where the true one is below half of the smallest number above 0",
    "flushed": "values that are 0 where the true one is at least the smallest number above 0",
    "flushed normal": "values that are 0 where the true one is in the normal range",
    "decided by balls": "arguments at which balls decided, as float64 cannot",
}

#: What a certificate assumes never to happen at arguments that are not positive, by the names of :data:`COUNTS`.
ASSUMED_NEVER = ("nan made", "zero not to one", "infinity wrong", "not gone", "negative")


@dataclass(frozen=True)
class Worst:
    """The largest error in a range of true values.

    Attributes:
        low: a lower bound of it, in units in the last place of the true value, by balls.
        high: an upper bound.
        at: the argument where the lower bound is reached.
        value: the computed value there.

    """

    low: float = 0.0
    high: float = 0.0
    at: float | None = None
    value: float | None = None

    def joined(self, other: Worst) -> Worst:
        """Return the larger of both."""
        first = self if self.low >= other.low else other
        return Worst(first.low, max(self.high, other.high), first.at, first.value)

    def to_json(self) -> dict[str, Any]:
        """Return JSON values; numbers of the format in hexadecimal."""
        held = {"at": self.at, "value": self.value}
        return {"low": self.low, "high": self.high} | {
            name: None if number is None else number.hex() for name, number in held.items()
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Worst:
        """Return what was written down."""
        held = {name: None if values[name] is None else float.fromhex(values[name]) for name in ("at", "value")}
        return cls(float(values["low"]), float(values["high"]), **held)


@dataclass
class Findings:
    """What was found on some of the arguments.

    Attributes:
        normal: the largest error where the true value is in the normal range, or beyond it.
        below: the largest error where it is below, in units of the smallest number above 0.
        above: how many errors are above each of :data:`THRESHOLDS`.
        counts: by the names of :data:`COUNTS`.
        ways: for each other way of computing the same, at how many arguments it gave something else; what it gave there
            was measured too.
        unlike: for each comparison with what is made of the function, at how many arguments it was not made of it.

    """

    normal: Worst = field(default_factory=Worst)
    below: Worst = field(default_factory=Worst)
    above: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    ways: Counter[str] = field(default_factory=Counter)
    unlike: Counter[str] = field(default_factory=Counter)

    @property
    def worst(self) -> Worst:
        """The largest error of all."""
        return self.normal.joined(self.below)

    @property
    def monotone(self) -> bool:
        """Whether no value falls from a number to the next; never so where there are none."""
        return self.counts["arguments"] > 0 and self.counts["falls"] == 0

    def add(self, other: Findings) -> None:
        """Add what was found on further arguments."""
        self.normal, self.below = self.normal.joined(other.normal), self.below.joined(other.below)
        for name in ("above", "counts", "ways", "unlike"):
            getattr(self, name).update(getattr(other, name))

    def within(self, ulps: float) -> bool:
        """Return whether what a certificate assumes of ``exp`` holds of all that was measured.

        Args:
            ulps: the largest error that it assumes.

        """
        never = all(self.counts[name] == 0 for name in ASSUMED_NEVER)
        return self.counts["arguments"] > 0 and never and self.worst.high <= ulps and not any(self.unlike.values())

    def to_json(self) -> dict[str, Any]:
        """Return JSON values."""
        return {
            "worst": {"normal": self.normal.to_json(), "below the normal range": self.below.to_json()},
            "above": {str(threshold): self.above[str(threshold)] for threshold in THRESHOLDS},
            "counts": {name: self.counts[name] for name in COUNTS},
            "other ways that differ": dict(self.ways),
            "comparisons that differ": dict(self.unlike),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Findings:
        """Return what was written down."""
        worst = values["worst"]
        return cls(
            Worst.from_json(worst["normal"]),
            Worst.from_json(worst["below the normal range"]),
            Counter(values["above"]),
            Counter(values["counts"]),
            Counter(values["other ways that differ"]),
            Counter(values["comparisons that differ"]),
        )
