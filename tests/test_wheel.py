"""The wheel holds the three packages alone: nothing that makes this repository's own documents and pictures."""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path

from setuptools import find_namespace_packages  # type: ignore[import-untyped] # ships no types

ROOT = Path(__file__).parents[1]
PACKAGES = ("constructions", "proofs", "verify")


def _shipped() -> set[str]:
    """Return the modules that setuptools puts into the wheel, as paths below the root."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    find = project["tool"]["setuptools"]["packages"]["find"]
    folders = [ROOT / name.replace(".", "/") for name in find_namespace_packages(str(ROOT), **find)]
    return {path.relative_to(ROOT).as_posix() for folder in folders for path in folder.glob("*.py")}


def _of_the_repository(source: str) -> bool:
    """Say whether a constant of a module is the name of a document of proofs/, or of its folder of pictures."""
    named = {node.value for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Constant)}
    return bool(named & {"frontier.json", "FRONTIER.md", "MUTANTS.md", "BUGS.md", "TRUST.md", "figures"})


def test_every_module_of_the_packages_is_shipped_and_no_other() -> None:
    assert _shipped() == {
        path.relative_to(ROOT).as_posix() for name in PACKAGES for path in (ROOT / name).rglob("*.py")
    }


def test_no_module_that_is_shipped_makes_a_document_of_the_repository() -> None:
    assert [path for path in sorted(_shipped()) if _of_the_repository((ROOT / path).read_text(encoding="utf-8"))] == []
    makers = {path.name for path in (ROOT / "docs" / "figures").glob("*.py") if _of_the_repository(path.read_text())}
    assert makers == {"draw.py", "frontier_document.py", "measured_frontier.py"}


def test_the_commands_that_draw_a_picture_of_the_users_are_shipped() -> None:
    assert {"verify/frontier/picture.py", "verify/frontier/rows.py", "verify/prefixes/picture.py"} <= _shipped()
