"""Tensors in a file of the safetensors format: written, and read with nothing taken for granted.

The format is a length (8 bytes, little-endian), a header of that many bytes (JSON: for each tensor its type, its shape
and where its bytes are, and words under ``__metadata__``), and the bytes of the tensors. It is small enough to be read
here, more strictly than by its own library, and needs no other package. What is written here is canonical: one document
has one file, so that a reader finds any byte that was changed by writing the file again.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from constructions.validation import InvalidArgument
from verify.files.strict import read_strict
from verify.numbers import shortened

#: The format's name of each type of torch that it is written with here, and bytes of a number.
TYPES: Mapping[torch.dtype, tuple[str, int]] = {
    torch.float64: ("F64", 8),
    torch.float32: ("F32", 4),
    torch.float16: ("F16", 2),
    torch.bfloat16: ("BF16", 2),
    torch.int64: ("I64", 8),
}
_BY_NAME = {name: (dtype, size) for dtype, (name, size) in TYPES.items()}

#: The length of the header takes so many bytes, and the header is padded to a multiple of them, as the library does.
_WORD = 8
#: Bytes of the longest header that is read; the library has the same limit.
_LONGEST_HEADER = 100_000_000
_METADATA = "__metadata__"


def tensor_bytes(tensor: Tensor) -> bytes:
    """Return the numbers of a tensor, little-endian, the last axis fastest."""
    held = tensor.detach().to("cpu").contiguous()
    return held.reshape(-1).view(torch.uint8).numpy().tobytes()


def write_tensors(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> bytes:
    """Return the file of tensors and words about them.

    Example:
        >>> held = write_tensors({"a": torch.ones(2, dtype=torch.float32)}, {"made of": "ones"})
        >>> read_tensors(held, "example")
        ({'a': tensor([1., 1.])}, {'made of': 'ones'})

    """
    header: dict[str, Any] = {_METADATA: dict(sorted(metadata.items()))} if metadata else {}
    data: list[bytes] = []
    start = 0
    for name, tensor in tensors.items():
        data.append(tensor_bytes(tensor))
        stop = start + len(data[-1])
        header[name] = {"dtype": TYPES[tensor.dtype][0], "shape": list(tensor.shape), "data_offsets": [start, stop]}
        start = stop
    text = json.dumps(header, ensure_ascii=True, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _WORD)
    return b"".join([len(text).to_bytes(_WORD, "little"), text, *data])


def read_tensors(content: bytes, name: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors and the words of a file that :func:`write_tensors` made, in their order.

    Args:
        content: all bytes of the file.
        name: what it is, for messages.

    Raises:
        InvalidArgument: any other file: cut short, longer, with other bytes in its header, or of other types.

    """
    length = int.from_bytes(content[:_WORD], "little")
    if len(content) < _WORD or not 2 <= length <= min(_LONGEST_HEADER, len(content) - _WORD):
        raise InvalidArgument(
            f"{name}: expected a safetensors file, whose first 8 bytes count those of its header, but its"
            f" {len(content):,} bytes begin with another number"
        )
    header = read_strict(content[_WORD : _WORD + length], name, "a header of JSON")
    if not isinstance(header, dict):
        raise InvalidArgument(f"{name}: expected the header to be a JSON object")
    metadata = header.pop(_METADATA, {})
    if not isinstance(metadata, dict) or not all(isinstance(word, str) for word in metadata.values()):
        raise InvalidArgument(f"{name}: expected {_METADATA} to hold words")
    data = memoryview(content)[_WORD + length :]
    tensors, start = {}, 0
    for tensor, entry in header.items():
        printable = repr(tensor[:40])[1:-1]  # a name may hold what moves the cursor
        tensors[tensor], start = _tensor(f"{name}: tensor {printable}", entry, data, start)
    if start != len(data):
        raise InvalidArgument(f"{name}: expected {start:,} bytes of numbers, as the header says, but got {len(data):,}")
    if write_tensors(tensors, metadata) != content:
        raise InvalidArgument(f"{name}: expected the header as it was written but it was changed")
    return tensors, metadata


def _tensor(name: str, entry: Any, data: memoryview, start: int) -> tuple[Tensor, int]:
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise InvalidArgument(f"{name}: expected a dtype, a shape and data_offsets")
    shape, offsets, word = entry["shape"], entry["data_offsets"], entry["dtype"]
    if not isinstance(word, str) or word not in _BY_NAME:
        raise InvalidArgument(f"{name}: expected a dtype of {', '.join(_BY_NAME)} but got {str(word)[:20]!r}")
    if not _naturals(shape) or not _naturals(offsets) or len(offsets) != 2:
        raise InvalidArgument(f"{name}: expected natural numbers for its shape and its two offsets")
    dtype, size = _BY_NAME[word]
    stop = start + math.prod(shape) * size
    if offsets != [start, stop] or stop > len(data):
        raise InvalidArgument(f"{name}: expected its bytes where the one before it ends, and inside the file")
    held = torch.frombuffer(bytearray(data[start:stop]), dtype=dtype) if stop > start else torch.zeros(0, dtype=dtype)
    try:
        return held.reshape(shape), stop
    except RuntimeError:  # of no number at all, but with axes whose product torch cannot count
        raise InvalidArgument(f"{name}: expected a shape that torch holds but got {shortened(shape)}") from None


def _naturals(value: Any) -> bool:
    return isinstance(value, list) and all(type(part) is int and 0 <= part < 2**63 for part in value)
