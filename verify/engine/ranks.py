"""Ranges of the enumeration at the speed of the machine: the smallest margin of every case, by one kernel."""

from __future__ import annotations

import time
from functools import cached_property

import numpy as np
from jaxtyping import Float

from constructions.construction import Construction
from verify.arithmetic.base import AtOnce
from verify.engine.blocks import Blocks, widest
from verify.engine.comparing import Drawn
from verify.engine.compiling import Compiler
from verify.engine.known import Dependence, dependence
from verify.engine.lowered import EngineModel, Kernel, Lowered
from verify.engine.traced import Untraceable
from verify.running.cases import BATCH_BYTES
from verify.running.ranks import RankTally

_Margins = Float[np.ndarray, "prefixes cases"]


class EngineRanks(AtOnce):
    """The findings of ranks of a construction's enumeration.

    Attributes:
        refused: why the engine has no program for this construction, ``None`` where it has one.
        kernel: the kernel where it is compiled.

    """

    def __init__(
        self,
        construction: Construction,
        model: EngineModel,
        *,
        rest: int | None = None,
        compiler: Compiler | None = None,
    ) -> None:
        """Take a construction; nothing is computed yet.

        Args:
            construction: whose cases they are.
            model: its transformer in the engine's arithmetic.
            rest: how many cases are to come: a kernel is compiled where it makes up for its price in them. By default
                all that there are.
            compiler: compiles kernels.

        """
        self._construction, self._model = construction, model
        self._arithmetic = model.arithmetic
        self.compiler = Compiler() if compiler is None else compiler
        self.refused: str | None = None
        self.kernel: Kernel | None = None
        self._rest = rest
        self._tried, self._calls = False, 0
        self._drawn = Drawn(construction, model.arithmetic.fmt)
        self._held: tuple[int, _Margins] | None = None

    @cached_property
    def blocks(self) -> Blocks:
        """Pairs of prefixes and suffixes, as many suffixes as have all positions in the cache."""
        return Blocks.of(self._construction, self._arithmetic.dtype.itemsize)

    @cached_property
    def _known(self) -> Dependence | None:
        return None if self.blocks.windowed else dependence(self._construction)

    @cached_property
    def _fast(self) -> Lowered:
        return Lowered(self._construction, self._model, self.blocks, self._known, strict=False)

    @cached_property
    def _strict(self) -> Lowered:
        return Lowered(self._construction, self._model, self.blocks, self._known, strict=True)

    @property
    def _bytes(self) -> int:
        """Bytes of one number at every position of a case."""
        return self._arithmetic.dtype.itemsize * max(1, self._construction.layout.context_size)

    def __call__(self, start: int, stop: int) -> RankTally | None:
        """Return the findings of ranks ``start..stop-1``; ``None`` where the engine cannot write the program down."""
        if self.refused is not None:
            return None
        with self._arithmetic.running():
            try:
                self._fast  # noqa: B018 # written down when it is first asked for
            except MemoryError:
                raise
            except Exception as error:  # noqa: BLE001 # whatever is wrong with it, the batches that run then tell
                self.refused = str(error) if isinstance(error, Untraceable) else f"{type(error).__name__}: {error}"
                return None
            found = self._tallied(start, stop)
        if found.cases and found.margin is None and self._construction.output_vocab_size > 1:
            return None  # every difference of two logits overflows: batches say so of each case
        self._calls += 1
        if self._calls & (self._calls - 1) == 0 and (wrong := self._drawn.wrong(start, stop)) is not None:
            # the rank is called a failure; a shard that runs elsewhere has no other way to say so
            with self._arithmetic.running():
                return self._tallied(start, wrong[0], drawn=False) + RankTally(failure=wrong[0])
        return found

    def changed(self) -> str | None:
        """Return a drawn case whose margin is not what the dense arithmetic and certified bounds allow."""
        wrong = self._drawn.wrong()
        return None if wrong is None else wrong[1]

    def account(self) -> str:
        """Return in words how the ranks ran; empty where none did."""
        if self.refused is not None:
            return f"ran batch by batch, as the engine has no program for {self.refused}"
        if not self._calls:
            return ""
        compiled = f"compiled by {self.compiler.by}" if self.kernel is not None else "not compiled"
        failed = f", as the compiler failed: {self.compiler.failed}" if self.compiler.failed else ""
        return (
            "each case by one pass over its promised response: where every margin is positive, generation produces"
            f" exactly that, by induction over its steps ({compiled}{failed}); {self._drawn.account()}"
        )

    def _tallied(self, start: int, stop: int, *, drawn: bool = True) -> RankTally:
        inner, tally, at = self.blocks.inner, RankTally(), start
        while at < stop and tally.failure is None:
            first, margins = self._margins(at // inner)
            end = min(stop, (first + len(margins)) * inner)
            chosen = margins.reshape(-1)[at - first * inner : end - first * inner]
            found = _found(chosen, at)
            if drawn:
                self._drawn.add(at, chosen[: found.cases])
            tally, at = tally + found, end
        return tally

    def _margins(self, prefix: int) -> tuple[int, _Margins]:
        """Return the smallest margins of the cases of some prefixes, this one among them."""
        if self._held is not None and self._held[0] <= prefix < self._held[0] + len(self._held[1]):
            return self._held
        margins = self._eager(prefix) if self.kernel is None else None
        if margins is not None and not self._tried and (margins > 0).all():
            self._decide(prefix)
        if self.kernel is not None:  # it is made for so many prefixes: the last ones are run with some before them
            many = self._prefixes_at_once()
            first = min(prefix, self.blocks.prefixes - many)
            margins = self._fast.margins(first, first + many, self.kernel).numpy()[prefix - first :].copy()
        assert margins is not None, "one of the two"
        for row in np.flatnonzero(~(margins > 0).all(axis=1)).tolist():
            # a bound of the logits may have been too wide: the logits themselves tell
            margins[row] = self._strict.margins(prefix + row, prefix + row + 1).numpy()[0]
            if not (margins[row] > 0).all():
                margins = margins[: row + 1]  # nothing after a failure is asked for
                break
        self._held = prefix, margins
        return self._held

    def _eager(self, prefix: int) -> _Margins:
        """Return the smallest margins of the cases of as many prefixes as fit the cache, by one operation at a time."""
        last = min(prefix + max(1, self.blocks.most // self.blocks.inner), self.blocks.prefixes)
        return self._fast.margins(prefix, last).numpy().copy()

    def _prefixes_at_once(self) -> int:
        """Return how many prefixes a compiled kernel takes: as many as fit the memory of a batch.

        A kernel whose operations are all fused stores nothing but what comes in; another one its widest intermediate.
        """
        stored = self._bytes if self._fast.is_fused else self._bytes * widest(self._construction)
        return max(1, min(self.blocks.prefixes, BATCH_BYTES // (stored * self.blocks.inner)))

    def _decide(self, prefix: int) -> None:
        """Compile the kernel if the rest of the run, at the speed it has now, takes longer than that."""
        part = self._fast.program.kernel
        started = time.perf_counter()  # what is made once was made before
        cases = self._eager(prefix).size
        seconds = (time.perf_counter() - started) / cases
        rest = self.blocks.prefixes * self.blocks.inner if self._rest is None else self._rest
        many = self._prefixes_at_once()
        first = min(prefix, self.blocks.prefixes - many)
        self._tried = True
        sizes = many, self.blocks.inner
        saved = rest * seconds
        if part.gives and saved > self.compiler.price(part, sizes):
            arguments = part.arguments(self._fast.arguments(first, first + many))
            self.kernel = self.compiler.compiled(part, arguments, sizes, saved=saved)


def _found(margins: np.ndarray[tuple[int], np.dtype[np.floating]], start: int) -> RankTally:
    """Return the findings of neighbouring ranks, up to the first that is not shown right."""
    right = margins > 0  # false for NaN
    failure = None if right.all() else int(np.argmin(right))
    shown = margins[:failure]
    if not len(shown) or not np.isfinite(smallest := shown.min()):
        margin = closest = None
    else:
        margin, closest = float(smallest), start + int(np.argmin(shown))
    return RankTally(len(shown), margin, closest, None if failure is None else start + failure)
