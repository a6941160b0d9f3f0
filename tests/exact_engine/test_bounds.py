"""Where the machine's integers end: at each bound they are used and right, one beyond it Python's are."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from constructions import Layout, Linear, Transformer, Unmarked
from constructions.activations import SQUARE
from tests.exact_engine.given import EXACT, Given, engine_of, one_by_one, same, size_of
from verify import Runner
from verify.exact_engine.atoms import Atom, Block, Entry, Fixed, Gap, Largest, Positive, Product, Same, Sum
from verify.exact_engine.readout import ordered
from verify.exact_engine.widths import OBJECTS, as_kind, extremes, kind_for

INT32, INT64 = 2**31 - 1, 2**63 - 1


@pytest.mark.parametrize(
    ("largest", "kind"),
    [(0, "int32"), (INT32, "int32"), (INT32 + 1, "int64"), (INT64, "int64"), (INT64 + 1, "object"), (2**200, "object")],
)
def test_the_narrowest_type(largest: int, kind: str) -> None:
    assert str(kind_for(largest)) == kind
    if kind != "object":
        held = np.array([largest, -largest], dtype=kind)
        assert held.tolist() == [largest, -largest]
        assert (-held).tolist() == [-largest, largest]


def _numbered(*atoms: Atom) -> None:
    for place, atom in enumerate(atoms):
        atom.place = place


def _values(atom: Atom, rows: list[list[int]]) -> Any:
    block = Block(np.array(rows, dtype=object), {})
    block.compute(ordered([atom]))
    found = block.of(atom, atom.kind)
    assert found.dtype == atom.kind
    return found.tolist()


@pytest.mark.parametrize("limit", [INT32, INT64])
@pytest.mark.parametrize("beyond", [0, 1])
def test_a_sum_at_its_bound(limit: int, beyond: int) -> None:
    # the bound is 1 + 3 |x| + 5 |y|: of every product and partial sum, whichever comes first
    x = Entry(0, -7, 7)
    y = Entry(1, -((limit - 22) // 5), (limit - 22) // 5)
    constant = limit - 21 - 5 * y.high + beyond
    total = Sum([(3, x), (-5, y)], constant)
    _numbered(x, y, total)
    assert (total.kind == kind_for(limit)) is not beyond
    assert total.kind == kind_for(limit + beyond)
    rows = [[7, y.low], [-7, y.high], [7, y.high], [0, 0]]
    assert _values(total, rows) == [constant + 3 * a - 5 * b for a, b in rows]
    assert max(_values(total, rows)) == limit + beyond == total.high


@pytest.mark.parametrize(("left", "right"), [(2**31, 2**32 - 1), (2**31, 2**32), (2**15, 2**16 - 1), (2**15, 2**16)])
def test_a_product_at_its_bound(left: int, right: int) -> None:
    x, y = Entry(0, -left, left), Entry(1, 0, right)
    product = Product(x, y)
    _numbered(x, y, product)
    assert product.kind == kind_for(left * right)
    assert _values(product, [[left, right], [-left, right], [-1, 1]]) == [left * right, -left * right, -1]


@pytest.mark.parametrize("root", [46340, 46341, 3037000499, 3037000500])  # sqrt of 2^31 and of 2^63, on both sides
def test_a_square_at_its_bound(root: int) -> None:
    x = Entry(0, -root, root)
    square = Product(x, x)
    _numbered(x, square)
    assert square.low == 0
    assert square.kind == kind_for(root * root)
    assert _values(square, [[root], [-root], [3]]) == [root**2, root**2, 9]


@pytest.mark.parametrize("limit", [INT32, INT64])
@pytest.mark.parametrize("beyond", [0, 1])
def test_a_gap_at_its_bound(limit: int, beyond: int) -> None:
    x, y = Entry(0, -(limit // 2), limit // 2), Entry(1, 0, limit - limit // 2 + beyond)
    most = Largest([x, y])
    gap = Gap(most, x, y.high - x.low)
    _numbered(x, y, most, gap)
    assert gap.kind == kind_for(max(y.high - x.low, most.magnitude + x.magnitude))
    assert _values(gap, [[x.low, y.high], [x.high, 0], [0, 0]]) == [y.high - x.low, 0, 0]
    assert _values(most, [[x.low, y.high]]) == [y.high]


def test_the_lowest_int64_has_no_negative_and_is_left_to_python() -> None:
    lowest = Entry(0, -(2**63), 0)
    assert lowest.kind == OBJECTS
    negative = Sum([(-1, lowest)], 0)
    _numbered(lowest, negative)
    assert _values(negative, [[-(2**63)], [-1]]) == [2**63, 1]


def test_wide_inputs_of_narrow_results() -> None:
    x, y = Entry(0, -(2**70), 5), Entry(1, -(2**70), 2**70)
    positive, equal = Positive(x), Same(x, y)
    _numbered(x, y, positive, equal)
    assert positive.kind == equal.kind == np.int32
    assert _values(positive, [[-(2**70), 0], [5, 0]]) == [0, 5]
    assert _values(equal, [[-(2**70), -(2**70)], [-(2**70), 2**70]]) == [1, 0]
    assert _values(Fixed(2**70), [[0, 0]]) == [2**70]


def test_numpy_integers_in_an_array_of_objects_do_not_wrap() -> None:
    held = np.empty((2, 1), dtype=object)
    held[:] = [[np.int64(2**62)], [np.int8(-128)]]
    assert extremes(held) == ([-128], [2**62])
    assert all(type(value) is int for value in as_kind(held, np.dtype(object)).reshape(-1))
    assert extremes(np.array([[2**64 - 1], [0]], dtype=np.uint64)) == ([0], [2**64 - 1])
    assert extremes(np.array([[-128], [127]], dtype=np.int8)) == ([-128], [127])


def _one_step(
    weight: Any, numerators: list[int], *, bias: Any = 0, dtype: Any = object, activation: Any = None
) -> Given:
    """Return logits ``f(weight * s + bias)`` and 0 of one number ``s``, with token 0 promised."""
    first = Linear([[weight]], [[bias]], activation, "first")
    readout = Linear([[1], [0]], activation=None, name="readout")
    return Given(
        2,
        weights=Transformer([[0, 0]], (first, readout), 1, positions=Unmarked()),
        laid_out=Layout(1, 0, 1),
        letters=len(numerators),
        entries=1,
        numerators=np.array(numerators, dtype=dtype).reshape(-1, 1, 1),
    )


@pytest.mark.parametrize(
    ("largest", "kind"),  # a margin may be twice as large as a logit
    [(2**30 - 1, "int32"), (2**30, "int64"), (2**62 - 1, "int64"), (2**62, "object"), (2**63 - 1, "object")],
)
def test_a_construction_at_the_bound(largest: int, kind: str) -> None:
    made = _one_step(1, [largest, 1, largest - 1], dtype=np.int64)
    assert same(made)
    runner = Runner(made, EXACT)
    runner.prepared.tally_ranks(0, 3)
    assert str(engine_of(runner)._program.readouts[0].kind) == kind


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("weight", [2**62 - 1, 2**62, 2**63 - 1, 2**63, Fraction(2**62, 3), Fraction(1, 2**62)])
@pytest.mark.parametrize("dtype", [np.int64, np.int8, object])
def test_huge_weights(weight: Any, sign: int, dtype: Any) -> None:
    assert same(_one_step(sign * weight, [1, 2, -3, 127, -128], bias=-weight, dtype=dtype))


def test_unsigned_numerators_beyond_int64() -> None:
    assert same(_one_step(Fraction(1, 3), [2**64 - 1, 2**63, 1], dtype=np.uint64))
    assert same(_one_step(-1, [2**63, 1], bias=2**64, dtype=np.uint64))
    assert same(_one_step(1, [-(2**63), -1], bias=2**63 + 1, dtype=np.int64))


def test_powers_leave_the_machine() -> None:
    root = 2**16
    for value in (root - 1, root, root**2, root**3, root**4):
        assert same(_one_step(1, [value, 1 - value, 2], dtype=object, activation=SQUARE))


def test_a_denominator_that_explodes() -> None:
    primes = [p for p in range(2, 230) if all(p % q for q in range(2, p))]
    rows = [[Fraction(1, p)] for p in primes]
    layers = (Linear(rows, name="spread"), Linear([[1] * len(rows), [0] * len(rows)], activation=None, name="readout"))
    made = Given(
        2,
        weights=Transformer([[0, 0]], layers, 1, positions=Unmarked()),
        laid_out=Layout(1, 0, 1),
        letters=3,
        entries=1,
        numerators=np.array([5, 1, -2]).reshape(-1, 1, 1),
    )
    assert same(made)
    runner = Runner(made, EXACT)
    runner.prepared.tally_ranks(0, 1)
    found = runner.prepared.tally_ranks(0, 2)
    assert found is not None
    assert found.margin == sum(Fraction(1, p) for p in primes)


def test_prompts_outside_of_what_was_seen_first() -> None:
    # corners and draws see 0 and small numbers; one target in the middle has a huge one
    numerators = [1 + place % 3 for place in range(400)]
    numerators[200] = 2**62 + 1
    made = _one_step(2, numerators, dtype=np.int64)
    runner = Runner(made, EXACT)
    runner.prepared.tally_ranks(0, 100)
    engine = engine_of(runner)
    before = engine._program
    assert before.readouts[0].kind == np.int32
    found = runner.prepared.tally_ranks(0, 400)
    assert found == one_by_one(runner, 0, 400)
    assert engine._program is not before
    assert engine._program.readouts[0].kind == OBJECTS
    assert runner.prepared.tally_ranks(200, 201) == one_by_one(runner, 200, 201)
    assert size_of(made) == 400


@given(
    st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=6),
    st.fractions(max_denominator=2**40) | st.integers(-(2**66), 2**66),
    st.integers(-(2**64), 2**64),
)
def test_any_numbers(numerators: list[int], weight: Any, bias: int) -> None:
    assert same(_one_step(weight, numerators, bias=bias, dtype=np.int64))
