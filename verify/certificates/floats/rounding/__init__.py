"""How kernels round sums of products: one file for each kind, and a line here that registers it."""

from __future__ import annotations

from constructions.formats import Format
from constructions.registry import Registry
from constructions.validation import InvalidArgument, check_choice
from verify.certificates.floats.rounding.any_order import AnyOrder
from verify.certificates.floats.rounding.base import Rounding as Rounding
from verify.certificates.floats.rounding.fused import Fused
from verify.certificates.floats.rounding.matrix_unit import NO_UNIT, MatrixUnits, generations_of
from verify.certificates.floats.rounding.reversed_order import ReversedOrder
from verify.certificates.floats.rounding.separate import Separate
from verify.certificates.floats.rounding.tensor_cores import TensorCores

#: How products and a bias are added, by the words of ``--products``; a new kind is registered here.
ORDERS: Registry[type[Rounding]] = Registry(
    "products",
    (
        Separate,
        Fused,
        ReversedOrder,
        AnyOrder,
    ),
    name=lambda kind: kind.word,
)


def rounding_of(
    fmt: Format,
    products: str = AnyOrder.word,
    *,
    tf32: bool = False,
    unit: str = NO_UNIT,
    full_reduction: bool = False,
) -> Rounding:
    """Return what is assumed of sums of products.

    Args:
        fmt: the number format.
        products: how products and a bias are added, a key of :data:`ORDERS`.
        tf32: whether factors may be rounded to TF32 and sums truncated.
        unit: the generation of matrix units that products of matrices run on, ``any`` or ``none``.
        full_reduction: whether sums of a unit stay in float32 until they are rounded at their end.

    Raises:
        InvalidArgument: an unknown word, TF32 for another format than float32, a unit that does not multiply numbers of
            the format, or choices that do not go together.

    """
    check_choice("products", products, tuple(ORDERS))
    if unit != NO_UNIT:
        generations = generations_of(fmt, unit)
        if products != AnyOrder.word or tf32:
            raise InvalidArgument(
                "unit: expected no products and no tf32 with it, which say how sums and factors are rounded without a"
                f" unit, but got {unit!r} with products {products!r}{' and tf32' if tf32 else ''}"
            )
        return MatrixUnits(fmt, generations, full_reduction)
    if full_reduction:
        raise InvalidArgument("full_reduction: expected a unit, whose partial sums it is about, but got none")
    order = ORDERS[products](fmt)
    return TensorCores(fmt, order) if tf32 else order


def summaries() -> str:
    """Return the kinds in a line, each with what it is in a few words: ``separate (bias last), ...``."""
    *first, last = (f"{word} ({kind.summary})" for word, kind in ORDERS.items())
    return f"{', '.join(first)} or {last}"
