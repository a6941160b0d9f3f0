"""Direct launches of instructions: the drawing, the comparison, and the outcome without a compiler."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
import pytest

from tests.matrix_units.edges import EDGES
from verify.device import cuda
from verify.device.base import NotDoneError
from verify.device.cuda import INSTRUCTIONS, Instruction, Launcher, Nvcc, compiled, source, words
from verify.device.orders import different
from verify.device.process import run_task
from verify.device.steps.instructions import Instructions
from verify.device.tiles import TILES, drawn_tiles
from verify.matrix_units import MatrixUnit
from verify.matrix_units.formats import Singles

STEP = Instructions()


@final
@dataclass(frozen=True)
class Made(Launcher):
    """Launches nothing: asks the exact unit, with one bit changed, or raises."""

    flipped: bool = False
    error: Exception | None = None
    generation: str = "hopper"

    def sums(self, instruction: Instruction, a: Singles, b: Singles, c: Singles) -> Singles:
        if self.error is not None:
            raise self.error
        unit = MatrixUnit(self.generation, instruction.format, instruction.result)
        found = unit.multiply_add(a[:, :, None], b[:, None], c)
        if self.flipped:
            found.view(np.uint32)[0, 0, 0] ^= np.uint32(1 << 13)
        return found


def _run(launcher: Launcher, capability: str = "9.0") -> list[dict[str, Any]]:
    return [run_task(STEP, task) for task in STEP.compared(launcher, capability, 2)]


def test_the_unit_s_own_sums_hold() -> None:
    found = _run(Made())
    assert [task["state"] for task in found] == ["held"] * len(INSTRUCTIONS)
    assert all(sum(task["data"]["sums"].values()) == len(TILES) * 2 * 128 for task in found)


def test_one_bit_refutes() -> None:
    found = _run(Made(flipped=True))
    assert {task["state"] for task in found} == {"refuted"}
    assert all("differ from MatrixUnit" in task["said"] and "first" in task["said"] for task in found)


def test_another_generation_s_sums_refute() -> None:
    assert {task["state"] for task in _run(Made(generation="ampere"))} >= {"refuted"}


@pytest.mark.parametrize(("error", "state"), [(NotDoneError("no nvcc"), "not done"), (RuntimeError("x"), "raised")])
def test_a_launch_that_fails_says_nothing(error: Exception, state: str) -> None:
    assert {task["state"] for task in _run(Made(error=error))} == {state}


@pytest.mark.parametrize(("capability", "held"), [("7.5", 2), ("8.0", 8), ("7.0", 0), ("99.0", 0)])
def test_instructions_that_a_device_lacks_are_absent(capability: str, held: int) -> None:
    generation = {"7.5": "turing", "8.0": "ampere"}.get(capability, "hopper")
    states = [task["state"] for task in _run(Made(generation=generation), capability)]
    assert (states.count("held"), states.count("absent")) == (held, len(INSTRUCTIONS) - held)


def _good() -> dict[str, Any]:
    counts = dict.fromkeys(TILES, 3)
    return {"unit": "u", "sums": counts, "different": dict.fromkeys(TILES, 0), "first": None}


def test_only_complete_counts_hold() -> None:
    good = _good()
    assert STEP.judge(good).holds is True
    for kind in TILES:
        assert STEP.judge({**good, "different": {**good["different"], kind: 1}}).holds is False
        for broken in (
            {**good, "sums": {**good["sums"], kind: 0}},
            {**good, "different": {**good["different"], kind: 4}},
            {**good, "different": {**good["different"], kind: False}},
            {**good, "sums": {name: 3 for name in TILES if name != kind}},
        ):
            with pytest.raises(ValueError, match=r"counts|some of all"):
                STEP.judge(broken)


#: One instruction for each format and result; the heavy tier takes the others.
_FIRST = {(each.format, each.result): each for each in reversed(INSTRUCTIONS)}.values()


@pytest.mark.share(2)
@pytest.mark.parametrize(
    "instruction",
    [pytest.param(each, marks=() if each in _FIRST else pytest.mark.heavy, id=each.name) for each in INSTRUCTIONS],
)
def test_tiles_tell_wrong_variants_apart(instruction: Instruction) -> None:
    unit = MatrixUnit("hopper", instruction.format, instruction.result)
    made = [drawn_tiles(kind, unit, instruction.products, 12, seed) for seed, kind in enumerate(TILES)]
    again = drawn_tiles("bits", unit, instruction.products, 12, len(TILES) - 1)
    np.testing.assert_array_equal(made[-1].a.view(np.uint32), again.a.view(np.uint32))
    blind: set[str] = set()
    if (instruction.format, instruction.result) == ("fp16", "fp32"):  # no product is that small or that large
        blind = {name for name in EDGES if name.startswith("zero_") and name != "zero_times_infinity"}
        blind |= {"saturating", "infinite_products", "negative_underflow"}
    if instruction.products < unit.block.products:  # positive zeros fill the variant's block up
        blind |= {"negative_zero"}
    for name in EDGES.keys() - blind:
        other = EDGES[name](unit)
        apart = sum(
            different(*(one.multiply_add(t.a[:, :, None], t.b[:, None], t.c) for one in (unit, other))) for t in made
        )
        assert apart > 0 or name in {"zero_times_infinity", "normalised_subnormals", "flushed_factors"}, name


def _singles(values: list[float]) -> Singles:
    return np.array(values, dtype=np.float32)


def test_words_are_the_bits_of_a_format() -> None:
    assert words("bf16", _singles([1, -0.0, np.inf])).tolist() == [0x3F80, 0x8000, 0x7F80]
    assert words("fp16", _singles([1, -0.0, np.inf, 2.0**-24])).tolist() == [0x3C00, 0x8000, 0x7C00, 1]
    assert words("tf32", _singles([1])).tolist() == words("fp32", _singles([1])).tolist() == [0x3F800000]


def test_the_source_has_the_instructions_of_the_device() -> None:
    text = source(90)
    assert text.count("asm volatile") == len(INSTRUCTIONS)
    assert "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}" in text
    assert source(75).count("asm volatile") == 2
    assert "$" not in text


def test_without_a_compiler_nothing_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda, "compiler", lambda: None)
    assert {(task["state"], task["said"]) for task in _run(Nvcc(0, 90))} == {("not done", "no nvcc")}


def test_a_compiler_that_refuses_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refusing = tmp_path / "nvcc"
    refusing.write_text("#!/bin/sh\necho unsupported architecture >&2\nexit 1\n")
    refusing.chmod(0o755)
    monkeypatch.setattr(cuda, "compiler", lambda: str(refusing))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(NotDoneError, match="did not compile for sm_90: unsupported architecture"):
        compiled(source(90), "sm_90")
    assert [path.name for path in tmp_path.iterdir()] == ["nvcc"]
