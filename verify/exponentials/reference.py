r"""The reference that a library's ``exp`` is measured against: float64 in operations that IEEE 754 fixes.

With ``u = 2^-53`` and a step ``s = 2^-10``, an argument ``x`` is split into ``x = ks + r``, ``k`` the nearest integer
to ``x/s``; ``|r| <= 2^-11``, and the split is exact: ``x 2^10`` is ``x`` with another exponent, the nearest integer to
it is a float, and ``x - ks`` is a multiple of the last place of ``x`` that is no longer than ``x`` (or ``k = 0``, and
it is ``x``). Then ``e^x = T(1 + q)`` with ``T = e^(ks)``, from a table that balls made, and ``q = e^r - 1``. The
measured error is that of ``(v - T) - Tq``, in units in the last place, for the computed ``v``; no other library's
``exp`` has a part in it. How far it may be off, in parts of ``e^x``:

- *The table.* ``T`` is a ball's midpoint rounded to nearest: at most ``u``.
- *The remainder.* ``q`` is taken as ``r (1 + r (1/2 + r (1/6 + r/24)))``. The rest of the series is at most
  ``|r|^5/120 (1 + |r|) < 2^-61.8``.
- *The polynomial.* Its inner sum is at most 0.51 and off by less than ``2u``; times ``r``, plus 1: off by less than
  ``2u`` of a number that is at least ``1 - 2^-11``. Two more roundings, of ``q`` and of ``Tq``, and in base 2 two
  besides, as ``r`` is ``r ln 2`` there: at most ``7u |q| < 2^-61`` in all, as ``|q| < 2^-10.9``.
- *The differences.* ``v - T`` is exact where ``v`` is within a factor of 2 of ``T``, and else off by ``u`` of itself,
  as the second difference is: at most ``2u`` of the error that is measured, and ``u |Tq| < 2^-63``.

Altogether ``u + 2^-61 + 2^-61.8 + 2^-63 < u (1 + 2^-6)`` of ``T``, which is within ``2^-10.9`` of ``e^x``. A unit in
the last place of a format of ``p`` bits is more than ``2^-p e^x``, so that the error in units is off by less than
``2^(p-53) (1 + 2^-5)`` and ``2^-52`` of itself: :func:`allowance`.

*Units.* The unit in the last place is that of the true value, below the normal range that of the smallest number above
0. Its exponent is read off ``T + Tq``, which is in the binade of ``e^x`` unless a power of 2 lies between them. No
number of 24 bits comes that near to a multiple of ``ln 2`` (a test looks at every one), except around 0, where the sign
of ``x`` says on which side of 1 its ``exp`` is.

*Ends.* Arguments are brought into ``[-2^7, 2^7]`` (``2^8`` in base 2). Beyond, the true value is within ``2^-35`` units
of 0 in each format, or above the largest number by a factor of ``2^56``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import flint
import torch

from constructions.formats import Format
from constructions.validation import check_choice

#: Steps of the table in an interval of length 1.
STEPS = 2**10
#: Bits of the balls: twice those of the table, so that the midpoint's rounding is the ball's but for ties, of which
#: ``e^(k/1024)`` has none.
_BITS = 128

#: The bases, and the largest magnitude of an argument that the table is made for.
BASES = {"e": 2**7, "2": 2**8}


def allowance(fmt: Format, measured: float = 0.0) -> float:
    """Return how far an error in units in the last place may be off; see the module.

    Args:
        fmt: the format of the computed values.
        measured: the error.

    Example:
        >>> from constructions import FORMATS
        >>> allowance(FORMATS["float32"]) < 2e-9
        True

    """
    return 2.0 ** (fmt.precision - 53) * (1 + 2.0**-5) + 2.0**-52 * measured


@dataclass(frozen=True, eq=False)
class Reference:
    """The table of a base on a device, and what it says of computed values.

    Attributes:
        base: ``e`` or ``2``.
        fmt: the format of the computed values.
        table: ``base^(k/1024)``, correctly rounded.

    """

    base: str
    fmt: Format
    table: torch.Tensor

    @classmethod
    def of(cls, base: str, fmt: Format, device: str = "cpu") -> Reference:
        """Return the reference of a base for the values of a format.

        Raises:
            InvalidArgument: another base than ``e`` and ``2``.

        """
        check_choice("base", base, tuple(BASES))
        end, before = BASES[base] * STEPS, flint.ctx.prec
        flint.ctx.prec = _BITS
        try:
            values = [float(_power(base, flint.arb(step) / STEPS).mid()) for step in range(-end, end + 1)]
        finally:
            flint.ctx.prec = before
        return cls(base, fmt, torch.tensor(values, dtype=torch.float64, device=device))

    def parts(self, arguments: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return ``T`` and ``Tq``, whose sum is the true value; see the module.

        Args:
            arguments: numbers of any format up to float32, as float64; NaN is none.

        """
        end = BASES[self.base]
        held = arguments.clamp(-end, end)
        steps = (held * STEPS).round_()
        rest = held.sub_(steps / STEPS)
        if self.base == "2":
            rest *= _LN2
        large = self.table[steps.long() + end * STEPS]
        small = (rest / 24).add_(1 / 6).mul_(rest).add_(0.5).mul_(rest).add_(1).mul_(rest).mul_(large)
        return large, small

    def errors(
        self, computed: torch.Tensor, large: torch.Tensor, small: torch.Tensor, *, negative: bool
    ) -> torch.Tensor:
        """Return how far computed values are off, in units in the last place, each within :func:`allowance`.

        Args:
            computed: values of the format as float64, infinity as the power of 2 above the largest number.
            large: the first part of the true value.
            small: the second one.
            negative: whether the arguments are negative, or else not.

        """
        true = large + small
        if negative:
            true.clamp_(max=1 - 2.0**-53)  # the number below 1, in whose binade it is
        exponents = (true.view(torch.int64) >> 52).clamp_(min=self.fmt.min_exponent + 1023)
        scale = exponents.neg_().add_(self.fmt.precision - 1 + 2 * 1023).bitwise_left_shift_(52).view(torch.float64)
        return (computed - large).sub_(small).abs_().mul_(scale)


def ball_errors(base: str, fmt: Format, argument: float, computed: float) -> tuple[float, float]:
    """Return bounds of how far one computed value is off, in units in the last place of the true one, by balls.

    Args:
        base: ``e`` or ``2``.
        fmt: the format.
        argument: a number, minus infinity too.
        computed: the value; infinity stands for the power of 2 above the largest number.

    Example:
        >>> from constructions import FORMATS
        >>> ball_errors("e", FORMATS["float32"], 0.0, 1 + 2.0**-23)
        (1.0, 1.0)

    """
    before = flint.ctx.prec
    flint.ctx.prec = _BITS
    try:
        true, binade = _true(base, argument)
        unit = flint.arb(2) ** (max(binade, fmt.min_exponent) - fmt.precision + 1)
        value = flint.arb(2) ** (fmt.max_exponent + 1) if computed == float("inf") else flint.arb(computed)
        error = abs(value - true) / unit
        low, high = float(error.lower()), float(error.upper())
        # the nearest floats of the ends: bounds where they are the ends, and else the next ones are
        return (
            low if error.lower() == low else math.nextafter(low, 0),
            high if error.upper() == high else math.nextafter(high, math.inf),
        )
    finally:
        flint.ctx.prec = before


def _true(base: str, argument: float) -> tuple[Any, int]:
    """Return a ball that holds the true value, and the exponent of its binade, or a larger one below all formats."""
    end = BASES[base]
    if argument < -end:
        most = _power(base, flint.arb(-end))
        return flint.arb(0).union(most), -end
    power = flint.arb(argument) if base == "2" else flint.arb(argument) / flint.arb(2).log()
    binade = power.floor().unique_fmpz()
    if binade is None:
        raise ArithmeticError(f"{argument}: {_BITS} bits do not decide the binade")
    return _power(base, flint.arb(argument)), int(binade)


def _power(base: str, exponent: Any) -> Any:
    return flint.arb(2) ** exponent if base == "2" else exponent.exp()


#: ``ln 2`` to nearest.
_LN2 = 0.6931471805599453
