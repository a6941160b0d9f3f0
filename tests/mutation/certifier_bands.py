"""Killers of mutants of the margins of large readouts: drawn kernels, and all pairs of tokens formed one by one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from tests.certificates.readout_oracles import above_all_pairs, contradicted, groups_above_pairs, undecided_by
from tests.certificates.readouts import Readout, digits


def _digits_undecided() -> list[str]:
    """Return tokens of readouts of digits that digits do not decide."""
    lost = [(~(digits(vocab, base, count).additive() > 0)).sum() for vocab, base, count in ((60, 4, 3), (72, 9, 2))]
    return [f"{sum(lost)} tokens are left undecided by digits"] if any(lost) else []


def killers() -> Mapping[str, Callable[[], list[str]]]:
    """Return them by name."""
    formats, without_points = ("float32", "bfloat16"), partial(Readout.banded, points=0)
    return {
        "bands, groups": partial(groups_above_pairs, *formats, rounds=10),
        "bands, undecided": partial(undecided_by, Readout.banded, "bfloat16", rounds=4),
        "bands": partial(contradicted, Readout.banded, *formats, rounds=6, hasty=True),
        "bands, in batches": partial(contradicted, Readout.banded, "bfloat16", rounds=2, numbers=2**8),
        "bands, all pairs": partial(above_all_pairs, without_points, *formats, rounds=12),
        "digits, undecided": _digits_undecided,
        "digits": partial(contradicted, Readout.additive, *formats, rounds=18),
        "digits, all pairs": partial(above_all_pairs, Readout.additive, *formats, rounds=18),
    }
