"""Files of the user's: read within bounds, checked before the work starts, and never left half written."""

from __future__ import annotations

import errno
import json
import os
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from constructions.construction import LARGEST_SIZE
from constructions.validation import InvalidArgument
from verify.files.temporaries import TEMPORARIES

#: Bytes of the longest file that is read: one for each token of the largest vocabulary that a construction accepts. A
#: map of more tokens than 11,584 cannot be held (``LARGEST_DENSE``, its weights are V x (V + 2)), so that each of them
#: with its answer may take 2,896 bytes. Python reads this much JSON in seconds, whatever it holds.
LONGEST_FILE = LARGEST_SIZE


def read_text(path: Path, name: str, *, pipe: bool = True) -> str:
    """Return the text of a file, which must be a regular one (or a pipe) and not longer than :data:`LONGEST_FILE`.

    Args:
        path: the file.
        name: what it holds, for messages.
        pipe: whether a pipe will do, such as a shell's ``<(...)``.

    Raises:
        InvalidArgument: a folder, a device, a pipe that nobody writes to, too long, or not UTF-8.
        OSError: it cannot be opened; the error names the file.

    """
    # without O_NONBLOCK a pipe that has no writer would wait for one
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0))
    try:
        found = os.fstat(descriptor)
        _check_kind(path, name, found.st_mode, pipe=pipe)
        if found.st_size > LONGEST_FILE:
            _too_long(path, name, f"has {found.st_size:,}")
        if hasattr(os, "set_blocking"):
            os.set_blocking(descriptor, True)
        with os.fdopen(descriptor, "rb", closefd=False) as stream:
            content = stream.read(LONGEST_FILE + 1)
    except OSError as error:
        raise _named(error, path) from error
    finally:
        os.close(descriptor)
    if len(content) > LONGEST_FILE:
        _too_long(path, name, "has more")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidArgument(f"{name}: expected UTF-8 text in {path}") from None


def _check_kind(path: Path, name: str, mode: int, *, pipe: bool = False) -> None:
    if stat.S_ISREG(mode) or (pipe and stat.S_ISFIFO(mode)):
        return
    kinds = {
        stat.S_IFDIR: "a folder",
        stat.S_IFIFO: "a pipe",
        stat.S_IFSOCK: "a socket",
        stat.S_IFCHR: "a device",
        stat.S_IFBLK: "a device",
    }
    raise InvalidArgument(f"{name}: expected a regular file but {path} is {kinds.get(stat.S_IFMT(mode), 'none')}")


def _too_long(path: Path, name: str, found: str) -> NoReturn:
    raise InvalidArgument(f"{name}: expected a file of at most {LONGEST_FILE:,} bytes but {path} {found}")


def read_json(path: Path, name: str, *, pairs: Callable[[list[tuple[str, Any]]], Any] | None = None) -> Any:
    """Return the document in a JSON file.

    Args:
        path: the file.
        name: what it holds, for messages.
        pairs: makes an object of its pairs, ``dict`` by default.

    Raises:
        InvalidArgument: see :func:`read_text`; not JSON, or JSON that Python cannot read (an integer too long, nesting
            too deep).
        OSError: it cannot be opened; the error names the file.

    """
    try:
        return json.loads(read_text(path, name), object_pairs_hook=pairs)
    except InvalidArgument:
        raise  # it is a ValueError too; from ``pairs``, or from the file itself
    except json.JSONDecodeError as error:
        raise InvalidArgument(f"{name}: expected JSON in {path} but line {error.lineno} is not: {error.msg}") from None
    except (ValueError, RecursionError) as error:
        raise InvalidArgument(f"{name}: expected JSON in {path} but it cannot be read: {error}") from None


def check_output(path: Path, name: str) -> None:
    """Refuse a file that could not be written at the end of a long run: before it starts.

    Its folder is made when it is not there, and a file is made in it and removed.

    Args:
        path: the file, which may be there; then it must be a regular one.
        name: what it is, for messages.

    Raises:
        InvalidArgument: a folder, a device, a pipe, or a place where no file can be made.

    """
    try:
        if path.exists():
            _check_kind(path, name, path.stat().st_mode)
            if not os.access(path, os.W_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        _cannot_write(path, name, error)
    try:
        _discard(*_temporary(path))
    except OSError as error:
        _cannot_write(path, name, error)


def check_checkpoint(path: Path) -> None:
    """Refuse, before the work starts, a checkpoint that can be neither read nor written.

    Raises:
        InvalidArgument: see :func:`check_output`; or it is there and too long to be one.

    """
    check_output(path, "checkpoint")
    if path.exists() and path.stat().st_size > LONGEST_FILE:
        _too_long(path, "checkpoint", f"has {path.stat().st_size:,}")


def check_folder(path: Path, name: str) -> None:
    """Refuse a folder in which no file can be made; it is made when it is not there.

    Raises:
        InvalidArgument: it cannot be made or written to, or is no folder.

    """
    if path.exists() and not path.is_dir():
        raise InvalidArgument(f"{name}: expected a folder but {path} is not one")
    try:
        _discard(*_temporary(path / "file"))
    except OSError as error:
        _cannot_write(path, name, error)


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write ``content`` to ``path`` through a temporary file beside it: readers see the old file or the new one.

    Args:
        path: where; its folder is made when it is not there.
        content: all of it; text is written as UTF-8.

    Raises:
        OSError: it cannot be written; the error names ``path``, not the temporary file.

    """
    handle, temporary = _temporary(path)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content.encode("utf-8") if isinstance(content, str) else content)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.chmod(0o666 & ~umask())  # mkstemp keeps others out
        temporary.replace(path)
    except OSError as error:
        raise _named(error, path) from error
    finally:
        temporary.unlink(missing_ok=True)
        TEMPORARIES.discard(temporary)


def umask() -> int:
    """Return which rights new files do not get."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _temporary(path: Path) -> tuple[int, Path]:
    """Return a new file in the folder of ``path``: its descriptor and its path."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # the user's own name may be as long as a name can be
        handle, made = tempfile.mkstemp(dir=path.parent, prefix=".prefixproof.", suffix=".tmp")
    except OSError as error:
        raise _named(error, path) from error
    temporary = Path(made)
    TEMPORARIES.add(temporary)
    return handle, temporary


def _discard(handle: int, temporary: Path) -> None:
    os.close(handle)
    temporary.unlink(missing_ok=True)
    TEMPORARIES.discard(temporary)


def _named(error: OSError, path: Path) -> OSError:
    """Return the error as one about the user's own file."""
    return OSError(error.errno, error.strerror or type(error).__name__, str(path))


def _cannot_write(path: Path, name: str, error: OSError) -> NoReturn:
    raise InvalidArgument(f"{name}: expected a place that can be written but {path}: {error.strerror}") from error
