"""The public names of ``verify``: one list for type checkers and one for Python, which say the same."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import verify

TREE = ast.parse(Path(verify.__file__).read_text(encoding="utf-8"))
TYPED = {
    alias.name: node.module
    for guarded in TREE.body
    if isinstance(guarded, ast.If)
    for node in guarded.body
    if isinstance(node, ast.ImportFrom)
    for alias in node.names
}


def test_both_lists_of_public_names_agree() -> None:
    assert vars(verify)["_HOMES"] == TYPED
    assert set(TYPED) <= set(dir(verify))


@pytest.mark.parametrize("name", sorted(TYPED))
def test_a_public_name_is_what_its_module_has(name: str) -> None:
    found = getattr(verify, name)
    assert found is getattr(sys.modules[str(TYPED[name])], name)
    assert not isinstance(found, type(sys))  # a module of the same name would hide it


def test_no_module_has_the_name_of_what_is_public() -> None:
    folder = Path(verify.__file__).parent
    assert not set(TYPED) & {path.stem for path in folder.iterdir()}


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'verify' has no attribute 'proof'"):
        verify.proof  # noqa: B018 # the look-up is the point


def test_the_package_itself_imports_nothing_slow() -> None:
    script = "import sys, verify; print(sorted({'torch', 'sympy', 'numpy', 'flint'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
