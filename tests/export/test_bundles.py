"""Bundles of known answers: every number in them is computed again, and no changed one is verified."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from constructions import FORMATS, InvalidArgument, RationalSoftmax, UnconditionalGeneration
from tests.export.exports import SMALL, flipped, outcome, resealed, written
from verify.certificates import RoundedArithmetic
from verify.export import EXPORTS, write_export
from verify.export.enclosing import enclosed, recorded
from verify.files.tensors import read_tensors, write_tensors
from verify.running.torch_module import to_torch


def _reseal_bundle(path: Path, name: str, content: bytes, **words: Any) -> None:
    """Change a file of a bundle, and let the manifest have the digest that fits."""
    (path / name).write_bytes(content)

    def fit(document: dict[str, Any]) -> None:
        document["files"][name] = {"bytes": str(len(content)), "sha256": hashlib.sha256(content).hexdigest()}
        document.update(words)

    manifest = path / "manifest.json"
    manifest.write_text(resealed(manifest.read_text(), fit))


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
