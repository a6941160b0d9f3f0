"""JSON that is read with nothing taken for granted, and written in one way alone."""

from __future__ import annotations

import json
import math
from collections import Counter
from typing import Any, NoReturn

from constructions.validation import InvalidArgument


def no_repetition(pairs: list[tuple[str, Any]], name: str) -> dict[str, Any]:
    """Return an object of its pairs.

    Raises:
        InvalidArgument: a key comes twice.

    """
    repeated = [key for key, count in Counter(key for key, _ in pairs).items() if count > 1]
    if repeated:
        raise InvalidArgument(f"{name}: expected every key once but got {repeated[0][:40]!r} twice")
    return dict(pairs)


def refuse_constant(word: str, name: str) -> NoReturn:
    """Refuse NaN and the infinities, which Python reads and JSON does not have.

    Raises:
        InvalidArgument: always.

    """
    raise InvalidArgument(f"{name}: expected JSON, which has no {word}")


def canonical(document: Any) -> str:
    """Return a document as text: keys in order, two spaces for each level, ASCII, and a line end."""
    return json.dumps(document, sort_keys=True, ensure_ascii=True, allow_nan=False, indent=2) + "\n"


def read_strict(text: str | bytes, name: str, document: str = "JSON") -> Any:
    """Return the document of a JSON text.

    Args:
        text: all of it; bytes are read as UTF-8.
        name: what it is, for messages.
        document: what was expected, for messages.

    Raises:
        InvalidArgument: anything that is not JSON, keys that come twice, NaN, a number beyond the floats, or JSON that
            Python cannot read (an integer too long, nesting too deep).

    """
    try:
        return json.loads(
            text if isinstance(text, str) else text.decode("utf-8"),
            object_pairs_hook=lambda pairs: no_repetition(pairs, name),
            parse_constant=lambda word: refuse_constant(word, name),
            parse_float=_finite,
        )
    except InvalidArgument:
        raise  # it is a ValueError too
    except (ValueError, RecursionError) as error:
        why = " ".join(str(error).split())
        raise InvalidArgument(f"{name}: expected {document} but it cannot be read: {why}") from None


def _finite(word: str) -> float:
    """Return a float; Python reads one that is too large as infinity, which JSON does not have."""
    found = float(word)
    if not math.isfinite(found):
        raise ValueError(f"{word:.40} is beyond the floats")
    return found


def read_canonical(text: str, name: str) -> Any:
    """Return the document of a text that :func:`canonical` wrote.

    Raises:
        InvalidArgument: any other text: see :func:`read_strict`; or JSON that is written in another way.

    """
    document = read_strict(text, name)
    try:
        same = canonical(document) == text
    except RecursionError:  # it is written with more calls than it is read with
        same = False
    if not same:
        raise InvalidArgument(f"{name}: expected JSON as it was written but it was changed")
    return document
