"""A construction whose promise is in a module beside its own, and the digest of its code."""

from __future__ import annotations

import sys
from importlib.util import cache_from_source, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

from verify.evidence import libraries
from verify.evidence.fingerprint import code_sha256

#: The module of the construction, with a place for the name of the other.
PROMISING = """
from dataclasses import dataclass
from constructions import UnconditionalGeneration
from {helper} import promised
@dataclass(frozen=True, repr=False)
class Own(UnconditionalGeneration):
    def answer(self, targets, user_inputs):
        return promised(targets)
"""


def loaded(path: Path, name: str) -> ModuleType:
    """Import a file under a name, as if no other module had it."""
    Path(cache_from_source(str(path))).unlink(missing_ok=True)  # a file of the same second and size would pass for it
    spec = spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    sys.modules[name] = module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def digest(folder: Path, name: str, helper: str = "tables_of_mine") -> str:
    """Return the digest of a construction whose promise is in a module beside its own."""
    libraries._installed.cache_clear()  # as in a new process
    libraries.library_at.cache_clear()
    (folder / f"{name}.py").write_text(PROMISING.format(helper=helper), encoding="utf-8")
    loaded(folder / f"{helper}.py", helper)
    return code_sha256(loaded(folder / f"{name}.py", name).Own(3, 3))
