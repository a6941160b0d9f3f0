"""A character vocabulary: any Unicode text, and a clear refusal of any character outside it."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from constructions.validation import IntArray, InvalidArgument, check_tokens, reject


@dataclass(frozen=True)
class CharacterVocabulary:
    """Distinct Unicode code points; the token of a character is its place.

    Attributes:
        characters: the characters, in token order, no two the same.

    Example:
        >>> vocabulary = CharacterVocabulary.of("hello")
        >>> vocabulary.characters
        'ehlo'
        >>> vocabulary.encode("hole").tolist()
        [1, 3, 2, 0]
        >>> vocabulary.decode([1, 0, 2, 2])
        'hell'

    """

    characters: str

    def __post_init__(self) -> None:
        if not isinstance(self.characters, str) or not self.characters:
            reject("characters", "a string of at least one character", self.characters)
        seen: set[str] = set()
        for character in self.characters:
            if character in seen:
                raise InvalidArgument(f"characters: expected distinct characters but {_name(character)} comes twice")
            seen.add(character)

    @classmethod
    def of(cls, *texts: str) -> CharacterVocabulary:
        """Return the vocabulary of all characters in ``texts``, in code point order.

        Raises:
            InvalidArgument: not strings, or no character at all.

        """
        for text in texts:
            if not isinstance(text, str):
                reject("text", "a string", text)
        characters = "".join(sorted(set().union(*texts)))
        if not characters:
            raise InvalidArgument("text: expected at least one character but got '' (type str)")
        return cls(characters)

    @property
    def size(self) -> int:
        """``V``."""
        return len(self.characters)

    @cached_property
    def _tokens(self) -> dict[str, int]:
        return {character: token for token, character in enumerate(self.characters)}

    def encode(self, text: str) -> IntArray:
        """Return the tokens of ``text``, int64, one for each code point.

        Raises:
            InvalidArgument: not a string, or a character outside the vocabulary (named with its place in the text).

        """
        if not isinstance(text, str):
            reject("text", "a string", text)
        for place, character in enumerate(text):
            if character not in self._tokens:
                raise InvalidArgument(
                    f"text: expected only characters of the vocabulary ({self.size} of them) but position {place} is"
                    f" {_name(character)}"
                )
        return np.array([self._tokens[character] for character in text], dtype=np.int64)

    def decode(self, tokens: Iterable[Any] | IntArray) -> str:
        """Return the text of a sequence of tokens.

        Raises:
            InvalidArgument: a token outside ``0..V-1``.

        """
        array = np.asarray(tokens if isinstance(tokens, np.ndarray) else list(tokens), dtype=None)
        checked = check_tokens("tokens", array, self.size, (array.size,) if array.ndim == 1 else (-1,))
        return "".join(self.characters[token] for token in checked.tolist())


def _name(character: str) -> str:
    return f"{character!r} (U+{ord(character):04X} {unicodedata.name(character, 'unnamed')})"
