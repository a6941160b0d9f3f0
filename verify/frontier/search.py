"""The search for the two edges: certify every V from the bottom up, then run every V above on the real kernels.

A certificate of a V excludes every failure there, on any kernel that it covers: all results of a kernel lie within the
certificate's bounds, and the promised token wins everywhere within them. So the smallest V that fails on a kernel is
above the edge up to which EVERY V is certified for it, and only sizes above that edge have to be run. Whether
``F.linear`` rounds a product before it adds is the choice of a library on a processor; its runs start above what is
certified for either. A kernel of a matrix unit is run in every order that it has.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from constructions.construction import Construction
from constructions.validation import InvalidArgument, check_choice, check_integer
from verify.evidence.checkpoint import run_sha256, sealed, unsealed
from verify.evidence.enumeration import Progress, no_progress
from verify.evidence.fingerprint import code_sha256, package_sha256
from verify.evidence.verdict import library_versions
from verify.files.atomic import write_atomically
from verify.frontier.falsify import failures
from verify.frontier.kernels import KERNELS, MACHINES, Kernel, Machine, kernels_of, kernels_on
from verify.frontier.record import Certified, Falsified, Frontier
from verify.frontier.scan import Scanner

#: Seconds between two checkpoints: writing one costs little beside a V, and little is lost between two.
_CHECKPOINT_SECONDS = 2.0


class Budget(Exception):
    """The run has used up its seconds."""


def find_frontier(
    build: Callable[[int], Construction],
    *,
    dtype: str,
    limit: int,
    first: int = 1,
    kernels: Sequence[str] | None = None,
    arithmetic: str = "torch",
    unit: str | None = None,
    setting: Mapping[str, Any] | None = None,
    command: Callable[[Construction], Mapping[str, str] | None] | None = None,
    checkpoint: Path | None = None,
    seconds: float | None = None,
    progress: Progress = no_progress,
) -> Frontier:
    """Return the largest V up to which every V is certified, and the smallest that fails, for each kernel.

    Args:
        build: a construction for a vocabulary size.
        dtype: the format, or ``tf32``: float32 whose factors are rounded to 11 bits (emulated on the CPU). On a matrix
            unit ``bf16``, ``fp16`` or ``tf32``.
        limit: the largest V to look at.
        first: the smallest V to look at; the result says nothing of smaller ones.
        kernels: which of :data:`KERNELS`; all that the arithmetic has unless they are given.
        arithmetic: what runs: ``torch`` on the CPU, or ``matrix-unit``.
        unit: the generation of the matrix unit, ``hopper`` unless another is given.
        setting: the family as the result describes it.
        command: how the command line builds a construction.
        checkpoint: a file that holds the state of the search; an interrupted search resumes from it, a finished one
            removes it.
        seconds: stop after about this long; the result is then unfinished.
        progress: called with the V that is done and the limit.

    Raises:
        InvalidArgument: bad options, or a checkpoint of another search.

    Example:
        >>> from constructions import UnconditionalGeneration
        >>> def build(vocab_size):
        ...     return UnconditionalGeneration(vocab_size, 2, encoding="integer", lift="mask")
        >>> found = find_frontier(build, dtype="bfloat16", first=16, limit=20, kernels=["separate"])
        >>> found.certified["separate"].up_to
        17

    """
    kind = MACHINES[check_choice("arithmetic", arithmetic, tuple(MACHINES))]
    machine = kind.made(check_choice("dtype", dtype, kind.formats), unit)
    check_integer("first", first, 1)
    check_integer("limit", limit, first)
    chosen = kernels_of(machine) if kernels is None else tuple(kernels)
    if not chosen:
        raise InvalidArgument(f"kernels: expected at least one of {', '.join(kernels_on(arithmetic))}")
    for kernel in chosen:
        check_choice("kernels", kernel, kernels_on(arithmetic))
        KERNELS[kernel].orders(machine)  # refuses those that the format does not have
    said = {**(setting or {}), "dtype": machine.dtype, **machine.setting}
    key = {"setting": said, "first": first, "limit": limit, "kernels": list(chosen)}
    key |= {"weights": run_sha256(build(first)), "construction": repr(build(first))}
    key |= {"code": code_sha256(build(first)), "sources": package_sha256()}
    run = _Run(build, machine, first, limit, command, progress, checkpoint, key, seconds)
    try:
        run.search(chosen)
    except Budget:
        run.keep(now=True)
    else:
        if checkpoint is not None:
            checkpoint.unlink(missing_ok=True)
    return run.frontier


@dataclass
class _Run:
    build: Callable[[int], Construction]
    machine: Machine
    first: int
    limit: int
    command: Callable[[Construction], Mapping[str, str] | None] | None
    progress: Progress
    checkpoint: Path | None
    key: Mapping[str, Any]
    seconds: float | None

    def __post_init__(self) -> None:
        self.started = self.kept = time.monotonic()
        self.deadline = None if self.seconds is None else self.started + self.seconds
        fresh = Frontier(self.key["setting"], self.limit, self.machine.values, versions=dict(library_versions()))
        self.frontier = self._resumed() or fresh
        self.before = self.frontier.seconds

    def search(self, kernels: Sequence[str]) -> None:
        """Find the edges: for any kernel first, then for each from there on."""
        self._certify(self.machine.common, self.first)
        common = self.frontier.certified[self.machine.common].up_to
        for word in kernels:
            kernel = KERNELS[word]
            products = kernel.products(self.machine)
            self._certify(products, common + 1)
            certified = self.frontier.certified[products]
            certified.first = self.first  # certified for any kernel includes this one
            # how torch's own kernel rounds is only measured, and its runs must not rely on that
            self._falsify(kernel, products, (common if kernel.measured else certified.up_to) + 1)
        self.frontier.seconds = self.before + time.monotonic() - self.started

    def _certify(self, products: str, start: int) -> None:
        state = self.frontier.certified.setdefault(products, Certified(start, start - 1))
        scanner = Scanner(self.machine.certificate(products))
        while not state.done:
            vocab_size = state.up_to + 1
            if vocab_size > self.limit:
                state.done = True
                break
            try:
                state.undecided = scanner.undecided(self.build(vocab_size))
            except InvalidArgument as error:
                state.undecided = f"refused: {error}"
            state.done = state.undecided is not None
            state.up_to += not state.done
            self._tick(vocab_size)

    def _falsify(self, kernel: Kernel, products: str, start: int) -> None:
        state = self.frontier.falsified.setdefault(kernel.word, Falsified(start, start - 1, products))
        orders = kernel.orders(self.machine)
        while not state.done:
            vocab_size = state.checked + 1
            if vocab_size > self.limit:
                state.done = True
                break
            try:
                construction = self.build(vocab_size)
                for name, arithmetic in orders:
                    state.add(vocab_size, name, failures(construction, arithmetic, command=self.command))
                    if state.wrong is not None:
                        break
            except InvalidArgument as error:
                state.refused, state.done = str(error), True
                break
            state.done = state.wrong is not None
            state.checked = vocab_size
            self._tick(vocab_size)

    def _tick(self, vocab_size: int) -> None:
        self.progress(vocab_size, self.limit)
        self.keep()
        if self.deadline is not None and time.monotonic() > self.deadline:
            raise Budget

    def keep(self, *, now: bool = False) -> None:
        """Write the checkpoint, if the last one is old."""
        moment = time.monotonic()
        if now or moment - self.kept > _CHECKPOINT_SECONDS:
            self.kept = moment
            self.frontier.seconds = self.before + moment - self.started
            if self.checkpoint is not None:
                write_atomically(self.checkpoint, sealed({"key": self.key, "frontier": self.frontier.to_json()}))

    def _resumed(self) -> Frontier | None:
        if self.checkpoint is None or not self.checkpoint.exists():
            return None
        record = unsealed(self.checkpoint, {"key", "frontier"})
        if record["key"] != self.key:
            raise InvalidArgument(f"checkpoint: expected one of this search but {self.checkpoint} is of another")
        found = Frontier.from_json(record["frontier"])
        if found.versions != library_versions():
            raise InvalidArgument(f"checkpoint: expected one of the same versions but {self.checkpoint} is of others")
        return found
