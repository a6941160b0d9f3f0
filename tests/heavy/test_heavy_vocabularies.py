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
from verify.arithmetic.structured import StructuredTorchArithmetic
from verify.running.model import bind_construction, forward, generate

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


def check_float32(vocab_size: int, step: int) -> None:
    band = largest_band_size(FORMATS["float32"])
    made = UnconditionalGeneration(vocab_size, 1, encoding="integer", readout="banded", band_size=band)
    assert misread(made, "float32", np.arange(0, vocab_size, step)) == 0


@pytest.mark.heavy
def test_float32_bands_every_token_of_50257_and_every_logit() -> None:
    check_float32(50257, 1)


@pytest.mark.long
def test_float32_bands_every_token_and_every_logit() -> None:
    check_float32(128256, 1)


@pytest.mark.heavy
def test_the_papers_encoding_misreads_them() -> None:
    tokens = np.arange(0, 50257, 97)
    assert misread(UnconditionalGeneration(50257, 1), "float32", tokens) > 0
    assert misread(UnconditionalGeneration(50257, 1, encoding="integer"), "float32", tokens) > 0


@pytest.mark.heavy
@pytest.mark.parametrize(("vocab_size", "step"), [(50257, 8), (128256, 64), (262144, 257)])
def test_bfloat16_three_digits_every_logit(vocab_size: int, step: int) -> None:
    """Every eighth token of 50,257, and of the larger vocabularies every 64th and every 257th."""
    assert misread(DigitGeneration(vocab_size, 1, 3), "bfloat16", np.arange(0, vocab_size, step)) == 0


@pytest.mark.long
@pytest.mark.parametrize("vocab_size", [50257, 128256])
def test_bfloat16_three_digits_every_token_and_every_logit(vocab_size: int) -> None:
    assert misread(DigitGeneration(vocab_size, 1, 3), "bfloat16", np.arange(vocab_size)) == 0


@pytest.mark.heavy
def test_float32_two_digits_need_four_numbers() -> None:
    made = DigitGeneration(50257, 1, 2, "split")
    assert made.transformer.lowered.matrices()["sum.weight"].shape[0] == 4
    assert misread(made, "float32", np.arange(0, 50257, 8)) == 0


@pytest.mark.heavy
def test_float32_262144_every_token_within_bands_and_the_other_bands_by_monotonicity() -> None:
    """Every number that the readout reads is exact for every token; then what a logit can be is a matter of offsets.

    In the token's own band all logits are computed. In a band below, the number ``R`` is an integer from 1 on and
    ``O = R + B - 1``; rounding is monotone, so that the logit is at most what the steepest slope and no bias give,
    whatever the order of its sum. In a band above no term is positive, and ``L`` is at least 1.
    """
    band, vocab_size = largest_band_size(FORMATS["float32"]), 2**18
    made = UnconditionalGeneration(vocab_size, 1, encoding="integer", lift="mask", readout="banded", band_size=band)
    module = to_torch(made, "float32")
    weight, bias = (module.get_buffer(f"readout__{part}") for part in ("weight", "bias"))
    bands = vocab_size // band
    places = torch.arange(band, dtype=torch.float32)
    slopes = weight[:, 2 * bands - 1 :].reshape(bands, band, bands)
    assert all(torch.equal(slopes[h, :, h], places / band**2) for h in range(bands))
    assert int(slopes.count_nonzero()) == bands * (band - 1)
    assert torch.equal(bias[:, 0].reshape(bands, band), (-(places**2) / (2 * band**2)).expand(bands, band))
    sides = -weight[:, : 2 * bands - 1]
    assert torch.equal(sides[:, :bands], torch.eye(bands).repeat_interleave(band, dim=0))
    assert torch.equal(sides[:, bands:], torch.eye(bands)[:, : bands - 1].repeat_interleave(band, dim=0))

    up_to_bands = module.model().without_readout()
    starts = torch.arange(bands, dtype=torch.int64) * band
    for first in range(0, vocab_size, band):
        tokens = torch.arange(first, first + band)
        numbers = forward(up_to_bands, module.prompt(tokens.numpy()[:, None]), 1)[:, 0]
        wanted = [starts - tokens[:, None], tokens[:, None] - (starts[:-1] + band - 1), tokens[:, None] - starts]
        assert torch.equal(numbers.to(torch.int64), torch.cat(wanted, dim=1).clamp(min=0))
        assert torch.equal(numbers, numbers.round())
    # the numbers are the same integers in every band: offsets 0..B-1, all logits of the band
    logits = places[:, None] * (places / band**2) - places**2 / (2 * band**2)
    own = logits.diagonal()[:, None]
    assert ((logits < own).sum(dim=1) == band - 1).all()
    assert (own >= 0).all()
    beyond = torch.arange(1, vocab_size, dtype=torch.float32)
    steepest = (places / band**2).max()
    assert (steepest * (beyond + band - 1) - beyond < 0).all()


@pytest.mark.heavy
def test_float32_at_the_last_of_its_integers_and_one_beyond() -> None:
    """Some tokens, every one of 2^24 + 1 logits; with one more token the last two share a number."""
    band = largest_band_size(FORMATS["float32"])
    for vocab_size, holds in ((2**24 + 1, True), (2**24 + 2, False)):
        made = UnconditionalGeneration(vocab_size, 1, encoding="integer", lift="mask", readout="banded", band_size=band)
        arithmetic = StructuredTorchArithmetic("float32")
        model = bind_construction(made, arithmetic)
        found = []
        for token in (0, band - 1, band, vocab_size // 3, 2**24 - 1, vocab_size - 1):
            rows = arithmetic.prompt(made.virtual_tokens([[token]]))
            (logits,) = generate(model, rows, 1, np.zeros((1, 0), dtype=np.int64), 1).logits
            values = logits.parts[0]
            assert values is not None
            found.append(int((values[0, 0] < values[0, 0, token]).sum()) == vocab_size - 1)
        assert found == [True] * 5 + [holds]
