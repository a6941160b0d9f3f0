"""Folders that are written whole or not at all."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from constructions.validation import InvalidArgument
from verify.files.atomic import check_folder, umask

#: Bytes that are read of a file at once for its digest.
_BLOCK = 1 << 20


@contextmanager
def new_folder(path: Path, name: str) -> Iterator[Path]:
    """Make a folder for the time of a ``with`` block, and move it to ``path`` at its end; an error leaves nothing.

    Args:
        path: where; nothing may be there yet, or an empty folder.
        name: what it is, for messages.

    Raises:
        InvalidArgument: something is there, or no folder can be made.

    """
    if path.exists() and not path.is_dir():
        raise InvalidArgument(f"{name}: expected a folder but {path} is not one")
    if path.exists() and any(path.iterdir()):
        raise InvalidArgument(
            f"{name}: expected an empty folder, or a place where nothing is, but {path} has files in it"
        )
    check_folder(path.absolute().parent, name)
    made = Path(tempfile.mkdtemp(dir=path.absolute().parent, prefix=".prefixproof."))
    try:
        yield made
        made.chmod(0o777 & ~umask())  # mkdtemp keeps others out
        made.replace(path)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
