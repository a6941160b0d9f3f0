"""``to_torch`` for models of all layers: names of buffers, what a call returns, what is generated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch

from constructions import FORMATS, Construction, Layout, Ratios, Softmax, TargetSpace, Transformer
from tests.forward.trees import MODELS, VOCAB
from verify.arithmetic import NumpyArithmetic
from verify.arithmetic.constant import constant_when_traced
from verify.running.model import bind_construction, generate
from verify.running.torch_module import to_torch


@dataclass(frozen=True, repr=False)
class Tree(Construction):
    """A model of random weights; nothing is promised of its answers."""

    model: str = ""
    vocab_size: int = VOCAB
    layout = Layout(virtual=1, user=2, response=2)

    @property
    def targets(self) -> TargetSpace:
        return TargetSpace(3, (MODELS[self.model].lowered.embedding_size,))

    def encode(self, targets: Any) -> Ratios:
        return Ratios(targets[:, None, :] + 1, 2)  # no row of zeros, which has no norm

    def answer(self, targets: Any, user_inputs: Any) -> Any:
        return np.zeros((len(targets), 2), dtype=np.int64)

    @property
    def transformer(self) -> Transformer:
        return MODELS[self.model]


@pytest.mark.parametrize("name", MODELS)
def test_a_module_of_any_layers(name: str) -> None:
    construction = Tree(model=name, temperature=Softmax(1.5))
    module = to_torch(construction, "float64")
    matrices = construction.transformer.lowered.matrices()
    held = module.state_dict()
    assert list(held) == [matrix.replace(".", "__") for matrix in matrices]
    for matrix, exact in matrices.items():
        assert held[matrix.replace(".", "__")].tolist() == exact.to_numpy(FORMATS["float64"]).tolist()
    targets, inputs = construction.targets.sample(5, seed=1), construction.user_inputs.sample(5, seed=2)
    prompts = module.prompt(targets)
    made = module.generation(prompts, inputs)
    model = bind_construction(construction, NumpyArithmetic())
    again = generate(model, model.arithmetic.prompt(construction.virtual_tokens(targets)), 1, inputs, 2)
    assert np.array_equal(made.tokens, again.tokens)
    assert torch.equal(module.generate(prompts, inputs), torch.from_numpy(made.tokens))
    fed = np.concatenate([inputs, made.tokens[:, :-1]], axis=1)
    logits = module(prompts, torch.from_numpy(fed))
    assert logits.shape == (5, 4, VOCAB)
    if model.causal:
        assert np.array_equal(logits[:, 2:].argmax(-1).numpy(), made.tokens)


def test_a_buffer_that_is_changed_is_what_runs() -> None:
    construction = Tree(model="rms norm of anything", temperature=Softmax(1.5))
    module = to_torch(construction, "float64")
    targets, inputs = construction.targets.sample(5, seed=1), construction.user_inputs.sample(5, seed=2)
    before = module(module.prompt(targets), torch.from_numpy(inputs))
    module.get_buffer("norm__weight").mul_(2)
    assert not torch.equal(module(module.prompt(targets), torch.from_numpy(inputs)), before)


def test_a_function_is_marked_for_tracers_as_torch_marks_it() -> None:
    def ours() -> None: ...

    def theirs() -> None: ...

    assert constant_when_traced(ours) is ours
    torch.compiler.assume_constant_result(theirs)  # type: ignore[no-untyped-call] # torch's own
    assert vars(ours) == vars(theirs) != {}
