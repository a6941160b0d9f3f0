"""Mutants of the rules of rounding: primitives, boxes, kernels, sums, operations, softmax."""

from __future__ import annotations

from tests.mutation.certifier_mutant import Mutant, of

_rounding = of("rounding to a format", "verify.certificates.rounding")
_boxes = of("boxes", "verify.certificates.boxes")
_kernel = of("assumptions of a kernel", "verify.certificates.kernel")
_sums = of("sums", "verify.certificates.sums")
_absorbed = of("absorption in a sum", "verify.certificates.sums")
_operations = of("operations on boxes", "verify.certificates.rounded")
_softmax = of("softmax", "verify.certificates.softmax")

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
        "half of a unit roundoff",
        "float(self.fmt.unit_roundoff) * (2 if self.tf32 else 1)",
        "float(self.fmt.unit_roundoff) * (2 if self.tf32 else 0.5)",
        "assumptions",
        "sums, 16 bits",
    ),
    _kernel(
        "16 bits without an accumulator",
        'FORMATS["float32"] if self.fmt.precision < FORMATS["float32"].precision else None',
        "None",
        "assumptions",
    ),
    _kernel(
        "no underflow", "return float((self.smallest + inner) / 2)", "return 0.0", "assumptions", "sums, subnormal"
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
        "partial sums do not round",
        "more = (2 * terms.count if self.kernel.tf32 else np.maximum(terms.count - 2, 0)) * u",
        "more = 0 * terms.count * u",
        "sums, 16 bits",
        "networks, bfloat16, points",
    ),
    _sums(
        "one partial sum less",
        "np.maximum(terms.count - 2, 0)",
        "np.maximum(terms.count - 3, 0)",
        "sums, 16 bits",
        "networks, bfloat16, points",
    ),
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
    _sums("nothing underflows", "+ np.where(held, 0, terms.count * self.kernel.underflow)", "", "sums, subnormal"),
    _sums(
        "two terms never round",
        "(terms.count <= 1) & (terms.reduced == 0), slack, error",
        "(terms.count <= 2) & (terms.reduced == 0), slack, error",
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
        "held & terms.held & (terms.count <= 2)",
        "held & terms.held & (terms.count <= 3)",
        "networks, bfloat16, points",
    ),
    _sums(
        "held terms sum on any grid",
        "held & terms.held & (terms.count <= 2) & summed",
        "held & terms.held & (terms.count <= 2)",
        "sums, 16 bits",
        "networks, bfloat16, points",
    ),
    _sums(
        "nothing overflows in any order",
        "return np.where(over, np.inf, error), whole & ~over",
        "return error, whole",
        "overflow",
    ),
    _sums(
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
        "unit * (1 + 8 * self._wide_unit) * magnitude + self.kernel.underflow",
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
            "The error that is charged, three times all other terms, holds whatever the threshold: adding a "
            "term to a rounded number moves it by at most twice the term, as the nearest number is never "
            "further away than the number itself."
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
    _operations(
        "products with any weight do not round",
        "found = ~is_power_of_two(values) & ~simple[None, :]",
        "found = ~is_power_of_two(values) & False",
        "sums, 16 bits",
    ),
    _operations(
        "a chain from a bias of 0 rounds nothing", "found &= bias.values == 0", "found &= False", "sums, fused"
    ),
    _operations(
        "fused means fused without a bias, too",
        'if self.kernel.products == "fused" and bias is not None:\n            found &= bias.values == 0',
        'if self.kernel.products == "fused":\n            found &= bias is not None and bias.values == 0',
        "sums, fused",
    ),
    _operations(
        "fused and separate swapped",
        'if self.kernel.products == "fused" and bias is not None:',
        'if self.kernel.products == "separate" and bias is not None:',
        "sums, separate",
    ),
    _operations(
        "negative weights take the wrong end",
        "low = _product(x.low, positive) + _product(x.high, negative)",
        "low = _product(x.low, positive) + _product(x.low, negative)",
        "sums, 16 bits",
    ),
    _operations("the bias is no term", "count = count + (shift != 0)", "pass", "sums, 16 bits"),
    _operations(
        "the bias has no magnitude",
        "low, high, magnitude = low + shift, high + shift, magnitude + np.abs(shift)",
        "low, high = low + shift, high + shift",
        "sums, 16 bits",
    ),
    _operations("the bias is on every grid", "grid = np.minimum(grid, bias.grid[:, 0])", "pass", "sums, 16 bits"),
    _operations(
        "one held term is enough",
        "self.fmt.precision).all(axis=-1)",
        "self.fmt.precision).any(axis=-1)",
        "sums, 16 bits",
    ),
    _operations(
        "a prompt is on a grid one too coarse",
        "grid = max(least, self.fmt.min_exponent) - self.fmt.precision + 1",
        "grid = max(least, self.fmt.min_exponent) - self.fmt.precision + 2",
        "operations",
    ),
    _operations(
        "every prompt is exact",
        "exact = power and largest <= 2**self.fmt.precision and finest > self.fmt.min_exponent - self.fmt.precision",
        "exact = power",
        "operations",
    ),
    _operations(
        "free embeddings are whole",
        "self.fmt.min_exponent - self.fmt.precision + 1, dtype=np.int64)\n        grids[((below",
        "0, dtype=np.int64)\n        grids[((below",
        "operations",
        "built networks",
    ),
    _operations(
        "an embedding between two is the first",
        "columns.min(axis=1), columns.max(axis=1)",
        "columns.min(axis=1), columns.min(axis=1)",
        "operations",
    ),
    _operations(
        "ReLU of the lower bound alone",
        "np.maximum(rows.low, 0), np.maximum(rows.high, 0)",
        "np.maximum(rows.low, 0), np.maximum(rows.low, 0)",
        "operations",
    ),
    _operations("NaN is cut off at 0", "if anything.any():", "if False:", "overflow"),
    _operations(
        "rows joined on the coarser grid",
        "np.minimum(top.grid, bottom.grid), exact",
        "np.maximum(top.grid, bottom.grid), exact",
        "operations",
    ),
    _operations(
        "heads' outputs are on the coarser grid",
        "grid = np.minimum.reduce([part.grid for part in parts])",
        "grid = np.maximum.reduce([part.grid for part in parts])",
        "operations",
    ),
    _operations(
        "a weight that is rounded is exact",
        "exact = not any(value != float(held[row, column]) for row, column, value in matrix.nonzero())",
        "exact = True",
        "exactness",
        "nothing rounds",
    ),
    _operations(
        "what is not finite does not spread",
        "found = tainted(self._linear(rows, weight, bias), unbounded(rows, along=-1))",
        "found = self._linear(rows, weight, bias)",
        "overflow",
    ),
    _softmax(
        "no allowance for exp",
        "relative = flint.arb(2 * EXP_ULPS) * flint.arb(2) ** -self.fmt.precision",
        "relative = flint.arb(0)",
        "attention, 16 bits",
        "exp",
    ),
    _softmax(
        "no allowance below the normal range",
        "bound = true * (1 + relative) + EXP_ULPS * smallest",
        "bound = true * (1 + relative)",
        "exp",
    ),
    _softmax(
        "exp is never too small",
        "bound = true * (1 - relative) - (EXP_ULPS + 1) * smallest",
        "bound = true",
        "attention, 16 bits",
        "exp",
    ),
    _softmax(
        "exp underflows at the smallest number",
        "true * (1 + narrow) < smallest / 2",
        "true * (1 + narrow) < 8 * smallest",
        "exp",
    ),
    _softmax(
        "more precise kernels underflow, too",
        "return self._exp(exponents, up=True, kept=self.kernel.accumulator is not None)",
        "return self._exp(exponents, up=True)",
        "many keys",
    ),
    _softmax(
        "scaled after the subtraction never",
        "below, above = np.minimum(below, early[0]), np.minimum(np.maximum(above, early[1]), 0)",
        "pass",
        "attention, 16 bits",
    ),
    _softmax(
        "scaled before the subtraction never",
        "below, above = np.minimum(below, early[0]), np.minimum(np.maximum(above, early[1]), 0)",
        "below, above = early[0], np.minimum(early[1], 0)",
        "attention, 16 bits",
    ),
    _softmax(
        "differences do not round",
        "below = np.minimum(below, self.rounded(below, up=False))\n"
        "        return below, np.minimum(np.maximum(above, self.rounded(above, up=True)), 0)",
        "return below, np.minimum(above, 0)",
        "attention, 16 bits",
    ),
    _softmax(
        "scaled scores do not round",
        "return np.asarray(np.maximum(value, rounded) if up else np.minimum(value, rounded))",
        "return np.asarray(value)",
        "attention, 16 bits",
    ),
    _softmax(
        "the gap is held in float64 alone",
        "held = [gap, round_array(gap, self.fmt)]",
        "held = [gap]",
        "attention, 16 bits",
    ),
    _softmax(
        "the largest possible score is the largest",
        "top = (low == high) & (low == high.max(axis=-1, keepdims=True))",
        "top = high == high.max(axis=-1, keepdims=True)",
        "networks, attention",
    ),
    _softmax(
        "the sum does not round",
        "more = np.maximum(count - 2, 0) * u",
        "more = 0 * count * u",
        "attention, 16 bits",
    ),
    _softmax(
        "absorbed whatever is beside it",
        "absorbed = (others_high <= u) & (top_low == 1) & (top_high == 1)",
        "absorbed = (top_low == 1) & (top_high == 1)",
        "attention, float32",
    ),
    _softmax(
        "absorbed up to 2u", "absorbed = (others_high <= u)", "absorbed = (others_high <= 2 * u)", "attention, float32"
    ),
    _softmax(
        "nothing is kept beside a 1",
        "kept = others_high if self.kernel.accumulator is not None else np.zeros_like(others_high)",
        "kept = np.zeros_like(others_high)",
        "attention, 16 bits",
    ),
    _softmax(
        "no reciprocal",
        "for part in (quotient, *products)]",
        "for part in (quotient,)]",
        "quotients",
    ),
    _softmax(
        "the reciprocal does not round",
        "inverses = [inverse, self.rounded(inverse, up=up)]",
        "inverses = [inverse]",
        "quotients",
    ),
    _softmax(
        "the quotient does not round",
        "found = [self.rounded(part, up=up) for part in (quotient, *products)]",
        "found = [part for part in (quotient, *products)]",
        "quotients",
    ),
    _softmax(
        "hardmax of scores that may tie is uniform",
        "if not ((low == high) | ~visible).all():",
        "if False:",
        "networks, attention",
    ),
)
