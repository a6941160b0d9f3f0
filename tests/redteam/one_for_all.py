"""Whether one user input is said to stand for all of a construction: shared by the attacks on that."""

from __future__ import annotations

from typing import Any

import numpy as np

from constructions import Construction
from verify.certificates import all_targets, certificate_arithmetic, certify
from verify.certificates.handed_on import UnlikeError
from verify.certificates.symmetry import symmetric_margins

#: Tokens, and one that is treated in its own way.
V, TOKEN = 17, 5


def believed(construction: Construction, arithmetic: Any = None) -> bool:
    """Return whether one input is said to stand for all."""
    arithmetic = certificate_arithmetic("rounded", "float64") if arithmetic is None else arithmetic
    try:
        with arithmetic.bounding(), np.errstate(all="ignore"):
            bound = all_targets.bind_for_certificate(construction, arithmetic.for_cells())
            for _ in symmetric_margins(bound, construction, points=4):
                pass
    except UnlikeError:
        return "stands for all" in str(certify(construction, arithmetic, budget=V * V - 1).reason)
    return True
