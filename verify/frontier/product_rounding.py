"""How a kernel rounds a product before a bias is added to it: known from its name, or measured."""

from __future__ import annotations

import numpy as np
import torch

from constructions.formats import Format
from verify.arithmetic.tensors import Bias, TorchArithmetic
from verify.certificates.floats.kernel import Products

#: The products that torch's own kernel computes here, in the shape of a readout: rows and tokens.
_SAMPLES = (256, 1024)


def products_of(kernel: Bias, fmt: Format) -> Products:
    """Return how a kernel rounds products.

    ``separate`` and ``fma`` do as their names say. Torch's ``F.linear`` is compared with both on drawn numbers (in
    16-bit formats also with a sum held in float32, which rounds once more but leaves the product unrounded). It counts
    as one way where all its results are those of that way, and some are not those of the other. This is a measurement
    on this machine, not a proof.

    Args:
        kernel: which kernel.
        fmt: the format.

    """
    if kernel != "linear":
        return "separate" if kernel == "separate" else "fused"
    rows, tokens = _SAMPLES
    generator = np.random.default_rng(0)
    numbers = [torch.from_numpy(generator.uniform(-1, 1, shape)) for shape in ((rows, 1, 1), (tokens, 1), (tokens, 1))]
    x, weight, bias = (number.to(getattr(torch, fmt.name)) for number in numbers)
    own = TorchArithmetic(fmt.name).linear(x, weight, bias)
    separate = torch.equal(own, TorchArithmetic(fmt.name, bias="separate").linear(x, weight, bias))
    if fmt.name == "float64":  # whose fused multiply-add is not emulated
        return "separate" if separate else "either"
    once = own == TorchArithmetic(fmt.name, bias="fma").linear(x, weight, bias)
    held = own == (x.float() * weight[:, 0].float() + bias[:, 0].float()).to(own.dtype)
    # a product of float32 is rounded when it is held in float32; products of the 16-bit formats are not
    fused = bool((once if fmt.name == "float32" else once | held).all())
    if fused == separate:
        return "either"
    return "fused" if fused else "separate"
