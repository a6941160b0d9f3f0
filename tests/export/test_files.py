"""Exports of weights, and what every export says of itself: whole ones hold, and no changed one does."""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from constructions import (
    FORMATS,
    ConditionalGeneration,
    Construction,
    Hardmax,
    InvalidArgument,
    LongerInputs,
    LongerResponses,
    RationalSoftmax,
    Softmax,
    UnconditionalGeneration,
)
from tests.export.exports import SMALL, flipped, never_holds, outcome, with_record, written
from verify.export import EXPORTS, base, verify_export, write_export
from verify.files.memory import machine_memory
from verify.files.tensors import read_tensors, write_tensors

EACH = pytest.mark.parametrize(
    ("construction", "claim"),
    [
        (UnconditionalGeneration(5, 3), "theorem-1"),
        (ConditionalGeneration(4), "theorem-2"),
        (LongerResponses(2, 2), "longer-responses"),
        pytest.param(LongerInputs(2, 2), "longer-inputs", marks=pytest.mark.heavy),
    ],
    ids=repr,
)


@pytest.fixture(params=["safetensors", "bundle"])
def export(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return written(tmp_path, request.param)


@pytest.mark.share(2)
@EACH
@pytest.mark.parametrize("form", ["safetensors", "bundle"])
def test_every_construction(form: str, construction: Construction, claim: str, tmp_path: Path) -> None:
    path = tmp_path / f"export{EXPORTS[form].ending}"
    for verdict in (*write_export(construction, path, form, claim=claim), *verify_export(path)):
        assert verdict.holds
        assert verdict.margin is not None
        assert verdict.margin > 0
        assert verdict.claim == claim
        assert verdict.method == "exported"
    assert outcome(path, construction) == "holds"


@pytest.mark.parametrize("dtype", FORMATS)
def test_every_number_format(dtype: str, tmp_path: Path) -> None:
    path = written(tmp_path, "safetensors", dtype=dtype)
    tensors, metadata = read_tensors(path.read_bytes(), "test")
    exact = SMALL.transformer.lowered
    assert list(tensors) == list(exact.matrices())
    for name, matrix in exact.matrices().items():
        assert tensors[name].dtype == getattr(torch, dtype)
        assert tensors[name].double().tolist() == matrix.to_numpy(FORMATS[dtype]).tolist()
    record = json.loads(metadata["prefixproof"])
    assert record["exact_sha256"] == exact.sha256
    assert record["fields"]["vocab_size"] == 3
    assert (record["claim"], record["dtype"], record["schema"]) == ("theorem-2", dtype, 1)


@pytest.mark.parametrize(
    "temperature", [Softmax(40.0), Softmax(40.0, "length"), Hardmax(), RationalSoftmax(Fraction(10**9))], ids=repr
)
def test_every_temperature_comes_back(temperature: Any, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    construction = ConditionalGeneration(3, temperature=temperature)
    assert [verdict.holds for verdict in write_export(construction, path, claim="theorem-2")] == [True]
    assert outcome(path) == "holds"
    assert outcome(path, replace(construction, temperature=Softmax(41.0))) == "falsified: the temperature"


@pytest.mark.parametrize("step", [37, pytest.param(1, marks=pytest.mark.heavy)])
def test_a_flipped_bit_anywhere(step: int, tmp_path: Path) -> None:
    path = written(tmp_path, "safetensors")
    never_holds(path, flipped(path.read_bytes(), step))


def test_a_file_cut_at_any_length(tmp_path: Path) -> None:
    path = written(tmp_path, "safetensors")
    whole = path.read_bytes()
    never_holds(path, ((stop, whole[:stop]) for stop in range(0, len(whole), 41)))
    never_holds(path, ((more, whole + bytes(more)) for more in (1, 8, 100)))


def test_digests_that_fit_but_weights_that_do_not(tmp_path: Path) -> None:
    path = written(tmp_path, "safetensors")
    tensors, _ = read_tensors(path.read_bytes(), "test")
    other = {name: held.clone() for name, held in tensors.items()}
    other["readout.bias"][1, 0] = torch.nextafter(other["readout.bias"][1, 0], torch.tensor(1.0))

    def fit(record: dict[str, Any]) -> None:
        digest = hashlib.sha256(other["readout.bias"].numpy().tobytes()).hexdigest()
        record["weights"]["readout.bias"]["sha256"] = digest

    with_record(path, fit, other)
    assert outcome(path) == "falsified: weight readout.bias at [1, 0]"
    other["readout.bias"][1, 0] = torch.nan
    with_record(path, fit, other)
    assert outcome(path) == "falsified: weight readout.bias at [1, 0]"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"claim": "theorem-1"},
            "record: expected UnconditionalGeneration for theorem-1 but",
        ),
        ({"claim": "os:system"}, "not shown: ConditionalGeneration is no registered claim's"),
        ({"fields": {}}, "not shown: ConditionalGeneration is no registered claim's"),
        ({"fields": {"vocab_size": 4}}, "falsified: the shape of weight attention."),
        ({"fields": {"vocab_size": 10**30}}, "vocab_size: expected an integer <= "),
        ({"fields": {"vocab_size": 3, "transformer": 1}}, "record: expected fields of ConditionalGeneration"),
        ({"exact_sha256": "0" * 64}, "falsified: the digest of the exact weights"),
        ({"temperature": {"temperature": "nan"}}, "temperature: expected a finite number > 0"),
        ({"temperature": {"warmth": "1"}}, "record: expected a temperature"),
        ({"temperature": {"q": "1/0"}}, "q: expected a positive rational number"),
        ({"dtype": "float64"}, "safetensors model.safetensors: expected weight"),
        ({"dtype": "int8"}, "safetensors model.safetensors: dtype: expected one of"),
        ({"schema": 2}, "safetensors model.safetensors: expected a record of schema 1"),
        ({"schema": 1.0}, "safetensors model.safetensors: expected a record of schema 1"),
        ({"ranks": ["1"], "user_inputs": [[10**30]]}, "record: expected at least one case, and user inputs"),
        ({"schema": True}, "safetensors model.safetensors: expected a record of schema 1"),
        ({"format": "bundle"}, "safetensors model.safetensors: expected the record of format safetensors"),
        ({"ranks": [], "user_inputs": []}, "record: expected at least one case"),
        ({"ranks": ["27"], "user_inputs": [[0]]}, "rank: expected an integer <= 26"),
        ({"ranks": ["-1"], "user_inputs": [[0]]}, "safetensors model.safetensors: expected the values of schema 1"),
        ({"ranks": ["1"], "user_inputs": [[3]]}, "record: expected at least one case, and user inputs"),
        ({"ranks": ["1"], "user_inputs": [[0, 1]]}, "record: expected at least one case, and user inputs"),
        ({"ranks": ["1"], "user_inputs": [[True]]}, "safetensors model.safetensors: expected the values of schema 1"),
        ({"weights": {}}, "safetensors model.safetensors: expected the weights of its record"),
        ({"claim": 3}, "safetensors model.safetensors: expected the values of schema 1"),
        ({"more": 3}, "safetensors model.safetensors: expected exactly the keys of schema 1"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_record_that_lies(change: dict[str, Any], said: str, tmp_path: Path) -> None:
    path = written(tmp_path, "safetensors")
    with_record(path, lambda record: record.update(change))
    assert outcome(path).startswith(said)


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"claim": "theorem-1"}, "the claim"),
        ({"claim": "lemma-7"}, "the claim"),
        ({"construction": "UnconditionalGeneration"}, "the construction"),
        ({"fields": {"vocab_size": 4}}, "the fields"),
        ({"fields": {}}, "the fields"),
        ({"layout": {"virtual": 0}}, "the layout"),
    ],
    ids=str,
)
def test_a_record_that_lies_about_a_construction_that_is_given(
    change: dict[str, Any], place: str, tmp_path: Path
) -> None:
    """The verdict takes its claim from the record: the file must not choose the theorem that it proves."""
    path = written(tmp_path, "safetensors")
    with_record(path, lambda record: record.update(change))
    assert outcome(path, SMALL) == f"falsified: {place}"


def test_a_record_whose_layout_lies(tmp_path: Path) -> None:
    path = written(tmp_path, "safetensors")
    with_record(path, lambda record: record["layout"].update(context=99))
    assert outcome(path) == "falsified: the layout"


def test_a_foreign_file(tmp_path: Path) -> None:
    path = tmp_path / "foreign.safetensors"
    path.write_bytes(write_tensors({"a": torch.ones(2)}, {"format": "pt"}))
    assert outcome(path).startswith("safetensors foreign.safetensors: expected a file that this package exported")
    for content in (b"", b"PK\3\4", b"\x80\4." * 100, bytes(1000)):
        path.write_bytes(content)
        assert outcome(path).startswith("safetensors foreign.safetensors: expected a safetensors file")
    assert outcome(tmp_path / "nothing.safetensors").endswith("is not one")
    assert outcome(tmp_path).startswith("verify: expected an export, a file that ends in .safetensors, ")
    assert outcome(tmp_path / "model.bin").startswith("verify: expected an export")


def test_a_file_that_does_not_fit_in_memory(export: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [export] if export.is_file() else [entry for entry in export.iterdir() if entry.name != "manifest.json"]
    longest = max(files, key=lambda file: file.stat().st_size)
    size = longest.stat().st_size
    monkeypatch.setattr(base, "machine_memory", lambda: size)
    assert outcome(export) == "holds"
    monkeypatch.setattr(base, "machine_memory", lambda: size - 1)
    assert outcome(export).endswith(
        f": expected a file of at most {size - 1:,} bytes, the memory of this machine, but {longest} has {size:,}"
    )


def test_a_file_that_is_longer_than_this_machine_has_memory_for(tmp_path: Path) -> None:
    path = tmp_path / "huge.safetensors"
    with path.open("wb") as stream:  # sparse: it takes no room on the disk
        stream.truncate(machine_memory() + 1)
    assert ", the memory of this machine, but " in outcome(path)


def test_a_manifest_that_is_too_long_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, "bundle")
    size = (path / "manifest.json").stat().st_size
    monkeypatch.setattr(base, "LONGEST_FILE", size)
    assert outcome(path) == "holds"
    monkeypatch.setattr(base, "LONGEST_FILE", size - 1)
    assert outcome(path).startswith(f"bundle model: expected a file of at most {size - 1:,} bytes but ")


def test_another_models_file(export: Path) -> None:
    assert outcome(export, ConditionalGeneration(4)).startswith("falsified: the shape of weight")
    assert outcome(export, ConditionalGeneration(3, lift="mask")).startswith("falsified: ")


@dataclass(frozen=True, repr=False)
class Own(ConditionalGeneration):  # type: ignore[misc] # final, and the shortest way to a class of one's own
    """An author's own construction, whose class is no registered claim's."""


def test_a_construction_of_ones_own_is_shown_against_itself_alone(tmp_path: Path) -> None:
    path = tmp_path / "own.safetensors"
    [verdict] = write_export(Own(3), path, claim="tests.export.test_files:Own")
    assert verdict.holds
    assert outcome(path).startswith("not shown: Own is no registered claim's: name the claim")
    assert outcome(path, Own(3)) == "holds"


# what is refused ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "options", "message"),
    [
        ("a.safetensors", {"format": "nothing"}, "format: expected one of safetensors, "),
        ("a.onnx", {"format": "safetensors"}, "out: expected a file that ends in .safetensors for safetensors"),
        ("a.pt2", {"format": "bundle"}, "out: expected the name of a folder for bundle"),
        ("a.onnx", {"format": "onnx", "dtype": "bfloat16"}, "dtype of onnx: expected one of float32, float64"),
        ("a.safetensors", {"dtype": "int8"}, "dtype of safetensors: expected one of"),
        ("a.safetensors", {"targets": [[0, 1]]}, "targets: expected integers from 0 to 2 of shape (3)"),
        ("a.safetensors", {"targets": np.zeros((0, 3), dtype=np.int64)}, "targets: expected at least one"),
        ("a.safetensors", {"targets": [[0, 1, 2]], "user_inputs": [[3]]}, "user_inputs: expected integers from 0 to 2"),
        ("a.safetensors", {"targets": [[0, 1, 2]], "user_inputs": [[0], [1]]}, "user_inputs: expected 1 inputs"),
        ("a.safetensors", {"claim": "theorem-1"}, "claim: expected one of ConditionalGeneration, theorem-2 for"),
        ("a.safetensors", {"sample": 0}, "sample: expected an integer >= 1"),
    ],
)
def test_what_is_refused(path: str, options: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument) as caught:
        write_export(SMALL, tmp_path / path, **options)
    assert str(caught.value).startswith(message)
    assert not list(tmp_path.iterdir())


def test_without_the_extra_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(InvalidArgument) as caught:
        write_export(SMALL, tmp_path / "m.onnx", "onnx")
    assert str(caught.value) == "export: expected onnx; install it with: pip install 'prefixproof[onnx]'"
