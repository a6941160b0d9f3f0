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


def test_traced_modules_conform_in_every_format() -> None:
    dtypes = "float64,float32,bfloat16,float16"
    words = ("--vocab", "4", "--context", "3", "--dtype", dtypes)
    rows = _rows("theorem-1,theorem-2", *words, "--backend", "compile-aot-eager")
    assert [(row["ran"], row["passed"]) for row in rows] == [(True, True)] * 8


@pytest.mark.skipif(shutil.which("g++") is None, reason="inductor needs a C++ compiler")
def test_inductor_conforms() -> None:
    (row,) = _rows("theorem-2", "--vocab", "5", "--backend", "compile-inductor")
    assert (row["ran"], row["passed"]) == (True, True), row
