"""Which sizes of a request can run: those that its construction accepts and its format can hold."""

from __future__ import annotations

from collections.abc import Mapping

from constructions.construction import Construction
from constructions.validation import InvalidArgument
from verify.requests import Request


def built(request: Request, sizes: Mapping[str, int]) -> Construction | None:
    """Return the construction of a request at some sizes; ``None`` where it or the format refuses them."""
    try:
        construction = request.build(sizes)
        if request.arithmetic.fmt is not None:
            construction.check_format(request.arithmetic.fmt)
    except InvalidArgument:
        return None
    return construction
