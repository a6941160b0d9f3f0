"""The construction as a torch module: exported for any batch and length, copied, pickled, compiled, differentiated."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.export import Dim, export

from constructions import (
    ConditionalGeneration,
    Construction,
    Hardmax,
    InvalidArgument,
    LongerInputs,
    LongerResponses,
    Ratios,
    Softmax,
    Transformer,
    UnconditionalGeneration,
    Window,
)
from constructions.layers import Mask
from tests.forward.test_torch_layers import Tree
from tests.forward.trees import MODELS, attending, normed
from verify.arithmetic import RationalArithmetic
from verify.arithmetic.sdpa import SdpaArithmetic
from verify.arithmetic.tensors import TorchArithmetic
from verify.running.model import bind_construction, forward
from verify.running.torch_module import TorchTransformer, to_torch

CONSTRUCTIONS: list[Construction] = [
    UnconditionalGeneration(4, 3),
    ConditionalGeneration(4),
    LongerResponses(4, 2),
    LongerInputs(2, 2),
]
EACH = pytest.mark.parametrize("construction", CONSTRUCTIONS, ids=repr)
FEW = ("alibi after scaling", "layer norm of anything")


def _exported(module: TorchTransformer) -> Any:
    """Export for every batch and length; sizes of 0 and 1 in the example would be taken for constants."""
    construction = module.construction
    prompts = module.prompt(construction.targets.sample(3, seed=0))
    room = construction.transformer.lowered.context_size - prompts.shape[1]
    batch, length = Dim("batch"), Dim("length", min=0, max=max(2, room))
    example = (prompts, torch.zeros((3, 2), dtype=torch.int64))
    return export(module, example, dynamic_shapes=({0: batch}, {0: batch, 1: length}), strict=False).module()


def _each_length(module: TorchTransformer) -> Any:
    construction = module.construction
    room = construction.transformer.lowered.context_size - construction.layout.virtual
    draw = np.random.default_rng(3)
    for batch in (1, 4):
        prompts = module.prompt(construction.targets.sample(batch, seed=batch))
        for length in range(room + 1):
            yield prompts, torch.from_numpy(draw.integers(0, construction.vocab_size, (batch, length)))


def _check_program(construction: Construction, dtype: str) -> None:
    module = to_torch(construction, dtype)
    program = _exported(module)
    for prompts, tokens in _each_length(module):
        made, again = module(prompts, tokens), program(prompts, tokens)
        assert made.dtype == again.dtype
        assert made.shape == again.shape
        # the same operations of torch on the same numbers, so that not even a kernel differs
        assert torch.equal(made, again)


@pytest.mark.parametrize(
    "construction",
    [pytest.param(made, marks=pytest.mark.heavy if place < 3 else ()) for place, made in enumerate(CONSTRUCTIONS)],
    ids=repr,
)
def test_an_exported_program_takes_any_batch_and_length(construction: Construction) -> None:
    _check_program(construction, "float32")


@pytest.mark.parametrize("name", FEW)
def test_an_exported_program_of_any_layers(name: str) -> None:
    _check_program(Tree(model=name, temperature=Softmax(1.5, "length")), "float64")


def _each_with_one(names: Iterable[str], temperatures: Sequence[Any]) -> list[Any]:
    """Return every model at every temperature, one of which is heavy for each model, in turn."""
    found = []
    for place, name in enumerate(names):
        # the bias of that model is added to exponents, which hardmax does not have
        mine = [each for each in temperatures if name != "alibi after scaling" or not isinstance(each, Hardmax)]
        for number, temperature in enumerate(mine):
            mark = pytest.mark.heavy if number == place % len(mine) else pytest.mark.long
            found.append(pytest.param(name, temperature, marks=mark, id=f"{name}-{temperature!r}"))
    return found


@pytest.mark.parametrize(
    ("name", "temperature"), _each_with_one(MODELS, [Softmax(1.5), Softmax(1.5, "length"), Hardmax()])
)
def test_an_exported_program_of_every_layer(name: str, temperature: Any) -> None:
    _check_program(Tree(model=name, temperature=temperature), "float64")


def test_an_exported_program_holds_the_weights_by_name() -> None:
    module = to_torch(UnconditionalGeneration(4, 3))
    program = _exported(module)
    state = program.state_dict()
    assert list(module.state_dict()) == list(state)
    assert all(torch.equal(state[name], weight) for name, weight in module.state_dict().items())


def test_an_exported_program_refuses_what_the_context_does_not_hold() -> None:
    module = to_torch(ConditionalGeneration(3))
    prompts = module.prompt([[0, 1, 2]])
    with pytest.raises(IndexError):
        _exported(module)(prompts, torch.zeros((1, 2), dtype=torch.int64))


@dataclass(frozen=True)
class Shrinking(Mask):
    """A mask of its own whose first position sees less the longer the sequence is."""

    name = "shrinking"
    causal = False

    def visible(self, start: int, count: int) -> Any:
        seen = np.ones((count, start + count), dtype=np.bool_)
        seen[0, 1:] = start + count < 3
        return seen


@dataclass(frozen=True)
class Behind(Mask):
    """A mask of its own, a window of ``size`` positions, which may claim to be causal where it is not."""

    size: int
    ahead: bool = False
    name = "behind"
    causal = True

    def visible(self, start: int, count: int) -> Any:
        keys = start + count
        behind = np.arange(start, keys)[:, None] - np.arange(keys)[None, :]
        return np.asarray((behind < self.size) & (self.ahead | (behind >= 0)))


def test_a_mask_that_claims_to_be_causal_is_refused_by_a_traced_module(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MODELS, "looks ahead", attending(Behind(2, ahead=True)))
    module = to_torch(Tree(model="looks ahead", temperature=Softmax(1.5)), "float64")
    with pytest.raises(InvalidArgument, match=r"^mask behind: expected a causal mask to show position 0"):
        _exported(module)


def test_a_mask_that_changes_with_the_length_is_refused() -> None:
    assert Shrinking().whole(2).tolist() == [[True, True], [True, True]]
    with pytest.raises(InvalidArgument, match=r"^mask shrinking: expected one .* at length 2$"):
        Shrinking().whole(3)


@EACH
def test_a_copy_is_a_module_of_its_own(construction: Construction) -> None:
    module = to_torch(construction)
    targets, inputs = construction.targets.sample(4, seed=1), construction.user_inputs.sample(4, seed=2)
    promised = construction.response(targets, inputs)
    for other in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert np.array_equal(other.generate(other.prompt(targets), inputs).numpy(), promised)
        for weight in other.buffers():
            weight.zero_()
        assert not torch.any(torch.cat([weight.reshape(-1) for weight in other.buffers()]))
    assert np.array_equal(module.generate(module.prompt(targets), inputs).numpy(), promised)


_COMPILED = """
import torch
from constructions import *
from tests.forward.test_torch_layers import Tree
from verify import to_torch

for construction in ({constructions}):
    module = to_torch(construction, "float64")
    compiled = torch.compile(module, backend="eager", fullgraph=True)
    prompts = module.prompt(construction.targets.sample(3, seed=1))
    tokens = torch.zeros((3, construction.layout.user), dtype=torch.int64)
    assert torch.equal(compiled(prompts, tokens), module(prompts, tokens)), construction
    torch.compiler.reset()
"""


@pytest.mark.heavy
@pytest.mark.parametrize(
    "constructions",
    [
        "UnconditionalGeneration(4, 4), ConditionalGeneration(4), LongerInputs(2, 3)",
        "*(Tree(model=name, temperature=Softmax(1.5)) for name in ('swiglu', 'table', 'biases', 'rotary')),",
    ],
)
def test_a_compiled_module_is_one_graph(constructions: str) -> None:
    """In a process of its own: a compiler cannot read the checks of shapes that the tests add to every function."""
    script = [sys.executable, "-W", "error", "-c", _COMPILED.format(constructions=constructions)]
    subprocess.run(script, check=True, cwd=Path(__file__).parents[2])


_CONSTANTS = """
import copy
import torch
from constructions import Softmax, Window
from tests.forward.test_torch_layers import Tree
from tests.forward.test_torch_programs import Behind
from tests.forward.trees import MODELS, attending, normed
from verify import to_torch

def window(size): return attending(Window(size))
def behind(size): return attending(Behind(size))

for made in (window, behind, normed):
    found = []
    for size in (1, 3):
        MODELS["this"] = made(size)
        module = to_torch(Tree(model="this", temperature=Softmax(1.5)), "float64")
        prompts, tokens = module.prompt(module.construction.targets.sample(2, seed=1)), torch.tensor([[0, 1, 2]] * 2)
        found.append(module(prompts, tokens))
        module.compile(backend="eager", fullgraph=True, dynamic=True)
        if not torch.equal(module(prompts, tokens), found[-1]):
            raise SystemExit(f"{made.__name__} {size}: not its own program")
    if torch.equal(*found):
        raise SystemExit(f"{made.__name__}: the same numbers")

copied = copy.deepcopy(module)
copied.source = normed(1)
if not torch.equal(copied(prompts, tokens), copied.forward(prompts, tokens)):
    raise SystemExit("a copy ran the program of what it was")
"""


@pytest.mark.heavy
def test_compiled_modules_that_differ_in_a_constant_alone_have_one_each() -> None:
    """A tracer holds the mask or ``eps`` of the first, and has the same code for the second: it must see the change.

    Their constructions are equal, as a user's may be that asks a table: nothing but the modules tells them apart.
    """
    subprocess.run([sys.executable, "-W", "error", "-c", _CONSTANTS], check=True, cwd=Path(__file__).parents[2])


_EQUAL = """
import torch
from torch._dynamo import config
from constructions import UnconditionalGeneration
from verify import to_torch

for _ in range(config.recompile_limit + 1):
    module = to_torch(UnconditionalGeneration(4, 3))
    prompts, tokens = module.prompt([[3, 1, 2]]), torch.zeros((1, 0), dtype=torch.int64)
    module.compile(backend="eager", fullgraph=True)
    module(prompts, tokens)
"""


@pytest.mark.heavy
def test_equal_modules_share_a_program() -> None:
    """One more than the programs that torch keeps for one function ended in its error."""
    subprocess.run([sys.executable, "-W", "error", "-c", _EQUAL], check=True, cwd=Path(__file__).parents[2])


def _fixed(model: Transformer, **options: Any) -> TorchTransformer:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(MODELS, "this", model)
        return to_torch(Tree(model="this", **{"temperature": Softmax(1.5), **options}), "float64")


def test_modules_are_called_by_all_that_a_program_holds() -> None:
    """Were the names of two of these equal, one of them would run the program of the other."""
    made = [
        _fixed(attending(Window(1))),
        _fixed(attending(Window(2))),
        _fixed(attending(Window(1)), temperature=Softmax(2.5)),
        _fixed(normed(1)),
        _fixed(normed(3)),
        _fixed(normed(1), mask="none"),
        _fixed(attending(Behind(1))),
        _fixed(attending(Behind(1))),  # as other authors may write a class of this name that does something else
    ]
    assert len({module.made for module in made}) == len(made)
    for again in (_fixed(attending(Window(1))), copy.deepcopy(made[0]), pickle.loads(pickle.dumps(made[0]))):
        assert again.made == made[0].made


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("source", normed(3)),
        ("temperature", Softmax(2.5)),
        ("arithmetic", SdpaArithmetic("float64", "math")),
        ("arithmetic", type("Own", (TorchArithmetic,), {})("float64")),  # it may compute something else
        ("construction", Tree(model="swiglu", temperature=Softmax(1.5), mask="none")),
    ],
)
def test_what_is_assigned_to_a_module_gives_it_another_name(name: str, value: Any) -> None:
    module = _fixed(normed(1))
    before = module.made
    setattr(module, name, value)
    assert module.made != before


def _exact_slope(construction: Construction, target: Any, tokens: Any, token: int) -> list[Fraction]:
    """Return how the last position's logit of a token changes with each number of the first virtual token.

    At hardmax, with scores that read no virtual token, logits are piecewise linear in it: between two kinks a
    difference quotient is the derivative, without an error.
    """
    arithmetic, step = RationalArithmetic(), Fraction(1, 1024)
    model, ratios = bind_construction(construction, arithmetic), construction.virtual_tokens(target)
    numbers = np.array(ratios.to_fractions(), dtype=object)

    def logit(changed: Any) -> Fraction:
        denominator = 1024 * ratios.denominator
        rows = arithmetic.prompt(Ratios(np.vectorize(int, otypes=[object])(changed * denominator), denominator))
        count = len(numbers) + len(tokens)
        rows = arithmetic.below(rows, arithmetic.embed(model.embedding, tokens)) if len(tokens) else rows
        found: Fraction = arithmetic.numbers(forward(model, rows, count))[-1][token]
        return found

    slopes = []
    for column in range(numbers.shape[1]):
        up, down = numbers.copy(), numbers.copy()
        up[0, column] += step
        down[0, column] -= step
        slopes.append((logit(up) - logit(down)) / (2 * step))
    return slopes


@pytest.mark.parametrize(
    ("construction", "target", "tokens"),
    [
        (UnconditionalGeneration(4, 3, temperature=Hardmax()), [3, 1, 2], [3, 1]),
        (ConditionalGeneration(4, temperature=Hardmax()), [3, 1, 2, 2], [2]),
        (LongerResponses(4, 2, temperature=Hardmax()), [[3, 1, 2, 2], [1, 1, 3, 2]], [1]),
    ],
    ids=repr,
)
def test_gradients_reach_the_virtual_token(construction: Construction, target: Any, tokens: Any) -> None:
    """V is a power of two, so that every number here, and every gradient, is a float64 and nothing rounds."""
    module = to_torch(construction, "float64")
    prompts = module.prompt([target]).requires_grad_()
    seen = np.array(tokens, dtype=np.int64)
    slopes = []
    for token in range(construction.vocab_size):
        logits = module(prompts, torch.from_numpy(seen[None]))[0, -1]
        (found,) = torch.autograd.grad(logits[token], prompts)
        exact = _exact_slope(construction, target, seen, token)
        assert [Fraction(value) for value in found[0, 0].tolist()] == exact
        slopes += exact
    assert any(slopes)
    assert all(not weight.requires_grad for weight in module.buffers())


def test_generation_keeps_no_gradient() -> None:
    module = to_torch(UnconditionalGeneration(3, 2))
    prompts = module.prompt([[1, 2]]).requires_grad_()
    assert not module.generation(prompts).logits[-1].requires_grad
    assert module(prompts, torch.zeros((1, 0), dtype=torch.int64)).requires_grad
    assert not module(prompts.detach(), torch.zeros((1, 0), dtype=torch.int64)).requires_grad
