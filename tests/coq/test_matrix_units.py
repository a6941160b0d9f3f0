"""The tie of matrix units: Coq's definition is run on recorded and on drawn sums, and gives what Python gives."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.coq.matrix_unit_sums import (
    EXPORT,
    GOLDEN,
    RECORDED,
    UNITS,
    Sum,
    parse_golden,
    parse_recorded,
)
from tests.coq.sources import COQ, without_comments
from tests.matrix_units.recorded import GENERATIONS as OF_GPU
from tests.matrix_units.recorded import sample
from tests.matrix_units.variants import VARIANTS, having
from verify.matrix_units import GENERATIONS, MatrixUnit
from verify.matrix_units.blocks import AlignedBlock
from verify.matrix_units.formats import INPUT_FORMATS

GOLDENS = sorted(GOLDEN.glob("*.txt"))
RECORDED_SUMS = parse_recorded(RECORDED.read_text(encoding="ascii"))


def _wrong(unit: MatrixUnit, sums: list[Sum]) -> int:
    """Return how many results of a unit differ, in any bit, from those that the sums have."""
    a, b = (np.stack([getattr(one, name) for one in sums]) for name in "ab")
    c, results = (np.array([getattr(one, name) for one in sums], dtype=np.float32) for name in ("c", "result"))
    return int((unit.multiply_add(a, b, c).view(np.uint32) != results.view(np.uint32)).sum())


def _definitions() -> Iterator[tuple[str, list[int]]]:
    text = without_comments((COQ / "MatrixUnits.v").read_text(encoding="ascii"))
    numbers = {
        name: [int(word) for word in words]
        for name, *words in re.findall(r"Definition (\w+) := MatrixUnit (\d+) (\d+) \((-\d+)\)", text)
    }
    yield from numbers.items()
    for name, other in re.findall(r"Definition (\w+) := (\w+)\.", text):
        yield name, numbers[other]


@pytest.mark.parametrize(("generation", "form"), sorted(UNITS))
def test_coq_s_units_are_python_s(generation: str, form: str) -> None:
    block = MatrixUnit(generation, form).block
    assert isinstance(block, AlignedBlock)
    output = block.output("fp32")
    assert (output.precision, output.to_nearest) == (24, False)
    numbers = dict(_definitions())[UNITS[generation, form]]
    assert numbers == [block.products, block.fraction_bits, output.zero_exponent]


def test_every_unit_with_aligned_terms_is_in_coq_but_those_of_fp8() -> None:
    aligned = {
        (generation.name, form)
        for generation in GENERATIONS.values()
        for form, description in generation.formats.items()
        if isinstance(description.block, AlignedBlock) and not form.startswith("fp8")
    }
    assert aligned == set(UNITS)
    assert {name for name, _ in _definitions()} == set(UNITS.values())


@pytest.mark.parametrize("form", ["fp16", "bf16", "tf32"])
def test_coq_s_least_exponents_are_python_s(form: str) -> None:
    text = (COQ / "MatrixUnitBits.v").read_text(encoding="ascii")
    (least,) = re.findall(rf"Definition least_{form} : Z := (-\d+)\.", text)
    assert int(least) == INPUT_FORMATS[form].min_exponent


def test_coq_computes_the_sums_of_the_golden_files() -> None:
    exported = re.findall(
        r"^ *\((\d+), \(\[([\d; ]+)\], \[([\d; ]+)\]\)\)", EXPORT.read_text(encoding="ascii"), re.MULTILINE
    )
    ours = {(c, *a.split("; "), *b.split("; ")) for c, a, b in exported}
    lines = [line.split(" ") for path in GOLDENS for line in path.read_text(encoding="ascii").splitlines()[1:]]
    assert {(c, *factors) for c, _, *factors in lines} == ours
    assert len(lines) == len(exported)


def test_hundreds_of_recorded_sums_are_in_coq_and_each_has_its_lemma() -> None:
    """The lemma is proved by computation: a build fails where Coq's block gives another bit than the GPU."""
    found = {(one.gpu, one.format) for one in sample() if one.result == "fp32" and not one.format.startswith("fp8")}
    assert RECORDED_SUMS.keys() == found
    assert sum(len(sums) for sums in RECORDED_SUMS.values()) >= 300
    text = RECORDED.read_text(encoding="ascii")
    for gpu, form in found:
        name, unit = f"{gpu.replace('-', '_')}_{form}", UNITS[OF_GPU[gpu], form]
        assert f"Lemma {name}_agrees : forallb (agrees {unit} least_{form}) {name} = true.\nProof. vm" in text


@pytest.mark.parametrize(("gpu", "form"), sorted(RECORDED_SUMS))
def test_python_gives_the_recorded_results_that_coq_gives(gpu: str, form: str) -> None:
    unit = MatrixUnit(OF_GPU[gpu], form)
    assert _wrong(unit, RECORDED_SUMS[gpu, form]) == 0
    whole = next(one for one in sample() if (one.gpu, one.format, one.result) == (gpu, form, "fp32"))
    recorded = {row.tobytes() for row in np.column_stack([*whole.sums, whole.results])}
    assert {
        np.concatenate([one.a, one.b, [one.c, one.result]]).tobytes() for one in RECORDED_SUMS[gpu, form]
    } <= recorded


@pytest.mark.parametrize("path", GOLDENS, ids=lambda path: path.stem)
def test_python_gives_the_results_that_coq_computed(path: Path) -> None:
    (generation, form), sums = parse_golden(path)
    assert path.stem == f"{generation}_{form}"
    unit = MatrixUnit(generation, form)
    assert {len(one.a) for one in sums} == {2 * unit.block.products + 1}
    assert len(sums) == 24
    assert _wrong(unit, sums) == 0


def test_every_definition_has_a_golden_file() -> None:
    files = {path.stem for path in GOLDENS}
    assert {UNITS[generation, form] for generation, form in UNITS if f"{generation}_{form}" in files} | {
        "blackwell",
        "blackwell_tf32",  # other names for Hopper's
    } == set(UNITS.values())


@pytest.mark.parametrize("variant", sorted(set(VARIANTS) - {"kept_whole"}))  # that one is about fp8
@pytest.mark.parametrize("path", GOLDENS, ids=lambda path: path.stem)
def test_a_wrong_unit_differs_from_coq_s_results(path: Path, variant: str) -> None:
    (generation, form), sums = parse_golden(path)
    assert _wrong(VARIANTS[variant](MatrixUnit(generation, form)), sums) > 0


def test_a_zero_with_another_exponent_differs_from_coq_s_results() -> None:
    """That of the smallest normal number of the result, -126; products of fp16 are too large to tell."""
    told = set()
    for (generation, form), sums in map(parse_golden, GOLDENS):
        unit = MatrixUnit(generation, form)
        outputs = (dataclasses.replace(unit.output, zero_exponent=unit.output.result.format.min_exponent),)
        if _wrong(having(unit, dataclasses.replace(unit.block, outputs=outputs)), sums):
            told.add(form)
    assert told == {"bf16", "tf32"}
