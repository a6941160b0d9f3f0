"""One user input that stands for all: the margins of every other input, and only where permutations change nothing."""

from __future__ import annotations

from fractions import Fraction
from itertools import islice, permutations
from random import Random
from typing import Any

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from constructions import ConditionalGeneration, Construction, RationalSoftmax, lower
from constructions.encodings import ENCODINGS, LIFTS, READOUTS
from constructions.exact_matrix import ExactMatrix
from constructions.layers.permuted import TokenCoordinates
from constructions.temperature import Hardmax, PerHeadSoftmax
from tests.certificates.own import rounded, shared_margins
from verify.certificates import all_targets, certificate_arithmetic, certify, shared_cells, symmetry
from verify.certificates.enclosing import EnclosingArithmetic
from verify.certificates.sharing import margins_of
from verify.certificates.symmetry import symmetric_margins

_KERNELS: tuple[tuple[str, dict[str, Any]], ...] = (
    *((dtype, {"products": "either"}) for dtype in ("float64", "float32", "bfloat16", "float16")),
    *(("float32", {"products": products}) for products in ("separate", "fused")),
    ("float32", {"tf32": True}),
    *((dtype, {"unit": "any"}) for dtype in ("bf16", "fp16", "tf32")),
    ("float32", {"exp": "ex2"}),
)
_TEMPERATURES = (
    None,
    Hardmax(),
    RationalSoftmax(Fraction(1000)),
    PerHeadSoftmax({"self": Fraction(200), "first": Fraction(9)}),
)


def by_one_input(construction: Construction, arithmetic: EnclosingArithmetic[Any, Any, Any]) -> np.ndarray[Any, Any]:
    """Return the margins of the cells of the input that stands for all."""
    bound = all_targets.bind_for_certificate(construction, arithmetic.for_cells())
    with np.errstate(all="ignore"):
        return np.concatenate([found.lower for _, found in symmetric_margins(bound, construction, points=16)])


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.heavy) for seed in range(1, 8))])
@pytest.mark.parametrize("kernel", _KERNELS, ids=str)
def test_every_other_input_has_the_same_margins(kernel: tuple[str, dict[str, Any]], seed: int) -> None:
    random = Random(f"{kernel} {seed}")
    vocab = random.randint(16, 20)
    construction = ConditionalGeneration(
        vocab,
        encoding=random.choice(ENCODINGS),
        lift=random.choice(LIFTS),
        readout=random.choice(READOUTS),
        temperature=random.choice(_TEMPERATURES),
    )
    arithmetic = certificate_arithmetic("rounded", kernel[0], **kernel[1])
    found = by_one_input(construction, arithmetic)
    bound = all_targets.bind_for_certificate(construction, arithmetic.for_cells())
    with np.errstate(all="ignore"):
        tree = [margins.lower for _, margins in shared_margins(bound, construction, budget=vocab**2, points=16)]
        # one input in a pass, and not all of them in one
        apart = (part.cells() for part in shared_cells.shared_parts(construction, budget=vocab**2, numbers=1))
        some = islice(margins_of(bound, construction, apart, points=16), None if seed else 2)
        each = np.stack([margins.lower for _, margins in some])
    np.testing.assert_array_equal(np.concatenate(tree), np.tile(found, vocab))  # NaN where it is NaN
    np.testing.assert_array_equal(each, np.tile(found, (len(each), 1)))


def test_a_certificate_takes_one_input_where_all_are_too_many() -> None:
    construction = ConditionalGeneration(40, encoding="integer", readout="banded")
    arithmetic = certificate_arithmetic("rounded")
    many, one, none = (certify(construction, arithmetic, budget=budget) for budget in (1600, 1599, 39))
    assert (one.holds, one.margin, one.cases, one.space) == (many.holds, many.margin, many.cases, many.space)
    assert many.holds is True
    assert many.cases == 40**41
    assert "one user input stands for all" in str(one.reason)
    assert "1,024 targets" in str(one.reason)  # in pairs, and at once
    assert "one user input stands for all" not in str(many.reason)
    assert none.holds is None
    assert "budget of 39" in str(none.reason)


def test_what_one_input_does_not_decide_is_not_shown() -> None:
    construction = ConditionalGeneration(40)  # y/V in bfloat16
    verdict = certify(construction, certificate_arithmetic("rounded", "bfloat16"), budget=1599)
    assert verdict.holds is None
    assert "with user input [0], which stands for all" in str(verdict.reason)
    assert not float(verdict.margin or 0) > 0


def test_cells_come_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every answer is in one of them, once."""
    construction = ConditionalGeneration(20, readout="hat")
    monkeypatch.setattr(symmetry, "LAYER_NUMBERS", 7 * 20)
    bound = all_targets.bind_for_certificate(construction, rounded().for_cells())
    with np.errstate(all="ignore"):
        parts = list(symmetric_margins(bound, construction, points=16))
    assert [len(cells.expected) for cells, _ in parts] == [7, 7, 6]
    assert np.concatenate([cells.expected for cells, _ in parts]).tolist() == list(range(20))
    assert all(margins.certain.all() for _, margins in parts)


# weights -------------------------------------------------------------------------------------------------------------


def _permuted(matrix: ExactMatrix, rows: TokenCoordinates, columns: TokenCoordinates) -> bool:
    """Return whether a matrix is the same under every permutation, by all of them."""
    dense = np.array(matrix.to_fractions(), dtype=object).reshape(matrix.shape)
    for order in permutations(range(rows.tokens)):
        places = []
        for axis in (rows, columns):
            moved = np.arange(axis.size)
            for start in axis.starts:
                moved[start : start + axis.tokens] = start + np.array(order)
            places.append(moved)
        if (dense[np.ix_(*places)] != dense).any():
            return False
    return True


def _axis(data: st.DataObject, tokens: int) -> tuple[TokenCoordinates, tuple[int, ...]]:
    """Return coordinates, and blocks that need not fit their runs."""
    parts = data.draw(st.lists(st.sampled_from(["run", "one"]), min_size=1, max_size=3))
    starts, size = [], 0
    for part in parts:
        starts += [size] if part == "run" else []
        size += tokens if part == "run" else 1
    cuts = data.draw(st.sets(st.integers(1, size - 1), max_size=3)) if size > 1 else set()
    exact = [0, *(end for start in starts for end in (start, start + tokens)), size]
    ends = sorted(set(exact) | (cuts if data.draw(st.booleans()) else set()))
    return TokenCoordinates(size, tokens, tuple(starts)), tuple(np.diff(ends).tolist())


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_weight_commutes_if_it_is_the_same_under_every_permutation(data: st.DataObject) -> None:
    tokens = data.draw(st.integers(1, 4))
    (rows, row_sizes), (columns, column_sizes) = _axis(data, tokens), _axis(data, tokens)
    leaves = {}
    for row, height in enumerate(row_sizes):
        for column, width in enumerate(column_sizes):
            block = data.draw(st.sampled_from(["none", "constant", "identity", "both", "drawn"]))
            eye = np.eye(height, width, dtype=int)
            values = {
                "none": eye * 0,
                "constant": eye * 0 + 2,
                "identity": 3 * eye,
                "both": 3 * eye + 2,
                "drawn": np.array(data.draw(st.lists(st.integers(0, 1), min_size=eye.size, max_size=eye.size))).reshape(
                    eye.shape
                ),
            }[block]
            held = lower(values.tolist(), {}).leaves.get((0, 0)) if eye.size else None
            if block == "constant" and eye.size:
                held = lower(2 * sp.OneMatrix(height, width), {}).leaves[0, 0]
            elif block == "identity" and height == width:
                held = lower(3 * sp.Identity(height), {}).leaves[0, 0]
            if held is not None:
                leaves[row, column] = held
    matrix = ExactMatrix(row_sizes, column_sizes, leaves)
    assert rows.commutes(matrix, columns) == _permuted(matrix, rows, columns)


def test_a_block_of_too_many_entries_is_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    embedding = ConditionalGeneration(6, lift="mask").transformer.lowered.embedding
    both = TokenCoordinates(6, 6, (0,))
    for most, known in ((30, True), (29, False)):  # the diagonal of G I - G 1 is 0
        monkeypatch.setattr("constructions.layers.permuted.MOST_ENTRIES", most)
        assert both.commutes(embedding, both) == known
