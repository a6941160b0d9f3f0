"""Matrix units: the orders in which a library may add up the products of a sum."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

from constructions.formats import Format
from constructions.validation import InvalidArgument
from verify.arithmetic.families import MATRIX_UNIT
from verify.arithmetic.matrix_unit import MatrixUnitArithmetic
from verify.certificates.floats.arithmetic import RoundedArithmetic
from verify.certificates.floats.rounding.matrix_unit import FACTOR_FORMATS
from verify.frontier.kernels.base import Kernel, Machine, MachineKind, Order
from verify.frontier.spaced_values import evenly_spaced_values
from verify.matrix_units.formats import FP32_RESULT
from verify.matrix_units.products import FACTORS

#: The certificates: sums of parts are rounded to the format or not; they stay in float32.
ANY_REDUCTION, FULL_REDUCTION = "any reduction", "full reduction"

#: How K is cut: each product by itself; below, at and beyond the lengths of instructions' blocks; in two halves.
_CUTS: tuple[Mapping[str, Any], ...] = (
    *({"slice_size": size} for size in (1, 2, 4, 8, 16, 32)),
    {"split": 2},
)


@final
class Units(MachineKind):
    """A matrix unit of one generation, with torch's kernels around it."""

    word = MATRIX_UNIT.word
    formats = (*MATRIX_UNIT.formats, *FACTOR_FORMATS)
    option = "order"

    def made(self, dtype: str, unit: str | None) -> Machine:
        """Return the unit of a generation, ``hopper`` unless another is given."""
        found = MatrixUnitArithmetic(dtype) if unit is None else MatrixUnitArithmetic(dtype, unit)
        products = found.products
        generation, word, fmt = products.unit.generation, products.unit.format, products.format
        values = products.unit.values
        factors = Format(word, values.precision, fmt.max_exponent)

        def certificate(reduction: str) -> RoundedArithmetic:
            return RoundedArithmetic.of(word, unit=generation, full_reduction=reduction == FULL_REDUCTION)

        common = ANY_REDUCTION if fmt.precision < FP32_RESULT.format.precision else FULL_REDUCTION
        setting = {"unit": generation}
        return Machine(self.word, word, fmt, evenly_spaced_values(factors), common, certificate, setting, generation)


@final
@dataclass(frozen=True, eq=False)
class UnitKernel(Kernel):
    """A kind of library kernel on a matrix unit.

    Attributes:
        reduction: the certificate that it is compared with.
        variants: the options of :class:`~verify.arithmetic.matrix_unit.MatrixUnitArithmetic` that are run.
        formats: the formats that have them.

    """

    word: str
    title: str
    reduction: str
    variants: tuple[Mapping[str, Any], ...]
    formats: tuple[str, ...] = MATRIX_UNIT.formats
    machine: str = MATRIX_UNIT.word

    def runs_in(self, machine: Machine) -> bool:
        """Return whether the machine has these orders."""
        return super().runs_in(machine) and machine.dtype in self.formats

    def products(self, machine: Machine) -> str:
        """Return the certificate of sums in float32, or of any."""
        return self.reduction

    def orders(self, machine: Machine) -> Sequence[Order]:
        """Return an order for each of the variants."""
        if not self.runs_in(machine):
            formats = " or ".join(self.formats)
            raise InvalidArgument(f"order: expected {formats} with {self.word} but got {machine.dtype}")
        return [
            Order(_named(chosen), MatrixUnitArithmetic(machine.dtype, machine.unit, **chosen))
            for chosen in self.variants
        ]


def _named(chosen: Mapping[str, Any]) -> str:
    """Return an order in the words of the command line."""
    options = {option.name: option for option in MATRIX_UNIT.options}
    words = [word.removeprefix("--") for name, value in chosen.items() for word in options[name].words(value)]
    return " ".join(words) or "one chain"


CHAIN = UnitKernel("chain", "one chain", FULL_REDUCTION, ({},))
PARTS = UnitKernel("parts", "in parts", FULL_REDUCTION, _CUTS)
REDUCED = UnitKernel(
    "reduced", "in rounded parts", ANY_REDUCTION, tuple({**cut, "reduced": True} for cut in _CUTS), ("fp16", "bf16")
)
FACTORED = UnitKernel(
    "factors",
    "other factors",
    FULL_REDUCTION,
    tuple({"factors": word, **cut} for word in FACTORS if word != "even" for cut in ({}, {"slice_size": 1})),
    ("tf32",),
)
