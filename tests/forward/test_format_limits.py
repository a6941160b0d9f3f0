"""Real torch kernels at the largest exact vocabulary of a coding, and one token beyond it: every token, every logit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from constructions import (
    FORMATS,
    Coding,
    ConditionalGeneration,
    Construction,
    DigitGeneration,
    LongerResponses,
    UnconditionalGeneration,
    largest_exact_base,
    largest_exact_vocabulary,
)
from constructions.encodings import LIFTS, READOUTS, Encoding, Lift, Readout
from verify import Runner
from verify.arithmetic.structured import StructuredTorchArithmetic
from verify.arithmetic.tensors import TorchArithmetic
from verify.evidence.sweeping import constant_targets

#: Tokens decoded at a time.
CHUNK = 512


def failing(construction: Construction, arithmetic: Any, only: slice = slice(None)) -> list[int]:
    """Return the tokens, of those chosen, that are not decoded with a positive margin at every position."""
    runner = Runner(construction, arithmetic)
    targets, inputs = (part[only] for part in constant_targets(construction))
    found = []
    for start in range(0, len(targets), CHUNK):
        outcome = runner.run(targets[start : start + CHUNK], inputs[start : start + CHUNK])
        found += (
            targets[start : start + CHUNK]
            .reshape(len(outcome.expected), -1)[outcome.failures().any(axis=1), 0]
            .tolist()
        )
    return found


def check(coding: Coding, dtype: str, *, beyond: int = 1) -> None:
    """Check a limit on both sides, on the kernels at hand.

    Up to it all numbers that decide are exact, in whatever order they are summed. Beyond it two tokens share a number,
    or a bias is rounded by as much as a margin: in the weights, before any kernel has run.
    """
    limit = largest_exact_vocabulary(coding, FORMATS[dtype])
    for arithmetic in (StructuredTorchArithmetic(dtype), TorchArithmetic(dtype)):
        for vocab_size, holds in ((limit, True), (limit + beyond, False)):
            made = UnconditionalGeneration(vocab_size, 2, **vars(coding))
            assert (failing(made, arithmetic) == []) is holds, (made, arithmetic.name)


@pytest.mark.share(6)
@pytest.mark.parametrize("readout", READOUTS)
@pytest.mark.parametrize("lift", LIFTS)
@pytest.mark.parametrize("encoding", ["integer", "dyadic"])
def test_bfloat16(encoding: Encoding, lift: Lift, readout: Readout) -> None:
    check(Coding(encoding, lift, readout), "bfloat16")


@pytest.mark.parametrize("readout", ["paper", "centred", "split"])
@pytest.mark.parametrize("encoding", ["integer", "dyadic"])
def test_float16(encoding: Encoding, readout: Readout) -> None:
    """The integer 2080 of the centred lines at V = 54 is even, and float16 has it; the bound speaks of all integers."""
    check(Coding(encoding, "mask", readout), "float16", beyond=2 if readout == "centred" else 1)


@pytest.mark.heavy
def test_float16_to_its_evenly_spaced_integers() -> None:
    check(Coding("integer", "mask", "banded"), "float16")


@pytest.mark.heavy
@pytest.mark.parametrize("lift", LIFTS)
@pytest.mark.parametrize("encoding", ["integer", "dyadic"])
@pytest.mark.parametrize("readout", ["hat", "banded"])
def test_float16_with_many_numbers(encoding: Encoding, lift: Lift, readout: Readout) -> None:
    check(Coding(encoding, lift, readout), "float16")


def test_float32_at_its_limits_and_beyond_where_the_edge_is() -> None:
    """All tokens are the heavy tier's; here the ones around the edge, where one token beyond the limit fails."""
    for readout in ("paper", "centred", "split"):
        coding = Coding("integer", "add", readout)
        limit = largest_exact_vocabulary(coding, FORMATS["float32"])
        for vocab_size, holds in ((limit, True), (limit + 1, False)):
            made = UnconditionalGeneration(vocab_size, 2, **vars(coding))
            found = failing(made, StructuredTorchArithmetic("float32"), slice(-16, None))
            found += failing(made, StructuredTorchArithmetic("float32"), slice(16))
            assert (found == []) is holds, made


@pytest.mark.heavy
@pytest.mark.parametrize("readout", ["paper", "centred", "split"])
@pytest.mark.parametrize("encoding", ["integer", "dyadic"])
def test_float32(encoding: Encoding, readout: Readout) -> None:
    check(Coding(encoding, "add", readout), "float32")


@pytest.mark.parametrize("make", [ConditionalGeneration, lambda size, **given: LongerResponses(size, 2, **given)])
def test_the_other_constructions_go_as_far(make: Any) -> None:
    for lift, limit in (("add", 128), ("mask", 257)):
        made = make(limit, encoding="integer", lift=lift, readout="banded")
        assert failing(made, TorchArithmetic("bfloat16")) == []
        beyond = make(limit + 1, encoding="integer", lift=lift, readout="banded")
        assert failing(beyond, TorchArithmetic("bfloat16")) != []


def test_the_papers_encoding_stops_long_before() -> None:
    assert failing(UnconditionalGeneration(257, 2), TorchArithmetic("bfloat16")) != []
    assert failing(UnconditionalGeneration(257, 2, readout="banded"), TorchArithmetic("bfloat16")) != []


def test_every_position_is_decoded() -> None:
    """Other tokens at the other positions, at the limit of bfloat16."""
    made = UnconditionalGeneration(257, 16, encoding="integer", lift="mask", readout="banded")
    targets = made.targets.sample(64, seed=0)
    targets[:4] = np.array([0, 256, 1, 255])[:, None]
    targets[4, ::2], targets[4, 1::2] = 0, 256
    outcome = Runner(made, TorchArithmetic("bfloat16")).run(targets, np.zeros((64, 0), dtype=np.int64))
    assert not outcome.failures().any()


def test_digits_at_the_largest_base_and_beyond_it() -> None:
    base = largest_exact_base(2, "hat", FORMATS["bfloat16"])
    for size, holds in ((base, True), (base + 1, False)):
        made = DigitGeneration(size**2, 1, 2)
        assert made.base == size
        found = failing(made, StructuredTorchArithmetic("bfloat16"), slice(-CHUNK, None))
        assert (found == []) is holds


@pytest.mark.parametrize("dtype", ["bfloat16", pytest.param("float16", marks=pytest.mark.heavy)])
def test_digits_of_a_vocabulary_that_one_number_cannot_hold(dtype: str) -> None:
    made = DigitGeneration(4000, 3, 3)
    targets = made.targets.sample(200, seed=1)
    targets[:, 0] = np.linspace(0, 3999, 200).astype(np.int64)
    nothing = np.zeros((200, 0), dtype=np.int64)
    for arithmetic in (TorchArithmetic(dtype), StructuredTorchArithmetic(dtype)):
        assert not Runner(made, arithmetic).run(targets, nothing).failures().any()
        split = DigitGeneration(4000, 3, 5, "split")
        assert not Runner(split, arithmetic).run(targets, nothing).failures().any()
