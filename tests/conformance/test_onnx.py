"""Exports to ONNX under conformance, at every level of onnxruntime's optimiser."""

from __future__ import annotations

import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")

from constructions import ConditionalGeneration, Construction, ResidualGeneration
from verify.conformance import conform
from verify.conformance.backends import chosen
from verify.conformance.backends.exported import ONNX_LEVELS

pytestmark = pytest.mark.extras


@pytest.mark.parametrize(
    "construction", [ConditionalGeneration(5), ResidualGeneration(vocab_size=5, context_size=3)], ids=repr
)
def test_every_level_conforms(construction: Construction) -> None:
    rows = list(conform(construction, chosen("onnxruntime"), ["float32"], cases=12))
    assert [row.backend for row in rows] == [f"onnxruntime-{level}" for level in ONNX_LEVELS]
    for row in rows:
        assert row.passed, row.failures()
        assert row.deviation is not None
        assert row.deviation.outside == 0


def test_without_the_extra_the_row_says_which_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib
    from typing import Any

    real = importlib.import_module

    def without(name: str, package: Any = None) -> Any:
        if name == "onnx":
            raise ModuleNotFoundError("No module named 'onnx'", name="onnx")
        return real(name, package)

    monkeypatch.setattr("verify.extras.importlib.import_module", without)
    (row,) = conform(ConditionalGeneration(4), chosen("onnxruntime-all"))
    assert not row.ran
    assert str(row.missing).endswith("expected onnx; install it with: pip install 'prefixproof[onnx]'")
