"""The digest of code: what a run depends on changes it, wherever that code lies and whatever its module is called."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.evidence.own_code import PROMISING, digest, loaded
from verify.evidence import libraries
from verify.evidence.fingerprint import code_sha256, package_sha256
from verify.requests.own import _name_of, module_of

RIGHT = "def promised(targets):\n    return targets\n"
WRONG = "def promised(targets):\n    return targets + (targets == 77)\n"

pytestmark = pytest.mark.usefixtures("forgotten_modules")


@pytest.mark.parametrize("name", ["mine", "antigravity", "idlelib"])
def test_a_file_with_the_name_of_a_module_of_pythons_is_looked_at(name: str, tmp_path: Path) -> None:
    found = list[str]()
    for text in (RIGHT, WRONG, RIGHT):
        (tmp_path / "tables_of_mine.py").write_text(text + "#" * len(found), encoding="utf-8")
        found.append(digest(tmp_path, name))
    assert (found[0] == found[2], found[0] == found[1]) == (True, False)


@pytest.mark.parametrize("kind", ["with a record", "edited", "without a record", "copied there"])
def test_an_installed_package_is_told_from_another_version(kind: str, tmp_path: Path) -> None:
    """A record stays as it is where a file is edited; what no distribution has is looked at as a user's own code."""
    folder, info = tmp_path / "site-packages", tmp_path / "site-packages" / "mine-1.dist-info"
    info.mkdir(parents=True)
    found = list[str]()
    for text in (RIGHT, WRONG, RIGHT):
        (folder / "tables_of_mine.py").write_text(text, encoding="utf-8")
        version, named = (
            ("1", "") if kind != "without a record" else (str(len(text)), "mine_installed\ntables_of_mine\n")
        )
        (info / "METADATA").write_text(f"Name: mine\nVersion: {version}\n", encoding="utf-8")
        (info / "top_level.txt").write_text(named, encoding="utf-8")
        sha256 = 0 if kind == "edited" else len(text)
        record = [f"{name}.py,sha256={sha256},1" for name in ("mine_installed", "tables_of_mine")]
        record += [f"mine-1.dist-info/INSTALLER,sha256={len(found)},3", f"__pycache__/{len(found)}.pyc,,"]
        (info / "RECORD").write_text("\n".join(record if kind in {"with a record", "edited"} else []), encoding="utf-8")
        found.append(digest(folder, "mine_installed"))
    assert (found[0] == found[2], found[0] == found[1]) == (True, False)


def test_libraries_whose_versions_are_named_have_no_digest_of_their_own() -> None:
    assert libraries.library("numpy") == libraries.library("json.decoder") == ""
    assert libraries.library("proofs.claims") == libraries.library("builtins") == ""
    assert len(str(libraries.library(pytest.__name__))) == 64
    assert libraries.library(__name__) is None


def test_the_name_of_a_module_makes_no_code_a_librarys(tmp_path: Path) -> None:
    found = list[str]()
    for text in (RIGHT, WRONG):
        (tmp_path / "tables_of_mine.py").write_text(text, encoding="utf-8")
        loaded(tmp_path / "tables_of_mine.py", "tables_of_mine")
        (tmp_path / "mine.py").write_text(PROMISING.format(helper="tables_of_mine"), encoding="utf-8")
        own = loaded(tmp_path / "mine.py", "mine").Own
        own.__module__ = own.answer.__module__ = "constructions.unconditional_generation"
        found.append(code_sha256(own(3, 3)))
    assert found[0] != found[1]


def test_what_claims_say_is_part_of_this_package(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, read = package_sha256.__wrapped__(), Path.read_bytes
    for package in ("constructions", "proofs", "verify"):

        def edited(path: Path, package: str = package) -> bytes:
            return read(path) + b"#" * (path.parts[-2:] == (package, "__init__.py"))

        monkeypatch.setattr(Path, "read_bytes", edited)
        assert package_sha256.__wrapped__() != whole


@pytest.mark.parametrize("name", ["my-model", "typer", "code", "mine"])
def test_a_file_has_one_name_whatever_is_imported(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers have imported other modules than their driver, and digests of code hold the name."""
    path = tmp_path / f"{name}.py"
    path.write_text(RIGHT, encoding="utf-8")
    first = _name_of(path)
    monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "one_more", ModuleType("one_more"))
    monkeypatch.syspath_prepend(str(tmp_path))
    assert _name_of(path) == first
    assert module_of(f"{path}:promised").__name__ == first
    assert (first == name) is (name == "mine")
