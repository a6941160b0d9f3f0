"""The backends that ``prefixproof conformance`` knows, one file for each library; the user's own come beside them."""

from __future__ import annotations

from constructions.registry import Registry
from constructions.validation import InvalidArgument
from verify.arithmetic.families import NUMPY, STRUCTURED, TORCH
from verify.arithmetic.sdpa_kernels import KERNELS
from verify.conformance.backends.arithmetics import InArithmetic
from verify.conformance.backends.base import BackendFactory as BackendFactory
from verify.conformance.backends.compiled import Compiled
from verify.conformance.backends.exported import ONNX_LEVELS, Exported
from verify.conformance.backends.huggingface import HuggingFace
from verify.conformance.backends.sdpa import Sdpa

#: Every backend by its name. A new one is registered here.
FACTORIES: Registry[BackendFactory] = Registry(
    "backend",
    (
        InArithmetic(TORCH, "torch, as the exported module runs by default"),
        InArithmetic(NUMPY, "numpy"),
        InArithmetic(STRUCTURED, "torch, block by block instead of dense matrices"),
        *(Sdpa(kernel) for kernel in KERNELS),
        *(Compiled(compiler) for compiler in ("aot_eager", "inductor")),
        Exported("torch-export", "torch-export"),
        *(Exported("onnxruntime", "onnx", level) for level in ONNX_LEVELS),
        HuggingFace("eager", "eager"),
        HuggingFace("sdpa", "sdpa"),
        HuggingFace("peft", "sdpa", through="peft"),
    ),
    name=lambda factory: factory.name,
)


def words() -> tuple[str, ...]:
    """Return the groups of backends, as ``--backend`` takes them, in order."""
    return tuple(dict.fromkeys(factory.group for factory in FACTORIES.values()))


def chosen(names: str | None = None) -> list[BackendFactory]:
    """Return the backends of a selection.

    Args:
        names: of backends or groups of them, with commas, or ``all``; ``None`` for those that are quick.

    Raises:
        InvalidArgument: a name that there is not, or one twice.

    Example:
        >>> chosen("numpy,compile")
        [numpy, compile-aot-eager, compile-inductor]

    """
    everything = list(FACTORIES.values())
    if names is None:
        return [factory for factory in everything if factory.quick]
    if names == "all":
        return everything
    found: list[BackendFactory] = []
    for name in (part.strip() for part in names.split(",")):
        named = [factory for factory in everything if name in {factory.name, factory.group}]
        if not named:
            known = ", ".join(dict.fromkeys(word for factory in everything for word in (factory.group, factory.name)))
            raise InvalidArgument(f"backend: expected one of all, {known} but got {name!r} (type str)")
        if any(factory in found for factory in named):
            raise InvalidArgument(f"backend: expected each one once but got {names!r} (type str)")
        found += named
    return found
