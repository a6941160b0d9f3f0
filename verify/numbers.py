"""Numbers that evidence is about: margins, how natural numbers of any length are written, and how text is cut off."""

from __future__ import annotations

from fractions import Fraction

import flint

#: A margin is exact in exact arithmetic and a float otherwise.
Margin = Fraction | float

#: Longest number that is written out; a longer one is written as a power of ten.
LONGEST_NUMBER = 15

#: Longest text of a value inside a sentence. No verdict depends on it.
LONGEST_TEXT = 60


def decimal(value: int) -> str:
    """Return a natural number in decimal, of any length (Python itself stops at 4,300 digits)."""
    return str(flint.fmpz(value))


def number(value: int) -> str:
    """Return a natural number with thousands marked, or as a power of ten when it is long."""
    text = decimal(value)
    return f"{value:,}" if len(text) <= LONGEST_NUMBER else f"~{text[0]}.{text[1:3]}e{len(text) - 1}"


def shortened(value: object) -> str:
    """Return a value as a sentence takes it: a text that is too long is cut off, and ends in dots."""
    text = str(value)
    return text if len(text) <= LONGEST_TEXT else f"{text[: LONGEST_TEXT - 3]}..."
