"""How a value of a document is written on the page: one function for each shape, by the word that the page names."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import flint

from constructions.validation import InvalidArgument, check_choice
from verify.evidence.kinds import kind_of
from verify.evidence.verdict import Verdict, margin_from_json
from verify.numbers import number
from verify.report import tables
from verify.report.page.found import Derived, Found


def _number(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise TypeError("not a whole number")
    return number(int(flint.fmpz(value)))


def _share(value: Any) -> str:
    return f"{_finite(value):.1f} %"


def _measured(value: Any) -> str:
    return "not finite" if value is None else f"{_finite(value):.4g}"


def _seconds(value: Any) -> str:
    return f"{_finite(value):.1f} s"


def _finite(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError("not a number")
    return float(value)


def _margin(value: Any) -> str:
    margin = margin_from_json(value)
    return "none" if margin is None else tables.margin(margin)


def _text(value: Any) -> str:
    if not isinstance(value, (str, int, float)) or isinstance(value, bool):
        raise TypeError("not a text")
    return str(value)


def _list(value: Any) -> str:
    if not isinstance(value, list):
        raise TypeError("not a list")
    return ", ".join(_text(part) for part in value)


def _pairs(value: Any) -> str:
    return ", ".join(f"{name} {_text(part)}" for name, part in value.items())


def _evidence(record: Any) -> str:
    return tables.evidence(Verdict.from_json(record))


def _parameters(record: Any) -> str:
    return tables.parameters(Verdict.from_json(record))


def _word(record: Any) -> str:
    verdict = Verdict.from_json(record)
    return kind_of(verdict.method).word(verdict)


def _case(record: Any) -> str:
    case = Verdict.from_json(record).case
    return "" if case is None else case.sentence()


def _prose(value: Any) -> str:
    """Return a cell or a paragraph of Markdown without its signs; code keeps its back quotes, see the filter."""
    text = re.sub(r"\*\*([^*]+)\*\*|(?<![\w*])\*([^*\s][^*]*)\*", lambda found: found[1] or found[2], _text(value))
    return re.sub(r"\[([^\]]+)\]\([^)]+\)", r"\1", text).removeprefix("- ")


#: Every shape by its word.
SHAPES: Mapping[str, Callable[[Any], str]] = MappingProxyType(
    {
        "text": _text,
        "prose": _prose,
        "list": _list,
        "pairs": _pairs,
        "number": _number,
        "share": _share,
        "measured": _measured,
        "seconds": _seconds,
        "margin": _margin,
        "digest": lambda value: _text(value)[:12],
        "evidence": _evidence,
        "parameters": _parameters,
        "word": _word,
        "case": _case,
    }
)


def written(found: Found | Derived, shape: str) -> str:
    """Return a value as the page shows it.

    Raises:
        InvalidArgument: it has not this shape.

    """
    check_choice("shape", shape, tuple(SHAPES))
    source = found.source if isinstance(found, Derived) else found
    try:
        return SHAPES[shape](found.value)
    except (TypeError, ValueError, AttributeError, ZeroDivisionError, OverflowError, KeyError) as error:
        why = " ".join(str(error).split())
        raise InvalidArgument(
            f"{source.file}: expected a value that can be shown as {shape} at {source.at or 'its top'}: {why}"
        ) from None
