"""The search for the two edges: certify every V from the bottom up, then run every V above on the real kernels.

A certificate of a V excludes every failure there, on any kernel that it covers: all results of a kernel lie within the
certificate's bounds, and the promised token wins everywhere within them. So the smallest V that fails on a kernel is
above the edge up to which EVERY V is certified for it, and only sizes above that edge have to be run. Whether
``F.linear`` rounds a product before it adds is the choice of a library on a processor; its runs start above what is
certified for either.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from constructions.construction import Construction
from constructions.formats import Format, get_format
from constructions.validation import InvalidArgument, check_choice, check_integer
from verify.arithmetic.tensors import Bias, TorchArithmetic
from verify.certificates.floats.arithmetic import RoundedArithmetic
from verify.certificates.floats.rounding.tensor_cores import TF32_PRECISION
from verify.evidence.checkpoint import run_sha256, sealed, unsealed
from verify.evidence.enumeration import Progress, no_progress
from verify.evidence.fingerprint import code_sha256, package_sha256
from verify.evidence.verdict import library_versions
from verify.files.atomic import write_atomically
from verify.frontier.falsify import failures
from verify.frontier.product_rounding import products_of
from verify.frontier.record import Certified, Falsified, Frontier
from verify.frontier.scan import Scanner
from verify.frontier.spaced_values import evenly_spaced_values

#: The kernels, see :class:`~verify.arithmetic.tensors.TorchArithmetic`.
KERNELS: tuple[Bias, ...] = get_args(Bias)
#: float32 whose products have factors of TF32.
TF32 = "tf32"
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
    kernels: Sequence[Bias] = KERNELS,
    setting: Mapping[str, Any] | None = None,
    command: Callable[[Construction], Mapping[str, str] | None] | None = None,
    checkpoint: Path | None = None,
    seconds: float | None = None,
    progress: Progress = no_progress,
) -> Frontier:
    """Return the largest V up to which every V is certified, and the smallest that fails, for each kernel.

    Args:
        build: a construction for a vocabulary size.
        dtype: the format, or ``tf32``: float32 whose factors are rounded to 11 bits (emulated on the CPU).
        limit: the largest V to look at.
        first: the smallest V to look at; the result says nothing of smaller ones.
        kernels: which kernels.
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
    check_choice("dtype", dtype, ("float64", "float32", TF32, "bfloat16", "float16"))
    check_integer("first", first, 1)
    check_integer("limit", limit, first)
    if not kernels:
        raise InvalidArgument("kernels: expected at least one of linear, separate and fma")
    for kernel in kernels:
        check_choice("kernels", kernel, KERNELS)
        TorchArithmetic("float32" if dtype == TF32 else dtype, bias=kernel)  # refuses kernels that do not exist
    key = {"setting": dict(setting or {}), "dtype": dtype, "first": first, "limit": limit, "kernels": list(kernels)}
    key |= {"weights": run_sha256(build(first)), "construction": repr(build(first))}
    key |= {"code": code_sha256(build(first)), "sources": package_sha256()}
    run = _Run(build, dtype, first, limit, command, progress, checkpoint, key, seconds)
    try:
        run.search(kernels)
    except Budget:
        run.keep(now=True)
    else:
        if checkpoint is not None:
            checkpoint.unlink(missing_ok=True)
    return run.frontier


@dataclass
class _Run:
    build: Callable[[int], Construction]
    dtype: str
    first: int
    limit: int
    command: Callable[[Construction], Mapping[str, str] | None] | None
    progress: Progress
    checkpoint: Path | None
    key: Mapping[str, Any]
    seconds: float | None

    def __post_init__(self) -> None:
        self.tf32 = self.dtype == TF32
        self.fmt = get_format("float32" if self.tf32 else self.dtype)
        self.started = self.kept = time.monotonic()
        self.deadline = None if self.seconds is None else self.started + self.seconds
        reduced = Format(TF32, TF32_PRECISION, self.fmt.max_exponent) if self.tf32 else self.fmt
        setting = dict(self.key["setting"]) | {"dtype": self.dtype}
        fresh = Frontier(setting, self.limit, evenly_spaced_values(reduced), versions=dict(library_versions()))
        self.frontier = self._resumed() or fresh
        self.before = self.frontier.seconds

    def search(self, kernels: Sequence[Bias]) -> None:
        """Find the edges: for any kernel first, then for each from there on."""
        self._certify("either", self.first)
        common = self.frontier.certified["either"].up_to
        for kernel in kernels:
            products = products_of(kernel, self.fmt)
            self._certify(products, common + 1)
            certified = self.frontier.certified[products]
            certified.first = self.first  # certified for any kernel includes this one
            # how torch's own kernel rounds is only measured, and its runs must not rely on that
            self._falsify(kernel, products, (common if kernel == "linear" else certified.up_to) + 1)
        self.frontier.seconds = self.before + time.monotonic() - self.started

    def _certify(self, products: str, start: int) -> None:
        state = self.frontier.certified.setdefault(products, Certified(start, start - 1))
        dtype = self.fmt.name
        scanner = Scanner(RoundedArithmetic.of(dtype, products=products, tf32=self.tf32))
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

    def _falsify(self, kernel: Bias, products: str, start: int) -> None:
        state = self.frontier.falsified.setdefault(kernel, Falsified(start, start - 1, products))
        arithmetic = TorchArithmetic(self.fmt.name, "cpu", bias=kernel, tf32_factors=self.tf32)
        while not state.done:
            vocab_size = state.checked + 1
            if vocab_size > self.limit:
                state.done = True
                break
            try:
                found = failures(self.build(vocab_size), arithmetic, command=self.command)
            except InvalidArgument as error:
                state.refused, state.done = str(error), True
                break
            if found.no_margin is not None and state.no_margin is None:
                state.no_margin = (vocab_size, found.no_margin)
            if found.wrong is not None:
                state.wrong, state.done = (vocab_size, found.wrong), True
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
