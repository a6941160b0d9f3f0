"""A kind of rounding in one file: sums from the last term to the first, bounded and listed like the others."""

from __future__ import annotations

import re

import numpy as np
import pytest

import verify
from constructions import UnconditionalGeneration
from constructions.formats import FORMATS, Format
from constructions.validation import InvalidArgument
from tests.certificates.own import rounded
from tests.certificates.test_products import NARROW, _Array, _weight, added, contradictions
from verify.certificates import certificate_arithmetic, certify
from verify.certificates.floats.boxes import Box
from verify.certificates.floats.directed import grid_of, round_array
from verify.certificates.floats.margins import rounded_margins
from verify.certificates.floats.rounding import ORDERS, summaries
from verify.cli.app import run


def reversed_order(rng: np.random.Generator, x: _Array, weight: _Array, bias: _Array, fmt: Format) -> _Array:
    """Return rounded products summed from the last to the first, then the bias; 16 bits perhaps held in float32."""
    inner = FORMATS["float32"] if fmt.precision < 24 and rng.random() < 0.5 else fmt
    total = np.zeros((len(x), len(weight)))
    for place in reversed(range(x.shape[1])):
        total = added(round_array(x[:, place, None] * weight[:, place], inner), total, inner)
    total = round_array(total, fmt)
    return added(total, np.broadcast_to(bias, total.shape), fmt)


@pytest.mark.share(1)
@pytest.mark.parametrize("dtype", NARROW)
def test_what_a_kernel_in_reversed_order_computes_is_bounded(dtype: str) -> None:
    count, wrong = contradictions("reversed", (reversed_order,), dtype, rounds=45, seed=5)
    assert wrong == 0
    assert count > 11_200


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_product_that_is_rounded_is_told_from_one_that_may_not_be(dtype: str) -> None:
    """``(1 + 2^-h)^2`` for ``p = 2h`` bits rounds to ``1 + 2^(1-h)``, off by ``2^-p``; the bias takes that off."""
    half, fmt = FORMATS[dtype].precision // 2, FORMATS[dtype]
    x = np.array([[[1 + 2.0**-half]]])
    weight, bias = (
        np.array([[1 + 2.0**-half], [0.0]]),
        np.array([[-(1 + 2.0 ** (1 - half))], [2.0 ** (-fmt.precision - 1)]]),
    )
    box, held = Box(x, x, grid_of(x)[0, 0]), (_weight(weight), _weight(bias))

    def lower(products: str) -> float:
        return float(rounded_margins(rounded(dtype, products), box, *held, np.array([1]), points=4).lower[0])

    assert lower("reversed") == bias[1, 0]  # against a logit of 0
    assert lower("separate") == lower("reversed")
    assert lower("either") <= bias[1, 0] - 2.0**-fmt.precision < 0


def test_a_certificate_says_what_it_assumes_and_numpy_in_that_order_agrees() -> None:
    construction = UnconditionalGeneration(7, 3)
    verdict = certify(construction, rounded("float32", "reversed"))
    assert verdict.holds is True
    assert verdict.reason is not None
    assert "summed from the last to the first, without fused multiply-add" in verdict.reason
    assert verify.exhaust(construction, verify.get_arithmetic("numpy", dtype="float32")).holds is True


def test_every_kind_is_listed_wherever_kinds_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["certify", "--help"]) == 0
    shown = " ".join(re.sub("[^a-z,()]", " ", capsys.readouterr().out.lower()).split())
    for word, kind in ORDERS.items():
        assert f"{word} ({' '.join(kind.summary.split())})".replace("-", " ") in shown
    words = ["certify", "theorem-1", "--vocab", "3", "--context", "2", "--products", "reversed"]
    assert run(words) == 0
    assert "last to the first" in " ".join(capsys.readouterr().out.split())
    assert list(ORDERS) == ["separate", "fused", "reversed", "either"]
    with pytest.raises(InvalidArgument, match=r"products: expected .*separate.*fused.*reversed.*either"):
        certificate_arithmetic("rounded", products="last")
    assert all(f"{word} ({kind.summary})" in summaries() for word, kind in ORDERS.items())
    sentences = {kind(fmt).sentence() for kind in ORDERS.values() for fmt in (FORMATS["float32"],)}
    assert len(sentences) == len(ORDERS)
