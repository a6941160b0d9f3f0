"""A stock model of transformers with an adapter of peft for each case, in a folder that anyone can load."""

from __future__ import annotations

import hashlib
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, ClassVar, final

import torch
from torch import Tensor

from constructions.construction import Construction
from constructions.formats import get_format
from constructions.validation import InvalidArgument
from verify.export.base import Engine, Export, ExportFormat, Held, read_bytes, read_words
from verify.export.record import Record
from verify.extras import needed
from verify.files.atomic import write_atomically
from verify.files.strict import canonical, read_canonical

#: The file with the record and the digest of every other file.
RECORD = "prefixproof.json"
#: The number of this layout of files; a reader refuses any other.
SCHEMA = 1
#: Endings of files that hold no code.
_ENDINGS = frozenset({".json", ".safetensors", ".md"})


@final
class HuggingFace(ExportFormat):
    """A stock class of transformers, and a prompt-tuning adapter of peft for each target of the cases."""

    name: ClassVar[str] = "huggingface"
    ending: ClassVar[str] = ""
    extra: ClassVar[str | None] = "huggingface"
    holds: ClassVar[str] = "a stock model of transformers, with an adapter of peft for each case"
    verified: ClassVar[str] = (
        "transformers runs the model; each adapter has the exact virtual tokens, and generate answers under it"
    )
    program: ClassVar[bool] = True

    def write(self, export: Export, path: Path) -> None:
        """Write the folder, and the record of it into it.

        Raises:
            InvalidArgument: something is there already, the extra is not installed, or no stock class has a place for
                something in the construction; the message names the layer.

        """
        from verify.huggingface.saving import write_huggingface  # noqa: PLC0415 # it needs the extra

        write_huggingface(export.construction, path, list(export.targets), export.dtype)
        document = {
            "schema": SCHEMA,
            "record": export.record(self).to_text(),
            "files": {name: _described(content) for name, content in _files(path, f"huggingface {path.name}").items()},
        }
        write_atomically(path / RECORD, canonical({**document, "sha256": _sha256(canonical(document).encode())}))

    def read(self, path: Path) -> Held:
        """Return what the folder holds, once its files are those of its record."""
        name = f"huggingface {path.name}"
        text = read_words(path / RECORD, name)
        document = read_canonical(text, name)
        if not isinstance(document, dict) or set(document) != {"schema", "record", "files", "sha256"}:
            raise InvalidArgument(f"{name}: expected a folder that this package exported, with its record in it")
        if type(document["schema"]) is not int or document["schema"] != SCHEMA:
            raise InvalidArgument(f"{name}: expected a record of schema {SCHEMA}, the one that this version reads")
        if document.pop("sha256") != _sha256(canonical(document).encode()):
            raise InvalidArgument(f"{name}: expected the record as it was written but its digest is of another")
        files = _files(path, name)
        found = {each: _described(content) for each, content in files.items()}
        if found != document["files"]:
            listed = document["files"] if isinstance(document["files"], dict) else {}
            other = sorted(each for each in {*found, *listed} if found.get(each) != listed.get(each))
            raise InvalidArgument(f"{name}: expected the files of its record, unchanged, but {other[0][:80]} is not")
        if not isinstance(document["record"], str):
            raise InvalidArgument(f"{name}: expected a record of words")
        record = Record.from_text(document["record"], name)
        if record.format != self.name:
            raise InvalidArgument(f"{name}: expected the record of format {self.name} but got {record.format!r}")
        model = partial(_loaded, files, name, record.dtype)
        return Held(record, _sha256(text.encode()), None, partial(_engines, model, record.dtype), (files, model))

    def recognises(self, path: Path) -> bool:
        """Say whether a path is a folder with a record."""
        return (path / RECORD).exists()

    def check(self, held: Held, construction: Construction) -> str | None:
        """Compare every tensor of the model, the numbers of each adapter, and what ``generate`` gives under it."""
        from verify.huggingface.convert import different_tensors  # noqa: PLC0415 # it needs the extra

        files, model = held.more
        loaded = model()
        wrong = different_tensors(construction, loaded)
        if wrong:
            return f"other weights in {wrong[0]}"
        if loaded.generation_config.eos_token_id is not None:  # the cases may not give it before their last token
            return f"token {loaded.generation_config.eos_token_id} ends what generate gives"
        targets, inputs = held.record.cases(construction)
        promised = construction.response(targets, inputs)
        for case, target in enumerate(targets):
            adapter = _within(files, f"adapters/{case}/")
            if not _same_adapter(construction, adapter, target, held.record.dtype):
                return f"other virtual tokens in adapter {case}"
            tokens = _generated(loaded, adapter, inputs[case].tolist())
            if tokens != [*inputs[case].tolist(), *promised[case].tolist()]:
                return f"other tokens from generate under adapter {case}: {tokens}"
        return None

    def versions(self) -> dict[str, str]:
        """Return the versions of the libraries that write and load it."""
        found = {}
        for library in ("transformers", "peft", "safetensors"):
            try:
                found[library] = version(library)
            except PackageNotFoundError:
                found[library] = "not installed"
        return found


def _files(path: Path, name: str) -> dict[str, bytes]:
    """Return all files of a folder but the record, by their places in it."""
    found = {}
    for entry in sorted(path.rglob("*")):
        if entry.is_symlink() or not (entry.is_dir() or entry.is_file()):
            raise InvalidArgument(f"{name}: expected regular files but {entry.name} is not one")
        place = entry.relative_to(path).as_posix()
        if entry.is_file() and place != RECORD:
            if entry.suffix not in _ENDINGS:
                raise InvalidArgument(f"{name}: expected no other files than {', '.join(sorted(_ENDINGS))}")
            found[place] = read_bytes(entry, name)
    return found


def _within(files: Mapping[str, bytes], folder: str) -> dict[str, bytes]:
    return {name.removeprefix(folder): content for name, content in files.items() if name.startswith(folder)}


@contextmanager
def _folder(files: Mapping[str, bytes]) -> Iterator[Path]:
    """Write the bytes that were hashed where a library can load them: the user's own files may change meanwhile."""
    with tempfile.TemporaryDirectory() as made:
        for name, content in files.items():
            if "/" not in name:
                (Path(made) / name).write_bytes(content)
        yield Path(made)


def _loaded(files: Mapping[str, bytes], name: str, dtype: str) -> Any:
    """Return the model as anyone loads it: from safetensors, with no code of its own."""
    from verify.huggingface.models import quiet  # noqa: PLC0415 # it needs the extra

    transformers = needed("transformers", "export")
    try:
        with quiet(), _folder(files) as path:
            model = transformers.AutoModelForCausalLM.from_pretrained(
                path, local_files_only=True, use_safetensors=True, trust_remote_code=False
            ).eval()
    except Exception as error:  # noqa: BLE001 # the library has many, of files that are whole
        said = " ".join(str(error).split())[:200]
        raise InvalidArgument(f"{name}: expected a model that transformers loads but {said}") from None
    if any(weight.dtype != getattr(torch, dtype) for weight in model.parameters()):
        raise InvalidArgument(f"{name}: expected weights in {dtype}, as its record says")
    return model


def _engines(model: Any, dtype: str, construction: Construction) -> Iterator[Engine]:
    loaded = model()

    def call(virtual: Tensor, tokens: Tensor) -> Any:
        embedded = torch.cat([virtual, loaded.get_input_embeddings()(tokens)], dim=1)
        return loaded(inputs_embeds=embedded, use_cache=False).logits

    yield Engine(f"{type(loaded).__name__} {dtype}", call)


def _same_adapter(construction: Construction, files: Mapping[str, bytes], target: Any, dtype: str) -> bool:
    """Say whether an adapter holds the virtual tokens of a target, rounded once."""
    library = needed("safetensors.torch", "export")
    try:
        held = library.load(files["adapter_model.safetensors"]).get("prompt_embeddings")
    except Exception:  # noqa: BLE001 # KeyError if the file is missing; the library has its own for damaged ones
        return False
    exact = torch.from_numpy(construction.virtual_tokens(target).to_float(get_format(dtype)).copy())
    return held is not None and held.dtype == getattr(torch, dtype) and torch.equal(held.double(), exact)


def _generated(model: Any, files: Mapping[str, bytes], user_input: list[int]) -> list[int] | str:
    """Return the tokens that the model generates under an adapter, as the folder is set up; an error in its words."""
    from verify.huggingface.models import quiet  # noqa: PLC0415 # it needs the extra

    peft = needed("peft", "export")
    options = {"input_ids": torch.tensor([user_input])} if user_input else {}
    try:
        with quiet(), _folder(files) as path, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the libraries, about each other
            loaded = peft.PeftModel.from_pretrained(model, path).eval()
            found: list[int] = loaded.generate(**options, do_sample=False)[0].tolist()
    except Exception as error:  # noqa: BLE001 # the libraries have many
        return " ".join(str(error).split())[:200]
    return found


def _described(content: bytes) -> dict[str, str]:
    return {"bytes": str(len(content)), "sha256": _sha256(content)}


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
