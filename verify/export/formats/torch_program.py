"""A program of ``torch.export`` in a .pt2 file.

The file is a zip archive, as torch writes it, with the record as a member. Its comment, which ends it, is the SHA-256
of everything before it: a byte that is changed anywhere is found before torch's loader sees the file. Nothing in it is
a pickle: an archive with members of other kinds, which that loader would unpickle, is refused first.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, final

import torch
from torch import Tensor
from torch.export import Dim, ExportedProgram

from constructions.construction import Construction
from constructions.validation import InvalidArgument
from verify.export.base import Engine, Export, ExportFormat, Held, check_described, read_bytes
from verify.export.record import Record
from verify.files.atomic import write_atomically
from verify.files.strict import no_repetition
from verify.running.torch_module import TorchTransformer, buffer_name

_RECORD = "prefixproof.json"
#: The end of an archive counts the bytes of its comment in two bytes; the comment is a digest in hexadecimal.
_COUNT, _DIGEST = struct.Struct("<H"), 64
_FOLDER = "archive"
#: The members that torch writes; ``sample_inputs`` must be empty, as it would be a pickle.
_MEMBERS = re.compile(
    rf"{_FOLDER}/(data/weights/(weight_\d+|model_weights_config\.json)|data/constants/(tensor_\d+|model_constants_config\.json)"
    rf"|models/model\.json|data/sample_inputs/model\.pt|extra/{re.escape(_RECORD)}|archive_format|archive_version"
    r"|\.data/version|byteorder|\.data/serialization_id)"
)
#: What a tracer notes of where an operation came from: paths on this machine, which nobody else needs.
_TRACED = ("stack_trace", "nn_module_stack", "source_fn_stack", "torch_fn", "from_node")


def traced_program(module: TorchTransformer) -> ExportedProgram:
    """Return the module as a program for every batch and every length, 0 included.

    Example:
        >>> from constructions import UnconditionalGeneration
        >>> from verify import to_torch
        >>> module = to_torch(UnconditionalGeneration(3, 2))
        >>> program = traced_program(module).module()
        >>> program(module.prompt([[2, 0]]), torch.zeros((1, 0), dtype=torch.int64)).argmax().item()
        2

    """
    virtual, exact = module.construction.layout.virtual, module.source.lowered
    room = exact.context_size - virtual
    # a size of 0 or 1 in the example would be taken for a constant; a length beyond the context fails when it runs
    batch, length = Dim("batch"), Dim("length", min=0, max=max(2, room))
    example = (
        torch.zeros((2, virtual, exact.embedding_size), dtype=module.get_buffer("embedding").dtype),
        torch.zeros((2, 2), dtype=torch.int64),
    )
    program = torch.export.export(module, example, dynamic_shapes=({0: batch}, {0: batch, 1: length}), strict=False)
    for node in program.graph_module.graph.nodes:
        for word in _TRACED:
            node.meta.pop(word, None)
    program._example_inputs = None  # torch would write them as a pickle, and has no option not to
    return program


@final
class TorchExport(ExportFormat):
    """The forward pass as a program of torch, with its weights."""

    name: ClassVar[str] = "torch-export"
    ending: ClassVar[str] = ".pt2"
    holds: ClassVar[str] = "the forward pass and its weights, for torch.export.load"
    verified: ClassVar[str] = "torch runs the program"
    program: ClassVar[bool] = True

    def write(self, export: Export, path: Path) -> None:
        """Write the archive, its digest at its end."""
        stream = io.BytesIO()
        torch.export.save(traced_program(export.module), stream, extra_files={_RECORD: export.record(self).to_text()})
        content = stream.getvalue()
        if content[-_COUNT.size :] != bytes(_COUNT.size):
            raise InvalidArgument("torch-export: expected an archive without a comment from this version of torch")
        content = content[: -_COUNT.size] + _COUNT.pack(_DIGEST)
        write_atomically(path, content + _sha256(content).encode())

    def read(self, path: Path) -> Held:
        """Return the record, the weights, and the program, which torch loads when every byte was looked at."""
        name = f"torch-export {path.name}"
        content = read_bytes(path, name)
        body, digest = content[:-_DIGEST], content[-_DIGEST:]
        if len(content) <= _DIGEST or digest != _sha256(body).encode() or body[-_COUNT.size :] != _COUNT.pack(_DIGEST):
            raise InvalidArgument(f"{name}: expected a .pt2 file of this package, unchanged: its digest is of another")
        record = Record.from_text(_checked_members(content, name), name)
        if record.format != self.name:
            raise InvalidArgument(f"{name}: expected the record of format {self.name} but got {record.format!r}")
        try:
            program = torch.export.load(io.BytesIO(content))
        except Exception as error:  # noqa: BLE001 # torch has many, of an archive that is whole
            raise InvalidArgument(
                f"{name}: expected a program that torch loads but {' '.join(str(error).split())[:200]}"
            ) from None
        buffers = {buffer_name(weight): weight for weight in record.weights}
        if set(program.state_dict) != set(buffers):
            raise InvalidArgument(f"{name}: expected the weights of its record, but others are there")
        weights = {buffers[held]: tensor for held, tensor in program.state_dict.items()}
        check_described(record, weights, name)

        def engines(construction: Construction) -> Iterator[Engine]:
            module = program.module()

            def call(virtual: Tensor, tokens: Tensor) -> Any:
                return module(virtual, tokens)

            yield Engine(f"torch.export {record.dtype}", call)

        return Held(record, hashlib.sha256(content).hexdigest(), weights, engines)


def _checked_members(content: bytes, name: str) -> str:
    """Return the record of an archive whose members are those that torch writes, and no pickles."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            other = _other_member(archive, len(content), name)
            record = archive.read(f"{_FOLDER}/extra/{_RECORD}").decode("ascii")
    except InvalidArgument:
        raise
    except (
        zipfile.BadZipFile,
        LookupError,
        TypeError,
        AttributeError,
        ValueError,
        RecursionError,
        RuntimeError,
    ) as error:
        raise InvalidArgument(f"{name}: expected an archive as torch writes it but {error}") from None
    if other is not None:
        raise InvalidArgument(f"{name}: expected the members that torch writes, but {other}")
    return record


def _other_member(archive: zipfile.ZipFile, length: int, name: str) -> str | None:
    """Return what torch would not have written, such as a pickle."""
    members = archive.namelist()
    unknown = [member for member in members if not _MEMBERS.fullmatch(member)]
    if unknown:
        return f"{unknown[0][:60]!r} is there"
    if len(set(members)) != len(members):
        return "one is there twice"
    if any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist()):
        return "one is compressed"
    if sum(member.file_size for member in archive.infolist()) > length:
        return "they overlap"  # a small file whose members are all the same large part of it would fill the memory
    if archive.getinfo(f"{_FOLDER}/data/sample_inputs/model.pt").file_size:
        return "there are sample inputs, which are a pickle"
    for part in ("weights/model_weights_config.json", "constants/model_constants_config.json"):
        text = archive.read(f"{_FOLDER}/data/{part}")
        config = json.loads(text, object_pairs_hook=lambda pairs: no_repetition(pairs, name))["config"]
        if any(entry["use_pickle"] is not False for entry in config.values()):
            return "one of the tensors is a pickle"
        if not all(re.fullmatch(r"(weight|tensor)_\d+", entry["path_name"]) for entry in config.values()):
            return "one that is not a tensor is named as one"
    return None


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
