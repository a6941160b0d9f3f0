"""Every intermediate of a forward pass, by name: to compare two arithmetics step by step, and to print."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from constructions.validation import InvalidArgument

if TYPE_CHECKING:
    from verify.arithmetic.base import NumberSystem


@dataclass
class Trace:
    """Intermediates in the order in which they were computed.

    Attributes:
        enabled: a disabled trace records nothing and costs nothing.
        steps: name -> array; attention of each head (``.scores``, ``.weights``, ``.output``), every layer's output.

    Example:
        >>> from constructions import UnconditionalGeneration
        >>> from verify import check
        >>> trace = Trace()
        >>> verdict = check(UnconditionalGeneration(2, 2), target=[1, 0], arithmetic="rational", trace=trace)
        >>> list(trace.steps)[:4]
        ['input', 'attention.self.scores', 'attention.self.weights', 'attention.self.output']

    """

    enabled: bool = True
    steps: dict[str, np.ndarray[Any, Any]] = field(default_factory=dict)

    def record(self, name: str, arithmetic: NumberSystem[Any, Any, Any], value: Any) -> None:
        """Keep a value under its name."""
        if self.enabled:
            self.steps[name] = arithmetic.numbers(value)

    def differences(self, other: Trace) -> dict[str, float]:
        """Return for every step the largest absolute difference from another trace (NaN where either has one).

        Both must be of one sequence: a batch axis of size 1 is dropped.

        Raises:
            InvalidArgument: the traces do not have the same steps and shapes.

        """
        if list(self.steps) != list(other.steps):
            raise InvalidArgument("trace: expected the same steps in both traces")
        found = {}
        for name, mine in self.steps.items():
            here, there = _single(mine), _single(other.steps[name])
            if here.shape != there.shape:
                raise InvalidArgument(f"trace: expected the same shape at {name} but got {here.shape}, {there.shape}")
            gaps = [float(abs(_exact(a) - _exact(b))) for a, b in zip(here.flat, there.flat, strict=True)]
            found[name] = float(np.max(gaps, initial=0.0))  # numpy's maximum keeps a NaN
        return found

    def table(self, *, digits: int = 6) -> str:
        """Return the trace of a single sequence as text: a line for every step and position.

        Args:
            digits: significant digits of floats.

        Raises:
            InvalidArgument: a batch of several sequences.

        """
        lines = []
        for name, value in self.steps.items():
            for position, row in enumerate(_single(value)):
                shown = " ".join(_show(number, digits) for number in np.atleast_1d(row).tolist())
                lines.append((f"{name}[{position}]", shown))
        width = max((len(label) for label, _ in lines), default=0)
        return "\n".join(f"{label.ljust(width)}  {shown}" for label, shown in lines)


def _single(value: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    if value.ndim == 3 and len(value) != 1:
        raise InvalidArgument(f"trace: expected a single sequence but got a batch of {len(value)}")
    return value[0] if value.ndim == 3 else value


def _exact(number: Any) -> Any:
    """Return a finite number as a Fraction, so that a difference is exact; a NaN or infinity stays a float."""
    if isinstance(number, Fraction):
        return number
    value = float(number)
    return Fraction(value) if np.isfinite(value) else value


def _show(number: Any, digits: int) -> str:
    return f"{number:.{digits}g}" if isinstance(number, float) else str(number)
