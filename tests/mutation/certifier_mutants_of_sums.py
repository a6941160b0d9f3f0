"""Mutants of the rules of rounding: primitives, boxes, kernels, sums."""

from __future__ import annotations

from tests.mutation.certifier_mutant import Mutant, of

_rounding = of("rounding to a format", "verify.certificates.floats.directed")
_boxes = of("boxes", "verify.certificates.floats.boxes")
_kernel = of("assumptions of a kernel", "verify.certificates.floats.kernel")
_order = of("rounding of sums", "verify.certificates.floats.rounding.base")
_tensor_cores = of("tensor cores", "verify.certificates.floats.rounding.tensor_cores")
_sums = of("sums", "verify.certificates.floats.sums")
_absorbed = of("absorption in a sum", "verify.certificates.floats.sums")

SUMS: tuple[Mutant, ...] = (
    _rounding(
        "ties go up",
        "np.ldexp(np.rint(np.ldexp(values, -spacing)), spacing)",
        "np.ldexp(np.floor(np.ldexp(values, -spacing) + 0.5), spacing)",
        "primitives",
    ),
    _rounding(
        "truncated",
        "np.ldexp(np.rint(np.ldexp(values, -spacing)), spacing)",
        "np.ldexp(np.trunc(np.ldexp(values, -spacing)), spacing)",
        "primitives",
    ),
    _rounding(
        "one bit too many",
        "spacing = np.maximum(exponent - 1, fmt.min_exponent) - fmt.precision + 1",
        "spacing = np.maximum(exponent - 1, fmt.min_exponent) - fmt.precision",
        "primitives",
    ),
    _rounding(
        "no subnormal numbers",
        "spacing = np.maximum(exponent - 1, fmt.min_exponent) - fmt.precision + 1",
        "spacing = exponent - 1 - fmt.precision + 1",
        "primitives",
    ),
    _rounding(
        "nothing overflows",
        "np.where(np.abs(rounded) > largest_of(fmt), np.copysign(np.inf, values), rounded)",
        "rounded",
        "primitives",
    ),
    _rounding(
        "the lower bound is not lowered",
        "np.where(error == 0, values, next_down(values - error))",
        "np.where(error == 0, values, values - error)",
        "primitives",
    ),
    _rounding(
        "the upper bound is not raised",
        "np.where(error == 0, values, next_up(values + error))",
        "np.where(error == 0, values, values + error)",
        "primitives",
    ),
    _rounding(
        "an error is taken off above",
        "np.where(error == 0, values, next_up(values + error))",
        "np.where(error == 0, values, next_up(values - error))",
        "primitives",
    ),
    _rounding(
        "grids are one too coarse",
        "exponent.astype(np.int64) - 53 + place - 1)",
        "exponent.astype(np.int64) - 53 + place)",
        "primitives",
    ),
    _rounding(
        "three halves is a power of two",
        "(mantissa == 0) | (np.abs(mantissa) == 0.5)",
        "(mantissa == 0) | (np.abs(mantissa) <= 0.75)",
        "primitives",
    ),
    _rounding(
        "0 is half a binade up",
        "np.where(magnitude == 0, fmt.min_exponent, np.maximum(exponent - 1, fmt.min_exponent))",
        "np.maximum(exponent - 1, fmt.min_exponent)",
        "primitives",
    ),
    _rounding(
        "places of negative numbers lose their sign",
        "np.where(np.signbit(values), -place, place)",
        "place",
        "primitives",
    ),
    _boxes(
        "sums fit with a bit more",
        "magnitude <= power_of_two(grid + precision, magnitude.dtype)",
        "magnitude <= power_of_two(grid + precision + 1, magnitude.dtype)",
        "primitives",
        "networks, bfloat16, points",
        "nothing rounds",
    ),
    _boxes(
        "the magnitude is that of the upper bound",
        "np.asarray(np.maximum(np.abs(self.low), np.abs(self.high)))",
        "np.asarray(np.abs(self.high))",
        "operations",
    ),
    _boxes("what is not finite does not spread", "if not anything.any():", "if True:", "overflow"),
    _boxes(
        "members of one bound are taken for equal",
        "all((part == part[:1]).all() for part in (box.low, box.high))",
        "any((part == part[:1]).all() for part in (box.low, box.high))",
        "operations",
    ),
    _kernel("exp is off by 1 unit", "EXP_ULPS = 3", "EXP_ULPS = 1", "attention, 16 bits", "exp"),
    _kernel(
        "16 bits without an accumulator",
        "return accumulator_of(self.fmt)",
        "return None",
        "assumptions",
    ),
    _order(
        "half of a unit roundoff",
        "return float(self.fmt.unit_roundoff)",
        "return float(self.fmt.unit_roundoff) * 0.5",
        "assumptions",
        "sums, 16 bits",
    ),
    _order(
        "16 bits without an accumulator",
        'FORMATS["float32"] if fmt.precision < FORMATS["float32"].precision else None',
        "None",
        "assumptions",
    ),
    _order(
        "no underflow",
        "return float((smallest_of(self.fmt) + (0 if inner is None else smallest_of(inner))) / 2)",
        "return 0.0",
        "assumptions",
        "sums, subnormal",
    ),
    _order(
        "partial sums do not round",
        "more = self.partial_roundings(count) * unit",
        "more = 0 * count * unit",
        "sums, 16 bits",
        "networks, bfloat16, points",
    ),
    _order(
        "one partial sum less",
        "np.maximum(count - 2, 0)",
        "np.maximum(count - 3, 0)",
        "sums, 16 bits",
        "networks, bfloat16, points",
    ),
    _sums(
        "an accumulator does not round first",
        "np.maximum(once, twice) if up else np.minimum(once, twice)",
        "once",
        "built networks",
    ),
    _sums(
        "rounded twice only",
        "np.maximum(once, twice) if up else np.minimum(once, twice)",
        "twice",
        "built networks",
    ),
    _sums(
        "bounds are swapped",
        "np.maximum(once, twice) if up else np.minimum(once, twice)",
        "np.minimum(once, twice) if up else np.maximum(once, twice)",
        "built networks",
    ),
    _sums(
        "slack 0",
        "slack = np.where(known, 0, 2 * (terms.count + 2) * wide * terms.magnitude)",
        "slack = 0 * terms.magnitude",
        "built networks",
    ),
    _sums("every sum is known", "slack = np.where(known, 0,", "slack = np.where(known | True, 0,", "built networks"),
    _sums(
        "products do not round",
        "error = u * terms.rounding * (1 + growth) + growth",
        "error = growth",
        "sums, 16 bits",
    ),
    _sums(
        "half the error of a sum",
        "error = u * terms.rounding * (1 + growth) + growth * magnitude",
        "error = (u * terms.rounding * (1 + growth) + growth * magnitude) / 2",
        "sums, 16 bits",
        "networks, bfloat16, points",
    ),
    _sums("nothing underflows", "+ np.where(held, 0, terms.count * self.rounding.underflow)", "", "sums, subnormal"),
    _sums(
        "two terms never round",
        "alone = single & (terms.reduced == 0)",
        "alone = (terms.count <= 2) & (terms.reduced == 0)",
        "sums, 16 bits",
        "networks, cancelling",
    ),
    _sums(
        "the last operation does not round",
        "low, high = self.rounded(low, up=False), self.rounded(high, up=True)",
        "",
        "sums, 16 bits",
    ),
    _sums(
        "three terms may be held",
        "kept & terms.held & (terms.count <= 2)",
        "kept & terms.held & (terms.count <= 3)",
        "networks, bfloat16, points",
    ),
    _sums(
        "held terms sum on any grid",
        "kept & terms.held & (terms.count <= 2) & summed",
        "kept & terms.held & (terms.count <= 2)",
        "sums, 16 bits",
        "networks, bfloat16, points",
    ),
    _sums(
        "nothing overflows in any order",
        "return np.where(over, np.inf, error), whole & ~over",
        "return error, whole",
        "overflow",
    ),
    _tensor_cores(
        "TF32 loses nothing of a factor",
        "np.where(kept | (size == 0), 0, size * TF32_UNIT + TF32_SMALLEST)",
        "0 * size",
        "sums, tensor cores",
    ),
    _sums(
        "corners of a product",
        "np.minimum(np.minimum(corners[0], corners[1]), np.minimum(corners[2], corners[3])),",
        "np.minimum(corners[0], corners[3]),",
        "operations",
    ),
    _sums(
        "a known factor is a power of two",
        "(factor[0] == factor[1]) & is_power_of_two(factor[0])",
        "(factor[0] == factor[1])",
        "operations",
    ),
    _sums("the grid of the last term", "grid = min(grid, int(piece_grid))", "grid = int(piece_grid)", "operations"),
    _sums(
        "last rounding dropped",
        "unit * (1 + 8 * self._wide_unit) * magnitude + self.rounding.underflow",
        "0 * magnitude",
        "networks, boxes",
    ),
    _sums(
        "last rounding of an accumulator dropped",
        "unit += 2 * float(self.kernel.accumulator.unit_roundoff)",
        "pass",
        argument=(
            "Rounding to nearest moves a number by at most u/(1 + u) of it, so that rounding in float32 "
            "first, by 2^-24, is within u still: u/(1 + u) + 2^-24 (1 + u) < u for u = 2^-8 and 2^-11."
        ),
        proof="double rounding",
    ),
    _absorbed(
        "u/8 to u/2",
        "rest <= u / 8 * terms.largest_low",
        "rest <= u / 2 * terms.largest_low",
        argument=(
            "The error that is charged, three times all other terms, holds whatever the threshold: the "
            "large term meets some of the others in one rounding, which is monotone, so that the result "
            "is between those of the sum less and plus the others; each later addition moves a rounded "
            "number by at most twice the term, as the nearest number is never further away than the "
            "number itself."
        ),
        proof="absorption",
    ),
    _absorbed(
        "u/8 to 8u",
        "rest <= u / 8 * terms.largest_low",
        "rest <= 8 * u * terms.largest_low",
        argument="As for u/2: the threshold only says where the charge is of use.",
        proof="absorption",
    ),
    _absorbed(
        "by the largest magnitude",
        "u / 8 * terms.largest_low) & (terms.largest_low > 0)",
        "u / 8 * terms.largest)",
        argument="As for u/2: any term may be taken for the large one.",
        proof="absorption",
    ),
    _absorbed("the others vanish", "np.minimum(error, 3 * rest + slack)", "slack", "operations"),
)
