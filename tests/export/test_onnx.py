"""ONNX exports: onnxruntime at every level answers as promised, within the certified bounds; no changed file does."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from constructions import (
    ConditionalGeneration,
    Construction,
    LongerInputs,
    LongerResponses,
    Softmax,
    UnconditionalGeneration,
)
from tests.export.exports import SMALL, flipped, never_holds, outcome, resealed, written
from tests.forward.test_torch_layers import Tree
from tests.forward.trees import MODELS
from verify.certificates import RoundedArithmetic
from verify.export import write_export
from verify.export.base import Export
from verify.export.enclosing import enclosed
from verify.export.formats.onnx_file import LEVELS, Onnx
from verify.running.torch_module import to_torch

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")

pytestmark = pytest.mark.extras


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("onnx"), "onnx")


def _agrees(construction: Construction, claim: str, form: str, ending: str, folder: Path, dtype: str) -> None:
    verdicts = write_export(construction, folder / f"m{ending}", form, dtype=dtype, claim=claim, sample=200)
    assert len(verdicts) == (len(LEVELS) if form == "onnx" else 1)
    for verdict in verdicts:
        assert verdict.holds, verdict.reason
        assert verdict.cases > 150 or construction.target_space.size < 1000


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_two_hundred_targets_at_every_level(dtype: str, tmp_path: Path) -> None:
    _agrees(UnconditionalGeneration(94, 20), "theorem-1", "onnx", ".onnx", tmp_path, dtype)


@pytest.mark.parametrize(
    "dtype", [pytest.param("float32", marks=pytest.mark.heavy), pytest.param("float64", marks=pytest.mark.long)]
)
@pytest.mark.parametrize(
    ("form", "ending"), [("onnx", ".onnx"), ("torch-export", ".pt2"), ("safetensors", ".safetensors")]
)
@pytest.mark.parametrize(
    ("construction", "claim"),
    [
        (UnconditionalGeneration(94, 20), "theorem-1"),
        (ConditionalGeneration(94), "theorem-2"),
        (LongerResponses(20, 3), "longer-responses"),
        (LongerInputs(2, 3), "longer-inputs"),
    ],
    ids=repr,
)
def test_two_hundred_targets_of_every_construction(
    construction: Construction, claim: str, form: str, ending: str, dtype: str, tmp_path: Path
) -> None:
    _agrees(construction, claim, form, ending, tmp_path, dtype)


def test_the_model_is_a_plain_one(model: Path) -> None:
    held = onnx.load(model)
    onnx.checker.check_model(held, full_check=True)
    assert [entry.domain for entry in held.opset_import] == [""]
    assert {entry.name for entry in held.graph.initializer} >= set(to_torch(SMALL).state_dict())
    assert str(Path(__file__).parents[2]).encode() not in model.read_bytes()
    sizes = [entry.type.tensor_type.shape.dim for entry in held.graph.input]
    assert [[dim.dim_value for dim in dims] for dims in sizes] == [[0, 1, 3], [0, 0]]  # 0: any


def test_any_batch_and_length(model: Path) -> None:
    from onnxruntime import InferenceSession

    session, module = InferenceSession(model, providers=["CPUExecutionProvider"]), to_torch(SMALL)
    targets = np.array([[2, 0, 1], [0, 0, 2]])
    for batch in (1, 2):
        prompts = module.prompt(targets[:batch])
        for tokens in (np.zeros((batch, 0), dtype=np.int64), np.full((batch, 1), 2)):
            (logits,) = session.run(None, {"virtual_tokens": prompts.numpy(), "tokens": tokens})
            low, high = np.moveaxis(enclosed(SMALL, RoundedArithmetic.of("float32"), targets[:batch], tokens), -1, 0)
            assert logits.shape == (batch, 1 + tokens.shape[1], 3)
            assert bool(((low <= logits) & (logits <= high)).all())


def test_a_changed_model(model: Path) -> None:
    whole = model.read_bytes()
    never_holds(model, flipped(whole, 211))
    never_holds(model, ((stop, whole[:stop]) for stop in range(0, len(whole), 499)))
    never_holds(model, iter([(0, whole + b"\0"), (1, whole + whole)]))


def _resealed(model: Path, path: Path, change: Any) -> None:
    held = onnx.load(model)
    record = held.metadata_props[0].value
    del held.metadata_props[:]
    made = change(held, record)
    record = made if isinstance(made, str) else record
    for key, value in (("prefixproof", record), ("prefixproof_sha256", None)):
        text = hashlib.sha256(held.SerializeToString(deterministic=True)).hexdigest() if value is None else value
        entry = held.metadata_props.add()
        entry.key, entry.value = key, text
    path.write_bytes(held.SerializeToString(deterministic=True))


def _weight(held: Any, name: str) -> Any:
    return next(entry for entry in held.graph.initializer if entry.name == name)


def _external(held: Any, record: str) -> None:
    weight = _weight(held, "readout__bias")
    weight.ClearField("raw_data")
    weight.data_location = onnx.TensorProto.EXTERNAL
    entry = weight.external_data.add()
    entry.key, entry.value = "location", "../x"


def _own_operator(held: Any, record: str) -> None:
    held.opset_import.add(domain="com.example", version=1)
    held.graph.node[0].domain = "com.example"


def _renamed(held: Any, record: str) -> None:
    held.graph.input[0].name = "x"


def _other_weight(held: Any, record: str) -> str:
    weight = _weight(held, "readout__bias")
    numbers = onnx.numpy_helper.to_array(weight).copy()
    numbers[1] += 1
    weight.raw_data = numbers.tobytes()
    digest = hashlib.sha256(numbers.tobytes()).hexdigest()
    return resealed(record, lambda document: document["weights"]["readout.bias"].update(sha256=digest))


def _other_program(held: Any, record: str) -> None:
    node = next(node for node in reversed(held.graph.node) if node.op_type == "Add")
    node.op_type = "Sub"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda held, record: None, "holds"),
        (_external, "onnx m.onnx: expected all weights in the file but some are in another"),
        (_own_operator, "onnx m.onnx: expected operators of the ONNX standard alone"),
        (_renamed, "onnx m.onnx: expected a model from virtual_tokens and tokens to logits"),
        (_other_weight, "falsified: weight readout.bias at [1, 0]"),
        (_other_program, "falsified: response position 0"),
        (lambda held, record: held.graph.initializer.add(name="readout__bias"), "onnx m.onnx: expected"),
        (lambda held, record: held.graph.ClearField("node"), "onnx m.onnx: expected a valid ONNX model"),
    ],
)
def test_digests_that_fit_but_a_model_that_does_not(change: Any, said: str, model: Path, tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    _resealed(model, path, change)
    assert outcome(path).startswith(said)


def test_a_foreign_model(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    for content in (b"", b"PK\3\4", bytes(100), onnx.ModelProto(ir_version=8).SerializeToString()):
        path.write_bytes(content)
        assert outcome(path).startswith("onnx m.onnx: expected")


def test_what_onnxruntime_has_no_kernel_for_is_not_shown(tmp_path: Path) -> None:
    """It has no erf in float64, so that a model of gelu is written and not verified."""
    construction = Tree(model="gelu", temperature=Softmax(1.5))
    verdicts = write_export(construction, tmp_path / "m.onnx", "onnx", dtype="float64", sample=2)
    assert [verdict.holds for verdict in verdicts] == [None] * len(LEVELS)
    assert all("Erf" in str(verdict.reason) for verdict in verdicts)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.long if place % 4 else pytest.mark.heavy)
        for place, name in enumerate(MODELS)
    ],
)
def test_a_model_of_every_layer(name: str, tmp_path: Path) -> None:
    """Its logits lie within the certified bounds of float32 at every level; it promises nothing, so that none holds."""
    construction = Tree(model=name, temperature=Softmax(1.5))
    targets, inputs = construction.targets.sample(6, seed=1), construction.user_inputs.sample(6, seed=2)
    form, path = Onnx(), tmp_path / "m.onnx"
    form.write(Export(construction, "Tree", "float32", targets, inputs, to_torch(construction)), path)
    low, high = np.moveaxis(enclosed(construction, RoundedArithmetic.of("float32"), targets, inputs), -1, 0)
    for program in form.read(path).engines(construction):
        logits = program.call(to_torch(construction).prompt(targets), torch.from_numpy(inputs))
        assert bool(((low <= logits) & (logits <= high)).all()), program.name
