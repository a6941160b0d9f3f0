"""The sources that made the evidence of a device, and which of them have changed since.

The digest of a source leaves out comments, docstrings and blank lines, which do not change what runs.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import io
import sys
import tokenize
from collections.abc import Iterable, Mapping
from pathlib import Path

#: The folder of our packages: of a checkout, or of an installation.
ROOT = Path(__file__).parents[2]

#: Our packages.
PACKAGES = ("constructions", "proofs", "verify")


def loaded_modules() -> list[str]:
    """Return the files of our packages that this process has imported, relative to :data:`ROOT`."""
    found = []
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if name.partition(".")[0] in PACKAGES and file is not None and Path(file).is_relative_to(ROOT):
            found.append(Path(file).relative_to(ROOT).as_posix())
    main = getattr(sys.modules["__main__"], "__file__", None)
    if main is not None and Path(main).resolve().is_relative_to(ROOT / "verify"):
        found.append(Path(main).resolve().relative_to(ROOT).as_posix())
    return sorted(set(found))


def digests(files: Iterable[str], root: Path = ROOT) -> dict[str, str]:
    """Return the digest of each file's code, see :func:`code_sha256`."""
    return {file: code_sha256((root / file).read_text(encoding="utf-8")) for file in sorted(set(files))}


def changed(held: Mapping[str, str], root: Path = ROOT) -> list[str]:
    """Return the files whose code has changed, and those that are gone.

    Args:
        held: digests by file.
        root: the folder of the packages.

    """
    return [
        file
        for file, digest in sorted(held.items())
        if not (root / file).is_file() or code_sha256((root / file).read_text(encoding="utf-8")) != digest
    ]


@functools.cache  # every step loads much the same modules
def code_sha256(source: str) -> str:
    """Return the digest of a module's code: its lines without comments, docstrings, blank lines and trailing spaces.

    Example:
        >>> code_sha256("x = 1  # one") == code_sha256("x = 1")
        True
        >>> code_sha256("x = 1") == code_sha256("x = 2")
        False

    """
    lines = source.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column]
    for first, last in _docstrings(ast.parse(source)):
        lines[first - 1 : last] = [""] * (last - first + 1)
    kept = "\n".join(line.rstrip() for line in lines if line.strip())
    return hashlib.sha256(kept.encode()).hexdigest()


def _docstrings(tree: ast.Module) -> list[tuple[int, int]]:
    """Return the first and last lines of docstrings that stand on lines of their own."""
    found = []
    for node in ast.walk(tree):
        if not isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)) or not node.body:
            continue
        first = node.body[0]
        if not isinstance(first, ast.Expr) or not isinstance(first.value, ast.Constant):
            continue
        if isinstance(first.value.value, str):
            others = [part.lineno for part in node.body[1:2]]
            end = first.end_lineno or first.lineno
            own = not isinstance(node, ast.Module) and first.lineno == node.lineno
            if not own and end not in others:
                found.append((first.lineno, end))
    return found
