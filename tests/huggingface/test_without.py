"""Without the extra, everything here is one line that says what to install."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from constructions import InvalidArgument, ResidualGeneration
from verify.huggingface import HuggingFaceBackend, save, stock_rotary, to_huggingface, to_multitask, to_peft

SAID = "huggingface: expected {}; install it with: pip install 'prefixproof[huggingface]'"


@pytest.mark.parametrize("name", ["convert", "peft", "multitask", "save", "rotary", "backend"])
def test_a_missing_library_is_one_line(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for library in ("transformers", "peft", "safetensors"):
        monkeypatch.setitem(sys.modules, library, None)
    construction = ResidualGeneration(3, 2)
    calls: dict[str, Any] = {
        "convert": lambda: to_huggingface(construction),
        "peft": lambda: to_peft(construction, [0, 1]),
        "multitask": lambda: to_multitask(construction, [[0, 1]]),
        "save": lambda: save(construction, tmp_path / "saved"),
        "rotary": lambda: stock_rotary(None, 3),
        "backend": lambda: HuggingFaceBackend(None),
    }
    with pytest.raises(InvalidArgument) as raised:
        calls[name]()
    assert str(raised.value) == SAID.format("peft" if name in {"peft", "multitask"} else "transformers")
    assert list(tmp_path.iterdir()) == []


def test_the_package_imports_no_optional_library_and_not_torch_s_compiler() -> None:
    """The compiler takes more than half a second, which every command that runs torch would wait for."""
    wanted = {"transformers", "peft", "safetensors", "torch._dynamo"}
    script = f"import sys, verify.huggingface; print('torch' in sys.modules, {wanted!r} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "True set()\n"
