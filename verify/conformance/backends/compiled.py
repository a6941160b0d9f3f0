"""Backends: the exported torch module under ``torch.compile``."""

from __future__ import annotations

from typing import final

from constructions.construction import Construction
from verify.backends import Backend
from verify.backends.modules import ModuleBackend
from verify.conformance.backends.base import BackendFactory
from verify.running.torch_module import to_torch


@final
class Compiled(BackendFactory):
    """The module of :func:`verify.to_torch` under one backend of ``torch.compile``, as one graph.

    Compiling takes seconds for each new shape of the input, and ``inductor`` needs a C++ compiler.
    """

    group = "compile"
    quick = False

    def __init__(self, compiler: str) -> None:
        """Compile by ``compiler``."""
        self.compiler, self.name = compiler, f"compile-{compiler.replace('_', '-')}"
        self.summary = f"the torch module under torch.compile, backend {compiler}"

    def make(self, construction: Construction, dtype: str) -> Backend:
        """Return the compiled module; it is compiled when it is first called."""
        module = to_torch(construction, dtype).eval()
        module.compile(backend=self.compiler, fullgraph=True, dynamic=True)
        return ModuleBackend(module, name=f"under torch.compile, {self.compiler},")
