"""One of each thing that can be added: each registers in one place, or nowhere; run as a script, it runs commands.

``python -m tests.one_of_each COMMANDS`` takes a JSON list of command lines and prints a JSON list of what each of them
gave: ``[status, output, errors]``. The registrations last as long as the process.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Any, final

import flint
import numpy as np
import sympy as sp

from constructions import (
    Activation,
    Attention,
    Construction,
    Head,
    Layout,
    Linear,
    Ratios,
    Specification,
    TargetSpace,
    Transformer,
)
from constructions.activations.base import KernelError, Pieces, Rising
from constructions.exact_matrix import ExactMatrix
from constructions.formats import Format
from constructions.layers import Layer
from constructions.layers.passes import Pass
from constructions.layers.widths import Width
from constructions.operations import RowsT, ScoresT, WeightT
from constructions.validation import IntArray
from proofs import CLAIMS, Claim, Step
from verify.arithmetic.families import FAMILIES
from verify.arithmetic.floating import NumpyArithmetic
from verify.arithmetic.spec import Family
from verify.backends import Backend, Prepared
from verify.certificates.floats.rounding import ORDERS, Rounding
from verify.evidence.kinds import KINDS, CaseFamily
from verify.running.batches import enumerated
from verify.running.respond import Produced
from verify.running.trace import Trace

if TYPE_CHECKING:
    import torch


@final
class Ramp(Rising):
    """An activation: ``max(0, x)``, written anew."""

    name = "ramp"

    def latex(self, argument: str) -> str:
        return rf"\operatorname{{ramp}}\left({argument}\right)"

    def exact(self, value: Fraction) -> Fraction:
        return max(value, Fraction(0))

    def pieces(self) -> Pieces:
        return Pieces((Fraction(0),), (0, 1))

    def symbol(self, value: sp.Expr) -> sp.Expr:
        return sp.Max(0, value)

    def ball(self, value: flint.arb) -> flint.arb:
        return value.max(flint.arb(0))

    def numpy(self, values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return np.asarray(np.maximum(values, values.dtype.type(0)))

    def torch(self, values: torch.Tensor) -> torch.Tensor:
        return values.relu()

    def error(self, fmt: Format) -> KernelError:
        return KernelError(0)


@final
@dataclass(frozen=True, eq=False)
class Doubled(Layer[WeightT]):
    """A layer: ``x + x``."""

    name: str = "doubled"

    def fitted(self: Layer[ExactMatrix], width: Width) -> Width:
        return Width(width.size, "what comes from doubled")

    def apply(self, run: Pass[WeightT, RowsT, ScoresT], rows: RowsT, *, last_only: bool = False) -> RowsT:
        rows = run.operations.last(rows) if last_only else rows
        return run.operations.total([rows, rows])

    def formula(self, argument: str) -> str:
        return f"2 {argument}"


@dataclass(frozen=True, repr=False)
class Shifted(Construction):
    """A construction: the user's token plus the target, modulo V."""

    vocab_size: int
    layout = Layout(virtual=1, user=1, response=1)

    @property
    def targets(self) -> TargetSpace:
        return TargetSpace(self.vocab_size, (1,))

    def encode(self, targets: Any) -> Ratios:
        return Ratios(targets[:, None, :], 1)

    def answer(self, targets: Any, user_inputs: Any) -> Any:
        return (targets + user_inputs) % self.vocab_size

    @cached_property
    def transformer(self) -> Transformer[Any]:
        vocab = self.vocab_size
        add = Head("add", query=[[0, 0, 0]], key=[[0, 0, 0]], value=[[2, 0, 0]])
        ramps: Activation = Ramp()
        wrap = Linear([[1], [1], [1]], [[0], [1 - vocab], [-vocab]], activation=ramps, name="wrap")
        lines = [[v, -v * vocab, v * vocab] for v in range(vocab)]
        readout = Linear(lines, [[-v * v] for v in range(vocab)], activation=None, name="readout")
        return Transformer([list(range(vocab))], (Attention((add,)), wrap, Doubled(), readout), context_size=2)


#: A claim about it, with a plan that asks for the kind of evidence below.
CLAIM = Claim(
    id="shifted",
    title="One virtual token shifts the user's token",
    statement="For every V there is a transformer that adds its virtual token to the user's, modulo V.",
    construction=Shifted,
    plan=(
        Step("certified", "real", {"vocab_size": 3}),
        Step("ended", "rational", {"vocab_size": 3}),
        Step("certified", "floats", {"vocab_size": 3}),
        Step("ended", "floats", {"vocab_size": 3}),
    ),
)


@final
class Ended(CaseFamily):
    """A kind of evidence: the first and the last case of the enumeration."""

    name = "ended"
    subcommand = "ends"
    label = "both ends"
    help = "Check the first and the last case."

    def sentence(self, verdict: Any) -> str:
        return f"ended: {verdict.cases} cases"

    def count(self, specification: Specification) -> int:
        return min(2, self._space(specification))

    def cases(self, specification: Specification, start: int, stop: int) -> tuple[IntArray, IntArray]:
        places = [(0, self._space(specification) - 1)[place] for place in range(start, stop)]
        found = [enumerated(specification, place, place + 1) for place in places]
        return np.concatenate([one.targets for one in found]), np.concatenate([one.inputs for one in found])

    @staticmethod
    def _space(specification: Specification) -> int:
        return specification.target_space.size * specification.user_inputs.size


@final
@dataclass(frozen=True)
class Pairwise(Rounding):
    """A float kernel's rounding: a tree of sums, which is one of the orders that the bounds allow."""

    word = "pairwise"
    summary = "a tree of sums"

    def sentence(self) -> str:
        return "rounded products summed in a tree"


BACKWARDS = Family(
    "backwards",
    "numpy {format} backwards",
    "{format} backwards",
    "tests.one_of_each:Backwards",
    "tests.one_of_each.Backwards",
    ("float64", "float32"),
)


class Backwards(NumpyArithmetic):  # type: ignore[misc] # final, so that what is named numpy is numpy; this says it is not
    """An arithmetic: numpy, with sums from the last term to the first."""

    def __init__(self, dtype: str = "float64") -> None:
        super().__init__(dtype)
        self.spec = BACKWARDS.spec(dtype)
        self.name = self.spec.name

    def linear(self, rows: Any, weight: Any, bias: Any = None) -> Any:
        found = np.zeros((*rows.shape[:-1], len(weight)), dtype=rows.dtype)
        for place in reversed(range(weight.shape[1])):
            found = found + rows[..., place : place + 1] * weight[:, place]
        return found if bias is None else found + bias[:, 0]


class Adding(Backend):
    """A backend: the sum of the two tokens, by hand."""

    gives_logits = False

    def __init__(self, *, wrong: int = 0) -> None:
        self.name, self.wrong = "adding by hand", wrong

    def prepare(self, specification: Specification) -> Prepared:
        return _Adding(specification.vocab_size, self.wrong)


@dataclass
class _Adding(Prepared):
    vocab_size: int
    wrong: int

    def run(self, prompts: Ratios | None, user_inputs: IntArray, trace: Trace | None = None) -> Produced:
        assert prompts is not None
        return Produced((prompts.numerators[:, 0] + user_inputs + self.wrong) % self.vocab_size, None)


def register() -> None:
    """Add what is registered; layers, activations, constructions and backends are not."""
    CLAIMS.add(CLAIM)
    KINDS.add(Ended())
    ORDERS.add(Pairwise)
    FAMILIES.add(BACKWARDS)


def main(commands: list[list[str]]) -> None:
    """Register, and only then import the command line."""
    register()
    from verify.cli.app import run

    found = []
    for words in commands:
        out, errors = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
            status = run(words)
        found.append([status, out.getvalue(), errors.getvalue()])
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
