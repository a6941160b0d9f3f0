"""The sums on which Coq's definition of a matrix unit is run: ``python -m tests.coq.matrix_unit_sums`` writes them.

``MatrixUnitsRecorded.v`` holds sums that GPUs computed, with what came out: Coq proves that its definition gives the
same. ``export_matrix_units.v`` holds drawn ones of three blocks, the last of one product alone: Coq writes its results
into ``golden/matrix_units``. Numbers are the bits of float32 numbers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.coq.sources import COQ
from tests.matrix_units.patterns import drawn
from tests.matrix_units.recorded import Recorded, sample
from tests.matrix_units.variants import VARIANTS
from verify.matrix_units import MatrixUnit

RECORDED = COQ / "MatrixUnitsRecorded.v"
EXPORT = COQ / "export_matrix_units.v"
GOLDEN = COQ / "golden" / "matrix_units"

#: Sums of each GPU and format: the ones that reject most wrong variants.
_RECORDED_EACH = 14
#: Finite ones are about half of those that are drawn.
_DRAWN_EACH = 24
_SEED = 12

#: Coq's name of a unit, by generation and input format. Units with the same block have one definition.
UNITS = {
    ("volta", "fp16"): "volta_fp16",
    ("turing", "fp16"): "turing_fp16",
    ("ampere", "fp16"): "ampere",
    ("ampere", "bf16"): "ampere",
    ("ampere", "tf32"): "ampere_tf32",
    ("ada", "fp16"): "ampere",
    ("ada", "bf16"): "ampere",
    ("ada", "tf32"): "ampere_tf32",
    ("hopper", "fp16"): "hopper",
    ("hopper", "bf16"): "hopper",
    ("hopper", "tf32"): "hopper_tf32",
    ("blackwell", "fp16"): "blackwell",
    ("blackwell", "bf16"): "blackwell",
    ("blackwell", "tf32"): "blackwell_tf32",
}

_SOURCE = """\
    V100, A100, A2, Ada, H100, H200, B200: copyright (c) 2025, Faizan A. Khattak and Mantas Mikaitis, from the folder
    model_validation of github.com/north-numerical-computing/MATLAB-tensor-core (arXiv 2512.07004), BSD 2-Clause: the
    licence is tests/matrix_units/data/LICENSE-BSD-2-Clause.txt.  H200-mma: our own."""


@dataclass(frozen=True)
class Sum:
    """A sum and its result.

    Attributes:
        a: float32 array (K).
        b: float32 array (K).
        c: what is added.
        result: what came out.

    """

    a: np.ndarray
    b: np.ndarray
    c: np.float32
    result: np.float32


def parse_recorded(text: str) -> dict[tuple[str, str], list[Sum]]:
    """Return the recorded sums in a Coq source, by GPU and format."""
    found: dict[tuple[str, str], list[Sum]] = {}
    for line in text.splitlines():
        named = re.match(r"Definition (\w+)_(fp16|bf16|tf32) ", line)
        if named is not None:
            rows = found[named[1].replace("_", "-"), named[2]] = []
        row = re.fullmatch(r" *\((\d+), (\d+), \(\[([\d; ]+)\], \[([\d; ]+)\]\)\)(;| \]\.)", line)
        if row is not None:
            a, b = (_numbers([int(word) for word in part.split(";")]) for part in row.group(3, 4))
            c, result = _numbers([int(row[1]), int(row[2])])
            rows.append(Sum(a, b, c, result))
    return found


def parse_golden(path: Path) -> tuple[tuple[str, str], list[Sum]]:
    """Return generation and format, and the sums with Coq's results, of a golden file."""
    head, *lines = path.read_text(encoding="ascii").splitlines()
    _, generation, form = head.split(" ")
    sums = []
    for line in lines:
        numbers = _numbers([int(word) for word in line.split(" ")])
        half = len(numbers) // 2 + 1
        sums.append(Sum(numbers[2:half], numbers[half:], numbers[0], numbers[1]))
    return (generation, form), sums


def recorded_source() -> str:
    """Return the Coq source with the recorded sums."""
    parts = [
        "(** * Sums that GPUs computed, bit by bit: the definition of a block gives the same\n\n"
        "    Written by tests/coq/matrix_unit_sums.py.\n\n" + _SOURCE + " *)\n\n"
        "From Coq Require Import List ZArith.\n"
        "From PrefixProof Require Import MatrixUnits MatrixUnitBits.\n"
        "Import ListNotations.\nOpen Scope Z_scope.\n"
    ]
    for one in sample():
        unit = UNITS.get((one.generation, one.format))
        if one.result == "fp32" and unit is not None:
            name = f"{one.gpu.replace('-', '_')}_{one.format}"
            rows = [_row(one, row) for row in _chosen(one)]
            body = ";\n".join(f"  ({c}, {d}, ({a}, {b}))" for a, b, c, d in rows)
            parts.append(
                f"\nDefinition {name} : list recorded_sum := [\n{body} ].\n"
                f"Lemma {name}_agrees : forallb (agrees {unit} least_{one.format}) {name} = true.\n"
                "Proof. vm_compute. reflexivity. Qed.\n"
            )
    return "".join(parts)


def export_source() -> str:
    """Return the Coq source that writes the golden files of drawn sums."""
    parts = [
        "(* Run by `make golden`: drawn sums on matrix units, and Coq's results (see README.md).\n"
        "   Written by tests/coq/matrix_unit_sums.py. *)\n"
        "From Coq Require Import List ZArith String.\n"
        "From PrefixProof Require Import MatrixUnits MatrixUnitBits.\n"
        "Import ListNotations.\nOpen Scope string_scope.\nOpen Scope Z_scope.\n"
        "Set Printing Width 1000000.\nSet Printing Depth 1000000.\n"
    ]
    for (generation, form), unit in UNITS.items():
        if generation in {"ada", "blackwell"}:  # Ampere's and Hopper's definitions
            continue
        rows = _drawn(MatrixUnit(generation, form))
        body = ";\n".join(f"  ({c}, ({a}, {b}))" for a, b, c in rows)
        name = f"{generation}_{form}"
        parts.append(
            f"\nDefinition drawn_{name} : list (Z * (list Z * list Z)) := [\n{body} ].\n"
            f'Redirect "build/golden/matrix_units/{name}" Eval vm_compute in\n'
            f'  sums_text "{generation}" "{form}" {unit} least_{form} drawn_{name}.\n'
        )
    return "".join(parts)


def _chosen(recorded: Recorded) -> list[int]:
    """Return sums that reject most wrong variants, among them one for every variant that any rejects."""
    wrong = np.array([recorded.wrong(change) for change in VARIANTS.values()])
    order = np.argsort(-wrong.sum(axis=0), kind="stable")
    needed = {int(order[kind[order]][0]) for kind in wrong if kind.any()}
    others = [int(row) for row in order if int(row) not in needed]
    return sorted([*needed, *others][:_RECORDED_EACH])


def _drawn(unit: MatrixUnit) -> list[tuple[str, str, str]]:
    """Return finite sums with a finite result, of two blocks and one product, of every kind."""
    sums = drawn(unit, 2 * unit.block.products + 1, 64 * _DRAWN_EACH, _SEED)
    results = unit.multiply_add(*sums)
    finite = np.isfinite(sums.a).all(axis=1) & np.isfinite(sums.b).all(axis=1)
    rows = np.flatnonzero(finite & np.isfinite(sums.c) & np.isfinite(results) & (results != 0))
    rows = rows[np.linspace(0, len(rows) - 1, _DRAWN_EACH).astype(int)]
    return [(_list(sums.a[row]), _list(sums.b[row]), str(_bits(sums.c[row]))) for row in rows]


def _row(recorded: Recorded, row: int) -> tuple[str, str, int, int]:
    sums = recorded.sums
    return _list(sums.a[row]), _list(sums.b[row]), _bits(sums.c[row]), _bits(recorded.results[row])


def _bits(number: np.float32) -> int:
    return int(np.float32(number).view(np.uint32))


def _list(numbers: np.ndarray) -> str:
    return "[" + "; ".join(str(_bits(number)) for number in numbers) + "]"


def _numbers(bits: list[int]) -> np.ndarray:
    return np.array(bits, dtype=np.uint32).view(np.float32)


if __name__ == "__main__":
    RECORDED.write_text(recorded_source(), encoding="ascii")
    EXPORT.write_text(export_source(), encoding="ascii")
