"""Stock classes of transformers under conformance: they run by the same known answers as every other backend."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("transformers")
pytest.importorskip("peft")

from constructions import Construction, ResidualConditional, ResidualGeneration, UnconditionalGeneration
from verify.conformance import conform
from verify.conformance.backends import chosen

pytestmark = pytest.mark.extras


@pytest.mark.parametrize(
    "construction",
    [
        ResidualGeneration(vocab_size=6, context_size=4),
        ResidualGeneration(vocab_size=6, context_size=4, architecture="llama"),
        ResidualConditional(vocab_size=5, architecture="opt"),
    ],
    ids=repr,
)
def test_stock_classes_conform_in_float32(construction: Construction) -> None:
    rows = list(conform(construction, chosen("huggingface"), ["float32"], cases=12))
    assert [row.backend for row in rows] == ["huggingface-eager", "huggingface-sdpa", "huggingface-peft"]
    for row in rows:
        assert row.passed, row.failures()
        assert row.logits is not None
        assert row.deviation is not None
        assert row.deviation.outside == 0


def test_what_no_stock_class_holds_does_not_run() -> None:
    (row,) = conform(UnconditionalGeneration(3, 2), chosen("huggingface-sdpa"))
    assert not row.ran
    assert str(row.missing).startswith("construction: expected")


def test_a_norm_in_float32_is_outside_the_bounds_of_float64() -> None:
    """LlamaRMSNorm computes in float32 whatever the model's format is: its tokens are right, its logits are not."""
    construction = ResidualGeneration(vocab_size=6, context_size=4, architecture="llama")
    (row,) = conform(construction, chosen("huggingface-eager"), ["float64"], cases=12)
    assert row.tokens is not None
    assert row.tokens.holds
    assert row.logits is not None
    assert row.logits.holds is False
    assert not row.passed


@pytest.mark.parametrize("library", ["transformers"])
def test_without_the_extra_the_row_says_which_to_install(monkeypatch: pytest.MonkeyPatch, library: str) -> None:
    import importlib

    real = importlib.import_module

    def without(name: str, package: Any = None) -> Any:
        if name.split(".", maxsplit=1)[0] == library:
            raise ModuleNotFoundError(f"No module named {library!r}", name=library)
        return real(name, package)

    monkeypatch.setattr("verify.extras.importlib.import_module", without)
    (row,) = conform(ResidualGeneration(vocab_size=4, context_size=2), chosen("huggingface-sdpa"))
    assert row.missing == "backend: expected transformers; install it with: pip install 'prefixproof[huggingface]'"
