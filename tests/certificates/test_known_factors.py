"""A number that is known lies on its own grid, whatever the other numbers of its coordinate are."""

from __future__ import annotations

import numpy as np
import pytest

from verify.certificates.floats.arithmetic import RoundedArithmetic
from verify.certificates.floats.boxes import Box, RoundedWeight

#: One more bit than TF32 holds, and as many.
LONG, FITS = 2.0**11 + 1, 2.0**11 + 2
#: On the grid of all cells, which the smallest of them decides.
TINY = 2.0**-40


def _widths(arithmetic: RoundedArithmetic, low: list[float], high: list[float]) -> list[float]:
    """Return the widths of the bounds of cells of one number times 1, which lie on a fine grid together."""
    cells = [np.array(part, dtype=np.longdouble).reshape(-1, 1, 1) for part in (low, high)]
    box = Box(cells[0], cells[1], np.array([-40]))
    one = RoundedWeight(np.ones((1, 1), dtype=np.longdouble), np.zeros((1, 1), dtype=np.int64), exact=True)
    found = arithmetic.linear(box, one)
    return [float(width) for width in (found.high - found.low).reshape(-1)]


@pytest.mark.parametrize("options", [{"unit": "hopper"}, {"unit": "any"}, {"tf32": True}])
def test_what_tf32_holds_loses_nothing_where_it_is_known(options: dict[str, str]) -> None:
    arithmetic = RoundedArithmetic.of("float32", **options)  # type: ignore[arg-type] # one of its options
    tiny, three, fits, long, between = _widths(
        arithmetic, [TINY, 3.0, FITS, LONG, 3.0], [TINY, 3.0, FITS, LONG, 3.0 + 2.0**-22]
    )
    assert tiny == three == fits == 0
    assert long >= 2  # cut to 2^11, or rounded up to 2^11 + 2
    assert between >= 2.0**-9  # from 3 to the next number of TF32
