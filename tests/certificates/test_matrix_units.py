"""Certificates on matrix units: bounds hold in every tree of blocks, and are near what the units compute."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

from constructions import Hardmax, UnconditionalGeneration
from constructions.formats import get_format
from constructions.validation import InvalidArgument
from tests.certificates.duels import duel, on_a_unit
from tests.certificates.units import HARD, KINDS, UNITS, WORDS, DrawnUnit, drawn
from tests.mutation.certifier_units import SIZES, around_units, bounded, unit_margins, unit_sums, unit_ties
from verify import MatrixUnit, MatrixUnitArithmetic, exhaust
from verify.certificates import Kernel, RoundedArithmetic, bit_exact, certificate_arithmetic, certify
from verify.certificates.floats.rounding.matrix_unit import FACTOR_FORMATS, MatrixUnits, format_of
from verify.cli.app import run
from verify.matrix_units import GENERATIONS
from verify.matrix_units.formats import INPUT_FORMATS


@pytest.fixture(autouse=True)
def _silent() -> object:
    with np.errstate(all="ignore"):  # as in a certificate
        yield


# soundness ------------------------------------------------------------------------------------------------------------


#: For each kind of block and format, one unit that has it.
DIFFERENT = tuple({(type(MatrixUnit(name, WORDS[fmt]).block), fmt): (name, fmt) for name, fmt in UNITS}.values())


def test_sums_lie_between_their_bounds_in_every_tree_of_blocks() -> None:
    # with each unit 2 reductions, 10 kinds of sums, with and without a bias, a tree of 16 sums each
    assert unit_sums(DIFFERENT, sums=16, trees=1, seed=51)() == []


@pytest.mark.parametrize("rounds", [pytest.param(1, marks=pytest.mark.heavy), pytest.param(25, marks=pytest.mark.long)])
@pytest.mark.parametrize(("generation", "fmt"), UNITS)
def test_a_million_sums_lie_between_their_bounds(generation: str, fmt: str, rounds: int) -> None:
    # in 25 rounds: 2 reductions, 10 kinds, with and without a bias, 4 trees of 250 sums each
    assert unit_sums([(generation, fmt)], rounds=rounds, sums=250, trees=4, seed=52)() == []


def test_margins_are_no_larger_than_computed_ones() -> None:
    assert unit_margins(DIFFERENT, rounds=1, seed=53)() == []
    assert unit_ties(DIFFERENT, rounds=1)() == []


@pytest.mark.parametrize("rounds", [pytest.param(1, marks=pytest.mark.heavy), pytest.param(40, marks=pytest.mark.long)])
def test_margins_are_no_larger_than_computed_ones_often(rounds: int) -> None:
    assert unit_margins(rounds=5 * rounds, seed=54)() == []
    assert unit_ties(rounds=rounds)() == []


def test_no_certificate_at_its_edge_is_contradicted() -> None:
    tally = duel(3, 2, seed=55, draw=on_a_unit)
    assert tally.contradicted == []
    assert min(tally.distances) < 8  # units in the last place


@pytest.mark.parametrize("count", [pytest.param(4, marks=pytest.mark.heavy), pytest.param(125, marks=pytest.mark.long)])
@pytest.mark.parametrize("part", range(4))
def test_no_certificate_at_its_edge_is_contradicted_500_times(part: int, count: int) -> None:
    tally = duel(count, 16, seed=60 + part, draw=on_a_unit)
    assert tally.contradicted == []


def test_operations_beside_a_unit_keep_their_rule() -> None:
    assert around_units() == []


# tightness ------------------------------------------------------------------------------------------------------------


def test_a_chain_of_blocks_loses_most_of_what_is_charged() -> None:
    # each of n products is cut away from 1 though it is nearly 2^-23, where 2^-23 + 2^-25 is charged
    count, step = 16, 2.0**-23 * (1 - 2.0**-11)
    left, right, bias = np.full((1, count), step * 2.0**12), np.full((1, count), 2.0**-12), np.ones(1)
    arithmetic = RoundedArithmetic.of("tf32", unit="hopper")
    low, high = bounded(arithmetic, left, right, bias)
    kernel = DrawnUnit("hopper", "float32", np.random.default_rng(1))
    kernel.order = "chain"
    computed = kernel.sum_of(left, right, bias)
    exact = 1 + count * step
    assert computed == 1
    assert low <= 1
    assert exact - low < 1.3 * (exact - 1)
    assert high >= exact


@pytest.mark.parametrize("fmt", ["bfloat16", "float16"])
def test_a_full_reduction_is_rounded_once(fmt: str) -> None:
    """Sums of 16-bit products that float32 holds have one value in every tree, the nearest to the exact sum."""
    rng = np.random.default_rng(3)
    left, right = (rng.integers(-15, 16, (50, 8)).astype(float) for _ in range(2))
    arithmetic = RoundedArithmetic.of(fmt, unit="any", full_reduction=True)
    low, high = bounded(arithmetic, left, right, np.zeros(1))
    kernel = DrawnUnit("hopper", fmt, rng, full=True)
    assert np.array_equal(low, high)
    assert np.array_equal(low, kernel.sum_of(left, right))


@pytest.mark.parametrize("name", list(HARD))
def test_hard_sums_are_not_exact(name: str) -> None:
    """Sums that are drawn to contradict bounds have different values in different trees."""
    rng = np.random.default_rng(5)
    fmt = "bfloat16" if name == "tied" else "float32"

    def values() -> set[float]:
        left, right, bias = drawn(rng, fmt, name, 1, 9)
        return {float(DrawnUnit("hopper", fmt, rng).sum_of(left, right, bias)[0]) for _ in range(6)}

    assert any(len(values()) > 1 for _ in range(40))


@pytest.mark.share(1)
@pytest.mark.parametrize(
    ("dtype", "readout", "full", "fails"),
    [
        ("bf16", "paper", True, 20),
        ("bf16", "paper", False, 17),
        pytest.param("bf16", "split", True, 34, marks=pytest.mark.heavy),
        pytest.param("bf16", "split", False, 34, marks=pytest.mark.heavy),
        pytest.param("fp16", "paper", True, 43, marks=pytest.mark.heavy),
        ("fp16", "paper", False, 38),
    ],
)
def test_one_size_below_the_first_that_fails_is_certified(dtype: str, readout: Any, full: bool, fails: int) -> None:  # noqa: FBT001 # a parameter of the test
    """Attention is one-hot up to rounding; the unit's own arithmetic fails, in one chain or in reduced parts."""

    def made(vocab: int) -> UnconditionalGeneration:
        encoding: Any = "integer" if readout == "split" else "paper"
        return UnconditionalGeneration(vocab, 2, encoding=encoding, readout=readout)

    arithmetic = certificate_arithmetic("rounded", dtype, unit="hopper", full_reduction=full)
    assert certify(made(fails - 1), arithmetic).holds
    assert not certify(made(fails), arithmetic).holds
    runs = MatrixUnitArithmetic(dtype, unit="hopper", split=1 if full else 2, reduced=not full)
    assert exhaust(made(fails), runs).holds is False
    assert exhaust(made(fails - 1), runs).holds


# the claims -----------------------------------------------------------------------------------------------------------


@pytest.mark.share(2)
@pytest.mark.parametrize(("vocab", "context"), [(20, 5), pytest.param(94, 20, marks=pytest.mark.heavy)])
@pytest.mark.parametrize("dtype", ["bf16", "fp16", "tf32"])
@pytest.mark.parametrize("unit", ["hopper", "any"])
def test_theorem_1_holds_on_units(dtype: str, unit: str, vocab: int, context: int) -> None:
    started = time.process_time()
    construction = UnconditionalGeneration(vocab, context, encoding="integer", lift="mask", readout="banded")
    verdict = certify(construction, certificate_arithmetic("rounded", dtype, unit=unit))
    assert verdict.holds
    assert verdict.cases == vocab**context
    assert time.process_time() - started < 20  # under 2 seconds of one processor; other tests may run beside this one
    assert "units in " + dtype in str(verdict.reason)


def test_nothing_rounds_on_any_unit() -> None:
    construction = UnconditionalGeneration(8, 3, temperature=Hardmax(), encoding="dyadic", lift="mask", readout="hat")
    for dtype in WORDS:
        for full in (False, True):
            arithmetic = RoundedArithmetic.of(dtype, unit="any", full_reduction=full)
            assert bit_exact(construction, arithmetic).holds
    wide = UnconditionalGeneration(300, 3, temperature=Hardmax(), encoding="integer", lift="mask", readout="banded")
    assert not bit_exact(wide, RoundedArithmetic.of("bf16", unit="any")).holds


def test_what_is_assumed_is_said() -> None:
    def said(dtype: str, **options: str | bool) -> str:
        return certificate_arithmetic("rounded", dtype, **options).assumptions()

    assert "rounded to bfloat16 between parts or not, as torch allows by default" in said("bf16", unit="hopper")
    full = said("bf16", unit="hopper", full_reduction=True)
    assert "float32 accumulators, rounded once; scores rounded to bfloat16 before softmax; softmax in float32" in full
    assert "on ampere or ada or hopper or blackwell or cdna3 units in tf32" in said("tf32", unit="any")


# choices --------------------------------------------------------------------------------------------------------------


def test_a_unit_is_part_of_the_name() -> None:
    arithmetic = certificate_arithmetic("rounded", "bf16", unit="hopper", full_reduction=True)
    assert arithmetic.name == "rounded bfloat16 hopper unit full reduction"
    assert arithmetic.spec is not None
    assert arithmetic.spec.words()[-3:] == ("--unit", "hopper", "--full-reduction")
    assert certificate_arithmetic("rounded", "tf32", unit="any").name == "rounded float32 any unit"


def test_factors_are_the_formats_numbers() -> None:
    for numbers, word in FACTOR_FORMATS.items():
        fmt, values = get_format(numbers), INPUT_FORMATS[word]
        assert (format_of(word), format_of(numbers)) == (numbers, numbers)
        assert values.min_exponent == fmt.min_exponent
        assert word == "tf32" or (values.precision, values.largest) == (fmt.precision, float(fmt.largest))


@pytest.mark.parametrize(
    ("dtype", "options", "message"),
    [
        ("bf16", {"unit": "volta"}, "unit for bfloat16: expected one of any, ampere, .* but got 'volta'"),
        ("bf16", {"unit": "pascal"}, "unit: expected one of none, any, volta, .* but got 'pascal'"),
        ("float64", {"unit": "hopper"}, "dtype: expected float16, bfloat16, float32 with a unit, but got 'float64'"),
        ("bf16", {"unit": "hopper", "products": "fused"}, "unit: expected no products and no tf32 with it"),
        ("tf32", {"unit": "hopper", "tf32": True}, "unit: expected no products and no tf32 with it"),
        ("bf16", {"unit": "hopper", "exp": "ex2"}, "^exp: expected library with a unit, .* but got 'ex2'"),
        ("tf32", {"unit": "any", "exp": "ex2"}, "^exp: expected library with a unit, .* but got 'ex2'"),
        ("bfloat16", {"full_reduction": True}, "full_reduction: expected a unit"),
        ("bf16", {}, "dtype: expected one of"),
        ("fp8-e4m3", {"unit": "hopper"}, "dtype: expected one of"),
    ],
)
def test_choices_that_do_not_go_together_are_refused(dtype: str, options: dict[str, str | bool], message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        certificate_arithmetic("rounded", dtype, **options)


def test_a_unit_is_refused_of_real_numbers() -> None:
    with pytest.raises(InvalidArgument, match="arithmetic: expected rounded with unit or full_reduction"):
        certificate_arithmetic("ball", unit="hopper")


def test_the_command_takes_a_unit(capsys: pytest.CaptureFixture[str]) -> None:
    sizes = ["--vocab", "10", "--context", "4"]
    assert run(["certify", "theorem-1", *sizes, "--unit", "hopper", "--dtype", "bf16"]) == 0
    assert "rounded bfloat16 hopper unit" in capsys.readouterr().out
    assert run(["certify", "theorem-1", *sizes, "--unit", "any", "--dtype", "tf32", "--full-reduction"]) == 0
    assert run(["certify", "theorem-1", *sizes, "--unit", "hopper"]) == 0
    assert run(["certify", "theorem-1", *sizes, "--unit", "volta", "--dtype", "bf16"]) == 2
    assert "unit for bfloat16" in capsys.readouterr().err


# the numbers of a unit ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("generation", "fmt"), UNITS)
def test_a_bound_reads_the_object_that_computes(generation: str, fmt: str) -> None:
    block = MatrixUnit(generation, WORDS[fmt]).block
    losses = block.losses(block.output("fp32"))
    rounding = MatrixUnits(get_format(fmt), (generation,))
    assert rounding.node == float(losses.cut + losses.rounding)
    assert losses.cut == (0 if block.fraction_bits is None else 2.0**-block.fraction_bits)
    assert rounding.bits == losses.exact_bits


def test_any_unit_allows_what_each_does() -> None:
    for fmt in WORDS:
        every = Kernel(get_format(fmt), matrix_unit="any").rounding
        assert isinstance(every, MatrixUnits)
        assert set(every.generations) == {name for name, found in GENERATIONS.items() if WORDS[fmt] in found.formats}
        for generation in every.generations:
            one = MatrixUnits(get_format(fmt), (generation,))
            assert (one.node <= every.node, one.bits >= every.bits) == (True, True)


def test_there_are_kinds_of_sums_beyond_what_is_drawn_for_ieee() -> None:
    assert set(HARD) < set(KINDS)
    assert max(SIZES) > max(found.formats["fp16"].block.products for found in GENERATIONS.values())
