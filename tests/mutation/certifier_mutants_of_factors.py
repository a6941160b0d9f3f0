"""Mutants of rows with factors: an error left out, a factor or an unknown number shared or bounded wrongly."""

from __future__ import annotations

from tests.mutation.certifier_mutant import Mutant, of

_HOME = "verify.certificates.relational.factors"
_ROWS, _OPERATIONS = "rows with factors", "operations with factors"
_table, _parts, _rows = (of(_ROWS, f"{_HOME}.{name}") for name in ("table", "parts", "rows"))
_sums, _mixing, _norms = (of(_OPERATIONS, f"{_HOME}.{name}") for name in ("linear", "mixing", "norms"))
_kernels = of("factors of norms", f"{_HOME}.kernels")

_REAL, _FLOATS = "factors, real", "factors, floats"

FACTORS: tuple[Mutant, ...] = (
    _table("one factor for two rows", "return (number,)", "return (min(self._factors),)", _REAL),
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
        "nothing lowers a bound",
        "low, high = low + reduce_sum([end.low for end in ends]), high",
        "low, high = low, high",
        _REAL,
    ),
    _rows(
        "errors of equal factors are dropped",
        "more[monomial] = more[monomial] + error",
        "more[monomial] = error",
        _FLOATS,
    ),
    _sums(
        "nothing rounds before the last operation",
        "rounded = whole.with_errors(self._before_last(row, weight, bias, allowed), self.table)",
        "rounded = whole",
        _FLOATS,
    ),
    _mixing(
        "a weight is its least value", "self.table.factor(low, high)", "self.table.factor(low, low)", _REAL, _FLOATS
    ),
    _norms("the mean is that of no error", "one.error.mean(axis=1) + slack", "slack", _REAL, _FLOATS),
    _kernels("the factor is its least", "return Bounds(low, high)", "return Bounds(low, low)", _REAL, _FLOATS),
    _kernels(
        "the largest square is the least",
        "least = np.maximum(roots.low - apart, 0) ** 2",
        "least = roots.high**2",
        _REAL,
    ),
)
