"""How far a library's ``exp`` and torch's ``rsqrt`` are off, measured against balls: float certificates assume it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import flint
import numpy as np

from constructions.formats import Format, get_format
from constructions.validation import check_choice, check_integer
from verify.certificates.balls.columns import ball_precision
from verify.certificates.floats.activation_error import spacing


@dataclass(frozen=True)
class ExpErrors:
    """The measured errors of one library's ``exp``, on numbers that are not positive.

    Attributes:
        library: ``torch`` or ``numpy``.
        dtype: the format.
        samples: how many arguments.
        worst: the largest error in units in the last place of the true value (of the smallest number above 0 below the
            normal range).
        at: where it is.
        one_at_zero: whether ``exp(0)`` is 1.
        zero_below: whether every value is 0 whose true value is below half of the smallest number above 0.

    """

    library: str
    dtype: str
    samples: int
    worst: float
    at: float
    one_at_zero: bool
    zero_below: bool


def exp_errors(library: str, dtype: str, *, samples: int, seed: int) -> ExpErrors:
    """Measure ``exp`` of a library on drawn arguments, and on those around the end of the format's range.

    Args:
        library: ``torch`` or ``numpy`` (which has no bfloat16).
        dtype: the format.
        samples: how many arguments to draw.
        seed: of the draw.

    """
    check_choice("library", library, ("torch", "numpy"))
    check_integer("samples", samples, 1)
    fmt = get_format(dtype)
    rng = np.random.default_rng(seed)
    with ball_precision():
        end = float(flint.arb(2).log() * (fmt.min_exponent - fmt.precision))  # ln of half the smallest number
        drawn = np.concatenate([rng.uniform(1.1 * end, 0, samples), rng.uniform(-2, 0, samples), [end, end * 1.5, 0.0]])
        arguments, computed = _computed(library, fmt, drawn)
        worst, at, below = 0.0, 0.0, True
        for argument, value in zip(arguments.tolist(), computed.tolist(), strict=True):
            true = flint.arb(argument).exp()
            error = float((abs(flint.arb(value) - true) / spacing(true, fmt)).upper())
            if error > worst:
                worst, at = error, argument
            if true < flint.arb(2) ** (fmt.min_exponent - fmt.precision):
                below &= value == 0
    zero = computed[arguments == 0]
    return ExpErrors(library, dtype, len(arguments), worst, at, bool(len(zero) and (zero == 1).all()), below)


def _computed(library: str, fmt: Format, drawn: np.ndarray[Any, Any]) -> tuple[Any, Any]:
    if library == "numpy":
        check_choice("dtype", fmt.name, ("float64", "float32", "float16"))
        held = drawn.astype(fmt.name)
        with np.errstate(under="ignore"):
            return held.astype(np.float64), np.exp(held).astype(np.float64)
    import torch  # noqa: PLC0415 # torch takes seconds to import

    tensor = torch.from_numpy(drawn).to(getattr(torch, fmt.name))
    return tensor.double().numpy(), torch.exp(tensor).double().numpy()


@dataclass(frozen=True)
class RootErrors:
    """The measured errors of torch's ``rsqrt`` on positive numbers.

    Attributes:
        dtype: the format.
        samples: how many arguments.
        worst: the largest error in units in the last place of the true value.
        at: where it is.

    """

    dtype: str
    samples: int
    worst: float
    at: float


def root_errors(dtype: str, *, samples: int | None = None, seed: int = 0) -> RootErrors:
    """Measure ``torch.rsqrt`` on the CPU.

    Args:
        dtype: the format.
        samples: how many arguments to draw, of any exponent; ``None`` for all positive numbers of a 16-bit format.
        seed: of the draw.

    Example:
        >>> root_errors("float32", samples=1000).worst < 2
        True

    """
    import torch  # noqa: PLC0415 # torch takes seconds to import

    fmt, kind = get_format(dtype), getattr(torch, dtype)
    if samples is None:
        check_choice("dtype", dtype, ("bfloat16", "float16"))
        every = torch.arange(2**15, dtype=torch.int16).view(kind)  # the bit patterns without a sign
        held = every[torch.isfinite(every) & (every > 0)]
    else:
        rng = np.random.default_rng(seed)
        exponents = rng.integers(fmt.min_exponent, fmt.max_exponent, check_integer("samples", samples, 1))
        held = torch.from_numpy(np.ldexp(rng.uniform(1, 2, samples), exponents)).to(kind)
        held = held[torch.isfinite(held)]
    arguments, computed = held.double().tolist(), torch.rsqrt(held).double().tolist()
    worst, at = 0.0, 0.0
    with ball_precision():
        for argument, value in zip(arguments, computed, strict=True):
            true = 1 / flint.arb(argument).sqrt()
            error = float((abs(flint.arb(value) - true) / spacing(true, fmt)).upper())
            if error > worst:
                worst, at = error, argument
    return RootErrors(dtype, len(arguments), worst, at)
