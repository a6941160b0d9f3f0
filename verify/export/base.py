"""A format of exports describes itself: what it holds, how it is written, and how it is read back from its files."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from constructions.construction import Construction
from constructions.formats import FORMATS, get_format
from constructions.temperature import Temperatures
from constructions.transformer import ExactTransformer
from constructions.validation import IntArray, InvalidArgument, check_choice
from verify.evidence.verdict import library_versions
from verify.export.record import Record, fields_of, ranks_of
from verify.files.atomic import LONGEST_FILE
from verify.files.memory import machine_memory
from verify.files.tensors import tensor_bytes
from verify.running.torch_module import TorchTransformer, to_torch

#: Cases that are drawn where none are given.
SAMPLE = 20

#: Logits at every position, as numpy floats, for virtual tokens in the number format and int64 tokens.
Call = Callable[[Tensor, Tensor], Any]


@dataclass(frozen=True)
class Engine:
    """A way to run what a file holds.

    Attributes:
        name: what runs, as the ``arithmetic`` of a verdict.
        call: the logits at every position.

    """

    name: str
    call: Call


@dataclass(frozen=True)
class Export:
    """A construction to export, in a number format, and the cases that the export is verified on.

    Attributes:
        construction: at the temperature at which it is exported.
        claim: a claim's id; the construction's name for one of the author's own.
        dtype: the number format.
        targets: of the cases, int64.
        user_inputs: of the cases, int64.
        module: its weights, rounded once.

    """

    construction: Construction
    claim: str
    dtype: str
    targets: IntArray
    user_inputs: IntArray
    module: TorchTransformer = field(repr=False)

    @property
    def weights(self) -> dict[str, Tensor]:
        """Every weight by its name, rounded once to the number format."""
        return weights_of(self.module)

    def record(self, form: ExportFormat) -> Record:
        """Return what the export says of itself."""
        construction = self.construction
        return Record(
            format=form.name,
            claim=self.claim,
            **said_of(construction, self.module.source.lowered),
            temperature=construction.temperature_for(get_format(self.dtype)).words,
            dtype=self.dtype,
            exact_sha256=self.module.source.lowered.sha256,
            weights=described(self.weights),
            ranks=ranks_of(construction, self.targets),
            user_inputs=tuple(tuple(row) for row in self.user_inputs.tolist()),
            versions={**library_versions(), **form.versions()},
        )


@dataclass(frozen=True)
class Held:
    """What was read back from an export.

    Attributes:
        record: what it says of itself.
        sha256: the digest of the file; of its manifest, where it is a folder.
        weights: every weight by its name; ``None`` where they have other names, and the format's own check compares.
        engines: gives the ways to run it; for the construction, where the file holds weights alone.
        more: of what else the format's own check looks at.

    """

    record: Record
    sha256: str
    weights: Mapping[str, Tensor] | None
    engines: Callable[[Construction], Iterator[Engine]]
    more: Any = None


class ExportFormat(ABC):
    """A format of exports. A new one is a class in a file of its own and a line in ``verify.export.formats.EXPORTS``.

    Attributes:
        name: as ``--format`` takes it.
        ending: of its files; empty where it is a folder.
        extra: the extra of this package that installs what it needs, ``None`` where it needs nothing.
        holds: what is in it, in a few words.
        verified: how it is verified again, in a few words.
        dtypes: the number formats that it can be written in.
        program: whether its files say what is computed, so that it is asked cases that they do not name.

    """

    name: ClassVar[str]
    ending: ClassVar[str]
    extra: ClassVar[str | None] = None
    holds: ClassVar[str]
    verified: ClassVar[str]
    dtypes: ClassVar[tuple[str, ...]] = tuple(FORMATS)
    program: ClassVar[bool] = False

    @abstractmethod
    def write(self, export: Export, path: Path) -> None:
        """Write the export.

        Raises:
            InvalidArgument: an extra that is not installed, or a construction that the format cannot hold.
            OSError: it cannot be written; the error names the file.

        """

    @abstractmethod
    def read(self, path: Path) -> Held:
        """Return what an export holds, every byte of it looked at.

        Raises:
            InvalidArgument: no export of this format: damaged, cut short, or made by something else.
            OSError: it cannot be read.

        """

    def recognises(self, path: Path) -> bool:
        """Say whether a path is of this format, by its ending."""
        return bool(self.ending) and path.suffix == self.ending

    def check(self, held: Held, construction: Construction) -> str | None:
        """Return what else of the export is not the construction's, ``None`` where everything is."""
        return None

    def versions(self) -> dict[str, str]:
        """Return the versions of the libraries that write it."""
        return {}

    def temperature(self, construction: Construction, dtype: str) -> Temperatures:
        """Return the temperature at which a construction is exported: the one given, or a default."""
        return construction.temperature_for(get_format(dtype))

    def fixed(self, construction: Construction, dtype: str) -> Construction:
        """Return a construction at the temperature at which it is exported."""
        return replace(construction, temperature=self.temperature(construction, dtype))

    def check_dtype(self, dtype: str) -> None:
        """Refuse a number format that it cannot be written in."""
        check_choice(f"dtype of {self.name}", dtype, self.dtypes)


def said_of(construction: Construction, exact: ExactTransformer) -> dict[str, Any]:
    """Return what a record says of a construction beside its numbers, by the names of the record."""
    layout = construction.layout
    return {
        "construction": type(construction).__name__,
        "fields": fields_of(construction),
        "layout": {
            "virtual": layout.virtual,
            "user": layout.user,
            "response": layout.response,
            "context": exact.context_size,
            "embedding": exact.embedding_size,
            "vocab": exact.vocab_size,
            "outputs": exact.output_size,
        },
    }


def weights_of(module: TorchTransformer) -> dict[str, Tensor]:
    """Return the weights of a module by the names of its matrices."""
    names = module.source.lowered.matrices()
    return dict(zip(names, module.buffers(), strict=True))


def described(weights: Mapping[str, Tensor]) -> dict[str, dict[str, Any]]:
    """Return the shape and the digest of every weight."""
    return {
        name: {"shape": list(held.shape), "sha256": hashlib.sha256(tensor_bytes(held)).hexdigest()}
        for name, held in weights.items()
    }


def check_described(record: Record, weights: Mapping[str, Tensor], name: str) -> None:
    """Refuse weights that are not those of a record: in name, shape, dtype or any bit.

    Raises:
        InvalidArgument: there is one.

    """
    if set(weights) != set(record.weights):
        raise InvalidArgument(f"{name}: expected the weights of its record, but others are there")
    dtype = getattr(torch, record.dtype)
    for weight, entry in described(weights).items():
        if weights[weight].dtype != dtype or entry != dict(record.weights[weight]):
            raise InvalidArgument(f"{name}: expected weight {weight} as its record says, in {record.dtype}")


def of_weights(record: Record, weights: Mapping[str, Tensor]) -> Callable[[Construction], Iterator[Engine]]:
    """Return the way to run weights alone: as the buffers of the construction's torch module."""

    def engines(construction: Construction) -> Iterator[Engine]:
        module = to_torch(construction, record.dtype)
        if module.source.lowered.sha256 != record.exact_sha256:
            raise InvalidArgument("transformer: other weights when it is asked again")
        for name, place in weights_of(module).items():
            place.copy_(weights[name])
        yield Engine(f"torch {record.dtype}", module)

    return engines


def read_bytes(path: Path, name: str, longest: int | None = None) -> bytes:
    """Return all bytes of a regular file.

    Args:
        path: the file.
        name: what it is of, for messages.
        longest: how many bytes it may have, by default as many as the memory of this machine.

    Raises:
        InvalidArgument: not a regular file, or one that is longer.
        OSError: it cannot be read.

    """
    if path.is_symlink() or not path.is_file():
        raise InvalidArgument(f"{name}: expected a regular file but {path} is not one")
    room = machine_memory() if longest is None else longest
    if (found := path.stat().st_size) > room:
        what = ", the memory of this machine," if longest is None else ""
        raise InvalidArgument(f"{name}: expected a file of at most {room:,} bytes{what} but {path} has {found:,}")
    return path.read_bytes()


def read_words(path: Path, name: str) -> str:
    """Return the text of a file of ours.

    Raises:
        InvalidArgument: not a regular file, too long, or not ASCII.

    """
    content = read_bytes(path, name, LONGEST_FILE)
    if not content.isascii():
        raise InvalidArgument(f"{name}: expected ASCII text in {path}")
    return content.decode("ascii")


def forced(construction: Construction, targets: IntArray, user_inputs: IntArray) -> IntArray:
    """Return the tokens of one pass that gives all logits of the promised responses: the user's, and those fed back."""
    layout, decoding = construction.layout, construction.reading
    if layout.read is not None or not decoding.gives_tokens:
        return user_inputs
    promised = np.asarray(construction.response(targets, user_inputs), dtype=np.int64)
    return np.concatenate([user_inputs, promised[:, :-1]], axis=1)
