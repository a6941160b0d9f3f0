"""THAT it works, in a named arithmetic, on a named device: forward pass, evidence, verdicts, the command line.

What needs torch is imported on first use, as torch takes seconds to import.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from verify.arithmetic import Arithmetic as Arithmetic
from verify.arithmetic import NumpyArithmetic as NumpyArithmetic
from verify.arithmetic import RationalArithmetic as RationalArithmetic
from verify.arithmetic import SymbolicArithmetic as SymbolicArithmetic
from verify.arithmetic import get_arithmetic as get_arithmetic
from verify.batches import batch_dependence as batch_dependence
from verify.cases import Outcome as Outcome
from verify.cases import Runner as Runner
from verify.check import check as check
from verify.exhaust import exhaust as exhaust
from verify.forward import bind_construction as bind_construction
from verify.forward import forward as forward
from verify.forward import generate as generate
from verify.fuzz import fuzz as fuzz
from verify.sweep import sweep as sweep
from verify.trace import Trace as Trace
from verify.verdict import Counterexample as Counterexample
from verify.verdict import Verdict as Verdict

if TYPE_CHECKING:
    from verify.arithmetic.structured import StructuredTorchArithmetic as StructuredTorchArithmetic
    from verify.arithmetic.tensors import TorchArithmetic as TorchArithmetic
    from verify.torch_module import TorchTransformer as TorchTransformer
    from verify.torch_module import to_torch as to_torch

_LAZY = {
    "StructuredTorchArithmetic": "verify.arithmetic.structured",
    "TorchArithmetic": "verify.arithmetic.tensors",
    "TorchTransformer": "verify.torch_module",
    "to_torch": "verify.torch_module",
}


def __getattr__(name: str) -> Any:
    """Import what needs torch when it is first asked for."""
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *_LAZY]
