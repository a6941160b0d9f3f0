"""Every public name has its place on a page of ``docs/api``, and the examples in docstrings run."""

from __future__ import annotations

import ast
import doctest
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from tests.docs.pages import ROOT, libraries_of

#: The packages whose names are public, and the pages that document them.
PACKAGES = {
    "constructions": "constructions",
    "constructions.layers": "layers",
    "proofs": "proofs",
    "verify": "verify",
    "verify.certificates": "certificates",
    "verify.conformance": "conformance",
    "verify.experiments": "experiments",
    "verify.export": "verify",
    "verify.frontier": "frontier",
    "verify.huggingface": "huggingface",
    "verify.huggingface.completions": "completions",
    "verify.lens": "lens",
    "verify.matrix_units": "verify",
    "verify.prefixes": "prefixes",
    "verify.reachability": "reachability",
    "verify.report.page": "report",
    "verify.shards": "shards",
}
SOURCES = sorted(path for package in ("constructions", "proofs", "verify") for path in (ROOT / package).rglob("*.py"))
#: Packages whose examples need the libraries of an extra.
OF_EXTRAS = {"verify/experiments": "huggingface", "verify/huggingface": "huggingface", "verify/lens": "lens"}


def _extra(path: Path) -> str | None:
    packages = [package for package in OF_EXTRAS if path.is_relative_to(ROOT / package)]
    return OF_EXTRAS[packages[0]] if packages else None


WITH_EXAMPLES = [
    pytest.param(path, marks=[] if _extra(path) is None else [pytest.mark.extras])
    for path in SOURCES
    if ">>> " in path.read_text(encoding="utf-8")
]


def _exported(package: str) -> list[str]:
    """Return the names that a package re-exports, as ``import X as X`` says it."""
    tree = ast.parse((ROOT / package.replace(".", "/") / "__init__.py").read_text(encoding="utf-8"))
    found = (alias for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names)
    return sorted(alias.name for alias in found if alias.asname == alias.name)


def _documented(*pages: str) -> tuple[set[str], set[str]]:
    """Return what API pages document, by its full name: single names, and modules with all that they have."""
    names: set[str] = set()
    modules: set[str] = set()
    for page in pages:
        text = (ROOT / "docs" / "api" / f"{page}.md").read_text(encoding="utf-8")
        current = ""
        for directive, name in re.findall(r"^\.\. (\w+):: (\S+)$", text, flags=re.MULTILINE):
            if directive == "currentmodule":
                current = name
            elif directive == "automodule":
                modules.add(name)
            else:
                names |= {name, f"{current}.{name}"}
    return names, modules


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_is_on_a_page(package: str) -> None:
    names, _ = _documented(*PACKAGES.values())  # layers are public in two packages
    shown = {name.rpartition(".")[2] for name in names}
    assert [name for name in _exported(package) if name not in shown] == []


def _tests(path: Path) -> Iterator[doctest.DocTest]:
    module: Any = import_module(".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"))
    yield from (test for test in doctest.DocTestFinder().find(module, module.__name__) if test.examples)


@pytest.mark.share(20)  # `make docs` runs the examples of every module
@pytest.mark.parametrize("path", WITH_EXAMPLES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_examples_of_a_module_run(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if (extra := _extra(path)) is not None:
        for library in libraries_of(extra):
            pytest.importorskip(library)
    monkeypatch.chdir(tmp_path)
    tests = list(_tests(path))
    prompts = re.findall(r"^ *>>> ", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert sum(len(test.examples) for test in tests) == len(prompts), "an example is in no docstring that doctest finds"
    for test in tests:
        report: list[str] = []
        runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
        runner.run(test, out=report.append)
        assert not runner.failures, "".join(report)


def test_what_pages_refer_to_is_on_an_api_page() -> None:
    names, modules = _documented(*PACKAGES.values())
    found = 0
    for page in (ROOT / "docs").rglob("*.md"):
        for name in re.findall(r"\{py:\w+\}`~?([\w.]+)`", page.read_text(encoding="utf-8")):
            found += 1
            assert {name, name.rpartition(".")[0]} & (names | modules), f"{page}: {name}"
    assert found > 0
