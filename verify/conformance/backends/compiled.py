"""Backends: the exported torch module under ``torch.compile``."""

from __future__ import annotations

from typing import Any, final

from constructions.construction import Construction
from constructions.validation import InvalidArgument
from verify.backends import Backend
from verify.conformance.backends.base import BackendFactory


@final
class Compiled(BackendFactory):
    """The module of :func:`verify.to_torch` under one backend of ``torch.compile``, as one graph.

    Compiling takes seconds for each new kind of shape, such as a batch of one, and ``inductor`` needs a C++ compiler.
    """

    group = "compile"
    quick = False

    def __init__(self, compiler: str, device: str = "cpu") -> None:
        """Compile by ``compiler`` for ``device``."""
        self.compiler, self.device, self.name = compiler, device, f"compile-{compiler.replace('_', '-')}"
        self.summary = f"the torch module under torch.compile, backend {compiler}"

    def make(self, construction: Construction, dtype: str) -> Backend:
        """Return the compiled module; it is compiled when it is first called, once for each kind of shape."""
        import torch  # noqa: PLC0415 # torch takes seconds to import

        from verify.backends.modules import ModuleBackend  # noqa: PLC0415 # the same
        from verify.running.torch_module import to_torch  # noqa: PLC0415 # the same

        def compiled(value: Any) -> Any:
            return torch.ones_like(value) if torch.compiler.is_compiling() else torch.zeros_like(value)

        torch.compiler.reset()  # torch compiles the code of all modules together at most 8 times
        try:
            ran = torch.compile(compiled, backend=self.compiler, fullgraph=True)(torch.ones(1, device=self.device))
        except (RuntimeError, OSError) as error:  # torch has many errors of its own, all of them RuntimeErrors
            why = " ".join(str(error).partition("Set TORCHDYNAMO_VERBOSE")[0].split())
            raise InvalidArgument(f"backend: expected torch.compile to work with {self.compiler} but {why}") from None
        if not ran.item():
            raise InvalidArgument(
                f"backend: expected torch.compile to compile with {self.compiler} but it runs everything as it is: see"
                " TORCHDYNAMO_DISABLE and torch.compiler.set_stance"
            )
        module = to_torch(construction, dtype, self.device).eval()
        module.compile(backend=self.compiler, fullgraph=True, dynamic=True)
        return ModuleBackend(module, name=f"under torch.compile, {self.compiler},")
