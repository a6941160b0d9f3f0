"""The kernel compiled, in C or by torch, where that pays, with a cache that is kept between runs."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from verify.engine.in_c import WRITABLE
from verify.engine.libraries import Written
from verify.engine.patience import at_most, can_end
from verify.engine.program import Part
from verify.files.atomic import write_atomically

#: The kernel: from its arguments to a tuple of results.
Kernel = Callable[..., Any]

#: Seconds that the first compile on a machine is taken to cost, by the way that it goes, and for how many operations:
#: nothing tells its price before. They are the dearest of those measured on a busy core, Theorem 1 at V = 255 in C
#: (15 s) and at V = 94 by torch (57 s), rounded up. A compiler takes time in proportion to the square of the
#: operations, as 2.2 s and 15 s for 1,329 and 3,585 of them in C say. They decide the speed of runs before that compile
#: alone; one that they keep from compiling lasts as long at most. Every later price is that of earlier compiles.
_FIRST_PRICE = MappingProxyType({"C": (16.0, 3585), "torch": (60.0, 1329)})
#: Seconds that a compiler is taken to need for next to nothing: 0.1 s were measured on an idle core, and several times
#: that on a busy one. They decide the speed of short runs alone.
_LEAST_PRICE = 0.5


def cache_folder() -> Path:
    """Return the folder of compiled kernels: under ``XDG_CACHE_HOME``, or ``~/.cache``."""
    home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(home) / "prefixproof" / "engine"


class Compiler:
    """Compiles kernels, and knows the price.

    A kernel that can be written out in C is; torch's compiler has the others. The price of a program that was compiled
    on this machine before is that of its last compile, whether its kernel was in the cache or not. Any other program is
    taken to cost as much for each operation as the dearest compile so far that went the same way.
    """

    def __init__(self, folder: Path | None = None) -> None:
        """Keep kernels and prices in a folder, by default :func:`cache_folder`."""
        self.folder = cache_folder() if folder is None else folder
        #: Why the last kernel could not be compiled, ``None`` where it could.
        self.failed: str | None = None
        #: What compiled the last kernel.
        self.by = "torch"

    def price(self, part: Part, sizes: tuple[int, int]) -> float:
        """Return the seconds that compiling a kernel is expected to take.

        Args:
            part: the kernel.
            sizes: how many prefixes and suffixes it is called with.

        """
        known = self._prices()
        if (same := known.get(_digest(part, sizes))) is not None:
            return float(same["seconds"])
        way = _way(part)
        each = [paid["first"] / max(1, paid["operations"]) for name, paid in known.items() if name.startswith(way)]
        return max(each) * part.operations if each else _first_price(way, part.operations)

    def patience(self, saved: float) -> float | None:
        """Return the seconds that a compiler may take, ``None`` for any number: those that it would save.

        So a run takes at most twice as long as without, whatever the compiler does.

        Args:
            saved: seconds that the rest of the run takes without it.

        """
        return saved

    def compiled(
        self, part: Part, arguments: Sequence[Tensor], sizes: tuple[int, int], *, saved: float
    ) -> Kernel | None:
        """Return a kernel compiled for the sizes of its arguments; ``None`` where that fails, see :attr:`failed`.

        Args:
            part: the kernel.
            arguments: what it is called with.
            sizes: how many prefixes and suffixes they are of.
            saved: seconds that the rest of the run takes without it.

        """
        started, patience = time.perf_counter(), self.patience(saved)
        try:
            kernel = self._written(part, arguments, patience)
        except subprocess.TimeoutExpired:  # torch's compiler takes longer
            self._too_slow(part, sizes, started, patience)
            return None
        if kernel is not None:
            self.failed = None
            self._paid(_digest(part, sizes), time.perf_counter() - started, part.operations)
            return kernel
        if not can_end():
            self.failed = "torch's compiler runs in the main thread alone, where it can be ended"
            return None
        # torch reads it when its compiler is first imported; a user's own choice stands
        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(self.folder / "kernels"))
        try:
            # one thread, which waits for the C++ compiler, and so ends it
            kernel = torch.compile(part.module, dynamic=False, fullgraph=True, options={"compile_threads": 1})
            with torch.no_grad(), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of parts of torch's own that are to go
                at_most(patience, lambda: kernel(*arguments))
        except TimeoutError:
            torch.compiler.reset()  # of whatever it was doing
            self._too_slow(part, sizes, started, patience)
            return None
        except Exception as error:  # noqa: BLE001 # the compiler may raise anything; the run goes on without it
            self.failed = " ".join(str(error).split())[:200] or type(error).__name__
            return None
        self.by = "torch"
        if not _keeps_subnormals():  # a library that is loaded can set the processor to flush them
            torch.set_flush_denormal(False)
            self.failed = "what it made sets the processor to flush subnormal numbers"
            return None
        self.failed = None
        self._paid(_digest(part, sizes), time.perf_counter() - started, part.operations)
        return kernel

    def _too_slow(self, part: Part, sizes: tuple[int, int], started: float, patience: float | None) -> None:
        self.failed = f"no kernel in {patience:.2g} s, which the rest of the run takes without one"
        # it would have taken longer, nobody knows how much: with twice the price all attempts together cost no more
        # than twice the last
        self._paid(_digest(part, sizes), 2 * (time.perf_counter() - started), part.operations)

    def _written(self, part: Part, arguments: Sequence[Tensor], seconds: float | None) -> Kernel | None:
        """Return a kernel written out in C; ``None`` where that fails for any reason: torch's compiler is next.

        It is used only if it gives the very numbers of torch's operations for all suffixes of the first prefix.
        """
        if not part.names <= WRITABLE:
            return None
        try:
            kernel = Written(part.module, arguments, self.folder / "written", seconds)
            (found,), (expected,) = kernel(*arguments), part.module(*(value[:, :, :1] for value in arguments))
            alike = _same(found[:, :, :1], expected)
        except subprocess.TimeoutExpired:
            raise
        except Exception:  # noqa: BLE001 # a compiler and a folder may be of any kind; the other way is tried
            return None
        if not alike:
            return None
        self.by = "a C compiler"
        return kernel

    def _prices(self) -> dict[str, Any]:
        try:
            found = json.loads((self.folder / "prices.json").read_text(encoding="utf-8"))
            return {
                str(name): {key: float(paid[key]) for key in ("first", "seconds", "operations")}
                for name, paid in found.items()
            }
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return {}  # nothing is known, or nothing that can be read

    def _paid(self, digest: str, seconds: float, operations: int) -> None:
        known = self._prices()
        first = known[digest]["first"] if digest in known else seconds
        known[digest] = {"first": first, "seconds": seconds, "operations": operations}
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_atomically(self.folder / "prices.json", json.dumps(known, indent=1))
        except OSError:
            return  # a cache that cannot be written is no cache


def _same(one: Tensor, other: Tensor) -> bool:
    """Return whether two results are equal number by number, and not numbers at the same places."""
    return one.shape == other.shape and bool(((one == other) | (one.isnan() & other.isnan())).all())


def _keeps_subnormals() -> bool:
    """Return whether half of the smallest normal number is not 0, as IEEE 754 and every certificate have it."""
    smallest = [torch.tensor(torch.finfo(kind).tiny, dtype=kind) for kind in (torch.float32, torch.float64)]
    return all(bool(number / 2 > 0) for number in smallest)


def _first_price(way: str, operations: float) -> float:
    """Return the price of a program where none of its way was compiled on this machine."""
    seconds, measured = _FIRST_PRICE[way]
    return max(_LEAST_PRICE, seconds * (operations / measured) ** 2)


def _way(part: Part) -> str:
    return "C" if part.names <= WRITABLE else "torch"


def _digest(part: Part, sizes: tuple[int, int]) -> str:
    """Return a digest of a kernel, its sizes and the library, after the way that it is compiled."""
    digest = hashlib.sha256(part.module.code.encode())
    digest.update(f"{sizes} {torch.__version__} {torch.get_num_threads()}".encode())
    return f"{_way(part)} {digest.hexdigest()}"
