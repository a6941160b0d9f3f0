"""A user's own kernel, module or function, held against a specification."""

from __future__ import annotations

import doctest
import json
from functools import partial
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
import torch

import verify
import verify.backends.callables
import verify.backends.modules
from constructions import (
    Argmin,
    ConditionalGeneration,
    Domain,
    Hardmax,
    InvalidArgument,
    LongerInputs,
    LongerResponses,
    Number,
    UnconditionalGeneration,
    specify,
)
from tests.evidence.hand_built import InductionHead
from verify import CallableBackend, ModuleBackend, TransformerBackend, exhaust, fuzz, get_arithmetic
from verify.arithmetic.sdpa import SdpaArithmetic
from verify.backends import as_backend
from verify.evidence.finder import find_counterexample
from verify.report.tables import explanation

FLOAT32 = get_arithmetic("torch", dtype="float32")


def test_the_examples_run() -> None:
    for module in (verify.backends.callables, verify.backends.modules):
        assert doctest.testmod(module).failed == 0


# your own kernel in five lines ---------------------------------------------------------------------------------------


def test_a_kernel_in_five_lines() -> None:
    """Theorem 1 by a kernel of one's own: at each step the paper's readout of the next number of the virtual token."""

    def kernel(virtual: Any, tokens: Any) -> Any:
        x, v = virtual[:, 0, tokens.shape[1]], np.arange(4) / 4
        return np.outer(x, 2 * v - 1) + 1 / 4 - v**2

    verdict = exhaust(UnconditionalGeneration(4, 4), CallableBackend(kernel))
    assert (verdict.holds, verdict.cases, verdict.space) == (True, 256, 256)
    assert verdict.margin == 1 / 16
    assert verdict.arithmetic.startswith("callable ")
    assert verdict.assumptions is not None
    assert verdict.assumptions.startswith("a callable: what it computes is not inspected")
    assert any(verdict.assumptions in line for line in explanation(verdict))


def _weights(construction: Any) -> dict[str, torch.Tensor]:
    fmt = get_arithmetic("torch", dtype="float64").fmt
    assert fmt is not None
    exact = construction.transformer.lowered.matrices()
    return {name: torch.from_numpy(np.array(matrix.to_numpy(fmt))) for name, matrix in exact.items()}


def plain_torch(construction: Any, *, wrong: bool = False) -> Any:
    """Return Theorem 1's transformer in plain torch, at hardmax: what a test engineer has."""
    w, size = _weights(construction), construction.transformer.lowered.context_size

    def kernel(virtual: Any, tokens: Any) -> Any:
        embedded = torch.cat([torch.from_numpy(virtual), w["embedding"].T[torch.from_numpy(tokens)]], dim=1)
        count = embedded.shape[1]
        rows = torch.cat([embedded, torch.eye(size, dtype=torch.float64)[:count].expand(len(embedded), -1, -1)], dim=-1)
        total = torch.zeros(())
        for head in ("self", "first"):
            q, k, v = (rows @ w[f"attention.{head}.{part}"].T for part in ("query", "key", "value"))
            scores = (q @ k.mT).masked_fill(torch.ones(count, count).triu(1).bool(), -torch.inf)
            total = total + (scores == scores.amax(-1, keepdim=True)).double() @ v
        for layer in ("select", "sum"):
            total = torch.relu(total @ w[f"{layer}.weight"].T + w[f"{layer}.bias"].T)
        return total @ w["readout.weight"].T + (0 if wrong else w["readout.bias"].T)

    return kernel


def test_plain_torch_from_the_weights_is_right_and_a_forgotten_bias_is_caught() -> None:
    construction = UnconditionalGeneration(3, 3, temperature=Hardmax())
    assert exhaust(construction, CallableBackend(plain_torch(construction))).holds is True
    wrong = exhaust(construction, CallableBackend(plain_torch(construction, wrong=True)))
    assert wrong.holds is False
    assert wrong.counterexample is not None
    assert wrong.counterexample.margin == 0  # at token 0 all logits tie without the bias


# any callable --------------------------------------------------------------------------------------------------------


def own_map(virtual: Any, tokens: Any) -> Any:
    """Answer Theorem 2 by looking the token up in the virtual token."""
    return np.rint(np.take_along_axis(virtual[:, 0], tokens, axis=1) * virtual.shape[2]).astype(np.int64)


def own_wrong_map(virtual: Any, tokens: Any) -> Any:
    """Answer token 1 as if it were token 0."""
    return own_map(virtual, tokens * (tokens != 1))


def test_tokens_alone_are_compared_and_have_no_margin() -> None:
    verdict = exhaust(ConditionalGeneration(3), CallableBackend(own_map, gives="tokens"))
    assert (verdict.holds, verdict.cases, verdict.margin) == (True, 81, None)
    assert verdict.assumptions is not None
    assert "tokens alone, so that margins are not known" in verdict.assumptions
    assert verify.Verdict.from_json(json.loads(json.dumps(verdict.to_json()))) == verdict
    wrong = exhaust(ConditionalGeneration(3), CallableBackend(own_wrong_map, gives="tokens"))
    case = wrong.counterexample
    assert wrong.holds is False
    assert case is not None
    assert (case.target, case.user_input, case.expected, case.produced, case.margin) == ([0, 1, 0], [1], 1, 0, None)
    assert "margin" not in case.sentence()
    assert verify.Verdict.from_json(json.loads(json.dumps(wrong.to_json()))) == wrong


def test_a_function_that_can_be_imported_has_a_command_that_shows_the_case() -> None:
    wrong = exhaust(ConditionalGeneration(3), CallableBackend(own_wrong_map, gives="tokens"))
    assert wrong.counterexample is not None
    names = {"verify": verify, "ConditionalGeneration": ConditionalGeneration}
    assert eval(wrong.counterexample.reproduce, names).counterexample == wrong.counterexample
    assert wrong.assumptions is not None
    assert "no expression" not in wrong.assumptions
    local = exhaust(ConditionalGeneration(3), CallableBackend(partial(own_wrong_map), gives="tokens"))
    assert local.counterexample is not None
    assert local.counterexample.reproduce.endswith("backend=backend)")
    assert local.assumptions is not None
    assert "no expression makes it again, so that commands call it `backend`" in local.assumptions


@pytest.mark.parametrize("where", ["nowhere:f", "math:nothing", "math", "math:pi"])
def test_what_cannot_be_imported_or_called_is_refused(where: str) -> None:
    with pytest.raises(InvalidArgument, match="call: expected"):
        CallableBackend(where)


def _logits(virtual: Any, tokens: Any) -> Any:
    """Give Theorem 2's tokens as logits at the last position."""
    size = virtual.shape[2]
    return np.eye(size)[own_map(virtual, tokens)[:, 0]]


EVIDENCE = {
    "exhaust": lambda runs: exhaust(ConditionalGeneration(3), runs),
    "fuzz": lambda runs: fuzz(st.just(ConditionalGeneration(3)), runs, examples=40, claim="x"),
    "sweep": lambda runs: verify.sweep(ConditionalGeneration, runs, max_vocab_size=4, claim="x"),
    "find": lambda runs: find_counterexample(ConditionalGeneration, {"vocab_size": range(1, 4)}, runs, claim="x"),
    "check": lambda runs: verify.check(ConditionalGeneration(3), target=[2, 0, 1], user_input=[1], backend=runs),
}


@pytest.mark.share(6)
@pytest.mark.parametrize("kind", EVIDENCE)
@pytest.mark.parametrize("gives", ["logits", "tokens"])
@pytest.mark.parametrize("batched", [True, False])
def test_every_kind_of_evidence_takes_a_callable(kind: str, gives: Any, batched: Any) -> None:
    right = CallableBackend(_logits if gives == "logits" else own_map, gives=gives, batched=batched, device="my card")
    verdict = EVIDENCE[kind](right)
    assert verdict.holds is True
    assert verdict.device == "my card"
    assert verdict.assumptions is not None

    def wrong(virtual: Any, tokens: Any) -> Any:
        made = right.call(virtual, tokens)
        return made[:, ::-1] if gives == "logits" else (made + 1) % virtual.shape[2]

    assert EVIDENCE[kind](CallableBackend(wrong, gives=gives, batched=batched)).holds is False


@pytest.mark.parametrize(
    "construction", [UnconditionalGeneration(3, 3), ConditionalGeneration(3), LongerResponses(2, 2), LongerInputs(2, 2)]
)
def test_a_torch_transformer_is_a_module_like_any_other(construction: Any) -> None:
    module = verify.to_torch(construction, "float64").eval()
    verdict, own = exhaust(construction, ModuleBackend(module)), exhaust(construction, get_arithmetic("torch"))
    assert verdict.holds is own.holds is True
    assert (verdict.cases, verdict.margin) == (own.cases, own.margin)
    assert verdict.arithmetic == "module TorchTransformer float64"
    bias = [held for name, held in module.named_buffers() if name.endswith("__bias")][-1]
    bias.copy_(bias.flip(0))
    assert exhaust(construction, ModuleBackend(module)).holds is False


def _identity() -> torch.nn.Module:
    return torch.nn.Embedding(3, 3, _weight=torch.eye(3))


def test_a_module_is_asked_as_it_is_in_evaluation() -> None:
    module = torch.nn.Sequential(_identity(), torch.nn.Dropout(0.5))
    with pytest.raises(InvalidArgument, match=r"evaluation mode but got one in training; call module.eval\(\)"):
        ModuleBackend(module)
    promise = specify(Domain.of(3, 2), lambda x: x[:, -1:])
    assert exhaust(promise, ModuleBackend(module.eval())).holds is True
    with pytest.raises(InvalidArgument, match=r"module: expected a torch.nn.Module"):
        ModuleBackend(lambda x: x)  # type: ignore[arg-type] # what is refused


@pytest.mark.parametrize(("change", "told"), [("double", "is now module Embedding float64"), ("train", "in training")])
def test_a_module_is_the_one_that_its_name_says(change: str, told: str) -> None:
    promise = specify(Domain.of(3, 2), lambda x: x[:, -1:])
    module = _identity().eval()
    backend = ModuleBackend(module)
    getattr(module, change)()
    with pytest.raises(InvalidArgument, match=told):
        exhaust(promise, backend)


@pytest.mark.parametrize("when", ["before the run", "during it"])
def test_products_at_another_precision_than_the_name_says_show_nothing(when: str) -> None:
    class Switching(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = _identity()

        def forward(self, tokens: Any) -> Any:
            torch.set_float32_matmul_precision("high")
            return self.inner(tokens)

    promise = specify(Domain.of(3, 2), lambda x: x[:, -1:])
    backend, held = ModuleBackend(Switching().eval()), torch.get_float32_matmul_precision()
    try:
        if when == "before the run":
            torch.set_float32_matmul_precision("high")
            with pytest.raises(InvalidArgument, match="at precision high"):
                exhaust(promise, backend)
            return
        verdict = exhaust(promise, backend)
        assert verdict.holds is None
        assert verdict.reason is not None
        assert "at precision high" in verdict.reason
    finally:
        torch.set_float32_matmul_precision(held)


def test_a_module_that_changes_itself_is_noticed() -> None:
    class Counting(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("calls", torch.zeros(1))

        def forward(self, tokens: Any) -> Any:
            self.get_buffer("calls").add_(1)
            return torch.eye(3)[tokens]

    verdict = exhaust(specify(Domain.of(3, 2), lambda x: x[:, -1:]), ModuleBackend(Counting().eval()))
    assert verdict.holds is None
    assert verdict.reason is not None
    assert "parameters or buffers are not what they were" in verdict.reason


def test_a_specification_alone_has_no_weights_to_run() -> None:
    promise = specify(Domain.of(3, 2), lambda x: x[:, -1:])
    with pytest.raises(InvalidArgument, match="backend: expected one that generates for GivenSpecification"):
        exhaust(promise, FLOAT32)
    others: tuple[Any, ...] = (None, 3, lambda v, t: t, "rational")
    for runs in others:
        with pytest.raises(InvalidArgument, match="backend: expected an arithmetic, or a backend such as"):
            exhaust(promise, runs)
    with pytest.raises(InvalidArgument, match="either an arithmetic or a backend"):
        verify.check(promise, target=[], user_input=[0, 0], arithmetic="rational", backend=CallableBackend(own_map))


def test_an_arithmetic_is_the_transformer_in_it() -> None:
    backend = as_backend(FLOAT32)
    assert isinstance(backend, TransformerBackend)
    assert (backend.name, backend.device, backend.assumptions()) == ("torch float32", "cpu", None)
    one, other = exhaust(InductionHead(), backend), exhaust(InductionHead(), FLOAT32)
    assert (one.holds, one.margin, one.parameters) == (other.holds, other.margin, other.parameters)


# how the answer is read ----------------------------------------------------------------------------------------------


def test_argmin_and_numbers_and_places_are_read_of_a_callable_too() -> None:
    def distances(virtual: Any, tokens: Any) -> Any:
        return (np.arange(4) - tokens[:, -1:]) ** 2.0

    assert exhaust(specify(Domain.of(4, 2), lambda x: x[:, 1:], decoding=Argmin()), CallableBackend(distances)).holds
    assert exhaust(specify(Domain.of(4, 2), lambda x: x[:, 1:]), CallableBackend(distances)).holds is False

    def mean(virtual: Any, tokens: Any) -> Any:
        return tokens.mean(axis=1, keepdims=True)

    promise = specify(
        Domain.of(4, 2), lambda x: x.sum(1, keepdims=True) // 2, output_vocab_size=1, decoding=Number("1/2")
    )
    half = exhaust(promise, CallableBackend(mean))
    assert half.holds is False
    assert half.counterexample is not None
    assert (half.counterexample.user_input, half.counterexample.margin) == ([0, 1], 0.0)

    def everywhere(virtual: Any, tokens: Any) -> Any:
        return np.eye(4)[tokens]

    places = specify(Domain.of(4, 3), lambda x: x[:, [2, 0]], read=(2, 0))
    assert exhaust(places, CallableBackend(everywhere)).holds is True
    assert (
        exhaust(specify(Domain.of(4, 3), lambda x: x[:, [0, 2]], read=(2, 0)), CallableBackend(everywhere)).holds
        is False
    )


# checkpoints ---------------------------------------------------------------------------------------------------------


def test_a_run_of_a_callable_goes_on_and_one_of_another_is_refused(tmp_path: Any) -> None:
    path, construction = tmp_path / "run.json", ConditionalGeneration(3)
    both = CallableBackend(_logits), CallableBackend(own_map, gives="tokens")
    for runs, other in (both, both[::-1]):
        assert exhaust(construction, runs, checkpoint=path, limit=40).holds is None
        with pytest.raises(InvalidArgument, match="checkpoint: expected one of"):
            exhaust(construction, other, checkpoint=path)
        verdict = exhaust(construction, runs, checkpoint=path)
        assert (verdict.holds, verdict.cases) == (True, 81)
        assert verdict.resumed is not None
        assert verdict.resumed["replayed"] == 40


def test_a_checkpoint_of_other_code_of_the_same_name_is_refused(tmp_path: Any) -> None:
    def made(power: int) -> Any:
        def kernel(virtual: Any, tokens: Any) -> Any:
            return _logits(virtual, tokens) ** power

        return kernel

    path, construction = tmp_path / "run.json", ConditionalGeneration(3)
    exhaust(construction, CallableBackend(made(1)), checkpoint=path, limit=40)
    with pytest.raises(InvalidArgument, match="differs in code"):
        exhaust(construction, CallableBackend(made(3)), checkpoint=path)
    assert exhaust(construction, CallableBackend(made(1)), checkpoint=path).holds is True


@pytest.mark.parametrize(
    ("name", "value"),
    [("arithmetic", SdpaArithmetic("float32", "math")), ("forward", lambda virtual, tokens: None)],
)
def test_a_checkpoint_of_a_module_that_computes_otherwise_is_refused(tmp_path: Any, name: str, value: Any) -> None:
    """What a construction's module computes with, or instead, was no part of the run."""
    path, construction = tmp_path / "run.json", UnconditionalGeneration(3, 2)
    module = verify.to_torch(construction).eval()
    exhaust(construction, ModuleBackend(module), checkpoint=path, limit=4)
    setattr(module, name, value)
    with pytest.raises(InvalidArgument, match="differs in code"):
        exhaust(construction, ModuleBackend(module), checkpoint=path)
