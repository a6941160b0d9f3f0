"""The vocabularies of language models: every token against every logit on torch's kernels, chunk by chunk.

262,144 tokens have 6.9e10 pairs of a token and a logit, too many for a minute; there the pairs within a band are all
looked at, and the others are bounded by the monotonicity of rounding.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from constructions import FORMATS, Construction, DigitGeneration, UnconditionalGeneration, largest_band_size
from verify import to_torch

pytestmark = pytest.mark.heavy

#: Logits in memory at a time: a quarter of a gibibyte in float32.
LOGITS = 2**26


def misread(construction: Construction, dtype: str, tokens: np.ndarray[tuple[int], np.dtype[np.int64]]) -> int:
    """Return how many of the tokens do not have the one largest logit, in the first step of generation."""
    module = to_torch(construction, dtype)
    nothing = torch.zeros((1, 0), dtype=torch.int64)
    chunk, wrong = max(1, LOGITS // construction.vocab_size), 0
    for start in range(0, len(tokens), chunk):
        part = tokens[start : start + chunk]
        logits = module(module.prompt(part[:, None]), nothing.expand(len(part), 0))[:, 0]
        own = logits.gather(1, torch.from_numpy(part)[:, None])
        # the promised logit is the only one that is not smaller; NaN is neither
        wrong += int(((logits < own).sum(dim=1) != construction.vocab_size - 1).sum())
    return wrong


@pytest.mark.parametrize("vocab_size", [50257, 128256])
def test_float32_every_token_and_every_logit(vocab_size: int) -> None:
    band = largest_band_size(FORMATS["float32"])
    made = UnconditionalGeneration(vocab_size, 1, encoding="integer", readout="banded", band_size=band)
    assert misread(made, "float32", np.arange(vocab_size)) == 0


def test_the_papers_encoding_misreads_them() -> None:
    tokens = np.arange(0, 50257, 97)
    assert misread(UnconditionalGeneration(50257, 1), "float32", tokens) > 0
    assert misread(UnconditionalGeneration(50257, 1, encoding="integer"), "float32", tokens) > 0


@pytest.mark.parametrize("vocab_size", [50257, 128256])
def test_bfloat16_digits_every_token_and_every_logit(vocab_size: int) -> None:
    made = DigitGeneration(vocab_size, 1, 3)
    step = 1 if vocab_size < 2**16 else 4
    assert misread(made, "bfloat16", np.arange(0, vocab_size, step)) == 0


def test_float32_two_digits_need_four_numbers() -> None:
    made = DigitGeneration(50257, 1, 2, "split")
    assert made.transformer.lowered.matrices()["sum.weight"].shape[0] == 4
    assert misread(made, "float32", np.arange(50257)) == 0
