"""Weights in a safetensors file."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import ClassVar, final

from torch import Tensor

from constructions.validation import InvalidArgument
from verify.export.base import Export, ExportFormat, Held, check_described, of_weights, read_bytes
from verify.export.record import Record
from verify.files.atomic import write_atomically
from verify.files.tensors import read_tensors, write_tensors

#: The word of the metadata under which the record is.
RECORD = "prefixproof"


@final
class Safetensors(ExportFormat):
    """Every weight by its name, as tensors, and the record in the metadata."""

    name: ClassVar[str] = "safetensors"
    ending: ClassVar[str] = ".safetensors"
    holds: ClassVar[str] = "every weight by its name"
    verified: ClassVar[str] = "the weights run as those of a torch module"

    def write(self, export: Export, path: Path) -> None:
        """Write the weights and the record."""
        write_atomically(path, weights_file(export, self))

    def read(self, path: Path) -> Held:
        """Return the weights and the record."""
        name = f"safetensors {path.name}"
        content = read_bytes(path, name)
        record, weights = read_weights(content, name, self.name)
        return Held(record, hashlib.sha256(content).hexdigest(), weights, of_weights(record, weights))


def weights_file(export: Export, form: ExportFormat) -> bytes:
    """Return the file of an export's weights, with the record of a format in it."""
    return write_tensors(export.weights, {RECORD: export.record(form).to_text()})


def read_weights(content: bytes, name: str, form: str) -> tuple[Record, dict[str, Tensor]]:
    """Return the record and the weights of a file that :func:`weights_file` made.

    Raises:
        InvalidArgument: any other file.

    """
    weights, metadata = read_tensors(content, name)
    if set(metadata) != {RECORD}:
        raise InvalidArgument(f"{name}: expected a file that this package exported, with its record in the metadata")
    record = Record.from_text(metadata[RECORD], name)
    if record.format != form:
        raise InvalidArgument(f"{name}: expected the record of format {form} but got {record.format!r}")
    check_described(record, weights, name)
    return record, weights
