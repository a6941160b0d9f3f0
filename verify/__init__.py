"""THAT it works, in a named arithmetic, on a named device: forward pass, evidence, verdicts, the command line.

``to_torch`` and ``TorchTransformer`` are imported on first use, as torch takes seconds to import.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from verify.arithmetic import Arithmetic as Arithmetic
from verify.arithmetic import NumpyArithmetic as NumpyArithmetic
from verify.arithmetic import RationalArithmetic as RationalArithmetic
from verify.arithmetic import SymbolicArithmetic as SymbolicArithmetic
from verify.arithmetic import get_arithmetic as get_arithmetic
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
    from verify.torch_module import TorchTransformer as TorchTransformer
    from verify.torch_module import to_torch as to_torch

_LAZY = ("TorchTransformer", "to_torch")


def __getattr__(name: str) -> Any:
    """Import the torch module when it is first asked for."""
    if name in _LAZY:
        from verify import torch_module  # noqa: PLC0415 # torch takes seconds to import

        return getattr(torch_module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *_LAZY]
