"""Optional libraries: every one has its extra, and one that is missing is one clear line."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

import pytest

from constructions.validation import InvalidArgument
from verify.extras import EXTRAS, needed

ROOT = Path(__file__).parents[2]


def test_every_library_is_installed_by_its_extra() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for library, extra in EXTRAS.items():
        names = {re.split("[^a-z0-9-]", each)[0] for each in project["optional-dependencies"][extra]}
        assert library.replace("_", "-") in names


@pytest.mark.parametrize("library", EXTRAS)
def test_a_missing_library_is_one_line(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(InvalidArgument) as raised:
        needed(library, "export")
    said = f"export: expected {library}; install it with: pip install 'prefixproof[{EXTRAS[library]}]'"
    assert str(raised.value) == said


def test_a_broken_library_is_another_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "transformer_lens.py").write_text("import a_library_that_is_nowhere\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "transformer_lens", raising=False)
    with pytest.raises(ModuleNotFoundError, match="a_library_that_is_nowhere"):
        needed("transformer_lens", "export")
