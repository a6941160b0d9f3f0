"""The README's Python runs as it stands there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

README = Path(__file__).parent.parent / "README.md"
BLOCKS = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.DOTALL)


def test_there_is_python_in_the_readme() -> None:
    assert len(BLOCKS) == 3


@pytest.mark.parametrize("block", BLOCKS, ids=["tour", "own construction", "further in floats"])
def test_a_block_runs_and_its_assertions_hold(block: str) -> None:
    assert "assert" in block
    exec(compile(block, str(README), "exec", dont_inherit=True), {"__name__": __name__})
