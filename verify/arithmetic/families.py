"""The kinds of arithmetic, each with what it says of itself: a new one is its own file, and an entry here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from constructions.formats import FORMATS
from constructions.registry import Registry
from constructions.validation import check_choice
from verify.arithmetic.spec import Family, Number, Option, Setting, Spec
from verify.matrix_units import GENERATIONS

_KERNELS = "arithmetic: expected torch with --bias or --tf32-factors, which choose its kernels"
_FLOATS = "arithmetic: expected rounded with tf32 or products, which say how floats are rounded"
_ON_UNITS = "arithmetic: expected rounded with unit or full_reduction, which say how matrix units round floats"

_EXPONENTS = "arithmetic: expected rounded with exp, which says how softmax takes its exponents"

_BIAS = Option("bias", "linear", _KERNELS, {"separate": "separate", "fma": "fma"})
_TF32_FACTORS = Option("tf32_factors", default=False, refusal=_KERNELS, shown={True: "tf32-factors"})
#: The refusal of TF32, and the words in a name that allow it.
TF32_REFUSED = "tf32: expected torch in float32, whose products it reduces"
_WITH_TF32: Mapping[Setting, str] = {True: "with TF32"}
_TF32 = Option("tf32", default=False, refusal=TF32_REFUSED, shown=_WITH_TF32)

_UNITS = "arithmetic: expected matrix-unit with --unit and with how its products are added up"
_UNIT = Option("unit", "hopper", _UNITS, always=True)
_SPLIT = Number("split", 1, _UNITS)
_SLICE_SIZE = Number("slice_size", None, _UNITS)
_REDUCED = Option("reduced", default=False, refusal=_UNITS, shown={True: "reduced"})
_FACTORS = Option("factors", "even", _UNITS, {"away": "factors away", "truncated": "factors truncated"})

_ALL = tuple(FORMATS)

RATIONAL = Family(
    "rational", "rational", "rational", "verify.arithmetic.rational:RationalArithmetic", "verify.RationalArithmetic"
)
SYMBOLIC = Family(
    "symbolic", "symbolic", "symbolic", "verify.arithmetic.symbolic:SymbolicArithmetic", "verify.SymbolicArithmetic"
)
NUMPY = Family(
    "numpy",
    "numpy {format}",
    "{format}",
    "verify.arithmetic.floating:NumpyArithmetic",
    "verify.NumpyArithmetic",
    ("float64", "float32", "float16"),
)
TORCH = Family(
    "torch",
    "torch {format}",
    "{format}",
    "verify.arithmetic.tensors:TorchArithmetic",
    "verify.TorchArithmetic",
    _ALL,
    devices=True,
    options=(_BIAS, _TF32_FACTORS, _TF32),
)
STRUCTURED = Family(
    "structured",
    "torch {format} structured",
    "{format} structured",
    "verify.arithmetic.structured:StructuredTorchArithmetic",
    "verify.StructuredTorchArithmetic",
    _ALL,
    devices=True,
    options=(_TF32,),
)
ENGINE = Family(
    "engine",
    "engine {format}",
    "{format} engine",
    "verify.engine:EngineArithmetic",
    "verify.EngineArithmetic",
    ("float64", "float32"),
)
MATRIX_UNIT = Family(
    "matrix-unit",
    "matrix unit {unit} {format}",
    "matrix unit {unit} {format}",
    "verify.arithmetic.matrix_unit:MatrixUnitArithmetic",
    "verify.MatrixUnitArithmetic",
    ("fp16", "bf16", "tf32"),
    options=(_UNIT, _SPLIT, _SLICE_SIZE, _REDUCED, _FACTORS),
)
#: Kinds that run, by the words of ``--arithmetic``.
FAMILIES: Registry[Family] = Registry(
    "arithmetic", (RATIONAL, SYMBOLIC, NUMPY, MATRIX_UNIT, TORCH, STRUCTURED, ENGINE), name=lambda family: family.word
)

BALL = Family("ball", "ball", "real", "verify.certificates:BallArithmetic", "verify.certificates.BallArithmetic")
ROUNDED = Family(
    "rounded",
    "rounded {format}",
    "{format}",
    "verify.certificates:RoundedArithmetic.of",
    "verify.certificates.RoundedArithmetic.of",
    _ALL,
    options=(
        Option("products", "either", _FLOATS),
        Option("tf32", default=False, refusal=_FLOATS, shown=_WITH_TF32),
        Option("exp", "library", _EXPONENTS),
        Option("unit", "none", _ON_UNITS, {name: f"{name} unit" for name in (*GENERATIONS, "any")}),
        Option("full_reduction", default=False, refusal=_ON_UNITS, shown={True: "full reduction"}),
    ),
)
#: Kinds that enclose, by the words of ``certify --arithmetic``.
ENCLOSING: Registry[Family] = Registry("arithmetic", (BALL, ROUNDED), name=lambda family: family.word)


def made(
    families: Mapping[str, Family], kind: str, dtype: str, device: str = "cpu", options: Mapping[str, Setting] = {}
) -> Any:
    """Return an arithmetic.

    Args:
        families: those to choose from.
        kind: the word of one of them.
        dtype: the float format, where it has one.
        device: where it runs.
        options: of its kernels.

    Raises:
        InvalidArgument: an unknown kind, format, device or option, or one that this kind does not have.

    """
    check_choice("arithmetic", kind, tuple(families))
    known = {option.name: option for family in families.values() for option in family.options}
    return families[kind].made(dtype, device, options, known)


def _by_name() -> Mapping[str, Spec]:
    return {spec.name: spec for family in (*FAMILIES.values(), *ENCLOSING.values()) for spec in family.specs()}


def numbers_of(name: str) -> str:
    """Return which numbers an arithmetic of that name is about; the name itself where no family has it.

    Args:
        name: as verdicts carry it.

    """
    spec = _by_name().get(name)
    return name if spec is None else spec.numbers
