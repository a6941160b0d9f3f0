"""Temperatures in words."""

from __future__ import annotations

from constructions.construction import Construction
from constructions.formats import Format
from constructions.temperature import Temperatures


def show_temperature(temperature: Temperatures) -> str:
    """Return a temperature in words: ``hardmax``, ``q = 7``, ``q = 7 (first), 2 (self)``, ``T = 50, over sqrt(k)``."""
    return temperature.sentence


def temperature_setting(construction: Construction, fmt: Format | None) -> dict[str, str]:
    """Return what a verdict's parameters say of the temperature that a construction has in a format."""
    shown = show_temperature(construction.temperature_for(fmt))
    return {"temperature": shown + (" (default)" if construction.temperature is None else "")}
