"""Section 2 of the paper's notebook: a text from one virtual token, and where the notebook's constants give way."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from constructions import CharacterVocabulary, InvalidArgument, Softmax, UnconditionalGeneration
from constructions.temperature import Temperature
from constructions.thresholds import unconditional_generation_threshold
from verify.arithmetic import get_arithmetic
from verify.running.torch_module import to_torch

Decode = Callable[..., np.ndarray[Any, np.dtype[np.int64]]]

#: Printable ASCII is ' ' to '~', 95 characters; the notebook's vocabulary is the first 94 of them, without '~'.
PRINTABLE = CharacterVocabulary("".join(map(chr, range(ord(" "), ord("~")))))
TEXT = "I love transformers!"

#: What the notebook computes with: T = 50, scores divided by the square root of the sequence's length, no mask.
NOTEBOOK = Softmax(50, "length")

ARITHMETICS = [
    pytest.param(("torch", "float32"), id="torch float32"),
    pytest.param(("torch", "float64"), id="torch float64"),
    pytest.param(("numpy", "float64"), id="numpy float64"),
    pytest.param(("rational", "float64"), id="rational"),
]
FLOATS = ARITHMETICS[:-1]


def _notebook(length: int, temperature: Temperature = NOTEBOOK) -> UnconditionalGeneration:
    return UnconditionalGeneration(PRINTABLE.size, length, temperature=temperature, mask="none")


def test_the_vocabulary_is_the_notebooks() -> None:
    assert PRINTABLE.size == 94
    assert (PRINTABLE.characters[0], PRINTABLE.characters[-1]) == (" ", "}")


@pytest.mark.share(6)
@pytest.mark.parametrize("arithmetic", ARITHMETICS)
@pytest.mark.parametrize("text", [TEXT, " " * 20, "}" * 20, "} } } } } } } } } } ", "0 <= s_j < 1 (V=94)."])
def test_one_virtual_token_spells_a_text(decode: Decode, arithmetic: tuple[str, str], text: str) -> None:
    construction = UnconditionalGeneration(PRINTABLE.size, 20)
    kind, dtype = arithmetic
    tokens = decode(construction, get_arithmetic(kind, dtype=dtype), PRINTABLE.encode(text)[None])
    assert PRINTABLE.decode(tokens[0]) == text


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_text_appears_a_character_at_a_time(dtype: str) -> None:
    """What the notebook prints: after t steps the module has generated the first t characters."""
    module = to_torch(UnconditionalGeneration(PRINTABLE.size, len(TEXT)), dtype)
    prompt = module.prompt(PRINTABLE.encode(TEXT)[None])
    for steps in range(1, len(TEXT) + 1):
        assert PRINTABLE.decode(module.generate(prompt, steps=steps).numpy()[0]) == TEXT[:steps]


def test_a_shorter_text_is_padded_with_spaces(decode: Decode) -> None:
    construction = UnconditionalGeneration(PRINTABLE.size, 20)
    tokens = decode(construction, get_arithmetic("torch"), PRINTABLE.encode("I love soup.".ljust(20))[None])
    assert PRINTABLE.decode(tokens[0]).rstrip() == "I love soup."
    with pytest.raises(InvalidArgument, match=r"target: expected integers from 0 to 93 of shape \(20\)"):
        construction.virtual_tokens(PRINTABLE.encode("I love soup."))


def test_the_tilde_is_refused() -> None:
    """The notebook encodes '~' as 94/94 and gives back '}' without a word."""
    with pytest.raises(InvalidArgument, match=r"position 18 is '~' \(U\+007E TILDE\)"):
        PRINTABLE.encode("I love transformers~"[:18] + "~!")


def test_a_token_beyond_the_vocabulary_is_refused() -> None:
    target = [*PRINTABLE.encode(TEXT[:-1]).tolist(), 94]
    with pytest.raises(InvalidArgument, match="target: expected integers from 0 to 93"):
        UnconditionalGeneration(94, 20).virtual_tokens(target)


@pytest.mark.parametrize("arithmetic", FLOATS)
def test_the_notebooks_constants_work_at_its_own_size(decode: Decode, arithmetic: tuple[str, str]) -> None:
    kind, dtype = arithmetic
    construction = _notebook(20)
    texts = [PRINTABLE.encode(text) for text in (TEXT, "}" * 20, " " * 20)]
    targets = np.concatenate([np.array(texts), construction.targets.sample(500, seed=0)])
    np.testing.assert_array_equal(decode(construction, get_arithmetic(kind, dtype=dtype), targets), targets)


@pytest.mark.parametrize("arithmetic", FLOATS)
def test_the_notebooks_constants_fail_at_thirty_tokens(decode: Decode, arithmetic: tuple[str, str]) -> None:
    """Over 30 keys exp(50/sqrt(30)) is below 29 * 373: the last of thirty '}' comes out as the token before it."""
    kind, dtype = arithmetic
    target = PRINTABLE.encode("}" * 30)[None]
    tokens = decode(_notebook(30), get_arithmetic(kind, dtype=dtype), target)
    assert PRINTABLE.decode(tokens[0]) == "}" * 29 + "|"
    enough = UnconditionalGeneration(94, 30, mask="none")
    np.testing.assert_array_equal(decode(enough, get_arithmetic(kind, dtype=dtype), target), target)


@pytest.mark.share(6)
@pytest.mark.parametrize("length", range(18, 34))
def test_the_exact_threshold_says_at_which_length_they_fail(decode: Decode, length: int) -> None:
    """``T > sqrt(N) ln((N-1)(4V-3))``; the nearest case, N = 29, is 0.17 in T away, far beyond rounding."""
    needed = math.sqrt(length) * math.log(unconditional_generation_threshold(94, length))
    target = PRINTABLE.encode("}" * length)[None]
    tokens = decode(_notebook(length), get_arithmetic("torch", dtype="float64"), target)
    assert np.array_equal(tokens, target) == (needed < NOTEBOOK.inverse_temperature)
    assert (needed < NOTEBOOK.inverse_temperature) == (length < 30)
