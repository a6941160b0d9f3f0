"""JSON that is read with nothing taken for granted, and written in one way alone."""

from __future__ import annotations

import json
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


def read_canonical(text: str, name: str) -> Any:
    """Return the document of a text that :func:`canonical` wrote.

    Raises:
        InvalidArgument: any other text: no JSON, keys that come twice, NaN, or written in another way.

    """
    try:
        document = json.loads(
            text,
            object_pairs_hook=lambda pairs: no_repetition(pairs, name),
            parse_constant=lambda word: refuse_constant(word, name),
        )
        same = canonical(document) == text
    except InvalidArgument:
        raise
    except (ValueError, RecursionError) as error:
        raise InvalidArgument(f"{name}: expected JSON but it cannot be read: {' '.join(str(error).split())}") from None
    if not same:
        raise InvalidArgument(f"{name}: expected JSON as it was written but it was changed")
    return document
