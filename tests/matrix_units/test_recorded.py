"""Matrix units against sums that GPUs computed: nothing may differ, and every wrong variant must."""

from __future__ import annotations

import numpy as np
import pytest

from tests.matrix_units.recorded import Recorded, everything, found, sample
from tests.matrix_units.variants import VARIANTS
from verify.matrix_units import GENERATIONS

_NAMES = [recorded.name for recorded in sample()]


def _sampled(name: str) -> Recorded:
    return next(recorded for recorded in sample() if recorded.name == name)


@pytest.mark.skipif(found() is None, reason="shared/data/tensor-cores is not beside the checkout (PREFIXPROOF_SHARED)")
def test_all_recorded_sums_are_the_unit_s() -> None:
    """2,500 sums of each GPU, format and result, those of B200 in fp8 among them."""
    assert {len(recorded.results) for recorded in everything()} == {2500}
    counts = {recorded.name: int(recorded.wrong().sum()) for recorded in everything()}
    print({"sums": 2500 * len(counts), "different": counts})  # noqa: T201
    assert len(counts) == 48
    assert set(counts.values()) == {0}


@pytest.mark.parametrize("name", _NAMES)
def test_the_sample_is_the_unit_s(name: str) -> None:
    recorded = _sampled(name)
    assert len(recorded.results) >= 150
    assert not recorded.wrong().any()


@pytest.mark.skipif(found() is None, reason="shared/data/tensor-cores is not beside the checkout (PREFIXPROOF_SHARED)")
def test_the_sample_is_of_what_was_recorded() -> None:
    all_sums = {recorded.name: recorded for recorded in everything()}
    for recorded in sample():
        if recorded.name in all_sums:
            whole = all_sums[recorded.name]
            rows = {tuple(row) for row in np.column_stack([whole.sums.a, whole.sums.b, whole.results]).tolist()}
            mine = np.column_stack([recorded.sums.a, recorded.sums.b, recorded.results]).tolist()
            assert rows.issuperset(map(tuple, mine))


def _tells(recorded: Recorded, variant: str) -> bool:
    """Return whether recorded sums must reject a variant, and false where they cannot."""
    generation = GENERATIONS[recorded.generation]
    if recorded.by_fp16_instructions:  # the exact sum of few bits, and c is added apart
        return recorded.result == "fp16" and variant in {"other_rounding", "fully_exact", "half_blocks"}
    block = generation.formats[recorded.format].block
    length = int(recorded.sums.a.shape[1])
    eight_bits = recorded.format.startswith("fp8")
    without_c = eight_bits and recorded.gpu in {"H100", "H200"}
    if variant == "half_blocks":
        return length > block.products // 2
    if variant == "double_blocks":
        return length > block.products
    if variant == "kept_whole":
        return eight_bits and recorded.result == "fp32"
    if variant == "c_last":
        return not without_c
    # float16 results are too coarse for the last bits of the terms
    return recorded.result == "fp32" or variant in {"other_rounding", "fully_exact"} or eight_bits


@pytest.mark.parametrize("variant", sorted(VARIANTS))
def test_the_sample_rejects_a_wrong_variant(variant: str) -> None:
    told = {
        recorded.name: int(recorded.wrong(VARIANTS[variant]).sum())
        for recorded in sample()
        if _tells(recorded, variant)
    }
    print(variant, told)  # noqa: T201
    assert told
    assert min(told.values()) > 0


def test_every_variant_is_rejected_for_every_generation_with_recorded_sums() -> None:
    for name in ("volta", "ampere", "ada", "hopper", "blackwell"):
        mine = [recorded for recorded in sample() if recorded.generation == name]
        for variant in (
            "fewer_bits",
            "more_bits",
            "half_blocks",
            "other_rounding",
            "fully_exact",
            "c_last",
            "normalised",
        ):
            assert any(recorded.wrong(VARIANTS[variant]).any() for recorded in mine), (name, variant)
