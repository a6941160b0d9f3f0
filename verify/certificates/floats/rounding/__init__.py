"""How kernels round sums of products: one file for each kind, and a line here that registers it."""

from __future__ import annotations

from constructions.formats import Format
from constructions.registry import Registry
from constructions.validation import check_choice
from verify.certificates.floats.rounding.any_order import AnyOrder
from verify.certificates.floats.rounding.base import Rounding as Rounding
from verify.certificates.floats.rounding.fused import Fused
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


def rounding_of(fmt: Format, products: str = AnyOrder.word, *, tf32: bool = False) -> Rounding:
    """Return what is assumed of sums of products.

    Args:
        fmt: the number format.
        products: how products and a bias are added, a key of :data:`ORDERS`.
        tf32: whether factors may be rounded to TF32 and sums truncated.

    Raises:
        InvalidArgument: an unknown word, or TF32 for another format than float32.

    """
    check_choice("products", products, tuple(ORDERS))
    order = ORDERS[products](fmt)
    return TensorCores(fmt, order) if tf32 else order


def summaries() -> str:
    """Return the kinds in a line, each with what it is in a few words: ``separate (bias last), ...``."""
    *first, last = (f"{word} ({kind.summary})" for word, kind in ORDERS.items())
    return f"{', '.join(first)} or {last}"
