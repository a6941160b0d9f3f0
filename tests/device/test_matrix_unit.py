"""The comparison with the exact unit, on libraries that are made of it: orders are found, and wrong bits are seen."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import pytest
import torch

from verify.device.base import AbsentError
from verify.device.factors import KINDS, drawn
from verify.device.libraries import CALLS, Call, Library, Torch
from verify.device.orders import Order, different, masks, orders, run_lengths
from verify.device.process import run_task
from verify.device.steps.matrix_unit import UnitOfDevice, shapes
from verify.matrix_units import GENERATIONS, MatrixUnit
from verify.matrix_units.formats import BF16, E4M3, FP16, RESULTS, TF32, InputFormat, Singles
from verify.matrix_units.generations import generation_of

STEP = UnitOfDevice()
TINY = STEP.amounts["tiny"]
FP32 = RESULTS["fp32"].values


@final
@dataclass(frozen=True)
class Made(Library):
    """A library on the exact unit of a generation, in some order, with one number changed where that is asked for."""

    generation: str = "hopper"
    order: Order = Order("mine")  # noqa: RUF009 # it is frozen
    flipped: bool = False

    def product(self, call: Call, left: Singles, right: Singles, bias: Singles | None) -> Singles:
        if call.format not in GENERATIONS[self.generation].formats:
            raise AbsentError("not on this one")
        unit = MatrixUnit(self.generation, call.format)
        found = self.order.product(unit, call, left, right, bias)
        if self.flipped:
            found = found.copy()
            found.view(np.uint32)[0, 0] ^= 1
        return found


def _judged(library: Library, *names: str, capability: str = "9.0") -> dict[str, dict[str, Any]]:
    calls = [call for call in CALLS if call.name in names]
    found = [run_task(STEP, task) for task in STEP.compared(library, capability, TINY, calls)]
    json.dumps(found, allow_nan=False)
    return {task["name"]: task for task in found}


def _states(found: Iterable[dict[str, Any]]) -> set[str]:
    return {task["state"] for task in found}


def test_the_unit_of_the_generation_explains_its_own_products() -> None:
    found = _judged(Made(), *(call.name for call in CALLS))
    assert _states(found.values()) == {"held", "noted"}
    assert all(task["state"] == "held" for task in found.values() if "order" not in task["name"])
    assert sum(task["data"]["sums"] for task in found.values() if task["state"] == "held") > 10_000
    profile = found["mm bf16 to float32, order of K = 32"]["data"]
    assert profile["profile"] == [[16, 15], [0, 16]]  # blocks of 16 in ascending order
    assert profile["explained by"] == "one ascending chain"


@pytest.mark.share(2)
@pytest.mark.parametrize(
    ("call", "order", "name"),
    [
        ("mm bf16 to float32", Order("mine", slice_size=8), "slices of 8, added up in float32"),
        ("mm fp16 to float32", Order("mine", split=2), "slices of 16, added up in float32"),  # the same at K = 32
        ("linear tf32, bias", Order("mine", bias_first=True), "one ascending chain from the bias"),
        ("mm tf32", Order("mine", factors="away"), "one ascending chain, factors rounded half away from zero"),
        ("mm tf32", Order("mine", factors="truncated"), "one ascending chain, factors cut"),
    ],
)
def test_an_order_is_found(call: str, order: Order, name: str) -> None:
    data = _judged(Made(order=order), call)[f"{call}, 16 columns, K = 32"]["data"]
    assert data["order"] == name
    assert min(count for other, count in data["different"].items() if other != name) > 0


def test_another_generation_is_refuted_where_an_order_is_promised() -> None:
    found = _judged(Made("ampere"), "mm bf16 to float32", "mm tf32", "scaled mm fp8-e4m3")
    assert found["mm bf16 to float32, 16 columns, K = 32"]["state"] == "refuted"
    assert found["mm tf32, 16 columns, K = 32"]["state"] == "noted"
    assert found["scaled mm fp8-e4m3, 16 columns, K = 32"]["state"] == "absent"


def test_one_wrong_bit_is_refuted() -> None:
    found = _judged(Made(flipped=True), "mm bf16 to float32")
    compared = {name: task["state"] for name, task in found.items() if "order" not in name}
    # with four columns a library may take a kernel that is not on the unit
    assert compared.pop("mm bf16 to float32, 4 columns, K = 1") == "noted"
    assert {name for name, state in compared.items() if state != "refuted"} == {
        "mm bf16 to float32, 1 columns, K = 8",
        "mm bf16 to float32, 1 columns, K = 16",
    }


def test_a_device_of_no_known_generation_has_no_unit() -> None:
    assert _states(_judged(Made(), "mm bf16 to float32", capability="6.1").values()) == {"absent"}


def test_generations_by_compute_capability() -> None:
    known = {"7.0": "volta", "7.5": "turing", "8.0": "ampere", "8.6": "ampere", "8.9": "ada", "9.0": "hopper"}
    known |= {"10.0": "blackwell", "12.0": "blackwell"}
    for capability, name in known.items():
        found = generation_of(capability)
        assert found is not None
        assert found.name == name
    assert generation_of("6.1") is None
    every = [capability for found in GENERATIONS.values() for capability in found.capabilities]
    assert len(set(every)) == len(every)


@pytest.mark.parametrize("fmt", [BF16, FP16, TF32, E4M3, FP32], ids=lambda fmt: fmt.name)
@pytest.mark.parametrize("kind", KINDS)
def test_factors_are_numbers_of_their_format(kind: str, fmt: InputFormat) -> None:
    pair = drawn(kind, fmt, (40, 16, 24), seed=0)
    for factors in (pair.left, pair.right):
        assert factors.dtype == np.float32
        assert fmt.holds(factors).all()
    assert pair.left.shape == (40, 24)
    assert pair.right.shape == (16, 24)
    assert (pair.left != 0).any()


def test_tiny_factors_meet_the_smallest_sums() -> None:
    pair = drawn("tiny", BF16, (64, 16, 24), seed=0)
    sums = Order("chain").product(MatrixUnit("hopper", "bf16"), CALLS[0], pair.left, pair.right, None)
    assert ((sums != 0) & (np.abs(sums) < np.finfo(np.float32).tiny)).any()


def test_masks_show_which_terms_meet_last() -> None:
    left, right = masks(12, 2.0**20, 2.0**-14)
    small = np.float64(2.0**-28)
    one_by_one = [float(np.float32(0)) for _ in left]
    for row, (first, second) in enumerate(zip(left, right, strict=True)):
        total = np.float32(0)
        for a, b in zip(first, second, strict=True):
            total = np.float32(total + np.float32(a * b))
        one_by_one[row] = float(total)
    assert [value / small for value in one_by_one] == [10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0]
    assert run_lengths([3, 3, 1, 3]) == [[3, 2], [1, 1], [3, 1]]


def test_different_counts_bits_and_forgives_a_nan_for_another() -> None:
    one = np.array([1, 0.0, np.nan, np.inf], dtype=np.float32)
    other = np.array([1, -0.0, np.nan, np.inf], dtype=np.float32)
    other.view(np.uint32)[2] ^= 1
    assert different(one, one) == 0
    assert different(one, other) == 1


def test_the_orders_of_a_call_have_names_of_their_own() -> None:
    for call in CALLS:
        names = [order.name for order in orders(call, MatrixUnit("hopper", call.format), 1024)]
        assert len(set(names)) == len(names)
    assert len({call.name for call in CALLS}) == len(CALLS)


def test_the_shapes_are_those_of_the_weights() -> None:
    found = shapes(((10, 6),), (64,), 1)
    assert found == [(1, 6), (1, 12), (6, 6), (6, 12), (10, 1), (16, 64)]
    assert all(size % 16 == 0 for shape in shapes(((10, 6),), (), 16) for size in shape)


@pytest.mark.parametrize("call", [call for call in CALLS if call.format != "fp8-e4m3"], ids=lambda call: call.name)
def test_torch_multiplies_what_it_is_given(call: Call) -> None:
    """On a CPU it is no unit, but the factors, their places and the bias are those that were given."""
    rng = np.random.default_rng(0)
    left, right = (rng.integers(-4, 5, (rows, 8)).astype(np.float32) for rows in (5, 3))
    bias = np.array([1, 2, 3], dtype=np.float32) if call.biased else None
    expected = left @ right.T + (0 if bias is None else bias)
    try:
        found = Torch("cpu").product(call, left, right, bias)
    except AbsentError:
        assert "to float32" in call.name  # an option that torch has on GPUs alone
    else:
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("of 80 GB"), RuntimeError("CUDA error: x"), TypeError("x")])
def test_an_error_of_the_device_or_of_ours_is_no_missing_kernel(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def mm(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(torch, "mm", mm)
    one = np.ones((16, 16), dtype=np.float32)
    with pytest.raises(type(error), match=str(error)):
        Torch("cpu").product(CALLS[0], one, one, None)


def test_a_call_that_torch_does_not_have_is_absent() -> None:
    left, right = np.ones((16, 16), dtype=np.float32), np.ones((16, 15), dtype=np.float32)
    with pytest.raises(AbsentError, match="torch does not have it here"):
        Torch("cpu").product(CALLS[0], left, right, None)
