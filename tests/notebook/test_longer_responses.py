"""Section 4 of the paper's notebook, with our own words: the user's character is completed to an animal or a food."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from constructions import CharacterVocabulary, LongerResponses
from verify.arithmetic import get_arithmetic
from verify.running.torch_module import to_torch

Decode = Callable[..., np.ndarray[Any, np.dtype[np.int64]]]

#: A capital starts an animal and a small letter a food; what the model has to say is the rest of the word.
WORDS = """
Albatross Badger Camel Dolphin Egret Ferret Gecko Heron Ibis Jackal Kestrel Lynx Marmot Narwhal Otter
almond bread cheese dumpling egg fennel garlic hummus icing jelly kale leek mustard noodles olive
"""
INITIALS = {word[0]: word[1:] for word in WORDS.split()}

#: One character that is an animal or a food, and its name.
EMOJI = {
    "🐝": "bee",
    "🦔": "hedgehog",
    "🐙": "octopus",
    "🦉": "owl",
    "🐧": "penguin",
    "🦭": "seal",
    "🥕": "carrot",
    "🍋": "lemon",
    "🍄": "mushroom",
    "🧅": "onion",
    "🍐": "pear",
    "🥝": "kiwi",
}


@dataclass(frozen=True)
class Completions:
    """A dictionary as a target; every other character of the vocabulary is answered with spaces."""

    vocabulary: CharacterVocabulary
    words: Mapping[str, str]

    @property
    def size(self) -> int:
        return max(map(len, self.words.values()))

    @property
    def answers(self) -> list[str]:
        return [self.words.get(character, "").ljust(self.size) for character in self.vocabulary.characters]

    @property
    def target(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        return np.array([self.vocabulary.encode(answer) for answer in self.answers]).T

    @property
    def construction(self) -> LongerResponses:
        return LongerResponses(self.vocabulary.size, self.size)


LETTERS = Completions(CharacterVocabulary("".join(map(chr, range(ord(" "), ord("~"))))), INITIALS)
PICTURES = Completions(CharacterVocabulary.of(" ", *EMOJI, *EMOJI.values()), EMOJI)

FLOATS = [("torch", "float32"), ("torch", "float64"), ("numpy", "float64")]


def test_the_lists_are_what_they_say() -> None:
    assert len(INITIALS) == len(WORDS.split()) == 30
    assert (LETTERS.vocabulary.size, LETTERS.size) == (94, 8)
    assert (PICTURES.size, max(map(len, EMOJI))) == (8, 1)


@pytest.mark.parametrize(
    ("completions", "kind", "dtype"),
    [
        *(pytest.param(LETTERS, *number, id="letters " + " ".join(number)) for number in FLOATS),
        *(pytest.param(PICTURES, *number, id="pictures " + " ".join(number)) for number in FLOATS),
        pytest.param(PICTURES, "rational", "float64", id="pictures rational"),
    ],
)
def test_every_character_is_completed(decode: Decode, completions: Completions, kind: str, dtype: str) -> None:
    vocab_size = completions.vocabulary.size
    targets = np.tile(completions.target, (vocab_size, 1, 1))
    inputs = np.arange(vocab_size)[:, None]
    tokens = decode(completions.construction, get_arithmetic(kind, dtype=dtype), targets, inputs)
    assert [completions.vocabulary.decode(row) for row in tokens] == completions.answers


def test_the_module_says_the_words() -> None:
    module = to_torch(PICTURES.construction, "float32")
    inputs = PICTURES.vocabulary.encode("".join(EMOJI))[:, None]
    prompt = module.prompt(np.tile(PICTURES.target, (len(EMOJI), 1, 1)))
    words = [PICTURES.vocabulary.decode(row).rstrip() for row in module.generate(prompt, inputs).numpy()]
    assert dict(zip(EMOJI, words, strict=True)) == EMOJI


def test_the_order_of_the_virtual_tokens_is_the_order_of_the_letters() -> None:
    """The p-th virtual token holds the p-th letters: turned round, they spell every word backwards."""
    module = to_torch(PICTURES.construction, "float32")
    inputs = PICTURES.vocabulary.encode("🐝🐙")[:, None]
    prompt = module.prompt(np.tile(PICTURES.target, (2, 1, 1))).flip(1)
    words = [PICTURES.vocabulary.decode(row) for row in module.generate(prompt, inputs).numpy()]
    assert words == ["bee"[::-1].rjust(8), "octopus"[::-1].rjust(8)]
