"""The functions of a library that are measured: one file for each kind, and a line here that registers it."""

from __future__ import annotations

from constructions.registry import Registry
from verify.exponentials.functions.base import Function as Function
from verify.exponentials.functions.base import Way as Way
from verify.exponentials.functions.elementwise import EXP, EXP2
from verify.exponentials.functions.softmax import SOFTMAX

#: What can be measured, by the words of ``--function``; a new one is registered here.
FUNCTIONS: Registry[Function] = Registry("function", (EXP, SOFTMAX, EXP2), name=lambda function: function.word)


def summaries() -> str:
    """Return the functions in a line, each with a few words about it: ``exp (torch.exp), ...``."""
    *first, last = (f"{word} ({function.summary})" for word, function in FUNCTIONS.items())
    return f"{', '.join(first)} or {last}"
