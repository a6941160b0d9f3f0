"""Theorems 1 and 2 in every stock class, at V = 94 and N = 20: through peft and the class's own ``generate``."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

pytest.importorskip("transformers")

import transformers

from constructions import Construction, ResidualConditional, ResidualGeneration
from tests.huggingface.theorems import FAMILIES, asked, exact_logits, largest_share, theorem
from verify.huggingface import HuggingFaceBackend, different_tensors, to_huggingface
from verify.running.cases import Runner

pytestmark = [pytest.mark.extras, pytest.mark.filterwarnings("ignore:Position ids are not supported")]

THEOREMS = ("theorem 1", "theorem 2")
#: cases whose true logits are computed
COMPARED = 4


@cache
def built(name: str, family: str) -> Construction:
    return theorem(name, family)


@cache
def truth(name: str, family: str) -> tuple[Any, float]:
    """Return true logits of the last cases that are asked, which are the adversarial ones, and their radius."""
    construction = built(name, family)
    targets, inputs = asked(construction)
    found = [exact_logits(construction, *case) for case in zip(targets[-COMPARED:], inputs[-COMPARED:], strict=True)]
    return np.array([logits for logits, _ in found]), max(radius for _, radius in found)


@pytest.mark.parametrize(("dtype", "through"), [("float32", "peft"), ("float64", "peft"), ("float32", "inputs_embeds")])
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("name", THEOREMS)
def test_every_target_is_generated(name: str, family: str, dtype: str, through: Any) -> None:
    construction = built(name, family)
    model = to_huggingface(construction, dtype=dtype)
    assert different_tensors(construction, model) == ()
    targets, inputs = asked(construction)
    outcome = Runner(construction, HuggingFaceBackend(model, through=through)).run(targets, inputs)
    assert len(outcome.produced) == 204
    assert not outcome.failures().any()
    # every gap between logits is its true self up to less than half
    assert outcome.logits is not None
    logits, radius = truth(name, family)
    # their bounds are float64s, each rounded away from the logit by at most one unit in its last place
    assert radius <= 2 * 2.0**-52 * np.abs(logits).max()
    for at, true in zip(range(-COMPARED, 0), logits, strict=True):
        assert largest_share(outcome.logits[at], true, outcome.expected[at]) < 1 / 2


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("family", FAMILIES)
def test_no_user_token_and_no_cache(family: str, attention: str) -> None:
    """The literal theorem: generation starts at the virtual token itself, from an empty prompt."""
    construction = theorem("theorem 1", family, start=False)
    model = to_huggingface(construction, attn_implementation=attention)
    targets, inputs = asked(construction, 20)
    for through, cached in (("peft", False), ("inputs_embeds", False), ("inputs_embeds", True)):
        backend = HuggingFaceBackend(model, through=through, use_cache=cached)  # type: ignore[arg-type] # they are
        assert not Runner(construction, backend).run(targets, inputs).failures().any()


#: what makes a construction of the sizes of an untouched configuration
UNTOUCHED: dict[str, Any] = {
    "alphabet_size": 94,
    "width": 768,
    "depth": 12,
    "heads": 12,
    "hidden_size": 3072,
    "tied": True,
}


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("construction", "dtype"),
    [
        (ResidualGeneration(50257, 20, start_token=True, **UNTOUCHED), "float32"),
        (ResidualConditional(50257, **UNTOUCHED), "float32"),
        (ResidualConditional(50257, **UNTOUCHED), "float64"),
    ],
)
def test_an_untouched_configuration_of_gpt2(construction: Construction, dtype: str) -> None:
    """124 million parameters, 12 blocks, tied embeddings: not one field of the configuration is given."""
    model = to_huggingface(construction, config=transformers.GPT2Config(), dtype=dtype)
    assert sum(parameter.numel() for parameter in model.parameters()) == 124_439_808
    targets = construction.targets.sample(20, seed=0)
    inputs = np.random.default_rng(0).integers(0, 94, (20, 1))
    outcome = Runner(construction, HuggingFaceBackend(model, through="peft")).run(targets, inputs)
    assert not outcome.failures().any()


@pytest.mark.heavy
@pytest.mark.parametrize("family", FAMILIES)
def test_many_targets_of_theorem_1(family: str) -> None:
    construction = built("theorem 1", family)
    runner = Runner(construction, HuggingFaceBackend(to_huggingface(construction)))
    rng = np.random.default_rng(1)
    margins = []
    for seed in range(40):
        targets = construction.targets.sample(1024, seed=seed)
        outcome = runner.run(targets, rng.integers(0, 94, (1024, 1)))
        assert not outcome.failures().any()
        margins.append(outcome.margins.min())
    assert len(margins) * 1024 == 40_960
    assert min(margins) > 0


@pytest.mark.heavy
@pytest.mark.parametrize("family", FAMILIES)
def test_many_maps_of_theorem_2_at_every_input(family: str) -> None:
    construction = built("theorem 2", family)
    runner = Runner(construction, HuggingFaceBackend(to_huggingface(construction)))
    inputs = np.tile(np.arange(94), 20)[:, None]
    for seed in range(100):
        targets = np.repeat(construction.targets.sample(20, seed=seed), 94, axis=0)
        assert not runner.run(targets, inputs).failures().any()
