"""THAT it works, in a named arithmetic, on a named device: forward pass, evidence, verdicts, the command line.

Every name is imported when it is first asked for: torch and sympy take seconds, and the command line must be able to
answer Ctrl-C before that.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from verify.arithmetic import Arithmetic as Arithmetic
    from verify.arithmetic import NumpyArithmetic as NumpyArithmetic
    from verify.arithmetic import RationalArithmetic as RationalArithmetic
    from verify.arithmetic import SymbolicArithmetic as SymbolicArithmetic
    from verify.arithmetic import get_arithmetic as get_arithmetic
    from verify.arithmetic.matrix_unit import MatrixUnitArithmetic as MatrixUnitArithmetic
    from verify.arithmetic.structured import StructuredTorchArithmetic as StructuredTorchArithmetic
    from verify.arithmetic.tensors import TorchArithmetic as TorchArithmetic
    from verify.backends import Backend as Backend
    from verify.backends import CallableBackend as CallableBackend
    from verify.backends import TransformerBackend as TransformerBackend
    from verify.backends.modules import ModuleBackend as ModuleBackend
    from verify.engine import EngineArithmetic as EngineArithmetic
    from verify.evidence.completions import count_completions as count_completions
    from verify.evidence.enumeration import exhaust as exhaust
    from verify.evidence.evaluation import check as check
    from verify.evidence.fuzzing import fuzz as fuzz
    from verify.evidence.sweeping import sweep as sweep
    from verify.evidence.verdict import Counterexample as Counterexample
    from verify.evidence.verdict import Verdict as Verdict
    from verify.matrix_units.unit import MatrixUnit as MatrixUnit
    from verify.running.batches import batch_dependence as batch_dependence
    from verify.running.cases import Outcome as Outcome
    from verify.running.cases import Runner as Runner
    from verify.running.model import bind_construction as bind_construction
    from verify.running.model import forward as forward
    from verify.running.model import generate as generate
    from verify.running.torch_module import TorchTransformer as TorchTransformer
    from verify.running.torch_module import to_torch as to_torch
    from verify.running.trace import Trace as Trace

#: Where each public name lives; a test compares this with the imports above, which type checkers read.
_HOMES = {
    "Arithmetic": "verify.arithmetic",
    "NumpyArithmetic": "verify.arithmetic",
    "RationalArithmetic": "verify.arithmetic",
    "SymbolicArithmetic": "verify.arithmetic",
    "get_arithmetic": "verify.arithmetic",
    "MatrixUnitArithmetic": "verify.arithmetic.matrix_unit",
    "StructuredTorchArithmetic": "verify.arithmetic.structured",
    "TorchArithmetic": "verify.arithmetic.tensors",
    "Backend": "verify.backends",
    "EngineArithmetic": "verify.engine",
    "CallableBackend": "verify.backends",
    "TransformerBackend": "verify.backends",
    "ModuleBackend": "verify.backends.modules",
    "MatrixUnit": "verify.matrix_units.unit",
    "batch_dependence": "verify.running.batches",
    "Outcome": "verify.running.cases",
    "Runner": "verify.running.cases",
    "count_completions": "verify.evidence.completions",
    "exhaust": "verify.evidence.enumeration",
    "check": "verify.evidence.evaluation",
    "fuzz": "verify.evidence.fuzzing",
    "bind_construction": "verify.running.model",
    "forward": "verify.running.model",
    "generate": "verify.running.model",
    "sweep": "verify.evidence.sweeping",
    "TorchTransformer": "verify.running.torch_module",
    "to_torch": "verify.running.torch_module",
    "Trace": "verify.running.trace",
    "Counterexample": "verify.evidence.verdict",
    "Verdict": "verify.evidence.verdict",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for; keep it."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
