"""Mutants of the sieves of margins, in floats and in balls, and of balls themselves."""

from __future__ import annotations

from tests.mutation.certifier_mutant import Mutant, of

_coarse = of("coarse sieve", "verify.certificates.floats.margins")
_pairs = of("sieve of pairs", "verify.certificates.floats.pairs_of_tokens")
_order = of("rounding of sums", "verify.certificates.floats.rounding.base")
_fused, _separate, _reversed = (
    of("kinds of kernels", f"verify.certificates.floats.rounding.{name}")
    for name in ("fused", "separate", "reversed_order")
)
_floats = of("floats one by one", "verify.certificates.floats.pairs_of_tokens")
_sparse = of("cells that share", "verify.certificates.floats.sparse")
_ball_sieve = of("sieve of balls", "verify.certificates.balls.margins")
_balls = of("balls", "verify.certificates.balls.arithmetic")
_ball_rows = of("balls", "verify.certificates.balls.rows")
_attention = of("attention of balls", "verify.certificates.balls.attention")
_columns = of("columns of balls", "verify.certificates.balls.columns")

MARGINS: tuple[Mutant, ...] = (
    _coarse(
        "no rounding of a logit",
        "each = error + self.arithmetic.last_rounding(most + error)",
        "each = 0 * error",
        "networks, bfloat16, points",
    ),
    _coarse(
        "one logit rounds alone",
        "allowed = (2 * each + 2 * (radius @ self.heaviest)) * (1 + 8 * self.unit)",
        "allowed = (each / 4 + 2 * (radius @ self.heaviest)) * (1 + 8 * self.unit)",
        "networks, bfloat16, points",
    ),
    _coarse(
        "no radius",
        "allowed = (2 * each + 2 * (radius @ self.heaviest)) * (1 + 8 * self.unit)",
        "allowed = 2 * each",
        "networks, boxes",
    ),
    _coarse(
        "the radius moves one logit", "2 * (radius @ self.heaviest)", "(radius @ self.heaviest) / 4", "networks, boxes"
    ),
    _coarse(
        "a group is not allowed for rounding",
        "allowed = (2 * largest + 4 * (len(used) + 6) * self.unit * slack) * (1 + 8 * self.unit)",
        "allowed = 0 * largest",
        "networks, bfloat16, points",
    ),
    _coarse(
        "another rises its least",
        "rise += np.maximum(slope * hull_low",
        "rise += np.minimum(slope * hull_low",
        "networks, boxes",
    ),
    _coarse(
        "the hull of a group is its first cell",
        "hull_low, hull_high = np.minimum.reduceat(low, starts), np.maximum.reduceat(high, starts)",
        "hull_low, hull_high = low[starts], high[starts]",
        "leaks",
    ),
    _coarse(
        "suspects are forgotten",
        "return lower, where[kept], other[kept]",
        "return lower, where[kept][:0], other[kept][:0]",
        "networks, bfloat16, points",
    ),
    _coarse(
        "the first suspect alone",
        "return lower, where[kept], other[kept]",
        "return lower, where[kept][:1], other[kept][:1]",
        "networks, bfloat16",
    ),
    _coarse(
        "the largest margin counts",
        "lower = np.where(suspect, np.inf, gaps).min(axis=1)[group]",
        "lower = np.where(suspect, np.inf, gaps).max(axis=1)[group]",
        "leaks",
    ),
    _coarse(
        "what is not finite is certain",
        "found = np.full(len(expected), -np.inf, dtype=self.dtype)\n            if finite",
        "found = np.full(len(expected), np.inf, dtype=self.dtype)\n            if finite",
        "wrong in floats",
    ),
    _coarse(
        "equal boxes of other tokens are one",
        "np.concatenate([low.astype(np.float64), high.astype(np.float64), expected[:, None]], axis=1)",
        "np.concatenate([low.astype(np.float64), high.astype(np.float64)], axis=1)",
        "liars",
    ),
    _pairs(
        "half the error of a pair",
        "lower = lower - np.where(whole, 0, error + rounding)",
        "lower = lower - np.where(whole, 0, error + rounding) / 2",
        "networks, boxes",
    ),
    _pairs(
        "a pair's sums do not round",
        "lower = lower - np.where(whole, 0, error + rounding)",
        "lower = lower - np.where(whole, 0, rounding)",
        "networks, bfloat16, points",
    ),
    _pairs(
        "a pair's results do not round",
        "lower = lower - np.where(whole, 0, error + rounding)",
        "lower = lower - np.where(whole, 0, error)",
        "networks, bfloat16, points",
    ),
    _pairs(
        "one of the two logits rounds",
        "for token in (own, other):\n            terms",
        "for token in (own,):\n            terms",
        "networks, bfloat16, points",
    ),
    _pairs(
        "the largest difference",
        "least = np.minimum(difference * low, difference * high)\n        shift",
        "least = np.maximum(difference * low, difference * high)\n        shift",
        "networks, boxes",
    ),
    _pairs(
        "no slack of the checker",
        "lower = np.where(exact, lower, lower - (low.shape[1] + 6) * (self.unit * size + self.smallest))",
        "pass",
        "built networks",
    ),
    _pairs(
        "products do not round",
        "np.where(simple, 0, size).sum(axis=1),",
        "np.where(simple, 0, 0 * size).sum(axis=1),",
        "networks, cancelling",
    ),
    _pairs(
        "products of sums with a bias do not round",
        "simple |= ~self.rounding.rounds_products(shift)[:, None]",
        "simple |= (shift != 0)[:, None]",
        "networks, cancelling, separate",
    ),
    _pairs(
        "the bias is no term",
        "(size != 0).sum(axis=1, dtype=self.dtype) + (shift != 0),",
        "(size != 0).sum(axis=1, dtype=self.dtype),",
        "networks, bfloat16, points",
    ),
    _pairs(
        "missing magnitudes", "size.sum(axis=1) + np.abs(shift),", "size.sum(axis=1),", "networks, bfloat16, points"
    ),
    _pairs(
        "signed magnitudes",
        "size = np.maximum(np.abs(least), np.abs(most))\n        simple",
        "size = np.maximum(least, most)\n        simple",
        "networks, bfloat16, points",
    ),
    _pairs(
        "the bias is on every grid", "np.minimum(grid, self.bias_grid[token]),", "grid,", "networks, bfloat16, points"
    ),
    _floats(
        "the first float alone",
        "active = active[(lower[active] > 0) & (step < total[active])]",
        "active = active[:0]",
        "networks, few floats",
    ),
    _floats(
        "one float too few",
        "counts = np.where(many, 1, last - first + 1)",
        "counts = np.where(many, 1, np.maximum(last - first, 1))",
        "networks, few floats",
    ),
    _floats(
        "too many floats are certain",
        "lower = np.where(total > self.points, -np.inf, np.inf)",
        "lower = np.where(total > self.points, np.inf, np.inf)",
        "networks, boxes",
    ),
    _floats(
        "the other's lower bound",
        "_, other_high = self._logit(x, other[active])",
        "other_high, _ = self._logit(x, other[active])",
        "networks, bfloat16, points",
    ),
    _floats(
        "the own upper bound",
        "own_low, _ = self._logit(x, own[active])",
        "_, own_low = self._logit(x, own[active])",
        "networks, bfloat16, points",
    ),
    _floats(
        "logits do not round",
        "low = arithmetic.rounded(lowered(terms.low, error), up=False)",
        "low = terms.low",
        "networks, bfloat16, points",
    ),
    _order(
        "products are rounded",
        "return [*kept, *rounded]",
        "return rounded",
        "networks, cancelling",
    ),
    _order(
        "products are not rounded",
        "return [*kept, *rounded]",
        "return kept",
        "networks, cancelling",
    ),
    _fused(
        "fused products are rounded",
        "return kept",
        "return rounded",
        "networks, cancelling, fused",
    ),
    _separate(
        "separate products are not rounded",
        "return rounded",
        "return kept",
        "networks, cancelling, separate",
    ),
    _reversed(
        "products in reversed order are not rounded",
        "return rounded",
        "return kept",
        "networks, cancelling, reversed",
    ),
    _floats(
        "two products are one",
        "single = ((self.weight[token] * x) != 0).sum(axis=1) <= 1",
        "single = ((self.weight[token] * x) != 0).sum(axis=1) <= 2",
        "networks, bfloat16, points",
    ),
    _floats(
        "a sum's error is forgotten",
        "below = np.where(error < 0, next_down(total), total)",
        "below = total",
        "built networks",
    ),
    _floats(
        "every logit is exact",
        "return np.where(whole, terms.low, low), np.where(whole, terms.high, high)",
        "return terms.low, terms.high",
        "networks, bfloat16, points",
    ),
    _ball_sieve(
        "no slack",
        "allowed = (2 * slack + 2 * (radius @ self.heaviest)) * (1 + 16 * _UNIT)",
        "allowed = 2 * (radius @ self.heaviest)",
        "built networks, balls",
    ),
    _ball_sieve(
        "no radius",
        "allowed = (2 * slack + 2 * (radius @ self.heaviest)) * (1 + 16 * _UNIT)",
        "allowed = 2 * slack",
        "balls, hardmax",
    ),
    _ball_sieve(
        "signed weights",
        "self.heaviest = np.abs(self.weight).max(axis=0, initial=0)",
        "self.heaviest = self.weight.max(axis=0, initial=0)",
        "balls, readout",
    ),
    _ball_sieve(
        "a difference's largest value",
        "(difference * column.low[batch, 0]).min(difference * column.high[batch, 0])",
        "(difference * column.low[batch, 0]).max(difference * column.high[batch, 0])",
        "balls, readout",
        "balls, hardmax",
    ),
    _ball_sieve("0 is positive", "positive=bool(total > 0)", "positive=not bool(total < 0)", "balls, readout"),
    _ball_sieve(
        "every cell is the first",
        "batch = 0 if column.low.shape[0] == 1 else cell",
        "batch = 0",
        "leaks",
    ),
    _ball_sieve(
        "the bias of the other is forgotten",
        "total = shifts[own] - shifts[other]",
        "total = shifts[own]",
        "balls, readout",
    ),
    _ball_rows(
        "bounds round to nearest",
        "return np.nextafter(below, -np.inf), np.nextafter(above, np.inf)",
        "return below, above",
        "columns",
    ),
    _ball_rows(
        "bounds round inward",
        "return np.nextafter(below, -np.inf), np.nextafter(above, np.inf)",
        "return np.nextafter(below, np.inf), np.nextafter(above, -np.inf)",
        "columns",
    ),
    _attention(
        "the others as they are likely",
        "low[batch, query, key] = _weight(least[place], most, place)",
        "low[batch, query, key] = _weight(least[place], least, place)",
        "soft balls",
    ),
    _balls(
        "q below 1 turns nothing over",
        "softmax(Column(scores.low, scores.high).scaled(gap), visible)",
        "softmax(Column(scores.low, scores.high).map(lambda values: values * gap), visible)",
        "soft balls",
    ),
    _attention(
        "a possible lead is a lead",
        "if all(bool(least > most) or _equal(least, most) for _, most in values)",
        "if all(bool(least >= other) for other, _ in values)",
        "hard balls",
    ),
    _attention(
        "hidden keys count",
        "keys = np.flatnonzero(visible[query])\n",
        "keys = np.arange(visible.shape[1])\n",
        "soft balls",
    ),
    _balls(
        "an embedding between two is the first",
        "most = least if known else [extreme(values, larger) for values in ranges]",
        "most = least if known else [extreme(values, smaller) for values in ranges]",
        "columns",
    ),
    _columns(
        "a negative factor keeps the ends",
        "return Column(self.high * factor, self.low * factor)",
        "return Column(self.low * factor, self.high * factor)",
        "columns",
    ),
    _columns(
        "hull swapped",
        "smaller(smaller(corners[0], corners[1]), smaller(corners[2], corners[3])),",
        "larger(smaller(corners[0], corners[1]), smaller(corners[2], corners[3])),",
        "columns",
    ),
    _columns(
        "two corners of a product",
        "corners = [a * b for a in (self.low, self.high) for b in (factor.low, factor.high)]",
        "corners = [a * b for a in (self.low, self.high) for b in (factor.low, factor.low)]",
        "columns",
    ),
    _columns(
        "ReLU keeps what is negative",
        "column.map(_relu)",
        "column.map(np.copy)",
        "balls, linear",
    ),
    _columns(
        "ReLU forgets what may be positive",
        "larger(changed[either], ZERO)",
        "ZERO",
        "columns",
    ),
    _columns(
        "all members have the first one's token",
        "(place,) = alike(np.array(same)[place])",
        "place = np.array(same)[place][:1]",
        "columns",
    ),
    _columns(
        "a sum of the lower ends",
        "low if self.known and other.known else self.high + other.high",
        "low if self.known or other.known else self.high + other.high",
        "balls, linear",
    ),
)
