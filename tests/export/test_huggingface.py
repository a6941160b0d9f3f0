"""Exports as stock models of transformers: whole folders hold, and no changed one does."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from constructions import (
    Construction,
    InvalidArgument,
    ResidualConditional,
    ResidualGeneration,
    UnconditionalGeneration,
)
from tests.export.exports import flipped, outcome, resealed
from verify.export import EXPORTS, verify_export, write_export
from verify.export.verifying import Verification

pytest.importorskip("transformers")
pytest.importorskip("peft")
safetensors = pytest.importorskip("safetensors.torch")

pytestmark = [
    pytest.mark.extras,
    pytest.mark.filterwarnings("ignore::FutureWarning"),  # of the libraries, about each other
    pytest.mark.filterwarnings("ignore:Position ids are not supported"),  # peft's: the model counts them itself
]

SMALL = ResidualGeneration(3, 2, start_token=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("huggingface") / "model"
    [verdict] = write_export(SMALL, path, "huggingface", claim="residual-theorem-1", targets=[[2, 0], [1, 1]])
    assert verdict.holds
    return path


@pytest.mark.parametrize(
    ("construction", "claim", "form"),
    [
        (ResidualGeneration(4, 3, architecture="llama", start_token=True), "residual-theorem-1", "huggingface"),
        (ResidualConditional(4, architecture="opt"), "residual-theorem-2", "huggingface"),
        (ResidualConditional(4, architecture="gpt-neox"), "residual-theorem-2", "onnx"),
        pytest.param(ResidualGeneration(4, 3), "residual-theorem-1", "onnx", marks=pytest.mark.heavy),
        pytest.param(ResidualConditional(4), "residual-theorem-2", "torch-export", marks=pytest.mark.heavy),
        pytest.param(
            ResidualGeneration(94, 20, start_token=True), "residual-theorem-1", "huggingface", marks=pytest.mark.heavy
        ),
        (ResidualGeneration(4, 3, architecture="gpt-neox"), "residual-theorem-1", "bundle"),
    ],
    ids=repr,
)
def test_residual_models(construction: Construction, claim: str, form: str, tmp_path: Path) -> None:
    path = tmp_path / f"model{EXPORTS[form].ending}"
    for verdict in (*write_export(construction, path, form, claim=claim, sample=3), *verify_export(path)):
        assert verdict.holds, verdict.reason


def test_it_is_loaded_without_this_package(folder: Path) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    for case, target in enumerate([[2, 0], [1, 1]]):
        base = AutoModelForCausalLM.from_pretrained(folder)
        loaded = PeftModel.from_pretrained(base, folder / "adapters" / str(case)).eval()
        assert loaded.generate(do_sample=False)[0, 1:].tolist() == target


def test_a_change_in_any_file(folder: Path) -> None:
    for path in sorted(entry for entry in folder.rglob("*") if entry.is_file()):
        whole = path.read_bytes()
        changed = [content for _, content in flipped(whole, max(1, len(whole) // 5))]
        for content in (*changed, b"", whole[:-1], whole + b"\n"):
            path.write_bytes(content)
            assert outcome(folder).startswith("huggingface model: expected"), path
        path.write_bytes(whole)
    assert outcome(folder) == "holds"


@pytest.mark.parametrize("name", ["modeling.py", "pytorch_model.bin", "adapters/0/more.json"])
def test_another_file(name: str, folder: Path) -> None:
    (folder / name).write_text("{}")
    assert outcome(folder).startswith("huggingface model: expected")
    (folder / name).unlink()
    assert outcome(folder) == "holds"


def _reseal(folder: Path, name: str, content: bytes) -> None:
    """Change a file, and let the record have the digest that fits."""
    (folder / name).write_bytes(content)
    record = folder / "prefixproof.json"

    def fit(document: dict[str, Any]) -> None:
        document["files"][name] = {"bytes": str(len(content)), "sha256": hashlib.sha256(content).hexdigest()}

    record.write_text(resealed(record.read_text(), fit))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("model.safetensors", "falsified: what it says"),
        ("adapters/0/adapter_model.safetensors", "falsified: what it says"),
    ],
)
def test_digests_that_fit_but_numbers_that_do_not(name: str, said: str, folder: Path) -> None:
    whole = (folder / name).read_bytes()
    _reseal(folder, name, whole[:-4] + b"\0\0\x80\x3f")  # the last number becomes 1
    assert outcome(folder).startswith(said)
    _reseal(folder, name, whole[:-8])
    assert outcome(folder) != "holds"
    _reseal(folder, name, whole)
    assert outcome(folder) == "holds"


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        ("generation_config.json", "eos_token_id", 0),
        ("generation_config.json", "use_cache", True),
        ("adapters/0/adapter_config.json", "num_virtual_tokens", 2),
        ("adapters/1/adapter_config.json", "peft_type", "PREFIX_TUNING"),
    ],
)
def test_a_folder_that_generates_otherwise(name: str, key: str, value: Any, folder: Path) -> None:
    """Every tensor is right, and what a user of the folder gets is not."""
    whole = (folder / name).read_bytes()
    document = {**json.loads(whole), key: value}
    _reseal(folder, name, json.dumps(document).encode())
    assert outcome(folder) == "falsified: what it says"
    _reseal(folder, name, whole)
    assert outcome(folder) == "holds"


def test_what_is_loaded_is_what_was_hashed(folder: Path) -> None:
    """A file that changes between the digest and the loader is not looked at again."""
    form = EXPORTS["huggingface"]
    held = form.read(folder)
    whole = {path: path.read_bytes() for path in folder.rglob("*.safetensors")}
    for path in whole:
        path.write_bytes(b"")
    try:
        [verdict] = Verification(form, held, folder, SMALL).verdicts()
    finally:
        for path, content in whole.items():
            path.write_bytes(content)
    assert verdict.holds


def test_a_record_that_lies(folder: Path) -> None:
    record = folder / "prefixproof.json"
    text = record.read_text()
    for change in (
        lambda document: document.update(schema=2),
        lambda document: document.update(schema=True),
        lambda document: document.update(record=3),
        lambda document: document.update(record=json.dumps({})),
        lambda document: document.update(files=[]),
        lambda document: document["files"].update({"../x": {"bytes": "0", "sha256": "0"}}),
        lambda document: document.update(more=1),
    ):
        record.write_text(resealed(text, change))
        assert outcome(folder).startswith("huggingface model: expected")
    record.write_text(text)
    assert outcome(folder) == "holds"


def test_a_construction_that_no_stock_class_holds(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match=r"^construction: expected a table added to the embedding"):
        write_export(UnconditionalGeneration(3, 2), tmp_path / "model", "huggingface")
    assert not list(tmp_path.iterdir())
