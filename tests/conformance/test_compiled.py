"""Compiled modules conform, by every compiler that is here; minutes, as each kind of shape is compiled anew.

In a process of its own: a compiler cannot read the checks of shapes that the tests add to every function.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.heavy


def _rows(*words: str) -> list[Any]:
    command = [sys.executable, "-m", "verify.cli.start", "conformance", *words, "--cases", "20", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
    assert done.stdout, done.stderr
    found: list[Any] = json.loads(done.stdout)["rows"]
    return found


@pytest.mark.parametrize(
    ("claim", "sizes", "dtypes"),
    [
        ("theorem-1", ("--vocab", "4", "--context", "3"), "float64,bfloat16"),
        ("theorem-2", ("--vocab", "4"), "float32,float16"),
    ],
)
def test_traced_modules_conform_in_every_format(claim: str, sizes: tuple[str, ...], dtypes: str) -> None:
    rows = _rows(claim, *sizes, "--dtype", dtypes, "--backend", "compile-aot-eager")
    assert [(row["ran"], row["passed"]) for row in rows] == [(True, True)] * 2


@pytest.mark.skipif(shutil.which("g++") is None, reason="inductor needs a C++ compiler")
def test_inductor_conforms() -> None:
    (row,) = _rows("theorem-2", "--vocab", "5", "--backend", "compile-inductor")
    assert (row["ran"], row["passed"]) == (True, True), row
