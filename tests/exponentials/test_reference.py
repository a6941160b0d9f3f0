"""The reference: its table, its split, its allowance at the bound and just beyond it, and where powers of 2 are."""

from __future__ import annotations

import math
from fractions import Fraction

import flint
import numpy as np
import pytest
import torch

from constructions import FORMATS, InvalidArgument
from verify.certificates.balls.columns import ball_precision
from verify.exponentials.reference import BASES, STEPS, Reference, allowance, ball_errors

FLOAT32 = FORMATS["float32"]


@pytest.fixture(scope="module", params=sorted(BASES))
def reference(request: pytest.FixtureRequest) -> Reference:
    return Reference.of(request.param, FLOAT32)


def _true(base: str, argument: float) -> flint.arb:
    return flint.arb(2) ** flint.arb(argument) if base == "2" else flint.arb(argument).exp()


def _drawn(base: str, count: int) -> torch.Tensor:
    """Numbers of float32 of every size, as float64, both signs, up to the end of the table."""
    rng = np.random.default_rng(7)
    end = math.log2(BASES[base])
    sizes = 2 ** np.concatenate([rng.uniform(-140, end, count // 4), rng.uniform(-12, end, count)])
    return torch.from_numpy((sizes * rng.choice([-1, 1], len(sizes))).astype(np.float32).astype(np.float64))


def test_the_table_is_correctly_rounded(reference: Reference) -> None:
    end = BASES[reference.base] * STEPS
    assert len(reference.table) == 2 * end + 1
    drawn = np.random.default_rng(8).integers(-end, end, 2_000).tolist()
    with ball_precision(200):
        for step in (-end, -1, 0, 1, end, *drawn):
            value = float(reference.table[step + end])
            true = _true(reference.base, step / STEPS)
            assert abs(flint.arb(value) - true) <= flint.arb(math.ulp(value)) / 2


def test_the_split_is_exact(reference: Reference) -> None:
    for argument in _drawn(reference.base, 500).tolist():
        steps = round(argument * STEPS)
        assert Fraction(argument) - Fraction(steps, STEPS) == Fraction(argument - steps / STEPS)
        assert abs(argument - steps / STEPS) <= 0.5 / STEPS


def _differences(reference: Reference, arguments: torch.Tensor) -> list[float]:
    """Return by how much measured errors are off, in parts of the allowance."""
    large, small = reference.parts(arguments.clone())
    shift = torch.from_numpy(np.random.default_rng(9).uniform(-4, 4, len(arguments)) * 2.0**-24)
    computed = ((large + small) * (1 + shift)).float().double()
    found = []
    for negative in (False, True):
        chosen = (arguments < 0) == negative
        parts = (part[chosen] for part in (computed, large, small))
        errors = reference.errors(*parts, negative=negative)
        rows = zip(arguments[chosen].tolist(), computed[chosen].tolist(), errors.tolist(), strict=True)
        for argument, value, error in rows:
            if value == math.inf:
                continue
            low, high = ball_errors(reference.base, FLOAT32, argument, value)
            found.append(max(error - low, high - error) / allowance(FLOAT32, error))
    return found


def test_errors_are_within_the_allowance_and_reach_for_it(reference: Reference) -> None:
    found = _differences(reference, _drawn(reference.base, 2_000))
    # half of the table's share: it is u of a number just above a power of 2 alone, whose unit is twice as large
    assert 0.4 < max(found) <= 1


def test_a_table_that_is_off_by_a_unit_is_beyond_the_allowance(reference: Reference) -> None:
    moved = torch.from_numpy(np.nextafter(reference.table.numpy(), math.inf))
    assert max(_differences(Reference(reference.base, FLOAT32, moved), _drawn(reference.base, 1_000))) > 1


def test_a_polynomial_one_degree_shorter_is_beyond_the_allowance(reference: Reference) -> None:
    arguments = _drawn(reference.base, 4_000)
    large, small = reference.parts(arguments.clone())
    rest = (arguments - (arguments * STEPS).round() / STEPS) * (1 if reference.base == "e" else math.log(2))
    shorter = large * (rest * (1 + rest * (0.5 + rest / 6)))
    assert float(((shorter - small).abs() / large).max()) * 2.0**24 > allowance(FLOAT32)


@pytest.mark.parametrize("base", sorted(BASES))
def test_no_number_is_as_near_to_a_power_of_two_as_the_reference_is_off(base: str) -> None:
    """Of the neighbours of every ``n ln 2`` in float32, which holds the numbers of the other formats as well."""
    with ball_precision():
        for power in range(-155, 132):
            exact = flint.arb(power) * (1 if base == "2" else flint.arb(2).log())
            nearest = np.float32(float(exact.mid()))
            for argument in (
                np.nextafter(nearest, np.float32(-np.inf)),
                nearest,
                np.nextafter(nearest, np.float32(np.inf)),
            ):
                distance = abs(flint.arb(float(argument)) - exact)
                assert (
                    distance > 2.0**-40
                    or (power == 0 and abs(argument) < 2.0**-140)
                    or (base == "2" and argument == power)
                )


@pytest.mark.parametrize(("name", "precision"), [("float32", 24), ("bfloat16", 8), ("float16", 11)])
def test_the_allowance_is_a_part_of_a_unit(name: str, precision: int) -> None:
    assert allowance(FORMATS[name]) == 2.0 ** (precision - 53) * (1 + 2.0**-5)


@pytest.mark.parametrize(
    ("argument", "value", "wanted", "room"),
    [
        (0.0, 1.0, 0.0, 0.0),
        (0.0, 1 + 2.0**-22, 2.0, 0.0),
        (0.0, 1 - 2.0**-23, 1.0, 0.0),
        (-200.0, 2.0**-149, 1.0, 2.0**-35),  # beyond the table the true value is within 2^-35 units of 0
        (-200.0, 0.0, 0.0, 2.0**-35),
        (-3.4e38, 2.0**-149, 1.0, 2.0**-35),
        (-math.inf, 0.0, 0.0, 2.0**-35),
        (-(2.0**-60), 1.0, 2.0**-36, math.ulp(2.0**-36)),  # below 1 a unit is half as large; to the next float
        (2.0**-60, 1.0, 2.0**-37, math.ulp(2.0**-37)),
    ],
)
def test_errors_by_balls(argument: float, value: float, wanted: float, room: float) -> None:
    low, high = ball_errors("e", FLOAT32, argument, value)
    assert wanted - room <= low <= high <= wanted + room


def test_infinity_stands_for_the_next_power_of_two() -> None:
    assert ball_errors("2", FLOAT32, 128.0, math.inf) == (0.0, 0.0)
    assert ball_errors("2", FLOAT32, 127.0, math.inf) == (2.0**23, 2.0**23)


def test_another_base_is_refused() -> None:
    with pytest.raises(InvalidArgument, match=r"^base: expected one of e, 2 but got '10'"):
        Reference.of("10", FLOAT32)
