"""How the kernels of attention take their exponents: one file for each kind, and a line here that registers it."""

from __future__ import annotations

from constructions.formats import Format
from constructions.registry import Registry
from constructions.validation import check_choice
from verify.certificates.floats.exponentials.base import Exponential as Exponential
from verify.certificates.floats.exponentials.ex2 import Ex2
from verify.certificates.floats.exponentials.library import Library

#: How softmax takes its exponents, by the words of ``--exp``; a new kind is registered here.
EXPONENTIALS: Registry[type[Exponential]] = Registry("exp", (Library, Ex2), name=lambda kind: kind.word)


def exponential_of(fmt: Format, word: str = Library.word) -> Exponential:
    """Return what is assumed of the exponents of softmax.

    Args:
        fmt: the number format.
        word: the kind, a key of :data:`EXPONENTIALS`.

    Raises:
        InvalidArgument: an unknown word, or a kind that the format has not.

    """
    check_choice("exp", word, tuple(EXPONENTIALS))
    return EXPONENTIALS[word](fmt)


def exp_summaries() -> str:
    """Return the kinds in a line, each with what it is in a few words: ``library (exp, then ...), ...``."""
    *first, last = (f"{word} ({kind.summary})" for word, kind in EXPONENTIALS.items())
    return f"{', '.join(first)} or {last}"
