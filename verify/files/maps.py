"""Maps from a JSON file: a user token to an answer, or to a list of answers of one length."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from constructions.exact_matrix import check_dense
from constructions.validation import IntArray, InvalidArgument, check_tokens
from verify.files.atomic import read_json

#: Names quoted in a message before the rest is counted.
_QUOTED = 3


@dataclass(frozen=True, eq=False)
class TokenMap:
    """A total map on a vocabulary.

    Attributes:
        vocabulary: the names of the tokens, in token order.
        target: the map as a target of Theorem 2's construction, or of longer responses' where the answers are lists.

    """

    vocabulary: tuple[str | int, ...]
    target: IntArray

    @property
    def lists(self) -> bool:
        """Whether the answers are lists."""
        return self.target.ndim > 1

    @property
    def claim(self) -> str:
        """The id of the claim that promises such maps."""
        return "longer-responses" if self.lists else "theorem-2"

    @property
    def sizes(self) -> dict[str, int]:
        """The sizes of the construction that answers by this map, by its fields."""
        response = {"response_size": len(self.target)} if self.lists else {}
        return {"vocab_size": len(self.vocabulary), **response}

    def token(self, name: str) -> int:
        """Return the token called ``name``.

        Raises:
            InvalidArgument: not in the vocabulary.

        """
        names = [str(known) for known in self.vocabulary]
        if name not in names:
            raise InvalidArgument(f"token: expected one of {_quote(names)} but got {name!r} (type str)")
        return names.index(name)


def read_map(path: Path) -> TokenMap:
    """Return the map in a JSON file.

    Three forms: an object ``{token: answer, ...}``, whose tokens are the vocabulary; an object
    ``{"vocabulary": [...], "map": {...}}``; an array of answers for tokens ``0..V-1``. An answer is a token, or a
    list of tokens, all lists of one length.

    Raises:
        InvalidArgument: not JSON, none of the forms, a token without an answer, an answer outside the vocabulary, or
            too many tokens for their transformer to be held.

    """
    return parse_map(read_json(path, "map", pairs=_no_repetition))


def parse_map(document: Any) -> TokenMap:
    """Return the map of a JSON document; see :func:`read_map`."""
    if isinstance(document, list):
        vocabulary: tuple[str | int, ...] = tuple(range(len(document)))
        answers = dict(enumerate(document))
    elif isinstance(document, Mapping) and set(document) == {"vocabulary", "map"}:
        vocabulary, answers = _vocabulary(document["vocabulary"]), document["map"]
    else:
        vocabulary, answers = (), document
    if not isinstance(answers, Mapping) or not answers:
        raise InvalidArgument("map: expected an object {token: answer, ...} or an array of answers, not empty")
    lists = [_as_list(answer) for answer in answers.values()]
    if not vocabulary:
        vocabulary = tuple(dict.fromkeys([*answers, *(token for answer in lists for token in answer)]))
    _check_total(vocabulary, answers)
    # the heads' values have a row and a column for each token, and a column for each position, two at least
    check_dense(len(vocabulary), len(vocabulary) + 2)
    lengths = {len(answer) for answer in lists}
    kinds = {isinstance(answer, list) for answer in answers.values()}
    if len(lengths) != 1 or len(kinds) != 1 or 0 in lengths:
        raise InvalidArgument("map: expected answers that are all tokens, or all lists of one length, not empty")
    places = {token: place for place, token in enumerate(vocabulary)}
    unknown = [str(token) for answer in lists for token in answer if token not in places]
    if unknown:
        raise InvalidArgument(f"map: expected answers in the vocabulary but got {_quote(unknown)}")
    by_token = {places[token]: answer for token, answer in zip(answers, lists, strict=True)}
    table = np.array([[places[name] for name in by_token[place]] for place in range(len(vocabulary))], dtype=np.int64)
    if kinds == {False}:
        return TokenMap(vocabulary, check_tokens("map", table[:, 0], len(vocabulary), (len(vocabulary),)))
    return TokenMap(vocabulary, np.ascontiguousarray(table.T))


def _no_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    repeated = sorted(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
    if repeated:
        raise InvalidArgument(f"map: expected every token once but got {_quote(repeated)} twice")
    return dict(pairs)


def _vocabulary(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or not all(isinstance(name, str) for name in value):
        raise InvalidArgument("map: expected 'vocabulary' to be an array of strings, not empty")
    if len(set(value)) != len(value):
        raise InvalidArgument("map: expected 'vocabulary' to hold distinct strings")
    return tuple(value)


def _as_list(answer: Any) -> list[str | int]:
    parts = answer if isinstance(answer, list) else [answer]
    for part in parts:
        if isinstance(part, bool) or not isinstance(part, (str, int)):
            raise InvalidArgument(f"map: expected answers to be tokens but got {part!r} (type {type(part).__name__})")
    return parts


def _check_total(vocabulary: tuple[str | int, ...], answers: Mapping[Any, Any]) -> None:
    known = set(vocabulary)
    missing = [str(token) for token in vocabulary if token not in answers]
    extra = [str(token) for token in answers if token not in known]
    if missing:
        raise InvalidArgument(f"map: expected an answer for every token but {_quote(missing)} has none")
    if extra:
        raise InvalidArgument(f"map: expected only tokens of the vocabulary but got {_quote(extra)}")


def _quote(names: list[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:_QUOTED])
    return shown if len(names) <= _QUOTED else f"{shown} and {len(names) - _QUOTED} more"
