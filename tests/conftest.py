"""What all tests share: shapes checked at run time, the threads asked for, a Hypothesis profile, a rounding oracle."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import jaxtyping
import numpy as np
import pytest
import torch
from jaxtyping import install_import_hook

from tests.shapes import check_shapes, jaxtyped
from tests.shares import leave_to_heavy

if TYPE_CHECKING:  # at run time the packages must not be imported before the hook is installed
    from constructions import Construction
    from verify.arithmetic import Arithmetic

# A fifth of the time of collecting went into the search for garbage among what is imported, all of which stays.
gc.disable()


def pytest_collection_finish() -> None:
    """Search for garbage from here on, but never again among what is there already, and less often than Python does."""
    gc.freeze()
    gc.set_threshold(10_000)  # new objects; Python's 700 are those of a few lines of a test
    gc.enable()


jaxtyping.jaxtyped = jaxtyped  # type: ignore[assignment] # the hook calls it by this name, always so

# the hook rewrites modules that are found on sys.path; an editable install has a finder of its own, which it misses
sys.path.insert(0, str(Path(__file__).parents[1]))
install_import_hook(("constructions", "verify", "proofs"), f"{check_shapes.__module__}.{check_shapes.__name__}")

torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS") or 1))

hypothesis.settings.register_profile("prefixproof", deadline=None, max_examples=30)
hypothesis.settings.register_profile("ci", parent=hypothesis.settings.get_profile("prefixproof"), derandomize=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "prefixproof")


@pytest.hookimpl(tryfirst=True)  # before pytest looks at the marks that a tier is chosen by
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave shares of the cases to the heavy tier, and skip what needs a CUDA device where there is none."""
    leave_to_heavy(items)
    if not torch.cuda.is_available():
        for item in items:
            if item.get_closest_marker("gpu"):
                item.add_marker(pytest.mark.skip(reason="needs a CUDA device, and torch sees none"))


#: For each format: floats that hold it, integers of their width, and how many bits of them are not the format's.
_BITS: dict[str, tuple[Any, Any, int]] = {
    "float64": (np.float64, np.uint64, 0),
    "float32": (np.float32, np.uint32, 0),
    "float16": (np.float16, np.uint16, 0),
    "bfloat16": (np.float32, np.uint32, 16),
}


def _correctly_rounded(value: Fraction, result: float, dtype: str) -> bool:
    """Say whether ``result`` is the number of the format nearest to ``value``, ties to even, by looking at neighbours.

    Bit patterns of non-negative floats are ordered as the floats are, so a neighbour is a bit pattern plus or minus
    one; the pattern after the largest finite number stands for ``2^(max exponent + 1)``.
    """
    floating, unsigned, shift = _BITS[dtype]
    with np.errstate(over="ignore"):
        held = floating(abs(result))
    pattern = int(held.view(unsigned))
    if float(held) != abs(result) or not np.isfinite(held) or pattern % (1 << shift):
        return False  # not a number of the format

    def number(bits: int) -> Fraction:
        neighbour = np.array(bits << shift, dtype=unsigned).view(floating)
        if np.isfinite(neighbour):
            return Fraction(float(neighbour))
        return 2 * number(bits - 1) - number(bits - 2)  # evenly spaced in the last binade

    pattern >>= shift
    wanted = abs(value)
    error = abs(wanted - number(pattern))
    for neighbour in {max(0, pattern - 1), pattern + 1} - {pattern}:
        distance = abs(wanted - number(neighbour))
        if distance < error or (distance == error and pattern % 2):
            return False
    return result == 0 or (value > 0) == (result > 0)


@pytest.fixture(scope="session")
def correctly_rounded() -> Callable[[Fraction, float, str], bool]:
    """The rounding oracle, which shares no code with the package's."""
    return _correctly_rounded


def _decode(
    construction: Construction, arithmetic: Arithmetic[Any, Any, Any], targets: Any, user_inputs: Any = None
) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return what the transformer generates for each pair of a target and a user input, shape batch x response."""
    from verify.running.model import bind_construction, generate

    layout = construction.layout
    targets = np.asarray(targets)
    inputs = np.zeros((len(targets), 0), dtype=np.int64) if user_inputs is None else np.asarray(user_inputs)
    model = bind_construction(construction, arithmetic)

    def run(target: Any, tokens: Any) -> Any:
        prompt = arithmetic.prompt(construction.virtual_tokens(target))
        return generate(model, prompt, layout.virtual, tokens, layout.response).tokens

    if arithmetic.batched:
        return np.asarray(run(targets, inputs))
    return np.array([run(target, tokens) for target, tokens in zip(targets, inputs, strict=True)])


@pytest.fixture(scope="session")
def decode() -> Callable[..., np.ndarray[Any, np.dtype[np.int64]]]:
    """The one way of the tests to run a construction in any arithmetic."""
    return _decode
