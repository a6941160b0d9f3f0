"""Norms: every row divided by its own length, with or without its mean taken off first."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar, final

from constructions.exact_matrix import ExactMatrix
from constructions.layers.base import Layer
from constructions.layers.passes import Pass
from constructions.layers.weighted import check_name, held
from constructions.layers.widths import Width, check_shape
from constructions.operations import RowsT, ScoresT, WeightT
from constructions.validation import reject


@dataclass(frozen=True, eq=False)
class Norm(Layer[WeightT]):
    """``x -> w * x / sqrt(mean(x^2) + eps) + b``; subclasses say what is under the root.

    Attributes:
        eps: added under the root, exactly; ``1e-5`` is the dyadic number that the float is.
        weight: ``w``, width x 1; ones where it is left out.
        bias: ``b``, width x 1; zeros where it is left out.
        name: unique in a transformer.

    """

    eps: Fraction | float = Fraction(0)
    weight: WeightT | None = held("w", optional=True)
    bias: WeightT | None = held("b", optional=True)
    name: str = "norm"

    rescales: ClassVar[bool] = True
    #: whether the mean of the coordinates is taken off first, and whether squares are averaged or added up
    centred: ClassVar[bool] = False
    mean: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_name("layer", self.name)
        try:
            exact = None if isinstance(self.eps, (bool, str)) else Fraction(self.eps)
        except (TypeError, ValueError, OverflowError):
            exact = None
        if exact is None or exact < 0:
            reject(f"eps of layer {self.name}", "a finite number >= 0", self.eps)
        object.__setattr__(self, "eps", exact)
        self._expressions(f"layer {self.name}")

    def fitted(self: Norm[ExactMatrix], width: Width) -> Width:
        """Return the width of the output, which is that of the input."""
        for part, matrix in (("weight", self.weight), ("bias", self.bias)):
            if matrix is not None:
                reason = f"one number for each coordinate of its input, which is {width.size} wide: {width.origin}"
                check_shape(f"{part} of layer {self.name}", matrix, (width.size, 1), reason)
        return Width(width.size, f"what comes from {self.name}")

    def apply(self, run: Pass[WeightT, RowsT, ScoresT], rows: RowsT, *, last_only: bool = False) -> RowsT:
        """Return the rows, each over its length."""
        operations = run.operations
        if last_only:
            rows = operations.last(rows)
        eps = (
            self.eps if isinstance(self.eps, Fraction) else Fraction(self.eps)
        )  # a tracer keeps an object that is there
        found = operations.normalise(rows, centred=self.centred, mean=self.mean, eps=eps)
        if self.weight is not None or self.bias is not None:
            found = operations.affine(found, self.weight, self.bias)
        run.record(self.name, found)
        return found


@final
@dataclass(frozen=True, eq=False)
class LayerNorm(Norm[WeightT]):
    """``x -> w * (x - m) / sqrt(mean((x - m)^2) + eps) + b`` with ``m`` the mean of ``x`` (Ba et al., 2016)."""

    by_position: ClassVar[bool] = True
    centred: ClassVar[bool] = True


@final
@dataclass(frozen=True, eq=False)
class RMSNorm(Norm[WeightT]):
    """``x -> w * x / sqrt(mean(x^2) + eps)`` (Zhang and Sennrich, 2019)."""

    by_position: ClassVar[bool] = True


@final
@dataclass(frozen=True, eq=False)
class L2Norm(Norm[WeightT]):
    """``x -> w * x / sqrt(sum(x^2) + eps)``: every row at Euclidean length 1."""

    by_position: ClassVar[bool] = True
    mean: ClassVar[bool] = False
