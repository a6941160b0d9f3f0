"""Section 5 of the paper's notebook: 200 random maps of two tokens at V = 10, unpacked by the real MLP.

The notebook unpacks the digits in Python floats; that is ported here in our own words and run on the same maps.
"""

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from constructions import InvalidArgument, LongerInputs
from verify.arithmetic import get_arithmetic
from verify.running.torch_module import to_torch

_Table = np.ndarray[Any, np.dtype[np.int64]]
Decode = Callable[..., _Table]

V = 10
CONSTRUCTION = LongerInputs(V, 2)
MAPS = CONSTRUCTION.targets.sample(200, seed=1)
ALL_INPUTS = CONSTRUCTION.user_inputs.unrank_range(0, V**2)


def _unpacked_in_floats(digits: list[int]) -> list[int]:
    """Return what Python floats make of a row of the map: packed to one number, lifted by 1, and unpacked again.

    A digit that comes out with a fraction is read as the nearest token, as the readout does.
    """
    packed = sum(digit / V * V ** (V - place) for place, digit in enumerate(digits)) / V**V
    lifted = (1.0 + packed) - 1.0  # what adding the one-hot and subtracting 1 again leaves of it
    number = lifted * V**V
    found = []
    for _ in range(V):
        found.append(min(round(number % V), V - 1))
        number //= V
    return found[::-1]


def test_every_entry_of_200_random_maps_is_right() -> None:
    module = to_torch(CONSTRUCTION, "float64")
    wrong = 0
    for maps in np.split(MAPS, 10):
        targets, inputs = np.repeat(maps, V**2, axis=0), np.tile(ALL_INPUTS, (len(maps), 1))
        answers = module.generate(module.prompt(targets), inputs).numpy()
        assert answers.shape == (2000, 1)
        wrong += int((answers[:, 0] != targets[np.arange(2000), inputs[:, 0], inputs[:, 1]]).sum())
    assert wrong == 0


def test_unpacking_in_python_floats_gets_some_of_the_same_maps_wrong() -> None:
    """Floor borrows through trailing zeros where the lifted number is just below an integer."""
    tables = np.array([[_unpacked_in_floats(row) for row in table] for table in MAPS.tolist()])
    wrong_maps = int((tables != MAPS).any(axis=(1, 2)).sum())
    wrong_entries = int((tables != MAPS).sum())
    sys.stdout.write(f"in Python floats: {wrong_maps} of 200 maps wrong, {wrong_entries} of 20,000 entries\n")
    assert wrong_maps >= 1


def test_unpacking_in_python_floats_is_right_where_nothing_is_rounded() -> None:
    """The port is a port: a row whose only digit is the last one before the point loses nothing."""
    assert _unpacked_in_floats([0] * V) == [0] * V
    assert _unpacked_in_floats([5] + [0] * (V - 1)) == [5] + [0] * (V - 1)


@pytest.mark.parametrize("mask", ["causal", "none"])
def test_the_maps_that_floats_get_wrong_are_right_in_both_masks(mask: Any) -> None:
    hard = [table for table in MAPS if [_unpacked_in_floats(row) for row in table.tolist()] != table.tolist()]
    assert hard
    module = to_torch(LongerInputs(V, 2, mask=mask), "float64")
    for table in hard:
        answers = module.generate(module.prompt(np.repeat(table[None], V**2, axis=0)), ALL_INPUTS).numpy()
        np.testing.assert_array_equal(answers[:, 0], table.reshape(-1))


def test_a_map_is_right_in_exact_arithmetic(decode: Decode) -> None:
    maps = np.repeat(MAPS[:1], V**2, axis=0)
    answers = decode(CONSTRUCTION, get_arithmetic("rational"), maps, ALL_INPUTS)
    np.testing.assert_array_equal(answers[:, 0], MAPS[0].reshape(-1))


def test_float32_is_refused() -> None:
    """10^10 values of a coordinate do not fit 24 bits; the notebook would answer at random."""
    with pytest.raises(InvalidArgument, match="float32"):
        to_torch(CONSTRUCTION, "float32")
