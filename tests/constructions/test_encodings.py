"""Encodings, lifts and readouts: their numbers at the bound and just beyond it, their weights, their thresholds."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import product
from typing import Any, get_args

import numpy as np
import pytest

from constructions import (
    FORMATS,
    Coding,
    ConditionalGeneration,
    DigitGeneration,
    InvalidArgument,
    LongerResponses,
    RationalSoftmax,
    SelectingConstruction,
    UnconditionalGeneration,
    fewest_digits,
    largest_band_size,
    largest_exact_base,
    largest_exact_vocabulary,
)
from constructions.digit_generation import smallest_base
from constructions.encodings import ENCODINGS, LIFTS, READOUTS, Encoding, Lift, Readout, default_band_size, grid_size
from constructions.thresholds import (
    coded_generation_threshold,
    coded_responses_threshold,
    longer_responses_threshold,
    unconditional_generation_threshold,
)
from verify import RationalArithmetic, exhaust

CODINGS = [Coding(*parts) for parts in product(ENCODINGS, LIFTS, READOUTS)]
ALL_CODINGS = pytest.mark.parametrize("coding", CODINGS, ids=lambda coding: "-".join(vars(coding).values()))


def options(coding: Coding) -> Any:
    """Return the fields of a construction that a coding sets."""
    return vars(coding)


# numbers ----------------------------------------------------------------------------------------------------------


def test_the_choices_are_those_of_the_types() -> None:
    assert (get_args(Encoding), get_args(Lift), get_args(Readout)) == (ENCODINGS, LIFTS, READOUTS)


@pytest.mark.parametrize(("vocab_size", "grid"), [(1, 1), (2, 2), (3, 4), (4, 4), (5, 8), (256, 256), (257, 512)])
def test_the_grid(vocab_size: int, grid: int) -> None:
    assert grid_size(vocab_size) == grid


@pytest.mark.parametrize(
    ("vocab_size", "band"),
    [(1, 1), (2, 1), (3, 1), (5, 2), (17, 4), (18, 4), (257, 16), (258, 16), (1025, 32), (2049, 32), (50257, 256)],
)
def test_the_default_band_is_exact_in_every_format_that_holds_the_tokens(vocab_size: int, band: int) -> None:
    assert default_band_size(vocab_size) == band
    fewest_bits = max(0, vocab_size - 2).bit_length()  # the smallest p with V - 1 <= 2^p
    assert vocab_size - 1 <= 2**fewest_bits
    assert band**2 <= 2**fewest_bits < (2 * band) ** 2


@pytest.mark.parametrize(("name", "band"), [("bfloat16", 16), ("float16", 32), ("float32", 4096), ("float64", 2**26)])
def test_the_largest_band_of_a_format(name: str, band: int) -> None:
    held = 2 ** FORMATS[name].precision
    assert largest_band_size(FORMATS[name]) == band
    assert band**2 <= held < (2 * band) ** 2


#: Without the lift's own limit, for bfloat16, float16 and float32.
LIMITS: dict[Readout, tuple[int, int, int]] = {
    "paper": (17, 46, 4097),
    "centred": (19, 53, 4730),
    "split": (33, 91, 8193),
    "hat": (257, 2049, 2**24 + 1),
    "banded": (257, 2049, 2**24 + 1),
}


@pytest.mark.parametrize("readout", READOUTS)
@pytest.mark.parametrize("encoding", ["integer", "dyadic"])
def test_the_largest_exact_vocabularies(encoding: Encoding, readout: Readout) -> None:
    for name, limit in zip(("bfloat16", "float16", "float32"), LIMITS[readout], strict=True):
        fmt = FORMATS[name]
        assert largest_exact_vocabulary(Coding(encoding, "mask", readout), fmt) == limit
        assert largest_exact_vocabulary(Coding(encoding, "add", readout), fmt) == min(limit, 2 ** (fmt.precision - 1))


@pytest.mark.parametrize("name", FORMATS)
def test_the_integers_that_set_the_limits(name: str) -> None:
    held = 2 ** FORMATS[name].precision
    limit = largest_exact_vocabulary(Coding("integer", "mask", "paper"), FORMATS[name])
    assert (limit - 1) ** 2 <= held < limit**2
    limit = largest_exact_vocabulary(Coding("integer", "mask", "split"), FORMATS[name])
    assert (limit // 2) ** 2 <= held < ((limit + 1) // 2) ** 2
    limit = largest_exact_vocabulary(Coding("integer", "mask", "centred"), FORMATS[name])
    assert max((limit // 2) ** 2, (limit - 1) ** 2 - (limit // 2) ** 2) <= held
    assert limit**2 - ((limit + 1) // 2) ** 2 > held
    limit = largest_exact_vocabulary(Coding("integer", "add", "hat"), FORMATS[name])
    assert 2 * limit - 1 <= held < 2 * limit + 1


def test_the_papers_encoding_has_no_exact_vocabulary() -> None:
    with pytest.raises(InvalidArgument, match=r"^encoding: expected integer or dyadic, as the numbers y/V are rounded"):
        largest_exact_vocabulary(Coding(), FORMATS["float32"])


@pytest.mark.parametrize("digits", [1, 2, 3, 4])
def test_the_largest_base(digits: int) -> None:
    held = 2 ** FORMATS["bfloat16"].precision
    base = largest_exact_base(digits, "hat", FORMATS["bfloat16"])
    assert digits * (base - 1) <= held < digits * base
    base = largest_exact_base(digits, "split", FORMATS["bfloat16"])
    assert 3 * digits * (base // 2) ** 2 <= held < 3 * digits * ((base + 1) // 2) ** 2


@pytest.mark.parametrize(
    ("vocab_size", "name", "readout", "digits"),
    [
        (257, "bfloat16", "hat", 1),
        (258, "bfloat16", "hat", 2),
        (129**2, "bfloat16", "hat", 2),
        (129**2 + 1, "bfloat16", "hat", 3),
        (50257, "bfloat16", "hat", 3),
        (128256, "bfloat16", "hat", 3),
        (262144, "bfloat16", "hat", 3),
        (262144, "float32", "split", 2),
    ],
)
def test_the_fewest_digits(vocab_size: int, name: str, readout: Any, digits: int) -> None:
    assert fewest_digits(vocab_size, readout, FORMATS[name]) == digits


@pytest.mark.parametrize(
    ("vocab_size", "digits", "base"), [(1, 3, 1), (8, 3, 2), (9, 3, 3), (10, 1, 10), (262144, 3, 64)]
)
def test_the_smallest_base(vocab_size: int, digits: int, base: int) -> None:
    assert smallest_base(vocab_size, digits) == base
    assert base**digits >= vocab_size
    assert base == 1 or (base - 1) ** digits < vocab_size


# bad input --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"encoding": "unary"}, "encoding: expected one of paper, integer, dyadic but got 'unary' (type str)"),
        ({"lift": None}, "lift: expected one of add, mask but got None (type NoneType)"),
        ({"readout": 3}, "readout: expected one of paper, centred, split, hat, banded but got 3 (type int)"),
        ({"band_size": 4}, "band_size: expected none with readout 'paper', only 'banded' has bands"),
        ({"readout": "banded", "band_size": 3}, "band_size: expected a power of two but got 3 (type int)"),
        ({"readout": "banded", "band_size": 0}, "band_size: expected an integer >= 1 but got 0 (type int)"),
        ({"readout": "banded", "band_size": 2.0}, "band_size: expected an integer >= 1 but got 2.0 (type float)"),
    ],
)
@pytest.mark.parametrize(
    "make", [lambda **o: UnconditionalGeneration(3, 2, **o), lambda **o: ConditionalGeneration(3, **o)]
)
def test_options_that_are_refused(make: Any, given: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        make(**given)
    assert str(caught.value) == message


def test_digits_that_are_refused() -> None:
    for given, message in (
        ((3, 2, 0), "digits: expected an integer >= 1 but got 0 (type int)"),
        ((3, 2, 33), "digits: expected an integer <= 32 but got 33 (type int)"),
        ((3, 2, 2, "sum"), "readout: expected one of hat, split but got 'sum' (type str)"),
    ):
        with pytest.raises(InvalidArgument) as caught:
            DigitGeneration(*given)
        assert str(caught.value) == message


def test_options_show_in_the_repr() -> None:
    made = UnconditionalGeneration(5, 2, encoding="integer", readout="banded", band_size=2)
    assert repr(made) == (
        "UnconditionalGeneration(vocab_size=5, context_size=2, encoding='integer', readout='banded', band_size=2)"
    )
    assert eval(repr(made)) == made
    assert repr(ConditionalGeneration(5, lift="add")) == "ConditionalGeneration(vocab_size=5)"


# weights ----------------------------------------------------------------------------------------------------------


def _logits(construction: SelectingConstruction, x: Fraction) -> list[Fraction]:
    """Return the logits of a number by the formulas of the readouts, written without the constructions' code."""
    V, c = construction.vocab_size, construction.vocab_size // 2
    d = {"paper": Fraction(1, V), "integer": Fraction(1), "dyadic": Fraction(1, 1 << (V - 1).bit_length())}[
        construction.encoding
    ]
    if construction.readout == "paper":
        shift = x**2 - x + Fraction(1, 4) if construction.encoding == "paper" else x**2
        return [shift - (x - v * d) ** 2 for v in range(V)]
    if construction.readout == "centred":
        return [(x - c * d) ** 2 - (x - v * d) ** 2 for v in range(V)]
    if construction.readout == "split":
        return [(x - c * d) ** 2 - (x - v * d) ** 2 for v in range(V)]
    if construction.readout == "hat":
        return [min(v * d, 2 * x - v * d) for v in range(V)]
    B = construction.band_size or default_band_size(V)
    found = []
    for v in range(V):
        first, place = v // B * B, v % B
        last = first + B - 1
        zero = Fraction(0)
        outside = max(first * d - x, zero) + (max(x - last * d, zero) if last < V - 1 else zero)
        found.append(place * max(x - first * d, zero) / B**2 - d * Fraction(place**2, 2 * B**2) - outside)
    return found


@ALL_CODINGS
@pytest.mark.parametrize("vocab_size", [1, 7])
def test_the_mlp_computes_the_readouts_formula(coding: Coding, vocab_size: int) -> None:
    made = UnconditionalGeneration(vocab_size, 2, **options(coding))
    matrices = {name: matrix.to_fractions() for name, matrix in made.transformer.lowered.matrices().items()}
    step = Fraction(1, coding.denominator(vocab_size))
    for x in (Fraction(0), step, Fraction(5, 2) * step, (vocab_size - 1) * step):
        hidden = [Fraction(0), x]
        for layer in ("sum", "readout"):
            weight, bias = matrices[f"{layer}.weight"], matrices[f"{layer}.bias"]
            hidden = [sum(map(Fraction.__mul__, row, hidden), one) for row, (one,) in zip(weight, bias, strict=True)]
            hidden = [max(value, Fraction(0)) for value in hidden] if layer == "sum" else hidden
        assert hidden == _logits(made, x)


def test_the_widths_of_the_readouts() -> None:
    for readout, width in (("paper", 1), ("centred", 1), ("split", 2), ("hat", 10), ("banded", 3 * 3 - 1)):
        made = UnconditionalGeneration(10, 3, encoding="integer", readout=readout)  # type: ignore[arg-type] # a str
        assert made.transformer.lowered.matrices()["sum.weight"].shape == (width, 3)
    assert UnconditionalGeneration(50257, 1, readout="banded", band_size=4096).transformer.lowered.matrices()[
        "readout.weight"
    ].shape == (50257, 3 * 13 - 1)


@ALL_CODINGS
def test_the_mask_leaves_the_selected_number_alone(coding: Coding) -> None:
    code = np.array(
        UnconditionalGeneration(5, 3, **options(coding))
        .transformer.lowered.matrices()["attention.self.value"]
        .to_fractions()
    )[:, 3:]
    height = {"paper": 1, "dyadic": 1, "integer": 5 if coding.lift == "add" else 8}[coding.encoding]
    wanted = height * np.eye(3, dtype=int) - (height if coding.lift == "mask" else 0)
    assert (code == wanted).all()


# thresholds -------------------------------------------------------------------------------------------------------

NUDGE = Fraction(1, 10**9)


def _check_thresholds(coding: Coding, sizes: tuple[tuple[int, int], ...], bands: tuple[int, ...]) -> None:
    cases: list[tuple[SelectingConstruction, Fraction]] = []
    for band in bands if coding.readout == "banded" else (None,):
        for vocab_size, size in sizes:
            made = UnconditionalGeneration(vocab_size, size, **options(coding), band_size=band)
            cases.append((made, coded_generation_threshold(made.decoding_demand, size)))
        replies = LongerResponses(2, 2, **options(coding), band_size=band)
        cases.append((replies, coded_responses_threshold(replies.decoding_demand, 2)))
    for construction, threshold in cases:
        for q, holds in ((threshold - NUDGE, False), (threshold, False), (threshold + NUDGE, True)):
            at = replace(construction, temperature=RationalSoftmax(q))
            assert exhaust(at, RationalArithmetic()).holds is holds, (construction, q)


@pytest.mark.share(2)
@pytest.mark.parametrize("readout", READOUTS)
def test_the_thresholds_are_exact(readout: Readout) -> None:
    _check_thresholds(Coding("integer", "mask", readout), ((6, 2),), (2,))


@pytest.mark.heavy
@ALL_CODINGS
def test_the_thresholds_of_every_coding_are_exact(coding: Coding) -> None:
    _check_thresholds(coding, ((3, 3), (6, 2), (7, 2)), (1, 2, 4))


def test_the_thresholds_of_the_papers_coding_are_the_papers() -> None:
    for vocab_size in (1, 2, 7, 94):
        for size in (1, 2, 20):
            one, many = UnconditionalGeneration(vocab_size, size), LongerResponses(vocab_size, size)
            expected = unconditional_generation_threshold(vocab_size, size)
            assert coded_generation_threshold(one.decoding_demand, size) == expected
            assert coded_responses_threshold(many.decoding_demand, size) == longer_responses_threshold(vocab_size, size)


@pytest.mark.share(8)
@ALL_CODINGS
def test_theorem_2_holds_at_any_temperature_in_every_coding(coding: Coding) -> None:
    for q in (Fraction(1, 7),):
        made = ConditionalGeneration(3, **options(coding), temperature=RationalSoftmax(q))
        assert exhaust(made, RationalArithmetic()).holds


@pytest.mark.share(2)
@pytest.mark.parametrize("readout", ["hat", "split"])
@pytest.mark.parametrize("sizes", [(5, 2, 2), (7, 2, 3), (6, 2, 1)])
def test_the_thresholds_of_digits_are_exact(sizes: tuple[int, int, int], readout: Any) -> None:
    made = DigitGeneration(*sizes, readout)
    default = made.default_temperature(None)
    assert isinstance(default, RationalSoftmax)
    threshold = default.q - 1
    for q, holds in ((threshold - NUDGE, False), (threshold, False), (threshold + NUDGE, True)):
        assert exhaust(replace(made, temperature=RationalSoftmax(q)), RationalArithmetic()).holds is holds
