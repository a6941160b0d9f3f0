"""Section 3 of the paper's notebook: one virtual token makes the model flip the case of the user's letter."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from constructions import CharacterVocabulary, ConditionalGeneration
from verify.arithmetic import get_arithmetic
from verify.running.torch_module import to_torch

Decode = Callable[..., np.ndarray[Any, np.dtype[np.int64]]]

PRINTABLE = CharacterVocabulary("".join(map(chr, range(ord(" "), ord("~")))))
FLIPPED = PRINTABLE.encode(PRINTABLE.characters.swapcase())
ALL_INPUTS = np.arange(PRINTABLE.size)[:, None]


def test_the_map_flips_letters_and_keeps_the_rest() -> None:
    changed = {
        character
        for character, token in zip(PRINTABLE.characters, FLIPPED, strict=True)
        if PRINTABLE.characters[token] != character
    }
    assert changed == set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")


@pytest.mark.parametrize(
    ("kind", "dtype"), [("torch", "float32"), ("torch", "float64"), ("numpy", "float64"), ("rational", "float64")]
)
def test_every_character_is_flipped(decode: Decode, kind: str, dtype: str) -> None:
    construction = ConditionalGeneration(PRINTABLE.size)
    maps = np.tile(FLIPPED, (PRINTABLE.size, 1))
    tokens = decode(construction, get_arithmetic(kind, dtype=dtype), maps, ALL_INPUTS)
    assert PRINTABLE.decode(tokens[:, 0]) == PRINTABLE.characters.swapcase()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_sentence_is_flipped_character_by_character(dtype: str) -> None:
    module = to_torch(ConditionalGeneration(PRINTABLE.size), dtype)
    text = "I love Transformers, N = 2!"
    prompt = module.prompt(np.tile(FLIPPED, (len(text), 1)))
    answers = module.generate(prompt, PRINTABLE.encode(text)[:, None]).numpy()
    assert PRINTABLE.decode(answers[:, 0]) == "i LOVE tRANSFORMERS, n = 2!"


def test_it_is_the_virtual_token_that_flips() -> None:
    """The same module with the virtual token of another map behaves as that map, so its weights hold no map."""
    module = to_torch(ConditionalGeneration(PRINTABLE.size), "float32")
    for table in (np.arange(94), np.zeros(94, dtype=np.int64), np.arange(94)[::-1], FLIPPED):
        answers = module.generate(module.prompt(np.tile(table, (94, 1))), ALL_INPUTS).numpy()
        np.testing.assert_array_equal(answers[:, 0], table)


def test_one_wrong_entry_of_the_virtual_token_is_one_wrong_answer() -> None:
    module = to_torch(ConditionalGeneration(PRINTABLE.size), "float32")
    prompt = module.prompt(np.tile(FLIPPED, (94, 1)))
    letter = int(PRINTABLE.encode("f")[0])
    prompt[:, 0, letter] = float(PRINTABLE.encode("x")[0]) / 94
    answers = PRINTABLE.decode(module.generate(prompt, ALL_INPUTS).numpy()[:, 0])
    wrong = [place for place, answer in enumerate(answers) if answer != PRINTABLE.characters[place].swapcase()]
    assert wrong == [letter]
    assert answers[letter] == "x"
