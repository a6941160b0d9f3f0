"""Run killers on mutants of the certifier, each in a process of its own: ``python -m tests.mutation.certifier_runner``.

The sources of one module are changed as they are imported; the heavy libraries are there already, in the process that
is forked, so that a mutant costs the import of this project's own modules and its killers. Mutants' names come in on
the command line; results go out as lines of JSON.
"""

from __future__ import annotations

import importlib.abc
import importlib.util
import json
import os
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[2]
#: What is imported anew for a mutant of the certificates; for one of ``constructions`` everything of this project is.
_ANEW = ("verify.certificates", "tests")
_EVERYTHING = ("constructions", "proofs", "verify", "tests")


class _Changed(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds one module, and loads its source with one change."""

    def __init__(self, module: str, old: str, new: str) -> None:
        self.module, self.old, self.new = module, old, new
        self.loaded = False

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> Any:
        if fullname != self.module:
            return None
        return importlib.util.spec_from_loader(fullname, self, origin=str(source_of(fullname)))

    def exec_module(self, module: ModuleType) -> None:
        path = source_of(self.module)
        source = path.read_text(encoding="utf-8")
        assert source.count(self.old) == 1, f"{self.module}: {self.old!r} is there {source.count(self.old)} times"
        self.loaded = True
        exec(compile(source.replace(self.old, self.new), str(path), "exec"), module.__dict__)


def source_of(module: str) -> Path:
    """Return the file of one of this project's modules."""
    return ROOT.joinpath(*module.split(".")).with_suffix(".py")


def _forget(module: str | None) -> None:
    packages = _ANEW if module is None or module.startswith(_ANEW) else _EVERYTHING
    for name in list(sys.modules):
        if any(name == package or name.startswith(f"{package}.") for package in packages):
            del sys.modules[name]


def run_killers(module: str | None, old: str, new: str, killers: Sequence[str]) -> dict[str, Any]:
    """Return what each killer found in a changed module, in this process, which must not go on afterwards."""
    _forget(module)
    finder = None if module is None else _Changed(module, old, new)
    if finder is not None:
        sys.meta_path.insert(0, finder)
    from tests.mutation.certifier_killers import by_name

    methods = by_name()
    found: dict[str, Any] = {}
    for killer in killers:
        started = time.perf_counter()
        try:
            with np.errstate(all="ignore"):  # as in a certificate
                result: Any = methods[killer].run()
        except Exception:  # noqa: BLE001 # a mutant may raise anything, which is told apart from a contradiction
            result = ["raised: " + traceback.format_exc(limit=-2)]
        found[killer] = {"found": result[:1], "seconds": round(time.perf_counter() - started, 2)}
    if finder is not None and not finder.loaded:
        return {killer: {"found": [], "seconds": 0.0, "unused": True} for killer in killers}
    return found


def _forked(job: tuple[str | None, str, str, Sequence[str]]) -> dict[str, Any]:
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        code = 1
        try:
            with os.fdopen(write, "w") as out:
                json.dump(run_killers(*job), out)
            code = 0
        finally:
            os._exit(code)
    os.close(write)
    with os.fdopen(read) as lines:
        text = lines.read()
    _, status = os.waitpid(child, 0)
    return json.loads(text) if status == 0 else {}


def main(names: Sequence[str]) -> int:
    """Run the mutants of some names (all of them without any), and print a line of JSON for each."""
    from tests.mutation.certifier_killers import by_name
    from tests.mutation.certifier_mutants import MUTANTS

    by_name()  # imports all that every process shares

    chosen = [mutant for mutant in MUTANTS if not names or mutant.name in names]
    jobs: dict[str, tuple[str | None, str, str, Sequence[str]]] = {
        mutant.name: (mutant.module, mutant.old, mutant.new, mutant.killers or (mutant.proof,)) for mutant in chosen
    }
    for name in names:
        if name.startswith("none:"):  # the certifier as it is, by one killer
            jobs[name] = (None, "", "", [name.removeprefix("none:")])
    for name, job in jobs.items():
        started = time.perf_counter()
        found = _forked(job)
        seconds = round(time.perf_counter() - started, 2)
        sys.stdout.write(json.dumps({"name": name, "killers": found, "seconds": seconds}) + "\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
