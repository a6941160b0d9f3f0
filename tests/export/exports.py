"""Small exports, made once for all tests and written where each one asks, and ways to change their bytes."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from constructions import ConditionalGeneration, InvalidArgument
from verify.evidence.verdict import Verdict
from verify.export import EXPORTS, verify_export, write_export
from verify.files.strict import canonical
from verify.files.tensors import read_tensors, write_tensors

SMALL = ConditionalGeneration(3)


def written(folder: Path, form: str, **options: Any) -> Path:
    """Write the small construction in a format, and return where."""
    path = folder / f"model{EXPORTS[form].ending}"
    if options:
        _write(path, form, **options)
        return path
    for name, content in _files(form).items():
        place = path / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
    return path


@cache
def _files(form: str) -> dict[str, bytes]:
    """Return the files of an export by their places in its folder, the one file by an empty place."""
    with tempfile.TemporaryDirectory() as made:
        path = Path(made) / f"model{EXPORTS[form].ending}"
        _write(path, form)
        entries = [path] if path.is_file() else [entry for entry in path.rglob("*") if entry.is_file()]
        return {entry.relative_to(path).as_posix(): entry.read_bytes() for entry in entries}


def _write(path: Path, form: str, **options: Any) -> None:
    verdicts = write_export(SMALL, path, form, claim="theorem-2", sample=4, **options)
    assert [verdict.holds for verdict in verdicts] == [True] * len(verdicts)


def outcome(path: Path, construction: Any = None) -> str:
    """Return how verification ends: in one word, or by the message of a refusal, which must be one line."""
    try:
        verdicts = verify_export(path, construction)
    except InvalidArgument as error:
        return str(error) if "\n" not in str(error) else "holds"  # a message of two lines fails the test
    assert verdicts
    return ", ".join(sorted({_word(verdict) for verdict in verdicts}))


def _word(verdict: Verdict) -> str:
    if verdict.refutation is not None:
        return f"falsified: {verdict.refutation.place}"
    return "holds" if verdict.holds else f"not shown: {verdict.reason}"


def flipped(content: bytes, step: int) -> Iterator[tuple[int, bytes]]:
    """Yield the content with a bit changed, at every ``step``-th byte."""
    for place in range(0, len(content), step):
        yield place, content[:place] + bytes([content[place] ^ (1 << (place % 8))]) + content[place + 1 :]


def never_holds(path: Path, contents: Iterator[tuple[int, bytes]]) -> None:
    """Check that no changed content is verified."""
    before = path.read_bytes()
    for place, content in contents:
        path.write_bytes(content)
        assert outcome(path) != "holds", place
    path.write_bytes(before)
    assert outcome(path) == "holds"


def resealed(text: str, change: Callable[[dict[str, Any]], None]) -> str:
    """Return a document of ours, changed, with the digest that fits it."""
    document = json.loads(text)
    document.pop("sha256")
    change(document)
    return canonical({**document, "sha256": hashlib.sha256(canonical(document).encode()).hexdigest()})


def with_record(path: Path, change: Callable[[dict[str, Any]], None], tensors: Any = None) -> None:
    """Write a safetensors export again with another record, and with other tensors where some are given."""
    held, metadata = read_tensors(path.read_bytes(), "test")
    record = resealed(metadata["prefixproof"], change)
    path.write_bytes(write_tensors(held if tensors is None else tensors, {"prefixproof": record}))
