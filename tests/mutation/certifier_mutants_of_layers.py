"""Mutants of norms, products of rows, activations and score biases in floats."""

from __future__ import annotations

from tests.mutation.certifier_mutant import Mutant, of

_norms = of("norms", "verify.certificates.floats.norms")
_spreads = of("spreads of rows", "verify.certificates.floats.spreads")
_products = of("products of rows", "verify.certificates.floats.products")
_activations = of("activations", "verify.certificates.floats.pointwise")
_valleys = of("activations", "constructions.activations.base")
_biases = of("score biases", "verify.certificates.floats.score_bias")
_shared = of("layers on cells", "verify.certificates.floats.sparse")

LAYERS: tuple[Mutant, ...] = (
    _norms("no allowance for the root", "2 * RSQRT_ULPS * u,", "0 * u,", "norms, float64"),
    _norms("a division alone", "2 * RSQRT_ULPS * u,", "u,", "norms, float64"),
    _norms(
        "eps is forgotten",
        'added = number(float(min(eps, FORMATS["float64"].largest)))',
        "added = number(0)",
        "norms, float32",
    ),
    _norms("sums are exact", "count = width + 14", "count = 0", "norms, stagnating"),
    _norms("sums are as in pairs", "count = width + 14", "count = 14", "norms, stagnating"),
    _norms("means are exact", "furthest = np.maximum(in_passes, merged)", "furthest = none", "norms, float32"),
    _norms(
        "means are merged alone",
        "furthest = np.maximum(in_passes, merged)",
        "furthest = merged",
        "norms, stagnating",
    ),
    _norms("nothing underflows", "lost = times * (8 * tiny + (width + 4) * finest)", "lost = 0", "norms, 16 bits"),
    _norms(
        "nothing overflows",
        " | self._overflows(spread, errors, centred=centred)",
        "",
        "layers, not finite",
    ),
    _norms("a root of 0 divides", "wild | ~(root > 0) |", "wild |", "layers, not finite"),
    _norms(
        "what is not finite does not spread",
        "return tainted(self.box(least, most, grid, exact=False), wild)",
        "return self.box(least, most, grid, exact=False)",
        "layers, not finite",
    ),
    _norms(
        "the lower bound is that of the upper end",
        "_quotient(spread, errors, -spread.low)",
        "_quotient(spread, errors, -spread.high)",
        "norms, float32",
    ),
    _norms(
        "the least is the largest",
        "return np.asarray(np.where(z >= 0, positive, -_least(spread, errors, size) * (1 - errors.of_root)))",
        "return np.asarray(np.where(z >= 0, positive, -_largest(spread, errors, size) * (1 - errors.of_root)))",
        "norms, float32",
    ),
    _norms("one square alone, twice over", "1 - 8 * u, 0) / divisor", "1 - 8 * u, 0) * 2 / divisor", "norms, float32"),
    _spreads("k is 1 about a mean", "width / max(width - 1, 1)\n    sizes", "1\n    sizes", "norms, float32"),
    _spreads(
        "the others are at their largest",
        "rest = (_without_each(squares) * (1 - own)",
        "rest = (_without_each(largest) * (1 - own)",
        "norms, float32",
    ),
    _spreads(
        "a coordinate is one of the others",
        "others_low, others_high = _sum(low) - low, _sum(high) - high",
        "others_low, others_high = _sum(low), _sum(high)",
        "norms, float32",
    ),
    _products(
        "a norm rounds before its weight",
        "if self.kernel.accumulator is not None and not rows.exact:",
        "if False:",
        "affine maps",
    ),
    _products(
        "a product is always rounded before the bias",
        "else self._kept(low, high)",
        "else self._kept(low, high)[1:]",
        "affine maps",
    ),
    _products(
        "a product is never rounded before the bias",
        "else self._kept(low, high)",
        "else [(low, high)]",
        "affine maps",
    ),
    _products(
        "products do not round",
        "below = np.where(whole, low, self.rounded(below, up=False))",
        "below = np.where(whole, low, below)",
        "products of rows",
    ),
    _products(
        "two corners are enough",
        "return np.minimum.reduce(lows), np.maximum.reduce(highs)",
        "return np.minimum(lows[0], lows[3]), np.maximum(highs[0], highs[3])",
        "products of rows",
    ),
    _products(
        "products are on a grid one too coarse",
        "EVERYTHING, left + right)",
        "EVERYTHING, left + right + 1)",
        "products of rows",
    ),
    _products("nothing underflows", "np.asarray(held & fits(", "np.asarray(fits(", "products of rows"),
    _products(
        "every product fits",
        "fits(size, grid, self.fmt.precision) &",
        "fits(size, grid, 2 * self.fmt.precision) &",
        "products of rows",
    ),
    _activations("no units", "return error.ulps * spacing + ", "return 0 * spacing + ", "activations"),
    _activations("no absolute allowance", " + ball(error.absolute)", "", "activations"),
    _activations("nothing underflows", ".max(ball(self.kernel.smallest))", "", "activations"),
    _activations(
        "the lower end alone",
        "flint.arb(float(low)), flint.arb(float(high))",
        "flint.arb(float(low)), flint.arb(float(low))",
        "activations",
    ),
    _valleys(
        "the lowest point is forgotten",
        "return self.ball(left.union(right)), at_low.max(at_high)",
        "return at_low.min(at_high), at_low.max(at_high)",
        "activations",
    ),
    _biases(
        "a sum does not round",
        "self._rounded_or_not(total, up=up)",
        "total",
        "score biases",
    ),
    _biases("the largest possible exponent is the largest", "top = z_low >=", "top = z_high >=", "score biases"),
    _biases(
        "a hidden shift is finite",
        "unbounded(scores, along=-1) | unbounded(shift, along=-1)",
        "unbounded(scores, along=-1)",
        "hidden shifts",
    ),
    _biases("0 times infinity is 0", "if not (gap_low > 0 and np.isfinite(gap_high)):", "if False:", "hidden shifts"),
    _biases(
        "exponents are finite",
        "(~(np.isfinite(z_low) & np.isfinite(z_high)) & visible)",
        "(~visible & visible)",
        "hidden shifts",
    ),
    _biases(
        "the table begins at 0",
        "table.values[None, start:stop, :stop]",
        "table.values[None, : stop - start, :stop]",
        "score biases",
    ),
    _shared(
        "a weight is of the first places",
        "part.part(rows.places, first)",
        "part.part(np.arange(len(rows.places)), first)",
        "sparse, layers",
    ),
    _shared(
        "a norm is of what differs alone",
        "return by_what_differs(self.base.normalise(rows.dense(), centred=centred, mean=mean, eps=eps))",
        "return SparseRows(self.base.normalise(rows.shared, centred=centred, mean=mean, eps=eps), rows.places,"
        " self.base.normalise(rows.varying, centred=centred, mean=mean, eps=eps))",
        "sparse, layers",
    ),
)
