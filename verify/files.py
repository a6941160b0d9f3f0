"""Writing files so that an interruption never leaves half of one."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from constructions.validation import InvalidArgument


def read_json(path: Path, name: str, *, pairs: Callable[[list[tuple[str, Any]]], Any] | None = None) -> Any:
    """Return the document in a JSON file.

    Args:
        path: the file.
        name: what it holds, for messages.
        pairs: makes an object of its pairs, ``dict`` by default.

    Raises:
        InvalidArgument: not UTF-8, not JSON, or JSON that Python cannot read (an integer too long, nesting too deep).

    """
    try:
        return json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=pairs)
    except InvalidArgument:
        raise  # from ``pairs``; it is a ValueError too
    except UnicodeDecodeError:
        raise InvalidArgument(f"{name}: expected UTF-8 text in {path}") from None
    except json.JSONDecodeError as error:
        raise InvalidArgument(f"{name}: expected JSON in {path} but line {error.lineno} is not: {error.msg}") from None
    except (ValueError, RecursionError) as error:
        raise InvalidArgument(f"{name}: expected JSON in {path} but it cannot be read: {error}") from None


def write_atomically(path: Path, text: str) -> None:
    """Write ``text`` to ``path`` through a temporary file beside it, so that readers see the old file or the new one.

    Args:
        path: where; its folder is made when it is not there.
        text: the whole content, written as UTF-8.

    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
