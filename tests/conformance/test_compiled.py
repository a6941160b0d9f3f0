"""Compiled modules conform, by every compiler that is here; minutes, as each kind of shape is compiled anew."""

from __future__ import annotations

import shutil

import pytest

from constructions import ConditionalGeneration, UnconditionalGeneration
from verify.conformance import conform
from verify.conformance.backends import chosen

pytestmark = pytest.mark.heavy


@pytest.mark.parametrize("construction", [UnconditionalGeneration(4, 3), ConditionalGeneration(5)], ids=repr)
def test_traced_modules_conform_in_every_format(construction: UnconditionalGeneration) -> None:
    dtypes = ("float64", "float32", "bfloat16", "float16")
    rows = list(conform(construction, chosen("compile-aot-eager"), dtypes, cases=20))
    assert [row.passed for row in rows] == [True] * 4


@pytest.mark.skipif(shutil.which("g++") is None, reason="inductor needs a C++ compiler")
@pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated")  # torch's own, where it sets inductor up
def test_inductor_conforms() -> None:
    (row,) = conform(ConditionalGeneration(5), chosen("compile-inductor"), ["float32"], cases=20)
    assert row.ran
    assert row.passed, row.failures()
