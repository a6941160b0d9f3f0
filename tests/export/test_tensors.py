"""The reader of safetensors files: what it takes, and everything that it does not."""

from __future__ import annotations

import json
import struct
from typing import Any

import pytest
import torch

from constructions import InvalidArgument
from verify.files.strict import canonical, read_canonical
from verify.files.tensors import TYPES, read_tensors, write_tensors

ONE = {"a": torch.tensor([[1.0, -0.0, float("inf")]]), "b": torch.zeros((0, 3), dtype=torch.int64)}


def _file(header: Any, data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


def _entry(**changed: Any) -> dict[str, Any]:
    return {"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8], **changed}}


@pytest.mark.parametrize("dtype", TYPES)
def test_every_type_comes_back_bit_for_bit(dtype: torch.dtype) -> None:
    held = torch.arange(-3, 3).reshape(2, 3).to(dtype)
    tensors, metadata = read_tensors(write_tensors({"x": held, "y": held[:, :0]}, {"k": "v"}), "file")
    assert metadata == {"k": "v"}
    assert list(tensors) == ["x", "y"]
    assert tensors["x"].dtype == dtype
    assert torch.equal(tensors["x"], held)
    assert tensors["y"].shape == (2, 0)


def test_signs_of_zero_and_infinities_stay() -> None:
    tensors, _ = read_tensors(write_tensors(ONE, {}), "file")
    assert [str(value) for value in tensors["a"][0].tolist()] == ["1.0", "-0.0", "inf"]


@pytest.mark.parametrize("stop", range(len(write_tensors(ONE, {"k": "v"}))))
def test_a_file_that_is_cut_short(stop: int) -> None:
    with pytest.raises(InvalidArgument, match=r"^file"):
        read_tensors(write_tensors(ONE, {"k": "v"})[:stop], "file")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "file: expected a safetensors file"),
        (struct.pack("<Q", 2**63) + b"{}", "file: expected a safetensors file"),
        (struct.pack("<Q", 2**64 - 1) + b"{}", "file: expected a safetensors file"),
        (_file(b"[]      "), "file: expected the header to be a JSON object"),
        (_file(b"{" * 4000), "file: expected a header of JSON but it cannot be read"),
        (_file(b"[" * 100_000), "file: expected a header of JSON but it cannot be read"),
        (_file(b"\xff\xfe"), "file: expected a header of JSON but it cannot be read"),
        (_file(b'{"a":NaN}'), "file: expected JSON, which has no NaN"),
        (_file(b'{"a":1,"a":2}'), "file: expected every key once but got 'a' twice"),
        (_file({"__metadata__": {"k": 1}}), "file: expected __metadata__ to hold words"),
        (_file({"__metadata__": []}), "file: expected __metadata__ to hold words"),
        (_file({"a": 3}), "file: tensor a: expected a dtype, a shape and data_offsets"),
        (_file(_entry(more=1), bytes(8)), "file: tensor a: expected a dtype, a shape and data_offsets"),
        (
            _file(_entry(dtype="F8"), bytes(8)),
            "file: tensor a: expected a dtype of F64, F32, F16, BF16, I64 but got 'F8'",
        ),
        (_file(_entry(shape=[2.0]), bytes(8)), "file: tensor a: expected natural numbers"),
        (_file(_entry(shape=[True, 2]), bytes(8)), "file: tensor a: expected natural numbers"),
        (_file(_entry(shape=[-2]), bytes(8)), "file: tensor a: expected natural numbers"),
        (_file(_entry(shape=[2**64]), bytes(8)), "file: tensor a: expected natural numbers"),
        (_file(_entry(shape=[2**62, 2**62]), bytes(8)), "file: tensor a: expected its bytes where"),
        (_file(_entry(data_offsets=[0, 2**62]), bytes(8)), "file: tensor a: expected its bytes where"),
        (_file(_entry(data_offsets=[4, 12]), bytes(12)), "file: tensor a: expected its bytes where"),
        (_file(_entry(), bytes(7)), "file: tensor a: expected its bytes where"),
        (_file(_entry(), bytes(9)), "file: expected 8 bytes of numbers, as the header says, but got 9"),
        (
            _file(b'{ "a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}', bytes(8)),
            "file: expected the header as it was",
        ),
        (
            _file(b'{"a":{"shape":[2],"dtype":"F32","data_offsets":[0,8]}}', bytes(8)),
            "file: expected the header as it was",
        ),
        (
            _file(b'{"\\u0061":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}', bytes(8)),
            "file: expected the header as",
        ),
    ],
)
def test_what_is_refused(content: bytes, message: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        read_tensors(content, "file")
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1}', "expected JSON as it was written but it was changed"),
        (canonical({"a": 1}).replace("1", "1e0"), "expected JSON as it was written but it was changed"),
        (canonical({"a": 1}) + "\n", "expected JSON as it was written but it was changed"),
        (canonical({"a": 1}).replace("1", "1e999"), "expected JSON but it cannot be read"),
        (canonical({"a": 1}).replace("1", "NaN"), "expected JSON, which has no NaN"),
        (canonical({"a": 1}).replace("1", "9" * 5000), "expected JSON but it cannot be read"),
        ('{\n  "a": 1,\n  "a": 1\n}\n', "expected every key once but got 'a' twice"),
        ("", "expected JSON but it cannot be read"),
        ("[" * 100_000, "expected JSON but it cannot be read"),
    ],
)
def test_documents_that_are_refused(text: str, message: str) -> None:
    assert read_canonical(canonical({"b": [1, "é"], "a": None}), "file") == {"a": None, "b": [1, "é"]}
    with pytest.raises(InvalidArgument) as caught:
        read_canonical(text, "file")
    assert str(caught.value).startswith(f"file: {message}")


def test_an_empty_tensor_whose_axes_cannot_be_counted() -> None:
    shape = [2**62, 2**62, 0]
    with pytest.raises(InvalidArgument, match=r"^file: tensor a: expected a shape that torch holds but got \["):
        read_tensors(_file(_entry(shape=shape, data_offsets=[0, 0])), "file")


def test_a_name_does_not_write_on_the_terminal() -> None:
    with pytest.raises(InvalidArgument) as caught:
        read_tensors(_file({"\x1b[31mred" + "a" * 100: {"dtype": "F33", "shape": [], "data_offsets": [0, 4]}}), "file")
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 140
