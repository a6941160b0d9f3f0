"""Verify an export from its files alone: its weights against the construction's, its engines on its cases."""

from __future__ import annotations

import shlex
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from constructions.construction import Construction
from constructions.formats import get_format
from constructions.ratios import Ratios
from constructions.specification import Specification
from constructions.validation import IntArray, InvalidArgument
from verify.arithmetic.emulated import matmul_precision
from verify.arithmetic.tensors import TorchArithmetic
from verify.backends import Backend, Prepared
from verify.backends.outputs import called, checked_logits, respond_by_logits
from verify.certificates.floats.arithmetic import RoundedArithmetic
from verify.evidence.kinds import EXPORTED
from verify.evidence.verdict import Refutation, Verdict, library_versions
from verify.export.base import SAMPLE, Engine, ExportFormat, Held, described, forced, said_of, weights_of
from verify.export.enclosing import enclosed
from verify.files.strict import canonical
from verify.numbers import Margin
from verify.requests.own import names_of
from verify.running.asked import asked_again
from verify.running.cases import Runner, parameters_of
from verify.running.respond import Produced
from verify.running.torch_module import TorchTransformer, to_torch
from verify.running.trace import Trace


class ExportedBackend(Backend):
    """A program of a file, called with virtual tokens that are rounded once to its number format."""

    batched = True

    def __init__(self, engine: Engine, dtype: str) -> None:
        """Hold both."""
        self.engine, self.name, self.fmt = engine, engine.name, get_format(dtype)
        self.arithmetic = TorchArithmetic(dtype)

    def prepare(self, specification: Specification) -> Prepared:
        """Return the program with what it is to answer."""
        return _PreparedEngine(self, specification)

    def logits(self, prompts: Ratios, tokens: IntArray) -> np.ndarray[Any, Any]:
        """Return the logits at every position."""
        virtual = self.arithmetic.prompt(prompts)
        with torch.no_grad(), matmul_precision("highest"):
            return called(self.name, lambda: self.engine.call(virtual, torch.from_numpy(tokens.copy())))

    def assumptions(self) -> str:
        """Return that nothing is known of it but what it gave."""
        return "the program of a file: what it computes is known from its cases alone"


@dataclass
class _PreparedEngine(Prepared):
    backend: ExportedBackend
    specification: Specification

    def run(self, prompts: Ratios | None, user_inputs: IntArray, trace: Trace | None = None) -> Produced:
        assert prompts is not None, "a construction has prompts, if without any virtual token"
        known = prompts
        return respond_by_logits(
            self.backend.name, self.specification, lambda tokens: self.backend.logits(known, tokens), user_inputs
        )


@dataclass
class Verification:
    """An export that was read, held against the construction that it must be of.

    Attributes:
        form: the format.
        held: what was read.
        path: where, for words.
        construction: what it must be of; ``None`` where that is not known.

    """

    form: ExportFormat
    held: Held
    path: Path
    construction: Construction | None

    def __post_init__(self) -> None:
        self.started, self.dtype = time.perf_counter(), self.held.record.dtype
        self.subject = f"{self.form.name} export {self.path.name}"
        if self.construction is not None:
            self.construction = self.form.fixed(self.construction, self.dtype)

    def verdicts(self) -> list[Verdict]:
        """Return a verdict for each way to run the export, or one that says what of it is not the construction's.

        A verdict holds where the weights are the construction's, bit for bit, where every case has the promised tokens
        with positive margins, and where every logit of the cases lies within the certified bounds of its format.
        """
        known, record = self.construction, self.held.record
        if known is None:
            reason = f"{record.construction} is no registered claim's: name the claim and its sizes to verify it"
            return [self._verdict(f"torch {self.dtype}", holds=None, reason=reason)]
        refutation = self._other_than(known)
        if refutation is not None:
            return [self._verdict(f"torch {self.dtype}", holds=False, refutation=refutation)]
        return [self._run(engine, known) for engine in self.held.engines(known)]

    def _verdict(self, arithmetic: str, *, cases: int = 0, **found: Any) -> Verdict:
        known, record = self.construction, self.held.record
        parameters: dict[str, Any] = {"format": record.format, "file": self.path.name, "sha256": self.held.sha256}
        if known is not None:
            temperature = known.temperature_for(get_format(self.dtype)).sentence
            parameters = {**parameters_of(known), "temperature": temperature, **parameters}
        return Verdict(
            claim=record.claim,
            parameters=parameters,
            method=EXPORTED.name,
            arithmetic=arithmetic,
            device="cpu",
            cases=cases,
            seconds=time.perf_counter() - self.started,
            versions={**library_versions(), **self.form.versions()},
            **found,
        )

    def _refutation(self, place: str, expected: object, produced: object, margin: Margin | None = None) -> Refutation:
        again = shlex.join(["prefixproof", "export", "--verify", str(self.path)])
        return Refutation(self.subject, place, str(expected), str(produced), margin, again)

    def _other_than(self, known: Construction) -> Refutation | None:
        """Return what of the export is not the construction's."""
        record, weights, exact = self.held.record, self.held.weights, self._module.source.lowered
        shapes = {name: matrix.shape for name, matrix in exact.matrices().items()}
        for name in sorted(() if weights is None else {*shapes, *weights}):
            assert weights is not None, "there are some"
            found = tuple(weights[name].shape) if name in weights else "missing"
            if found != shapes.get(name):
                return self._refutation(f"the shape of weight {name}", shapes.get(name, "no weight"), found)
        if exact.sha256 != record.exact_sha256:
            return self._refutation("the digest of the exact weights", exact.sha256, record.exact_sha256)
        words = known.temperature_for(get_format(self.dtype)).words
        if words != dict(record.temperature):
            return self._refutation("the temperature", words, dict(record.temperature))
        names = names_of(known)
        if record.claim not in names:  # the file does not choose what it proves
            return self._refutation("the claim", " or ".join(names), record.claim)
        for name, expected in said_of(known, exact).items():
            found = getattr(record, name)
            if canonical(found) != canonical(expected):
                return self._refutation(f"the {name}", expected, found)
        rounded = weights_of(self._module)
        for name, weight in ({} if weights is None else rounded).items():
            assert weights is not None, "there are some"
            differing = (weight != weights[name]).nonzero()  # NaN, which no construction holds, differs from all
            if len(differing):
                row, column = differing[0].tolist()
                numbers = (each[row, column].item() for each in (weight, weights[name]))
                return self._refutation(f"weight {name} at [{row}, {column}]", *numbers)
        if canonical(described(rounded)) != canonical(record.weights):
            return self._refutation("what the record says of the weights", "the construction's", "others")
        said = self.form.check(self.held, known)
        return None if said is None else self._refutation("what it says", "the construction's", said)

    def _run(self, engine: Engine, known: Construction) -> Verdict:
        """Return the verdict of one way to run it."""
        targets, inputs = self._cases
        backend = ExportedBackend(engine, self.dtype)
        name, cases = (
            engine.name,
            len(np.unique(np.concatenate([targets.reshape(len(targets), -1), inputs], 1), axis=0)),
        )
        try:
            outcome = Runner(known, backend).run(targets, inputs)
            tokens = forced(known, targets, inputs)
            logits = backend.logits(known.virtual_tokens(targets), tokens)
        except InvalidArgument as error:
            return self._verdict(name, holds=None, reason=" ".join(str(error).split()))
        margin = outcome.smallest_margin()
        failures = outcome.failures()
        if failures.any():
            case, step = np.argwhere(failures)[0].tolist()
            target = np.array2string(targets[case], separator=", ", threshold=40).replace("\n", "")
            place = f"response position {step} of target {target} and user input {inputs[case].tolist()}"
            expected, produced, least = (
                each[case, step] for each in (outcome.expected, outcome.produced, outcome.margins)
            )
            found = self._refutation(place, expected, produced, least)
            return self._verdict(name, cases=cases, holds=False, margin=least, refutation=found)
        reason = self._outside(logits) or asked_again(known, self._module.source)
        if reason is not None:
            return self._verdict(name, cases=cases, holds=None, margin=margin, reason=reason)
        return self._verdict(name, cases=cases, holds=True, margin=margin, assumptions=backend.assumptions())

    @cached_property
    def _module(self) -> TorchTransformer:
        """The construction's own module: what the export is compared with is asked for once."""
        assert self.construction is not None, "weights are of a construction"
        return to_torch(self.construction, self.dtype)

    @cached_property
    def _cases(self) -> tuple[IntArray, IntArray]:
        """Targets and user inputs: those of the record, and for a program as many others, at least ``SAMPLE``.

        The others are drawn from the digest of what is verified. They change with every byte of it, so that no program
        can hold the answers to them in a table.
        """
        assert self.construction is not None, "cases are of a construction"
        targets, inputs = self.held.record.cases(self.construction)
        if not self.form.program:
            return targets, inputs
        count, half = max(len(targets), SAMPLE), len(self.held.sha256) // 2
        seeds = int(self.held.sha256[:half], 16), int(self.held.sha256[half:], 16)
        others = self.construction.target_space.sample(count, seed=seeds[0])
        given = self.construction.user_inputs.sample(count, seed=seeds[1])
        return np.concatenate([targets, others]), np.concatenate([inputs, given])

    @cached_property
    def _bounds(self) -> np.ndarray[Any, Any] | str:
        """Certified bounds of the logits, or why there are none."""
        assert self.construction is not None, "bounds are of a construction"
        targets, inputs = self._cases
        try:
            arithmetic = RoundedArithmetic.of(self.dtype)
            found = enclosed(self.construction, arithmetic, targets, forced(self.construction, targets, inputs))
        except InvalidArgument as error:
            return " ".join(str(error).split())
        return found if np.isfinite(found).all() else f"{self.dtype} overflows somewhere between the bounds"

    def _outside(self, logits: np.ndarray[Any, Any]) -> str | None:
        """Return the first logit that is not within its certified bounds, or why there are none."""
        if isinstance(self._bounds, str):
            return f"no certified bounds to compare the logits with: {self._bounds}"
        low, high = self._bounds[..., 0], self._bounds[..., 1]
        found = checked_logits("the program", logits, (low.shape,))
        beyond = np.argwhere(~((low <= found) & (found <= high)))  # NaN is within nothing
        if not len(beyond):
            return None
        case, place, token = beyond[0].tolist()
        at = (case, place, token)
        return (
            f"the logit of token {token} at position {place} of case {case} is {found[at]!r}, outside its certified"
            f" bounds [{low[at]!r}, {high[at]!r}]"
        )
