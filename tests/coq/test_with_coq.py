"""With Coq: audit, weights and record are reproduced, and a wrong weight or a bound off by one does not compile."""

# ruff: noqa: E501  (a mutant is one line)
from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.coq.sources import COQ, SOURCES, theorem_names
from tests.shares import heavy_or_long
from verify.suite.coq_record import read_record

needs_coq = pytest.mark.skipif(
    shutil.which("coqc") is None or shutil.which("make") is None,
    reason="needs coqc: apt-get install coq libcoq-flocq",
)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A built copy of the sources; what is built of these very sources is taken over, and make looks at it again."""
    copy = tmp_path_factory.mktemp("coq") / "coq"
    copy.mkdir()
    exports = ["export_golden.v", "export_matrix_units.v"]
    for name in [
        *SOURCES,
        *exports,
        "_CoqProject",
        "Makefile",
        "audit.sh",
        "record.sh",
        "audit.golden",
        "subjects.txt",
    ]:
        shutil.copy2(COQ / name, copy / name)
    if read_record(COQ)[0] is not None:
        for name in SOURCES:
            for path in (COQ / name).parent.glob(f"{name.removesuffix('.v')}.*"):
                shutil.copy2(path, copy / path.name)
            for path in (COQ / name).parent.glob(f".{name.removesuffix('.v')}.*"):
                shutil.copy2(path, copy / path.name)
    shutil.copytree(COQ / "golden", copy / "golden")
    subprocess.run(["make", "build"], cwd=copy, check=True, capture_output=True, timeout=600)
    return copy


# `make proofs` does just that, in CI before any test
@needs_coq
@pytest.mark.long
def test_axioms_and_weights_are_reproduced_and_recorded(built: Path) -> None:
    subprocess.run(["make", "record"], cwd=built, check=True, capture_output=True, timeout=600)
    record = json.loads((built / "build-record.json").read_text())
    assert [theorem["name"] for theorem in record["theorems"]] == theorem_names()
    assert all(theorem["axioms"] for theorem in record["theorems"])
    digest = hashlib.sha256(b"".join((COQ / name).read_bytes() for name in SOURCES)).hexdigest()
    assert record["sources_sha256"] == digest


MUTANTS = [
    # file, what stands there, what it becomes, the theory that must then fail
    ("Constructions.v", "identity : matrix := by_rows (fun r => [pick r])", "identity : matrix := by_rows (fun r => [pick (S r)])", "RealForward"),
    ("Constructions.v", "by_rows (fun r => [pick (D + r)])", "by_rows (fun r => [pick (D + S r)])", "RealForward"),
    ("Constructions.v", "[total D N]", "[total D (pred N)]", "RealForward"),
    ("Constructions.v", "[pick (D + p)]", "[pick D]", "RealForward"),
    ("Constructions.v", "(position_half (D + offset)) (position_half D)", "(position_half D) (position_half D)", "RealForward"),
    ("Constructions.v", "embedding_half : matrix := by_rows (fun r => [pick r])", "embedding_half : matrix := by_rows (fun r => [])", "UnconditionalGeneration"),
    ("Constructions.v", "layer D true [(D, fun r => ([pick r], -1 # 1))]", "layer D true [(D, fun r => ([pick r], -1 # 2))]", "Decoding"),
    ("Constructions.v", "([total 0 D], 0)", "([pick 0], 0)", "Decoding"),
    ("Constructions.v", "(2 * fraction V v - 1, 0%nat, 1%nat)", "(2 * fraction V v, 0%nat, 1%nat)", "Decoding"),
    ("Constructions.v", "fraction V v * fraction V v)", "fraction V v)", "Decoding"),
    ("Constructions.v", "Prompt 1 (fun _ c => fraction V (y c))", "Prompt 1 (fun _ c => fraction V (S (y c)))", "UnconditionalGeneration"),
    ("Constructions.v", "Prompt 1 (fun _ c => fraction V (m c))", "Prompt 1 (fun _ c => fraction V (S (m c)))", "ConditionalGeneration"),
    ("Constructions.v", "Prompt K (fun p c => fraction V (m p c))", "Prompt K (fun p c => fraction V (m c p))", "LongerResponses"),
    ("Constructions.v", "then [pick (from_token + (r - V))]", "then [pick (from_token + r)]", "LongerInputs"),
    ("Constructions.v", "if (r <? V)%nat then [pick r] else []", "[pick r]", "LongerInputs"),
    ("Constructions.v", "(scale 2 [pick (V + r)], -1 # 2)", "(scale 2 [pick (V + r)], -1 # 4)", "LongerInputs"),
    ("Constructions.v", "inject_Z (Z.of_nat (S c)) * P", "inject_Z (Z.of_nat c) * P", "LongerInputs"),
    ("Constructions.v", "(scale (power V D) [total 0 V])", "(scale (power V (D - 1)) [total 0 V])", "LongerInputs"),
    ("Constructions.v", "(scale (-2 # 1) [pick c], 3 # 2)", "(scale (-2 # 1) [pick c], 1 # 1)", "LongerInputs"),
    ("Constructions.v", "scale (- power V (D - (k + 1))) newest_digit", "scale (- power V (D - (k + 2))) newest_digit", "LongerInputs"),
    ("Constructions.v", "scale (/ power V (S t))", "scale (/ power V t)", "LongerInputs"),
    ("Constructions.v", "position_head (V + V) N (n - 1) embedding_half", "position_head (V + V) N n embedding_half", "LongerInputs"),
    ("Encodings.v", "inject_Z (2 * Z.of_nat v)", "inject_Z (2 * Z.of_nat v - 1)", "FloatEncodings"),
    ("Encodings.v", "(- (Z.of_nat v * Z.of_nat v))", "(Z.of_nat v * Z.of_nat v)", "FloatEncodings"),
    ("Encodings.v", "unconditional_with (integer V)", "unconditional_with (integer (S V))", "FloatGeneration"),
    ("Encodings.v", "Transformer V 2 V (by_rows (fun r => [(c, r, 1%nat)]))", "Transformer V 2 V (by_rows (fun r => [(1, r, 1%nat)]))", "ExactGeneration"),
    ("Encodings.v", "longer_responses_with (integer V)", "longer_responses_with (integer (S V))", "FloatGeneration"),
    ("Encodings.v", "Prompt 1 (fun _ r => integer (y r))", "Prompt 1 (fun _ r => integer (S (y r)))", "FloatGeneration"),
    ("Encodings.v", "Prompt K (fun p r => integer (f p r))", "Prompt K (fun p r => integer (f r p))", "FloatGeneration"),
    ("Theorems.v", "(INR N - 1) * (4 * INR V - 3) < exp tau", "(INR N - 1) * (4 * INR V - 4) < exp tau", "Theorems"),
    ("Theorems.v", "(4 * INR V - 3) * (2 * INR K - 2) - 1 < exp tau", "(4 * INR V - 3) * (2 * INR K - 2) - 2 < exp tau", "Theorems"),
    ("Theorems.v", "INR n * (4 * INR V - 1) < exp tau", "INR n * (4 * INR V - 2) < exp tau", "Theorems"),
    ("Theorems.v", "(V <= 4097)%nat", "(V <= 4098)%nat", "Theorems"),
    ("Theorems.v", "(V <= 46)%nat", "(V <= 47)%nat", "Theorems"),
    ("Theorems.v", "(V <= 17)%nat", "(V <= 18)%nat", "Theorems"),
    ("MatrixUnits.v", "hopper := MatrixUnit 16 25", "hopper := MatrixUnit 16 20", "MatrixUnitGeneration"),
    ("MatrixUnits.v", "hopper := MatrixUnit 16 25", "hopper := MatrixUnit 16 24", "MatrixUnitsRecorded"),
    ("MatrixUnits.v", "hopper := MatrixUnit 16 25", "hopper := MatrixUnit 16 26", "MatrixUnitsRecorded"),
    ("MatrixUnits.v", "hopper := MatrixUnit 16 25", "hopper := MatrixUnit 8 25", "MatrixUnitsRecorded"),
    ("MatrixUnits.v", "ampere := MatrixUnit 8 24", "ampere := MatrixUnit 8 25", "MatrixUnitsRecorded"),
    ("MatrixUnits.v", "Z.quot (Fnum x)", "Z.div (Fnum x)", "MatrixUnits"),
    ("MatrixUnits.v", "toward_zero 24 (-149) (truncated_sum", "toward_zero 25 (-149) (truncated_sum", "MatrixUnits"),
    ("MatrixUnits.v", "(round radix2 (FLT_exp (-149) 24) Ztrunc)", "(round radix2 (FLT_exp (-149) 24) ZnearestE)", "MatrixUnits"),
    ("MatrixUnitSums.v", "(23 <= fraction_bits u", "(22 <= fraction_bits u", "MatrixUnitSums"),
    ("Theorems.v", "bpow radix2 (-23) * Rabs (value", "bpow radix2 (-24) * Rabs (value", "Theorems"),
    ("Theorems.v", "(seq 0 n) < bpow radix2 (g + 24)", "(seq 0 n) < bpow radix2 (g + 25)", "Theorems"),
    ("Theorems.v", "on_unit_bf16 u o -> (V <= 17)%nat", "on_unit_bf16 u o -> (V <= 18)%nat", "Theorems"),
    ("Theorems.v", "on_unit_fp16 u o -> (V <= 46)%nat", "on_unit_fp16 u o -> (V <= 47)%nat", "Theorems"),
    ("Theorems.v", "on_unit_bf16_factors input u o -> (V <= 128)%nat", "on_unit_bf16_factors input u o -> (V <= 129)%nat", "Theorems"),
    ("MatrixUnitSums.v", "+ chain_bound u least bs (block u least b c)", "+ chain_bound u least bs c", "MatrixUnitSums"),
    ("Theorems.v", "on_unit_tf32 input u o -> (V <= 1024)%nat", "on_unit_tf32 input u o -> (V <= 1025)%nat", "Theorems"),
]  # fmt: skip


@pytest.mark.parametrize(("file", "old", "new", "theory"), MUTANTS, ids=lambda value: value[:40])
def test_mutants_apply(file: str, old: str, new: str, theory: str) -> None:
    assert (COQ / file).read_text().count(old) >= 1
    assert old != new
    assert f"{theory}.v" in SOURCES


@needs_coq
@pytest.mark.parametrize(("file", "old", "new", "theory"), heavy_or_long(MUTANTS, 12), ids=lambda value: value[:40])
def test_a_wrong_weight_or_bound_does_not_compile(
    built: Path, tmp_path: Path, file: str, old: str, new: str, theory: str
) -> None:
    copy = tmp_path / "coq"
    shutil.copytree(built, copy)
    source = copy / file
    source.write_text(source.read_text().replace(old, new, 1))
    run = subprocess.run(
        ["make", "-f", "Makefile.coq", f"{theory}.vo"],
        cwd=copy,
        check=False,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert run.returncode != 0
    assert f'File "./{theory}.v"' in run.stderr
    assert "Error" in run.stderr
