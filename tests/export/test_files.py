"""Exports of weights, of programs of torch and of known answers: whole ones hold, and no changed one does."""

from __future__ import annotations

import hashlib
import json
import struct
import sys
import zipfile
from copy import copy
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
from tests.export.exports import SMALL, flipped, never_holds, outcome, resealed, with_record, written
from verify.certificates import RoundedArithmetic
from verify.export import EXPORTS, verify_export, write_export
from verify.export.enclosing import enclosed, recorded
from verify.export.formats.torch_program import traced_program
from verify.export.verifying import Verification
from verify.files.tensors import read_tensors, write_tensors
from verify.running.torch_module import to_torch

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


def test_a_flipped_bit_in_any_file_of_a_bundle(tmp_path: Path) -> None:
    path = written(tmp_path, "bundle")
    for name in sorted(entry.name for entry in path.iterdir()):
        whole = (path / name).read_bytes()
        for place, content in flipped(whole, 23):
            (path / name).write_bytes(content)
            assert outcome(path).startswith("bundle model: expected"), (name, place)
        for stop in (0, 1, len(whole) // 2, len(whole) - 1):
            (path / name).write_bytes(whole[:stop])
            assert outcome(path).startswith("bundle model: expected"), (name, stop)
        (path / name).write_bytes(whole)
    assert outcome(path) == "holds"


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
    assert outcome(tmp_path / "nothing.safetensors").endswith("is none")
    assert outcome(tmp_path).startswith("verify: expected an export, a file that ends in .safetensors, ")
    assert outcome(tmp_path / "model.bin").startswith("verify: expected an export")


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


# bundles ------------------------------------------------------------------------------------------------------------


def _reseal_bundle(path: Path, name: str, content: bytes, **words: Any) -> None:
    """Change a file of a bundle, and let the manifest have the digest that fits."""
    (path / name).write_bytes(content)

    def fit(document: dict[str, Any]) -> None:
        document["files"][name] = {"bytes": str(len(content)), "sha256": hashlib.sha256(content).hexdigest()}
        document.update(words)

    manifest = path / "manifest.json"
    manifest.write_text(resealed(manifest.read_text(), fit))


def test_what_a_bundle_holds(tmp_path: Path) -> None:
    construction = UnconditionalGeneration(3, 2)
    write_export(construction, tmp_path / "b", "bundle", claim="theorem-1", targets=[[2, 0], [1, 1]])
    cases = json.loads((tmp_path / "b" / "cases.json").read_text())
    assert [case["target"] for case in cases] == [[2, 0], [1, 1]]
    assert cases[0]["rank"] == "6"
    assert cases[0]["virtual_tokens"] == [["2/3", "0"]]
    assert cases[0]["promised"] == [2, 0]
    manifest = json.loads((tmp_path / "b" / "manifest.json").read_text())
    assert manifest["numbers"] == "rational: the logits are exact"
    arrays, _ = read_tensors((tmp_path / "b" / "cases.safetensors").read_bytes(), "test")
    assert arrays["tokens"].tolist() == [[2], [1]]
    assert arrays["places"].tolist() == [0, 1]
    assert arrays["promised"].tolist() == [[2, 0], [1, 1]]
    exact = np.array([[[Fraction(value) for value in row] for row in case["logits"]] for case in cases], dtype=object)
    rounded = np.array([float(np.float32(float(value))) for value in exact.reshape(-1)]).reshape(exact.shape)
    assert arrays["logits"].double().tolist() == rounded.tolist()
    made = to_torch(replace(construction, temperature=RationalSoftmax(Fraction(manifest["temperature"][4:]))))
    logits = made(arrays["virtual_tokens"], arrays["tokens"])[:, arrays["places"]].double()
    assert bool(((arrays["logits_low"] <= logits) & (logits <= arrays["logits_high"])).all())
    least = min(Fraction(margin) for case in cases for margin in case["margins"])
    assert Fraction(manifest["margin"]) == least
    steps = [(row, token) for case in cases for row, token in zip(case["logits"], case["promised"], strict=True)]
    exactly = [[Fraction(value) for value in row] for row, _ in steps]
    others = [max(row[:token] + row[token + 1 :]) for row, (_, token) in zip(exactly, steps, strict=True)]
    assert least == min(row[token] - most for row, (_, token), most in zip(exactly, steps, others, strict=True))


def test_logits_that_are_irrational_are_enclosed(tmp_path: Path) -> None:
    path = tmp_path / "b"
    construction = UnconditionalGeneration(3, 2, temperature=40.0)
    [verdict] = write_export(construction, path, "bundle", claim="theorem-1", sample=2)
    assert verdict.holds
    assert json.loads((path / "manifest.json").read_text())["numbers"].startswith("balls: ")
    case = json.loads((path / "cases.json").read_text())[0]
    assert "logits" not in case
    assert len(case["logits_above"]) == len(case["logits_below"]) == 2
    assert outcome(path) == "holds"


def test_a_bundle_whose_digests_fit_but_whose_numbers_do_not(tmp_path: Path) -> None:
    path = written(tmp_path, "bundle")
    text = (path / "cases.json").read_text()
    first = json.loads(text)[0]["promised"][0]
    changed = text.replace(f'"promised": [\n      {first}\n', f'"promised": [\n      {(first + 1) % 3}\n', 1)
    assert changed != text
    _reseal_bundle(path, "cases.json", changed.encode())
    assert outcome(path) == "falsified: what it says"
    _reseal_bundle(path, "cases.json", text.encode())
    assert outcome(path) == "holds"
    _reseal_bundle(path, "cases.json", text.encode(), margin="1")
    assert outcome(path) == "falsified: what it says"


@pytest.mark.parametrize(
    "dtype",
    [pytest.param("float32", marks=pytest.mark.heavy), "float64", pytest.param("bfloat16", marks=pytest.mark.heavy)],
)
def test_bounds_of_another_processor(dtype: str, tmp_path: Path) -> None:
    """Another exp and another order of sums move the last digits; no bound may be narrower than the certified one."""
    path = written(tmp_path, "bundle", dtype=dtype)
    tensors, _ = read_tensors((path / "cases.safetensors").read_bytes(), "test")
    fmt, targets, inputs = FORMATS[dtype], tensors["targets"].numpy(), tensors["tokens"].numpy()
    fixed = EXPORTS["bundle"].fixed(SMALL, dtype)
    found = enclosed(fixed, RoundedArithmetic.of(dtype), targets, inputs)[:, tensors["places"].numpy()]
    low, high = found[..., 0], found[..., 1]
    width = float((high - low).max()) + float(np.spacing(np.abs(found).max()))

    def with_bounds(below: Any, above: Any) -> str:
        held = {**tensors, "logits_low": torch.from_numpy(below), "logits_high": torch.from_numpy(above)}
        _reseal_bundle(path, "cases.safetensors", write_tensors(held, {}))
        return outcome(path)

    for down, up in ((-1, 1), (1, 1), (-1, -1)):
        # what a processor records whose own bounds are as far from these as its roundings can take them
        room = (high - low) * 2.0 ** (fmt.precision - 53)
        other = np.stack([low + down * room, high + up * room], axis=-1)
        assert not np.array_equal(other, found)
        there = recorded(other, fmt)
        assert with_bounds(there[..., 0].copy(), there[..., 1].copy()) == "holds"
    assert with_bounds(low.copy(), high.copy()) == "holds"
    inside = low.copy()
    inside[0, 0, 1] = np.nextafter(low[0, 0, 1], np.inf)
    outside = high.copy()
    outside[-1, 0, 0] += 8 * width
    no_number = low.copy()
    no_number[0, 0, 0] = np.nan
    for below, above in ((inside, high), (low, outside), (no_number, high), (low - np.inf, high), (high, low)):
        assert with_bounds(below.copy(), above.copy()) == "falsified: what it says"
    for name in ("logits_low", "logits"):
        held = {**tensors, name: tensors[name][..., :1].contiguous()}
        _reseal_bundle(path, "cases.safetensors", write_tensors(held, {}))
        assert outcome(path) == "falsified: what it says"


@pytest.mark.parametrize(
    "change",
    [
        lambda document: document["files"].update({"../x": document["files"]["cases.json"]}),
        lambda document: document["files"].update({"/etc/passwd": document["files"].pop("cases.json")}),
        lambda document: document.update(files=[]),
        lambda document: document.update(schema=2),
        lambda document: document["files"]["cases.json"].update(bytes="0"),
        lambda document: document.update(claim="theorem-1"),
        lambda document: document.update(dtype="float64"),
    ],
)
def test_a_manifest_that_lies(change: Any, tmp_path: Path) -> None:
    path = written(tmp_path, "bundle")
    (tmp_path / "x").write_text("{}")
    manifest = path / "manifest.json"
    manifest.write_text(resealed(manifest.read_text(), change))
    assert outcome(path).startswith("bundle model: expected")


def test_other_files_in_a_bundle(tmp_path: Path) -> None:
    path = written(tmp_path, "bundle")
    (path / "more").write_text("")
    assert outcome(path).startswith("bundle model: expected the files")
    (path / "more").unlink()
    content = (path / "cases.json").read_bytes()
    (tmp_path / "elsewhere").write_bytes(content)
    (path / "cases.json").unlink()
    (path / "cases.json").symlink_to(tmp_path / "elsewhere")
    assert outcome(path).startswith("bundle model: expected a regular file")
    with pytest.raises(InvalidArgument, match=r"^out: expected an empty folder, or a place where nothing is"):
        write_export(SMALL, path, "bundle")


# programs of torch --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("program"), "torch-export")


def _resealed(content: bytes) -> bytes:
    body = content[:-66] + struct.pack("<H", 64)
    return body + hashlib.sha256(body).hexdigest().encode()


def test_a_program_of_torch(program: Path) -> None:
    assert outcome(program) == "holds"
    loaded = torch.export.load(program).module()
    module = to_torch(SMALL)
    prompts, tokens = module.prompt([[2, 0, 1]]), torch.zeros((1, 0), dtype=torch.int64)
    assert torch.equal(loaded(prompts, tokens), module(prompts, tokens))


def test_a_program_that_knows_the_cases_of_its_record_alone(program: Path) -> None:
    """The weights are there and are not used: the answers come from a table."""
    form = EXPORTS["torch-export"]
    held = form.read(program)
    [engine] = held.engines(SMALL)
    known = to_torch(SMALL).prompt(held.record.cases(SMALL)[0])

    def table(virtual: torch.Tensor, tokens: torch.Tensor) -> Any:
        listed = (virtual[:, None] == known[None]).flatten(2).all(-1).any(-1)
        return engine.call(virtual, tokens) * listed[:, None, None]

    lying = replace(held, engines=lambda construction: iter([replace(engine, call=table)]))
    [verdict] = Verification(form, lying, program, SMALL).verdicts()
    assert verdict.holds is False
    [verdict] = Verification(form, held, program, SMALL).verdicts()
    assert verdict.holds
    assert verdict.cases > len(held.record.ranks)


def test_nothing_in_a_program_is_a_pickle_or_a_path(program: Path) -> None:
    with zipfile.ZipFile(program) as archive:
        held = {name: archive.read(name) for name in archive.namelist()}
    assert not held["archive/data/sample_inputs/model.pt"]
    here = str(Path(__file__).parents[2]).encode()
    assert not any(content.startswith(b"\x80") or here in content for content in held.values())


def test_a_changed_program(program: Path) -> None:
    whole = program.read_bytes()
    never_holds(program, flipped(whole, 2999))
    never_holds(program, ((stop, whole[:stop]) for stop in range(0, len(whole), 14983)))
    never_holds(program, iter([(0, _resealed(whole[: len(whole) // 2])), (1, whole + b"x")]))


@pytest.mark.parametrize("name", ["archive/data/constants/custom_obj_0", "archive/data/aotinductor/x.so", "../x"])
def test_a_program_with_members_of_other_kinds_is_not_loaded(name: str, program: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.pt2"
    with zipfile.ZipFile(program) as before, zipfile.ZipFile(path, "w") as after:
        for member in before.namelist():
            after.writestr(member, before.read(member))
        after.writestr(name, b"\x80\4.")
        after.comment = b"0" * 64
    path.write_bytes(_resealed(path.read_bytes()))
    assert "is there" in outcome(path)


def test_a_program_whose_members_overlap_is_not_loaded(tmp_path: Path) -> None:
    """A zip bomb without compression: the directory lists one large part of the file under many names."""
    path = tmp_path / "model.pt2"
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("archive/data/weights/weight_0", bytes(10**5))
        made.writestr("archive/extra/prefixproof.json", b"{}")
        for number in range(1, 100):
            member = copy(made.infolist()[0])
            member.filename = member.orig_filename = f"archive/data/weights/weight_{number}"
            made.filelist.append(member)
            made.NameToInfo[member.filename] = member
        made.comment = b"0" * 64
    path.write_bytes(_resealed(path.read_bytes()))
    assert outcome(path) == "torch-export model.pt2: expected the members that torch writes, but they overlap"


def test_a_program_of_a_context_of_one_position() -> None:
    module = to_torch(UnconditionalGeneration(3, 1))
    made = traced_program(module).module()(module.prompt([[2]]), torch.zeros((1, 0), dtype=torch.int64))
    assert made[0, 0].argmax().item() == 2


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
