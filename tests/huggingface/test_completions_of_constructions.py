"""V against V^N on stock classes: every token and every virtual token of a construction, exhausted at small sizes."""

from __future__ import annotations

import pytest

pytest.importorskip("transformers")
pytest.importorskip("peft")

import torch  # after the libraries that may not be there

from constructions import ResidualConditional
from constructions.formats import FORMATS
from tests.huggingface.theorems import FAMILIES, theorem
from verify import count_completions
from verify.huggingface import HuggingFaceBackend, to_huggingface
from verify.huggingface.completions import hard_completions
from verify.huggingface.completions.generating import greedy

pytestmark = pytest.mark.extras

V, N = 4, 3


@pytest.mark.parametrize("family", FAMILIES)
def test_every_virtual_token_of_theorem_1_gives_its_own_completion(family: str) -> None:
    construction = theorem("theorem 1", family, V, N, start=False)
    model = to_huggingface(construction, family)
    targets = construction.targets.unrank_range(0, V**N)
    numbers = construction.virtual_tokens(targets).to_float(FORMATS["float32"])[:, 0]
    made = greedy(model, torch.tensor(numbers, dtype=torch.float32), N)
    assert made.tokens.tolist() == targets.tolist()
    assert (made.margins > 0).all()
    hard = hard_completions(model, length=N)
    assert hard.prompts == V
    assert hard.unique <= V  # tokens are ignored, so that all of them are one prompt


@pytest.mark.parametrize("family", FAMILIES)
def test_the_same_is_counted_through_the_stock_model_as_a_backend(family: str) -> None:
    construction = theorem("theorem 1", family, V, N, start=False)
    made = count_completions(construction, HuggingFaceBackend(to_huggingface(construction, family)))
    assert (made.hard.prompts, made.soft.prompts, made.soft.behaviours) == (V, V**N, V**N)
    assert made.hard.behaviours <= V
    assert made.verdict.holds is True
    assert made.verdict.cases == V + V**N


def test_theorem_2_counts_maps() -> None:
    construction = ResidualConditional(3)
    made = count_completions(construction, HuggingFaceBackend(to_huggingface(construction)))
    assert (made.soft.behaviours, made.hard.prompts) == (27, 3)
    assert made.hard.behaviours <= 3
    assert made.verdict.holds is True
