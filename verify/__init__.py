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
    from verify.arithmetic.structured import StructuredTorchArithmetic as StructuredTorchArithmetic
    from verify.arithmetic.tensors import TorchArithmetic as TorchArithmetic
    from verify.batches import batch_dependence as batch_dependence
    from verify.cases import Outcome as Outcome
    from verify.cases import Runner as Runner
    from verify.enumeration import exhaust as exhaust
    from verify.evaluation import check as check
    from verify.fuzzing import fuzz as fuzz
    from verify.model import bind_construction as bind_construction
    from verify.model import forward as forward
    from verify.model import generate as generate
    from verify.sweeping import sweep as sweep
    from verify.torch_module import TorchTransformer as TorchTransformer
    from verify.torch_module import to_torch as to_torch
    from verify.trace import Trace as Trace
    from verify.verdict import Counterexample as Counterexample
    from verify.verdict import Verdict as Verdict

#: Where each public name lives; a test compares this with the imports above, which type checkers read.
_HOMES = {
    "Arithmetic": "verify.arithmetic",
    "NumpyArithmetic": "verify.arithmetic",
    "RationalArithmetic": "verify.arithmetic",
    "SymbolicArithmetic": "verify.arithmetic",
    "get_arithmetic": "verify.arithmetic",
    "StructuredTorchArithmetic": "verify.arithmetic.structured",
    "TorchArithmetic": "verify.arithmetic.tensors",
    "batch_dependence": "verify.batches",
    "Outcome": "verify.cases",
    "Runner": "verify.cases",
    "exhaust": "verify.enumeration",
    "check": "verify.evaluation",
    "fuzz": "verify.fuzzing",
    "bind_construction": "verify.model",
    "forward": "verify.model",
    "generate": "verify.model",
    "sweep": "verify.sweeping",
    "TorchTransformer": "verify.torch_module",
    "to_torch": "verify.torch_module",
    "Trace": "verify.trace",
    "Counterexample": "verify.verdict",
    "Verdict": "verify.verdict",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for; keep it."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
