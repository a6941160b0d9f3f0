"""The numbers in which a plan gathers evidence: what runs in them, and what certifies them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from constructions.formats import FORMATS
from verify.arithmetic import Arithmetic, RationalArithmetic, get_arithmetic
from verify.certificates import BallArithmetic, certificate_arithmetic
from verify.certificates.enclosing import EnclosingArithmetic


@dataclass(frozen=True)
class Chosen:
    """The float formats of the main job, and where they run.

    Attributes:
        dtypes: the float formats, run with torch.
        device: where torch runs; exact arithmetic runs on the cpu.
        tf32: allow TF32 in torch's float32 products.
        kernel: the word of the arithmetic that runs them, ``torch`` or ``structured``.

    """

    dtypes: Sequence[str] = ()
    device: str = "cpu"
    tf32: bool = False
    kernel: str = "torch"


@dataclass(frozen=True)
class Numbers:
    """One kind of numbers.

    Attributes:
        runs: the arithmetic that runs cases, where cases can be run.
        certifies: the arithmetic that bounds all cases at once, where there is one.

    """

    runs: Arithmetic[Any, Any, Any] | None = None
    certifies: EnclosingArithmetic[Any, Any, Any] | None = None


def _real(chosen: Chosen) -> Iterator[Numbers]:
    yield Numbers(certifies=BallArithmetic())


def _rational(chosen: Chosen) -> Iterator[Numbers]:
    yield Numbers(runs=RationalArithmetic())


def _floats(chosen: Chosen) -> Iterator[Numbers]:
    for dtype in chosen.dtypes:
        tf32 = chosen.tf32 and FORMATS[dtype] == FORMATS["float32"]
        certifies = certificate_arithmetic("rounded", dtype, tf32=tf32)
        yield Numbers(get_arithmetic(chosen.kernel, dtype=dtype, device=chosen.device, tf32=tf32), certifies)


#: Kinds of numbers by their words in a plan, in the order in which evidence is gathered.
NUMBERS: Mapping[str, Callable[[Chosen], Iterator[Numbers]]] = MappingProxyType(
    {"real": _real, "rational": _rational, "floats": _floats}
)
