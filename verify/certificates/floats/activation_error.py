"""How far a library's activations are off, measured against balls: what a float certificate assumes of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import flint
import numpy as np

from constructions.activations import Activation
from constructions.activations.base import held_as
from constructions.formats import Format, get_format
from constructions.validation import check_choice, check_integer
from verify.certificates.balls.columns import ball, ball_precision


@dataclass(frozen=True)
class ActivationErrors:
    """The measured errors of one library's activation.

    Attributes:
        activation: its name.
        library: ``torch`` or ``numpy``.
        dtype: the format.
        samples: how many arguments.
        ulps: the largest error at arguments that are not negative, in units in the last place of the true value.
        at: where it is.
        excess: the largest error beyond the relative allowance, anywhere, in units ``u`` of the format that kernels
            compute in; an absolute allowance must be as large.
        excess_at: where it is.
        within: whether every value is within the activation's own allowance.

    """

    activation: str
    library: str
    dtype: str
    samples: int
    ulps: float
    at: float
    excess: float
    excess_at: float
    within: bool


def activation_errors(
    activation: Activation, library: str, dtype: str, *, samples: int | None = None, seed: int = 0
) -> ActivationErrors:
    """Measure an activation of a library.

    Args:
        activation: which.
        library: ``torch`` or ``numpy`` (which has no bfloat16).
        dtype: the format.
        samples: how many arguments to draw, half of them of any exponent and half between -40 and 40; ``None`` for all
            numbers of a format of 16 bits.
        seed: of the draw.

    """
    check_choice("library", library, ("torch", "numpy"))
    fmt = get_format(dtype)
    arguments, computed = _computed(activation, library, fmt, _arguments(fmt, samples, seed))
    allowed, unit = activation.error(fmt), float(held_as(fmt).unit_roundoff)
    worst, excess, within = (0.0, 0.0), (0.0, 0.0), True
    half = float(fmt.largest / 2)
    with ball_precision():
        absolute, top = ball(allowed.absolute), ball(fmt.largest)
        for argument, value in zip(arguments.tolist(), computed.tolist(), strict=True):
            true = activation.ball(flint.arb(argument))
            if not abs(true) <= top or abs(argument) > half:
                continue  # nothing is said of it
            error, unit_there = abs(flint.arb(value) - true), spacing(true, fmt)
            beyond = error - allowed.ulps * unit_there
            within &= bool(beyond <= absolute)
            if argument >= 0:
                worst = max(worst, (float((error / unit_there).upper()), argument))
            excess = max(excess, (float(beyond.upper()) / unit, argument))
    return ActivationErrors(activation.name, library, dtype, len(arguments), *worst, *excess, within)


def _arguments(fmt: Format, samples: int | None, seed: int) -> np.ndarray[Any, Any]:
    """Return float64 numbers, all of a format or drawn ones."""
    if samples is None:
        bits = np.arange(2**16, dtype=np.uint32)
        held = bits.astype(np.uint16).view(np.float16) if fmt.name == "float16" else (bits << 16).view(np.float32)
        return np.asarray(held[np.isfinite(held)].astype(np.float64))
    check_integer("samples", samples, 1)
    rng = np.random.default_rng(seed)
    exponents = rng.integers(fmt.min_exponent - fmt.precision, fmt.max_exponent + 1, samples // 2)
    signs = rng.choice([-1.0, 1.0], len(exponents))
    return np.concatenate(
        [np.ldexp(signs * rng.uniform(1, 2, len(exponents)), exponents), rng.uniform(-40, 40, samples - len(exponents))]
    )


def spacing(true: flint.arb, fmt: Format) -> flint.arb:
    """Return the distance between neighbours of the format around a value, the smaller one where that is open."""
    mantissa_and_exponent = abs(true).lower().man_exp() if true != 0 and true.is_finite() else None
    if mantissa_and_exponent is None:
        exponent = fmt.min_exponent
    else:
        mantissa, power = mantissa_and_exponent
        exponent = (
            max(int(mantissa).bit_length() - 1 + int(power), fmt.min_exponent) if mantissa > 0 else fmt.min_exponent
        )
    return flint.arb(2) ** (exponent - fmt.precision + 1)


def _computed(
    activation: Activation, library: str, fmt: Format, drawn: np.ndarray[Any, Any]
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    if library == "numpy":
        check_choice("dtype", fmt.name, ("float64", "float32", "float16"))
        with np.errstate(all="ignore"):
            held = drawn.astype(fmt.name)
            held = held[np.isfinite(held)]
            return held.astype(np.float64), activation.numpy(held).astype(np.float64)
    import torch  # noqa: PLC0415 # torch takes seconds to import

    tensor = torch.from_numpy(drawn).to(getattr(torch, fmt.name))
    tensor = tensor[torch.isfinite(tensor)]
    return tensor.double().numpy(), activation.torch(tensor).double().numpy()
