"""Mutants of rows with factors, each contradicted by a killer that is aimed at the error it drops."""

from __future__ import annotations

from tests.mutation.certifier_mutant import Mutant, of

_HOME = "verify.certificates.relational.factors"

_sums, _mixing, _norms = (of("operations with factors", f"{_HOME}.{name}") for name in ("linear", "mixing", "norms"))
_rounded = of("allowances of kernels, with factors", f"{_HOME}.rounded")
_activations = of("activations with factors", f"{_HOME}.activations")
_products = of("products with factors", f"{_HOME}.products")
_margins = of("margins with factors", f"{_HOME}.margins")
_kernels = of("factors of norms", f"{_HOME}.kernels")

_SUMS, _NORMS, _MIXING = "factors, aimed sums", "factors, aimed norms", "factors, aimed mixing"
_ACTIVATIONS, _PRODUCTS, _MARGINS = "factors, aimed activations", "factors, aimed products", "factors, aimed margins"

AIMED: tuple[Mutant, ...] = (
    # sums
    _sums(
        "a linear map has no last rounding",
        "return rounded.loosened(self.table, allowed.last)",
        "return rounded",
        _SUMS,
    ),
    _sums(
        "a sum of rows has no last rounding",
        "(ALONE, allowed.tiny[None])], self.table).loosened(self.table, allowed.last)",
        "(ALONE, allowed.tiny[None])], self.table)",
        _SUMS,
        _MIXING,
    ),
    _sums(
        "errors of a sum of rows are relative to the sum",
        "for term in terms\n",
        "for term in [whole]\n",
        _SUMS,
        _MIXING,
    ),
    _sums(
        "weighted rows are no products", "self._error(most, most * products,", "self._error(most, most * 0,", _MIXING
    ),
    _sums("a product does not round", "before = allowed.product * rounding + ", "before = ", _SUMS),
    _sums(
        "partial sums do not round",
        "allowed.product * rounding + allowed.partial * magnitude",
        "allowed.product * rounding",
        _SUMS,
    ),
    _sums(
        "nothing is below the normal range",
        "allowed, len(heavy)) + allowed.tiny)]",
        "allowed, len(heavy)))]",
        _SUMS,
    ),
    _sums(
        "an affine map does not round",
        "both = (step + last) * (1 + 2 * self.kernels.step) + slack(2)",
        "both = step * 0 + slack(2)",
        _SUMS,
    ),
    _sums("an affine product does not round", "both = (step + last) *", "both = last *", _SUMS),
    _sums("an affine sum does not round", "both = (step + last) *", "both = step *", _SUMS),
    _sums(
        "a logit has no last rounding",
        "return [*before, *((monomial, allowed.last * most * grown) for monomial, most in [*sums, *before])]",
        "return before",
        _MARGINS,
    ),
    # norms
    _norms(
        "the computed mean is the mean",
        "self.table.unknown(-errors.mean, errors.mean)",
        "self.table.unknown(-0 * errors.mean, 0 * errors.mean)",
        _NORMS,
    ),
    _norms(
        "no coordinate is rounded", "own = step * (size + average) + slack(1) * size", "own = slack(1) * size", _NORMS
    ),
    _norms("the mean has no share in roundings", "own = step * (size + average) +", "own = step * size +", _NORMS),
    _norms(
        "a row without its mean is as long as with it",
        "share = 1 - int(np.sum(nonzero)) / row.width if centred else 1.0",
        "share = 1.0",
        _NORMS,
    ),
    _norms(
        "a piece ends where it starts", "np.maximum(np.abs(cuts[:-1]), np.abs(cuts[1:]))", "np.abs(cuts[:-1])", _NORMS
    ),
    _norms(
        "a piece starts where it ends", "np.maximum(np.abs(cuts[:-1]), np.abs(cuts[1:]))", "np.abs(cuts[1:])", _NORMS
    ),
    _norms("a piece has its least factor", "self.table.times(ALONE)).high\n", "self.table.times(ALONE)).low\n", _NORMS),
    _norms(
        "the pieces are those of a cell",
        "low, high = ends.low.min(axis=0), ends.high.max(axis=0)",
        "low, high = ends.low[0], ends.high[0]",
        _NORMS,
    ),
    _norms(
        "no sum of squares overflows",
        "& (found.high <= errors.normal[1]) & errors.finite",
        "& (found.high <= errors.normal[1])",
        _NORMS,
    ),
    _kernels(
        "the mean in two passes is not in the factor", "roots.high**2 + self.width * off**2", "roots.high**2", _NORMS
    ),
    # attention
    _mixing(
        "a partial sum of weighted rows does not overflow",
        "self.table.note(self._magnitude(reduce_sum([term.magnitude(self.table) for term in weighted]), allowed))",
        "",
        _MIXING,
    ),
    _mixing(
        "a weight is its least value, twice", "self.table.factor(low, high)", "self.table.factor(low, low)", _MIXING
    ),
    _mixing(
        "a weight that may be 0 is 0",
        "most = np.maximum(np.abs(low), np.abs(high))[:, None]",
        "most = np.abs(low)[:, None]",
        _MIXING,
    ),
    _mixing("a weight that is all but known is its middle", "slopes=one.known.T,", "slopes=0 * one.known.T,", _MIXING),
    # kernels
    _rounded(
        "the last operation does not round",
        "np.where(rounds, self.rounding.last_unit + self._twice, 0) * own",
        "0 * own * growth",
        _SUMS,
        _MARGINS,
    ),
    _rounded(
        "a single product does not round", "rounds = several | ((count == 1) & ~single)", "rounds = several", _SUMS
    ),
    _rounded("two products do not round", "np.where(several, unit * (1 + growth), 0) * own", "0 * own * growth", _SUMS),
    _rounded("three terms are two", "np.where(several, growth, 0) * own", "0 * own * growth", _SUMS, _MARGINS),
    _rounded(
        "sums have no tiny errors",
        "np.where(count > 0, (count + 1) * (self.rounding.underflow + self.rounding.single_underflow), 0)",
        "0 * growth",
        _SUMS,
    ),
    _rounded(
        "operations have no tiny errors", "self.tiny = 2 * float(arithmetic.kernel.smallest)", "self.tiny = 0.0", _SUMS
    ),
    _rounded(
        "an operation does not round",
        "self.step = float(fmt.unit_roundoff) + self._twice",
        "self.step = 0.0",
        _SUMS,
        _PRODUCTS,
    ),
    _rounded(
        "an activation is off by half its allowance",
        "return 2 * error.ulps * float(fmt.unit_roundoff), absolute",
        "return error.ulps * float(fmt.unit_roundoff), absolute",
        _ACTIVATIONS,
    ),
    _rounded(
        "an activation has no absolute error",
        "return 2 * error.ulps * float(fmt.unit_roundoff), absolute * (1 + 16 * UNIT)",
        "return 2 * error.ulps * float(fmt.unit_roundoff), 0.0",
        _ACTIVATIONS,
    ),
    _rounded(
        "the mean is merged", "np.maximum(_every(errors.mean), _every(errors.merged))", "_every(errors.merged)", _NORMS
    ),
    _rounded("one rounding of a coordinate less its mean", "steps = 2 if centred else 1", "steps = 1", _NORMS),
    _rounded("nothing overflows", "~wild[:, 0, 0]", "wild[:, 0, 0] | True", _NORMS),
    # activations
    _activations(
        "ReLU is no distance away",
        "more = away * (1 + slack(1)) + absolute",
        "more = away * 0 + absolute",
        _ACTIVATIONS,
    ),
    _activations("kernels are right", "return whole.loosened(self.table, relative)", "return whole", _ACTIVATIONS),
    _activations("an argument is not doubled", "self.table.note(2 * size)", "self.table.note(size)", _ACTIVATIONS),
    _activations(
        "the farthest number is too near",
        "far = _power_below(nearest), 2 * _power_below(farthest)",
        "far = _power_below(nearest), _power_below(farthest)",
        _ACTIVATIONS,
    ),
    _activations(
        "the nearest number is too far",
        "near, far = _power_below(nearest),",
        "near, far = 2 * _power_below(nearest),",
        _ACTIVATIONS,
    ),
    _activations(
        "0 is not between",
        "np.where((low <= 0) & (high >= 0), 0, np.minimum(np.abs(low), np.abs(high)))",
        "np.minimum(np.abs(low), np.abs(high))",
        _ACTIVATIONS,
    ),
    _activations(
        "all coordinates have the ratio of the first",
        "error = np.where(near, apart, 0) * one.size(self.table)",
        "error = 0 * one.size(self.table)",
        _ACTIVATIONS,
    ),
    _activations(
        "the ratio is its least",
        "return float(np.nextafter(float(least.lower()), 0)), float(np.nextafter(float(most.upper()), np.inf))",
        "return (float(least.lower()),) * 2",
        _ACTIVATIONS,
    ),
    _activations(
        "half of a ReLU is known",
        "part(factor, half, np.abs(half) * (1 + 4 * UNIT))",
        "part(factor, half, 0 * half)",
        _ACTIVATIONS,
    ),
    _activations(
        "ReLU keeps what some cell keeps",
        "np.where(every, one.known, np.where(mixed & where, centre, 0))",
        "np.where(some, one.known, 0)",
        _ACTIVATIONS,
    ),
    _activations(
        "a mixed coordinate is its centre",
        "np.where(every, one.error, np.where(mixed & where, wide, 0))",
        "np.where(every, one.error, 0)",
        _ACTIVATIONS,
    ),
    # products
    _products(
        "a product does not round", "return whole.loosened(self.table, self.kernels.step)", "return whole", _PRODUCTS
    ),
    _products("no product is tiny", "tiny = (self.kernels.tiny * moving)[None]", "tiny = (0.0 * moving)[None]", _SUMS),
    _products(
        "no product overflows", "self.table.note(whole.magnitude(self.table) * (1 + self.kernels.step))", "", _PRODUCTS
    ),
    _products(
        "the left error is exact",
        "left.error * right.size(self.table)\n",
        "0 * left.error * right.size(self.table)\n",
        _PRODUCTS,
    ),
    _products("the right error is exact", "+ left.size(self.table) * right.error", "+ 0 * right.error", _PRODUCTS),
    _products("left slopes are dropped", "+ linear[0].error\n", "\n", _PRODUCTS),
    _products("right slopes are dropped", "+ linear[1].error\n", "\n", _PRODUCTS),
    _products("many products are their middle", "error + (high / 2 - low / 2)", "error", _PRODUCTS),
    _products(
        "products have two corners",
        "corners = [end * another for end in one for another in other]",
        "corners = [end * another for end, another in zip(one, other)]",
        _PRODUCTS,
    ),
    # margins
    _margins(
        "the promised logit is exact",
        "(places + places[np.arange(len(expected)), expected][:, None])",
        "places",
        _MARGINS,
    ),
    _margins(
        "the other logit is exact",
        "(places + places[np.arange(len(expected)), expected][:, None])",
        "(0 * places + places[np.arange(len(expected)), expected][:, None])",
        _MARGINS,
    ),
    _margins("a factor is its largest", "np.where(inner > 0, inner * low, inner * high)", "inner * high", _MARGINS),
    _margins(
        "a factor is its least",
        "np.where(bounds.low > 0, bounds.low * below, bounds.low * above)",
        "bounds.low * below",
        _MARGINS,
    ),
    _margins("unknown numbers are their middle", "+ (np.abs(slopes) * radius).sum(axis=2)", "", _MARGINS),
    _margins("errors are left out", "wide = (np.abs(difference) * own).sum(axis=2) +", "wide =", _MARGINS),
)
