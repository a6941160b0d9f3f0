"""Temperatures in words."""

from __future__ import annotations

from fractions import Fraction

from constructions.construction import Construction
from constructions.formats import Format
from constructions.temperature import Hardmax, PerHeadSoftmax, RationalSoftmax, Temperatures
from verify.numbers import decimal


def show_temperature(temperature: Temperatures) -> str:
    """Return a temperature in words: ``hardmax``, ``q = 7``, ``q = 7 (first), 2 (self)``, ``T = 50, over sqrt(k)``."""
    if isinstance(temperature, Hardmax):
        return "hardmax"
    if isinstance(temperature, RationalSoftmax):
        return f"q = {_exact(temperature.q)}"
    if isinstance(temperature, PerHeadSoftmax):
        return "q = " + ", ".join(f"{_exact(q)} ({head})" for head, q in dict(temperature.q).items())
    under = {"key": "k", "length": "length"}[temperature.scaled_by]
    return f"T = {temperature.inverse_temperature:.6g}, over sqrt({under})"


def temperature_setting(construction: Construction, fmt: Format | None) -> dict[str, str]:
    """Return what a verdict's parameters say of the temperature that a construction has in a format."""
    shown = show_temperature(construction.temperature_for(fmt))
    return {"temperature": shown + (" (default)" if construction.temperature is None else "")}


def _exact(number: Fraction | int) -> str:
    whole = decimal(number.numerator)
    return whole if number.denominator == 1 else f"{whole}/{decimal(number.denominator)}"
