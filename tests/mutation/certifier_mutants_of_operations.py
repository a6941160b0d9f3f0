"""Mutants of operations on boxes, and of softmax."""

from __future__ import annotations

from tests.mutation.certifier_mutant import Mutant, of

_operations = of("operations on boxes", "verify.certificates.floats.arithmetic")
_embeddings = of("operations on boxes", "verify.certificates.floats.boxes")
_linear = of("linear maps on boxes", "verify.certificates.floats.linear")
_kinds = of("kinds of kernels", "verify.certificates.floats.rounding.fused")
_softmax = of("softmax", "verify.certificates.floats.softmax")

OPERATIONS: tuple[Mutant, ...] = (
    _linear(
        "products with any weight do not round",
        "found = ~is_power_of_two(values) & ~simple",
        "found = ~is_power_of_two(values) & False",
        "sums, 16 bits",
    ),
    _kinds(
        "a chain from a bias of 0 rounds nothing",
        "return np.asarray(bias == 0)",
        "return np.zeros(bias.shape, dtype=np.bool_)",
        "sums, fused",
    ),
    _linear(
        "fused means fused without a bias, too",
        "if bias is not None:\n            found &= self.rounding.rounds_products(bias.values)",
        "found &= self.rounding.rounds_products(np.ones(1) if bias is None else bias.values)",
        "sums, fused",
    ),
    _linear(
        "products of sums with a bias do not round",
        "found &= self.rounding.rounds_products(bias.values)",
        "found &= bias.values == 0",
        "sums, separate",
    ),
    _linear(
        "negative weights take the wrong end",
        "low = product(x_low, positive) + product(x_high, negative)",
        "low = product(x_low, positive) + product(x_low, negative)",
        "sums, 16 bits",
    ),
    _linear("the bias is no term", "count = count + (shift != 0)", "pass", "sums, 16 bits"),
    _linear(
        "the bias has no magnitude",
        "low, high, magnitude = low + shift, high + shift, magnitude + np.abs(shift)",
        "low, high = low + shift, high + shift",
        "sums, 16 bits",
    ),
    _linear("the bias is on every grid", "grid = np.minimum(grid, bias.grid[:, 0])", "pass", "sums, 16 bits"),
    _linear(
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
    _embeddings(
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
        "RoundedWeight(values, grid, matrix.held_by(self.fmt))",
        "RoundedWeight(values, grid, exact=True)",
        "exactness",
        "nothing rounds",
    ),
    _linear(
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
        "return self._rounded_or_not(value, up=up)",
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
        "hardmax between bounds",
    ),
)
