"""The construction as a torch module: named buffers that are what runs, batches, dtypes, and the precision guard."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from constructions import (
    FORMATS,
    ConditionalGeneration,
    Construction,
    Hardmax,
    InvalidArgument,
    LongerInputs,
    LongerResponses,
    UnconditionalGeneration,
)
from verify.running import torch_module
from verify.running.model import forward
from verify.running.respond import respond
from verify.running.torch_module import TorchTransformer, matmul_precision, to_torch
from verify.running.trace import Trace

CONSTRUCTIONS: list[Construction] = [
    UnconditionalGeneration(5, 4),
    ConditionalGeneration(5),
    LongerResponses(5, 3),
    LongerInputs(2, 3),
]
EACH = pytest.mark.parametrize("construction", CONSTRUCTIONS, ids=repr)


def _batch(construction: Construction, count: int = 8) -> tuple[Any, Any]:
    return construction.targets.sample(count, seed=1), construction.user_inputs.sample(count, seed=2)


@EACH
def test_buffers_are_the_named_weights(construction: Construction) -> None:
    module = to_torch(construction, "float64")
    matrices = construction.transformer.lowered.matrices()
    buffers = dict(module.named_buffers())
    assert list(buffers) == [name.replace(".", "__") for name in matrices]
    assert list(module.parameters()) == []
    for name, matrix in matrices.items():
        assert buffers[name.replace(".", "__")].tolist() == matrix.to_numpy(FORMATS["float64"]).tolist()


@EACH
def test_it_answers_a_batch(construction: Construction) -> None:
    module = to_torch(construction)
    targets, inputs = _batch(construction)
    prompts = module.prompt(targets)
    assert prompts.dtype == torch.float32
    assert prompts.shape == (8, construction.layout.virtual, construction.transformer.lowered.embedding_size)
    made = module.generate(prompts, inputs)
    assert made.dtype == torch.int64
    assert np.array_equal(made.numpy(), construction.response(targets, inputs))
    assert torch.equal(module.generate(prompts, torch.from_numpy(inputs)), made)
    if not construction.layout.user:
        assert torch.equal(module.generate(prompts), made)


@EACH
def test_one_pass_is_generation_step_by_step(construction: Construction) -> None:
    module = to_torch(type(construction)(*_sizes(construction), temperature=Hardmax()), "float64")
    targets, inputs = _batch(construction)
    prompts = module.prompt(targets)
    made = module.generation(prompts, inputs)
    fed = np.concatenate([inputs, made.tokens[:, :-1]], axis=1)
    logits = module(prompts, torch.from_numpy(fed))
    layout = construction.layout
    assert logits.shape == (8, layout.context_size, construction.vocab_size)
    first = layout.virtual + layout.user - 1
    assert np.array_equal(logits[:, first:].argmax(-1).numpy(), made.tokens)
    assert np.array_equal(made.tokens, construction.response(targets, inputs))


def _sizes(construction: Construction) -> list[int]:
    names = ("context_size", "response_size", "input_size")
    return [construction.vocab_size, *(getattr(construction, name) for name in names if hasattr(construction, name))]


def test_the_weights_travel_in_a_state_dict() -> None:
    source, target = to_torch(UnconditionalGeneration(5, 4)), to_torch(UnconditionalGeneration(5, 4))
    prompts = source.prompt([[4, 0, 3, 1]])
    for buffer in target.buffers():
        buffer.zero_()
    assert target.generate(prompts).tolist() == [[0, 0, 0, 0]]
    target.load_state_dict(source.state_dict())
    assert target.generate(prompts).tolist() == [[4, 0, 3, 1]]
    with pytest.raises(RuntimeError):  # torch refuses weights of other sizes
        target.load_state_dict(to_torch(UnconditionalGeneration(6, 4)).state_dict())


def test_a_changed_weight_is_what_runs() -> None:
    module = to_torch(UnconditionalGeneration(5, 4))
    prompts = module.prompt([[4, 0, 3, 1]])
    module.get_buffer("readout__bias")[2] += 10  # now token 2 always wins
    assert module.generate(prompts).tolist() == [[2, 2, 2, 2]]
    module.readout__bias = to_torch(UnconditionalGeneration(5, 4)).get_buffer("readout__bias")
    assert module.generate(prompts).tolist() == [[4, 0, 3, 1]]


@pytest.mark.share(2)
@EACH
def test_every_weight_is_used(construction: Construction) -> None:
    """A NaN in any weight reaches the logits (through a key, a value or a bias): none is only for show."""
    targets, inputs = _batch(construction, 1)
    for name in dict(to_torch(construction).named_buffers()):
        module = to_torch(construction)
        if not module.get_buffer(name).numel():
            continue
        module.get_buffer(name).fill_(torch.nan)
        tokens = torch.from_numpy(inputs)
        if not construction.layout.user:  # Theorem 1 embeds only what it generates
            tokens = torch.from_numpy(targets[:, :-1])
        assert module(module_prompt(construction, targets), tokens)[:, -1].isnan().any(), name


def module_prompt(construction: Construction, targets: Any) -> torch.Tensor:
    return to_torch(construction).prompt(targets)


@pytest.mark.parametrize("dtype", FORMATS)
def test_moving_to_another_dtype(dtype: str) -> None:
    construction = LongerResponses(4, 2)
    module = to_torch(construction, "float32").to(getattr(torch, dtype))
    targets, inputs = _batch(construction)
    prompts = module.prompt(targets)
    assert prompts.dtype == getattr(torch, dtype)
    assert module(prompts, torch.from_numpy(inputs)).dtype == getattr(torch, dtype)
    assert np.array_equal(module.generate(prompts, inputs).numpy(), construction.response(targets, inputs))


def test_the_prompt_is_rounded_to_the_dtype_that_the_weights_have_now() -> None:
    module = to_torch(UnconditionalGeneration(3, 2), "float32").to(torch.float64)
    assert module.prompt([[1, 2]]).tolist() == [[[1 / 3, 2 / 3]]]


def test_a_trace_comes_along() -> None:
    module, trace = to_torch(UnconditionalGeneration(3, 2)), Trace()
    module(module.prompt([[1, 2], [0, 0]]), torch.zeros((2, 1), dtype=torch.int64), trace)
    assert trace.steps["input"].shape == (2, 2, 4)
    last = Trace()
    module.generate(module.prompt([[1, 2]]), steps=1, trace=last)
    assert last.steps["readout"].shape == (1, 1, 3)


@pytest.fixture
def lowered_precision() -> Iterator[None]:
    """Another library has lowered torch's global setting."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    yield
    torch.set_float32_matmul_precision(before)


@pytest.mark.usefixtures("lowered_precision")
@pytest.mark.parametrize("precision", ["highest", "high", "medium"])
def test_the_precision_during_a_call(monkeypatch: pytest.MonkeyPatch, precision: Any) -> None:
    seen: list[str] = []

    def spy(function: Any) -> Any:
        def spied(*arguments: Any, **options: Any) -> Any:
            seen.append(torch.get_float32_matmul_precision())
            return function(*arguments, **options)

        return spied

    module = to_torch(UnconditionalGeneration(3, 2), precision=precision)
    monkeypatch.setattr(torch_module, "forward", spy(forward))
    monkeypatch.setattr(torch_module, "respond", spy(respond))
    prompts = module.prompt([[1, 2]])
    module(prompts, torch.zeros((1, 0), dtype=torch.int64))
    module.generate(prompts)
    assert seen == [precision, precision]
    assert torch.get_float32_matmul_precision() == "medium"


@pytest.mark.usefixtures("lowered_precision")
def test_the_precision_is_restored_after_an_error() -> None:
    module = to_torch(UnconditionalGeneration(3, 2))
    with pytest.raises(InvalidArgument):
        module.generate(module.prompt([[1, 2]]), steps=3)
    assert torch.get_float32_matmul_precision() == "medium"

    def fail() -> None:
        assert torch.get_float32_matmul_precision() == "highest"
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), matmul_precision("highest"):
        fail()
    assert torch.get_float32_matmul_precision() == "medium"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda module: module.generate(module.prompt([[0, 1, 2]])),
            "user_inputs: expected integers from 0 to 2 of shape (1) but got",
        ),
        (
            lambda module: module.generate(module.prompt([[0, 1, 2]]), [[3]]),
            "user_inputs: expected integers from 0 to 2 of shape (1) but got [[3]] (type list)",
        ),
        (
            lambda module: module.generate(module.prompt([[0, 1, 2]]), [[0], [1]]),
            "user_inputs: expected a batch of 1 but got one of shape (2,)",
        ),
        (
            lambda module: module(module.prompt([[0, 1, 2]]), torch.tensor([[3]])),
            "tokens: expected integers from 0 to 2 of shape (1) but got",
        ),
        (
            lambda module: module(module.prompt([[0, 1, 2]]), torch.tensor([[-1]])),
            "tokens: expected integers from 0 to 2 of shape (1) but got",
        ),
        (
            lambda module: module(module.prompt([[0, 1, 2]]), torch.tensor([[0, 0]])),
            "sequence: expected at most 2 positions, the context size, but got 3",
        ),
        (
            lambda module: module.prompt([[0, 1]]),
            "target: expected integers from 0 to 2 of shape (3) but got [[0, 1]] (type list)",
        ),
        (
            lambda module: TorchTransformer(module.construction, dtype="int8"),
            "dtype: expected one of float64, float32, bfloat16, float16 but got 'int8' (type str)",
        ),
        (
            lambda module: TorchTransformer(module.construction, precision="low"),  # type: ignore[arg-type] # that is the point
            "precision: expected one of highest, high, medium but got 'low' (type str)",
        ),
        (
            lambda _: to_torch(LongerInputs(8, 2), "float32"),
            "dtype: expected a format that carries 8^8 packed values to within 1/4 (lift 'add') but got 'float32'",
        ),
    ],
)
def test_what_is_refused(call: Any, message: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        call(to_torch(ConditionalGeneration(3)))
    assert str(caught.value).startswith(message)


def test_batch_axes_of_targets_become_one() -> None:
    module = to_torch(UnconditionalGeneration(3, 2))
    assert module.prompt([[[0, 1], [1, 2]], [[2, 2], [0, 0]]]).shape == (4, 1, 2)
    assert module.prompt([0, 1]).shape == (1, 1, 2)


def test_a_batch_of_nothing() -> None:
    module = to_torch(UnconditionalGeneration(3, 2))
    assert module.generate(module.prompt(np.zeros((0, 2), dtype=np.int64))).shape == (0, 2)


@pytest.mark.gpu
@EACH
def test_on_cuda_the_module_moves(construction: Construction) -> None:
    module = to_torch(construction).to("cuda")
    targets, inputs = _batch(construction)
    prompts = module.prompt(targets)
    assert prompts.device.type == "cuda"
    assert np.array_equal(module.generate(prompts, inputs).cpu().numpy(), construction.response(targets, inputs))
