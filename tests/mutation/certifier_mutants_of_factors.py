"""Mutants of rows with factors: an error left out, a factor or an unknown number shared or bounded wrongly."""

from __future__ import annotations

from tests.mutation.certifier_mutant import Mutant, of

_HOME = "verify.certificates.relational.factors"
_table = of("tables of factors", f"{_HOME}.table")
_parts = of("parts with factors", f"{_HOME}.parts")
_rows = of("rows with factors", f"{_HOME}.rows")
_sums = of("sums with factors", f"{_HOME}.linear")
_mixing = of("attention with factors", f"{_HOME}.mixing")
_norms = of("norms with factors", f"{_HOME}.norms")
_kernels = of("kernels of factors", f"{_HOME}.kernels")
_rounded = of("float kernels of factors", f"{_HOME}.rounded")
_smooth = of("activations with factors", f"{_HOME}.activations")
_products = of("products with factors", f"{_HOME}.products")
_margins = of("margins with factors", f"{_HOME}.margins")

_REAL, _FLOATS, _MODELS = "factors, real", "factors, floats", "factors, models"

FACTORS: tuple[Mutant, ...] = (
    _table("one factor for two rows", "return (len(self._factors) - 1,)", "return (0,)", _REAL),
    _table(
        "a product of unknown numbers has one corner",
        "for end in left for another in right",
        "for end in left[:1] for another in right[:1]",
        _REAL,
    ),
    _parts(
        "errors are left out of bounds",
        "radius @ np.abs(self.slopes).T + self.error",
        "radius @ np.abs(self.slopes).T",
        _REAL,
        _FLOATS,
    ),
    _parts(
        "the middle of unknown numbers is 0",
        "centre, wide = self.known + middle @ self.slopes.T",
        "centre, wide = self.known + 0 * (middle @ self.slopes.T)",
        _REAL,
    ),
    _rows(
        "the least factor for all bounds",
        "low, high = low + reduce_sum([end.low for end in ends]), high",
        "low, high = low, high",
        _REAL,
    ),
    _rows(
        "errors of equal factors are dropped",
        "more[monomial] = more[monomial] + error",
        "more[monomial] = error",
        _FLOATS,
        _MODELS,
    ),
    _sums(
        "nothing rounds before the last operation",
        "rounded = whole.with_errors(self._before_last(row, weight, bias, allowed), self.table)",
        "rounded = whole",
        _FLOATS,
    ),
    _sums(
        "the last operation rounds nothing",
        "return rounded.loosened(self.table, allowed.last)",
        "return rounded",
        _FLOATS,
        _MODELS,
    ),
    _sums(
        "sums of rows round nothing",
        "allowed.tiny * (count > 1)).loosened(self.table, allowed.last)",
        "allowed.tiny * (count > 1))",
        _FLOATS,
    ),
    _mixing(
        "a weight is its least value", "self.table.factor(low, high)", "self.table.factor(low, low)", _REAL, _FLOATS
    ),
    _mixing("no largest value", "np.maximum(-ends.low, ends.high)", "np.maximum(-ends.low, ends.low)", _REAL),
    _norms("the mean is that of no error", "one.error.mean(axis=1) + slack", "slack", _REAL, _FLOATS),
    _norms(
        "the mean is not off",
        "off = self.table.unknown(-errors.mean, errors.mean)",
        "off = self.table.unknown(0 * errors.mean, 0 * errors.mean)",
        _FLOATS,
    ),
    _norms(
        "coordinates round nothing", "own = step * (size + average)", "own = 0 * (size + average)", _FLOATS, _MODELS
    ),
    _norms(
        "every coordinate is a part of the mean",
        "share = 1 - int(np.sum(nonzero)) / row.width if centred else 1.0",
        "share = 1.0",
        _REAL,
    ),
    _norms("the largest factor is that of the first piece", "_PIECES + 1 if largest > least else 2)", "3)[:2]", _REAL),
    _kernels("the factor is its least", "return Bounds(low, high)", "return Bounds(low, low)", _REAL, _FLOATS),
    _kernels(
        "nothing under the root", "least = np.maximum(roots.low - apart, 0) ** 2", "least = roots.high ** 2", _REAL
    ),
    _rounded("a single rounding of a centred coordinate", "steps = 2 if centred else 1", "steps = 0", _FLOATS),
    _rounded(
        "activations are exact",
        "return 2 * error.ulps * float(fmt.unit_roundoff), absolute",
        "return 0.0, 0 * absolute",
        _FLOATS,
    ),
    _smooth("gelu is relu", "more = away * (1 + slack(1)) + absolute", "more = 0 * away + absolute", _REAL),
    _smooth(
        "every number rises",
        "rises = np.asarray((ends.low >= 0) | (inner.low >= 0))",
        "rises = np.asarray((ends.high >= 0) | (inner.low >= 0))",
        _REAL,
    ),
    _smooth(
        "all numbers are near the first",
        "near = np.asarray(far & (apart * size < away))",
        "near, apart = far, 0 * apart",
        _REAL,
    ),
    _products(
        "products round nothing", "return whole.loosened(self.table, self.kernels.step)", "return whole", _FLOATS
    ),
    _products("products of unknown numbers are left out", "[] if met is None else [met]", "[]", _REAL),
    _margins(
        "logits are exact",
        "pieces += [(monomial, _around(0, self._both(",
        "pieces += [(monomial, _around(0, 0 * self._both(",
        _FLOATS,
    ),
    _margins(
        "the largest factor for every margin",
        "taken = np.where(inner > 0, inner * low, inner * high)",
        "taken = inner * high",
        _REAL,
        _FLOATS,
    ),
)
