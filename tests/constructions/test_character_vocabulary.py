"""Text as tokens: any Unicode, and a character outside the vocabulary is refused, never replaced."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from constructions import CharacterVocabulary, InvalidArgument


@given(st.text(min_size=1))
def test_any_text_comes_back(text: str) -> None:
    vocabulary = CharacterVocabulary.of(text)
    tokens = vocabulary.encode(text)
    assert vocabulary.size == len(set(text))
    assert tokens.dtype == np.int64
    assert tokens.shape == (len(text),)
    assert vocabulary.decode(tokens) == text
    assert vocabulary.decode(tokens.tolist()) == text


@pytest.mark.parametrize(
    "text",
    ["I love transformers!", "👩‍👩‍👧‍👦 ❤️", "e\u0301 is not \u00e9", "𝔸𐍈𠜎", "שלום\u202e", "\x00\n\t", "ﬀ ß İ"],
)
def test_code_points_are_kept_apart(text: str) -> None:
    vocabulary = CharacterVocabulary.of(text)
    assert vocabulary.characters == "".join(sorted(set(text)))
    assert vocabulary.decode(vocabulary.encode(text)) == text


def test_several_texts_share_a_vocabulary() -> None:
    vocabulary = CharacterVocabulary.of("ba", "", "cb")
    assert vocabulary == CharacterVocabulary("abc")
    assert vocabulary.encode("cab").tolist() == [2, 0, 1]
    assert vocabulary.encode("").tolist() == []
    assert vocabulary.decode([]) == ""


def test_the_tilde_is_not_one_of_94_printable_characters() -> None:
    """The paper's notebook encodes ``~`` as 1.0 and gets ``}`` back without a word."""
    vocabulary = CharacterVocabulary("".join(map(chr, range(32, 126))))
    assert vocabulary.size == 94
    assert vocabulary.encode("}").tolist() == [93]
    with pytest.raises(InvalidArgument) as caught:
        vocabulary.encode("a~b")
    assert str(caught.value) == (
        "text: expected only characters of the vocabulary (94 of them) but position 1 is '~' (U+007E TILDE)"
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: CharacterVocabulary(""),
            "characters: expected a string of at least one character but got '' (type str)",
        ),
        (
            lambda: CharacterVocabulary(5),  # type: ignore[arg-type] # that is the point
            "characters: expected a string of at least one character but got 5 (type int)",
        ),
        (
            lambda: CharacterVocabulary("abca"),
            "characters: expected distinct characters but 'a' (U+0061 LATIN SMALL LETTER A) comes twice",
        ),
        (
            lambda: CharacterVocabulary("\x07\x07"),
            "characters: expected distinct characters but '\\x07' (U+0007 unnamed) comes twice",
        ),
        (CharacterVocabulary.of, "text: expected at least one character but got '' (type str)"),
        (lambda: CharacterVocabulary.of("", ""), "text: expected at least one character but got '' (type str)"),
        (
            lambda: CharacterVocabulary.of("a", b"b"),  # type: ignore[arg-type] # that is the point
            "text: expected a string but got b'b' (type bytes)",
        ),
        (
            lambda: CharacterVocabulary("ab").encode(["a"]),  # type: ignore[arg-type] # that is the point
            "text: expected a string but got ['a'] (type list)",
        ),
        (
            lambda: CharacterVocabulary("ab").encode("aé"),
            "text: expected only characters of the vocabulary (2 of them) but position 1 is 'é'"
            " (U+00E9 LATIN SMALL LETTER E WITH ACUTE)",
        ),
    ],
)
def test_what_is_refused(call: Any, message: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        call()
    assert str(caught.value) == message


@pytest.mark.parametrize("tokens", [[2], [-1], [0.0], [True], ["a"], [[0, 1]], np.array([[0]]), np.array(1), [None]])
def test_tokens_that_are_not_of_the_vocabulary(tokens: Any) -> None:
    with pytest.raises(InvalidArgument, match=r"^tokens: expected integers from 0 to 1 of shape"):
        CharacterVocabulary("ab").decode(tokens)
