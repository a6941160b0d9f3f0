"""Matrix units against sums at the edges of the formats that an H200 computed."""

from __future__ import annotations

import numpy as np
import pytest

from tests.matrix_units.edges import EDGES, SAMPLE
from tests.matrix_units.recorded import sample

#: Variants that recorded sums do not tell. No float32 sum of fp16 products is that small or large.
_BLIND = {
    "H200-edges bf16 fp32": {"negative_zero"},
    "H200-edges fp16 fp32": {
        "zero_one_higher",
        "zero_one_lower",
        "zero_least_normal",
        "zero_absent",
        "flushed_c",
        "flushed_results",
        "saturating",
        "infinite_products",
        "negative_zero",
        "negative_underflow",
    },
    "H200-half fp16 fp16": {"zero_one_higher", "zero_one_lower", "zero_absent", "negative_zero"},
    "H200-edges tf32 fp32": set[str](),
}


@pytest.mark.parametrize("name", _BLIND)
def test_the_sample_is_the_unit_s_and_rejects_wrong_variants(name: str) -> None:
    recorded = next(each for each in sample(SAMPLE) if each.name == name)
    assert len(recorded.results) > 150
    assert not recorded.wrong().any()
    told = {variant: int(recorded.wrong(change).sum()) for variant, change in EDGES.items()}
    print(name, told)  # noqa: T201
    assert {variant for variant, count in told.items() if count == 0} == _BLIND[name]


@pytest.mark.parametrize("name", ["H200-edges bf16 fp32", "H200-edges tf32 fp32", "H200-half fp16 fp16"])
def test_the_sample_has_every_kind_of_number(name: str) -> None:
    found = next(each for each in sample(SAMPLE) if each.name == name).results
    assert np.isnan(found).any()
    assert np.isinf(found).any()
    assert (found == 0).any()
    least = 2.0**-14 if name.startswith("H200-half") else 2.0**-126
    assert ((found != 0) & (np.abs(found) < least)).any()
