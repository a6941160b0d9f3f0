"""The theorems in a residual stream: their sizes, every case at small ones, adversarial targets at the paper's."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
import pytest

from constructions import Added, InvalidArgument, ResidualConditional, ResidualGeneration, Unmarked
from constructions.residual import ARCHITECTURES, ResidualConstruction
from constructions.residual.architectures import ArchitectureName
from constructions.temperature import Hardmax, Softmax
from verify import NumpyArithmetic, exhaust, to_torch
from verify.arithmetic import torch_arithmetic
from verify.arithmetic.structured import StructuredTorchArithmetic

V, N = 94, 20
NAMES: tuple[ArchitectureName, ...] = ("gpt2", "opt", "llama", "gpt-neox")
#: In the default tier the harder one.
DTYPES = ["float32", pytest.param("float64", marks=pytest.mark.heavy)]


def adversarial(size: int, letters: int, count: int) -> np.ndarray[Any, Any]:
    """Return targets of one token, of two in turn, of a single large one, ascending ones, and drawn ones."""
    drawn = np.random.default_rng(1).integers(0, letters, (count, size))
    drawn[0], drawn[1] = 0, letters - 1
    drawn[2:4] = 0
    drawn[2, ::2] = drawn[3, 1::2] = letters - 1
    drawn[4], drawn[5] = np.arange(size) % letters, (letters - 1 - np.arange(size)) % letters
    drawn[6:8] = 0
    drawn[6, 0] = drawn[7, -1] = letters - 1
    return drawn


def _generated(construction: ResidualConstruction, targets: Any, inputs: Any, dtype: str) -> Any:
    module = to_torch(construction, dtype=dtype)
    return module.generate(module.prompt(targets), inputs).numpy()


@pytest.mark.parametrize(
    ("architecture", "widths", "blocks"),
    [
        ("gpt2", (45, 193), (1, 1)),
        ("opt", (45, 193), (1, 1)),
        ("llama", (26, 192), (1, 1)),
        ("gpt-neox", (48, 200), (3, 2)),
    ],
)
def test_the_sizes(architecture: ArchitectureName, widths: tuple[int, int], blocks: tuple[int, int]) -> None:
    made = ResidualGeneration(V, N, architecture=architecture), ResidualConditional(V, architecture=architecture)
    for construction, width, depth in zip(made, widths, blocks, strict=True):
        lowered = construction.transformer.lowered
        assert (lowered.embedding_size, lowered.output_size, lowered.vocab_size) == (width, V, V)
        assert sum(1 for _ in lowered.attentions) == depth
    hidden = [
        next(
            matrix.shape[0] for name, matrix in construction.transformer.lowered.matrices().items() if "select" in name
        )
        for construction in made
    ]
    # a hidden row for each number and the 1; steps have two for each number; as many in every block
    assert hidden == ([2 * N, V + 1] if architecture in ("llama", "gpt-neox") else [N + 1, V + 1])


@pytest.mark.parametrize("name", NAMES)
def test_every_weight_is_rational_and_symbolic(name: ArchitectureName) -> None:
    for construction in (ResidualGeneration(5, 3, architecture=name), ResidualConditional(5, architecture=name)):
        for matrix in construction.transformer.lowered.matrices().values():
            assert all(value for _, _, value in matrix.nonzero())
        letters = {
            str(symbol) for matrix in construction.transformer.matrices().values() for symbol in matrix.free_symbols
        }
        assert "V" in letters
        assert letters <= {str(symbol) for symbol in construction.transformer.bindings}


def test_the_names_are_those_of_the_architectures() -> None:
    assert tuple(ARCHITECTURES) == NAMES == get_args(ArchitectureName)
    with pytest.raises(
        InvalidArgument, match=r"architecture: expected one of gpt2, opt, llama, gpt-neox but got 'bert'"
    ):
        ResidualGeneration(2, 2, architecture="bert")  # type: ignore[arg-type] # what a caller without types may do


def test_what_an_architecture_is() -> None:
    kinds = {
        name: (made.norm.kind.__name__, float(made.norm.eps), made.selector.activation.name)
        for name, made in ARCHITECTURES.items()
    }
    assert kinds == {
        "gpt2": ("LayerNorm", 1e-5, "gelu with tanh"),
        "opt": ("LayerNorm", 1e-5, "relu"),
        "llama": ("RMSNorm", 1e-6, "silu"),
        "gpt-neox": ("LayerNorm", 1e-5, "gelu"),
    }
    for name, architecture in ARCHITECTURES.items():
        positions = ResidualConditional(3, architecture=name).transformer.positions  # type: ignore[arg-type] # a name
        assert type(positions) is (Added if architecture.learned_positions else Unmarked)


@pytest.mark.share(2)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NAMES)
def test_every_case_of_small_sizes(name: ArchitectureName, dtype: str) -> None:
    arithmetic = torch_arithmetic(dtype, "cpu")
    for letters, length in ((1, 1), (1, 3), (5, 1), (2, 2), (3, 3), (2, 5)):
        for start in (False, True):
            assert exhaust(ResidualGeneration(letters, length, start, architecture=name), arithmetic).holds
    for letters in (1, 2, 3, 4):
        assert exhaust(ResidualConditional(letters, architecture=name), arithmetic).holds


@pytest.mark.share(2)
@pytest.mark.parametrize("name", NAMES)
def test_other_arithmetics_run_them_too(name: ArchitectureName) -> None:
    for arithmetic in (NumpyArithmetic(), StructuredTorchArithmetic("float32")):
        assert exhaust(ResidualGeneration(3, 3, architecture=name), arithmetic).holds
        assert exhaust(ResidualConditional(3, architecture=name), arithmetic).holds


@pytest.mark.share(2)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NAMES)
def test_the_sizes_of_the_paper(name: ArchitectureName, dtype: str) -> None:
    for start in (False, True):
        targets = adversarial(N, V, 200)
        inputs = np.arange(200)[:, None] % V if start else None
        construction = ResidualGeneration(V, N, start, architecture=name)
        assert (_generated(construction, targets, inputs, dtype) == targets).all()
    maps = adversarial(V, V, V)
    inputs = np.arange(V)[::-1, None]
    conditional = ResidualConditional(V, architecture=name)
    assert (_generated(conditional, maps, inputs, dtype)[:, 0] == maps[np.arange(V), inputs[:, 0]]).all()
    every = np.repeat(maps[2:4], V, axis=0), np.tile(np.arange(V), 2)[:, None]
    assert (_generated(conditional, *every, dtype) == np.take_along_axis(*every, axis=1)).all()


@pytest.mark.parametrize("name", NAMES)
def test_the_temperature_changes_nothing(name: ArchitectureName) -> None:
    for temperature in (Softmax(100.0), Softmax(1e-3, "length"), Hardmax()):
        made = ResidualGeneration(4, 3, architecture=name, temperature=temperature)
        assert exhaust(made, torch_arithmetic("float32", "cpu")).holds
    assert ResidualGeneration(4, 3, architecture=name).temperature_for(None) == Softmax(1.0)


def test_the_users_token_is_ignored_or_decides() -> None:
    targets = adversarial(3, 5, 10)
    module = to_torch(ResidualGeneration(5, 3, start_token=True))
    assert all(
        (module.generate(module.prompt(targets), np.full((10, 1), token)).numpy() == targets).all()
        for token in range(5)
    )
    assert ResidualConditional(4).response([3, 1, 0, 2], [2]).tolist() == [0]


PADDED: dict[str, dict[str, Any]] = {
    "width": {"width": 48},
    "depth": {"depth": 4},
    "heads": {"width": 48, "heads": 12},
    "hidden": {"hidden_size": 77},
    "alphabet": {"alphabet_size": 3},
    "tied": {"tied": True},
    "all": {"width": 48, "heads": 4, "depth": 3, "hidden_size": 60, "alphabet_size": 3, "tied": True},
}


@pytest.mark.share(2)
@pytest.mark.parametrize(
    "padding", [pytest.param(name, marks=() if name == "all" else pytest.mark.heavy) for name in PADDED]
)
@pytest.mark.parametrize("name", NAMES)
def test_more_room_changes_no_answer(name: ArchitectureName, padding: str) -> None:
    arithmetic, more = torch_arithmetic("float32", "cpu"), PADDED[padding]
    assert exhaust(ResidualConditional(4, architecture=name, **more), arithmetic).holds
    if "tied" in more and not ARCHITECTURES[name].learned_positions:
        with pytest.raises(InvalidArgument, match=rf"tied: expected False for {name}, which counts tokens"):
            ResidualGeneration(4, 3, architecture=name, **more)
        more = {option: value for option, value in more.items() if option != "tied"}
    for start in (False, True):
        assert exhaust(ResidualGeneration(4, 3, start, architecture=name, **more), arithmetic).holds


def test_the_padding_is_where_it_should_be() -> None:
    made = ResidualGeneration(
        10, 3, start_token=True, alphabet_size=4, width=24, heads=2, depth=3, hidden_size=9, tied=True
    )
    matrices = made.transformer.lowered.matrices()
    assert matrices["embedding"].shape == (24, 10)
    assert matrices["embedding"].to_fractions() == np.array(matrices["readout.weight"].to_fractions()).T.tolist()
    assert matrices["fetch.mean.value"].shape == (12, 24)
    assert matrices["select.weight"].shape == matrices["mlp 2.weight"].shape == (9, 24)
    assert not list(matrices["mlp 1.weight"].nonzero())
    assert made.targets.size == 4**3
    assert made.user_inputs.size == 10
    assert ResidualConditional(10, alphabet_size=4).user_inputs.size == 4


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"width": 10}, "width: expected an integer >= 11 but got 10"),
        ({"width": 24, "heads": 5}, "heads: expected a divisor of the width, 24, but got 5"),
        ({"heads": 0}, "heads: expected an integer >= 1 but got 0"),
        ({"hidden_size": 3}, "hidden_size: expected an integer >= 4 but got 3"),
        ({"depth": 0}, "depth: expected an integer >= 1 but got 0"),
        ({"alphabet_size": 6}, "alphabet_size: expected an integer <= 5 but got 6"),
        ({"tied": 1}, r"tied: expected True or False but got 1 \(type int\)"),
        ({"start_token": "a"}, r"start_token: expected True or False but got 'a' \(type str\)"),
    ],
)
def test_bad_options_are_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidArgument, match=said):
        ResidualGeneration(5, 3, **given)


def stock(kind: type[Any], *sizes: int, **options: bool) -> Any:
    """Return a construction in the sizes of ``GPT2Config()``."""
    return kind(50257, *sizes, **options, alphabet_size=V, width=768, depth=12, heads=12, hidden_size=3072, tied=True)


def test_the_sizes_of_a_default_gpt2() -> None:
    made = stock(ResidualGeneration, N, start_token=True)
    lowered = made.transformer.lowered
    sizes = {name: matrix.shape for name, matrix in lowered.matrices().items()}
    assert sizes["embedding"] == (768, 50257)
    weights = sum(
        rows * columns for name, (rows, columns) in sizes.items() if name not in ("readout.weight", "positions.table")
    )
    norms, biases, positions = (2 * 12 + 1) * 2 * 768, 12 * (3 * 768 + 768 + 3072 + 768), 1024 * 768
    assert weights + norms + biases + positions == 124_439_808  # as transformers counts them
    assert sum(1 for matrix in lowered.matrices().values() for _ in matrix.nonzero()) < 250_000


@pytest.mark.heavy
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_default_gpt2_generates(dtype: str) -> None:
    targets = adversarial(N, V, 20)
    inputs = np.random.default_rng(2).integers(0, 50257, (20, 1))
    assert (_generated(stock(ResidualGeneration, N, start_token=True), targets, inputs, dtype) == targets).all()
    maps, asked = adversarial(V, V, 20), np.random.default_rng(3).integers(0, V, (20, 1))
    found = _generated(stock(ResidualConditional), maps, asked, dtype)
    assert (found == np.take_along_axis(maps, asked, axis=1)).all()


@pytest.mark.parametrize(
    ("count", "behaviours"),
    [pytest.param(8_192, 400, marks=pytest.mark.heavy), pytest.param(40_960, 2_000, marks=pytest.mark.long)],
)
@pytest.mark.parametrize("name", NAMES)
def test_many_targets(name: ArchitectureName, count: int, behaviours: int) -> None:
    drawn = np.random.default_rng(4)
    targets = drawn.integers(0, V, (count, N))
    assert (_generated(ResidualGeneration(V, N, architecture=name), targets, None, "float32") == targets).all()
    module = to_torch(ResidualConditional(V, architecture=name))
    maps = drawn.integers(0, V, (behaviours, V))
    prompts = module.prompt(maps)
    for token in range(V):
        assert (module.generate(prompts, np.full((behaviours, 1), token)).numpy()[:, 0] == maps[:, token]).all()
