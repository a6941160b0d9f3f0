"""Imports go one way, from what is built on to what builds on it; and a module over 300 lines says why it is one."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("constructions", "proofs", "verify")

#: The order that holds: a module imports from its own entry and from earlier ones. The longest entry that a module's
#: name begins with is its own.
ORDER = (
    "constructions",
    "proofs",
    "verify.extras",  # optional libraries
    "verify.cores",
    "verify.numbers",
    "verify.files",  # writing and reading files, whatever is in them
    "verify.tokenizers",  # text as tokens of real vocabularies
    "verify.matrix_units",  # the exact arithmetic of matrix units
    "verify.exponentials",  # a library's exp on all numbers, which certificates cite
    "verify.running.ranks",  # what a range of an enumeration found
    "verify.arithmetic",
    "verify.running",
    "verify.backends",
    "verify.running.cases",  # a specification against any backend
    "verify.running.batches",
    "verify.running.again",
    "verify.exact_engine",  # rational arithmetic for many cases at once
    "verify.evidence",
    "verify.certificates",
    "verify.prefixes",
    "verify.reachability",
    "verify.evidence.float_counterexamples",  # refutations of named false claims, by all of the above
    "verify.evidence.counterexamples",
    "verify.requests",
    "verify.frontier",
    "verify.report",
    "verify.huggingface",  # stock classes of transformers and peft
    "verify.export",
    "verify.lens",  # and of TransformerLens, over these
    "verify.conformance",
    "verify.engine",  # held against the dense arithmetic and certified bounds as it runs
    "verify.suite",
    "verify.shards",  # runs of the above, in parts
    "verify.experiments",  # the paper's experiments on trained models
    "verify.device",  # the evidence of a device, by all of the above
    "verify.report.page",  # the page of evidence, over all of the above
    "verify.pytest_plugin",
    "verify.cli",
)

#: What goes up all the same, by the module and what it imports, and why.
EXCEPTIONS = {
    ("verify.arithmetic.tensors", "verify.running.torch_module"): (
        "the dense torch arithmetic runs a construction as the module that a user would export; imported when it runs"
    ),
    ("verify.evidence.tally", "verify.conformance.agreement"): (
        "a run is held against certified bounds before it ends; imported when it runs"
    ),
    ("verify.arithmetic.rational", "verify.exact_engine"): (
        "rational arithmetic runs many cases at once by its engine, which is held against it; imported when it runs"
    ),
}

#: The most lines of a module that need no reason.
LINES = 300


def _modules() -> list[tuple[str, Path]]:
    found = [
        (path, path.relative_to(ROOT).with_suffix("").parts)
        for part in PACKAGES
        for path in (ROOT / part).rglob("*.py")
    ]
    return sorted((".".join(parts).removesuffix(".__init__"), path) for path, parts in found)


MODULES = dict(_modules())


@cache
def _imported(module: str) -> tuple[str, ...]:
    """Return the modules of ours that a module imports anywhere in its source, those for type checkers included."""
    return tuple(dict.fromkeys(_names(ast.parse(MODULES[module].read_text(encoding="utf-8")))))


def _names(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] in PACKAGES)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute here"
            if str(node.module).split(".")[0] in PACKAGES:
                whole = [f"{node.module}.{alias.name}" for alias in node.names]
                yield from (name if name in MODULES else str(node.module) for name in whole)


def _place(module: str) -> int:
    mine = [entry for entry in ORDER if module == entry or module.startswith(f"{entry}.")]
    assert mine, f"{module} is in no entry of ORDER"
    return ORDER.index(max(mine, key=len))


@pytest.mark.parametrize("module", [module for module in MODULES if module != "verify"])  # that is the public face
def test_no_import_goes_up(module: str) -> None:
    above = [name for name in _imported(module) if name == "verify" or _place(name) > _place(module)]
    assert [name for name in above if (module, name) not in EXCEPTIONS] == []


def test_every_exception_is_one_still() -> None:
    for module, name in EXCEPTIONS:
        assert name in _imported(module)
        assert _place(name) > _place(module)


def test_every_entry_is_there() -> None:
    assert {_place(module) for module in MODULES if module != "verify"} == set(range(len(ORDER)))


@pytest.mark.parametrize("package", ["constructions", "proofs"])
def test_what_is_built_and_why_it_works_know_nothing_of_how_it_is_checked(package: str) -> None:
    later = PACKAGES[PACKAGES.index(package) + 1 :]
    mine = [module for module in MODULES if module.split(".")[0] == package]
    assert mine
    assert not {(module, name) for module in mine for name in _imported(module) if name.split(".")[0] in later}


def test_engines_never_import_the_command_line() -> None:
    cli = {module for module in MODULES if module.startswith("verify.cli")}
    assert cli
    assert not {(module, name) for module in MODULES if module not in cli for name in _imported(module) if name in cli}


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import verify.cli.app", ["verify.cli.app"]),
        ("from verify.cli import app", ["verify.cli.app"]),
        ("def late():\n    from verify.cli.app import run", ["verify.cli.app"]),
        ("if TYPE_CHECKING:\n    from verify.suite.steps import STEPS", ["verify.suite.steps"]),
        ("import numpy, os.path", []),
    ],
)
def test_imports_are_found_wherever_they_stand(source: str, found: list[str]) -> None:
    assert list(_names(ast.parse(source))) == found


def _long() -> list[Path]:
    everything = (path for part in (*PACKAGES, "docs") for path in (ROOT / part).rglob("*.py"))
    return sorted(path for path in everything if len(path.read_text(encoding="utf-8").splitlines()) > LINES)


def test_a_module_over_300_lines_says_in_its_docstring_why() -> None:
    silent = []
    for path in _long():
        said = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        if "over 300 lines" not in " ".join(said.split()):
            silent.append(f"{path.relative_to(ROOT)}")
    assert silent == []
