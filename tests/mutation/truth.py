"""What is true of a mutant, by the oracle alone: broken, harmless, or refused because its shapes do not fit."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from constructions import Construction, InvalidArgument, get_format
from constructions.temperature import Hardmax, RationalSoftmax
from tests.mutation.oracle import Violation, constant_cases, rounding_slack, violations_and_margin


@dataclass(frozen=True)
class Truth:
    """What the oracle found over all cases.

    Attributes:
        kind: ``broken``: some case breaks the promise; ``harmless``: every case keeps it, which all of them being run
            in exact arithmetic proves at this size; ``refused``: no transformer at all, as its shapes do not fit.
        violation: a case that breaks it, by the largest margin among those looked at.
        constant: the same among the targets that are one token everywhere.
        margin: the smallest margin of a harmless one.
        slack: for each float format how far rounding can move a margin.

    """

    kind: Literal["broken", "harmless", "refused"]
    violation: Violation | None = None
    constant: Violation | None = None
    margin: Fraction | None = None
    slack: dict[str, float] | None = None

    def shown_in(self, dtype: str, *, constant: bool = False) -> bool:
        """Return whether the truth stands in a float format too: the margin that it rests on is beyond rounding."""
        assert self.slack is not None
        found = self.constant if constant else self.violation
        if self.kind == "broken":
            return found is not None and -found.margin > self.slack[dtype]
        return self.margin is None or self.margin > self.slack[dtype]


def truth_of(construction: Construction) -> Truth:
    """Return what the oracle says of a construction at its own temperature."""
    temperature = construction.temperature
    assert isinstance(temperature, (Hardmax, RationalSoftmax))
    try:
        _ = construction.transformer.lowered
    except InvalidArgument:
        return Truth("refused")
    slack = {dtype: rounding_slack(construction, temperature, get_format(dtype)) for dtype in ("float64", "float32")}
    enough = Fraction(slack["float32"])
    constant, _ = violations_and_margin(construction, temperature, enough, constant_cases(construction))
    found, margin = violations_and_margin(construction, temperature, enough)
    if found is None:
        return Truth("harmless", margin=margin, slack=slack)
    return Truth("broken", found, constant, None, slack)
