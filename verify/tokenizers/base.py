"""A tokenizer: text to tokens and back, without loss."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from constructions.validation import IntArray, InvalidArgument, reject


@dataclass(frozen=True)
class Tokenizer:
    """A tokenizer of Hugging Face's library ``tokenizers``, asked for plain text alone.

    Attributes:
        name: as messages call it.
        inner: a ``tokenizers.Tokenizer``.

    """

    name: str
    inner: Any

    @property
    def size(self) -> int:
        """``V``: one more than the largest token."""
        largest: int = max(self.inner.get_vocab(with_added_tokens=True).values())
        return 1 + largest

    def encode(self, text: str) -> IntArray:
        """Return the tokens of a text, int64.

        Raises:
            InvalidArgument: not a string, empty, a text that the library refuses, or one that its tokens do not give
                back: a tokenizer may drop an unknown word, or write it in another form.

        """
        if not isinstance(text, str):
            reject("text", "a string", text)
        if not text:
            raise InvalidArgument("text: expected at least one character but got '' (type str)")
        try:
            text.encode()
        except UnicodeEncodeError:
            raise InvalidArgument("text: expected Unicode that UTF-8 can write but got a lone surrogate") from None
        try:
            tokens = self.inner.encode(text, add_special_tokens=False).ids
            again = self.decode(tokens)
        except Exception as error:  # the library raises Exception itself
            raise InvalidArgument(f"text: expected a text that {self.name} can encode but got: {error}") from error
        if again != text:
            place = next((at for at, (one, two) in enumerate(zip(text, again, strict=False)) if one != two), len(again))
            raise InvalidArgument(
                f"text: expected a text that the tokens of {self.name} give back but position {place} is lost"
            )
        return np.array(tokens, dtype=np.int64)

    def decode(self, tokens: Sequence[int] | IntArray) -> str:
        """Return the text of tokens."""
        found: str = self.inner.decode([int(token) for token in tokens], skip_special_tokens=False)
        return found
