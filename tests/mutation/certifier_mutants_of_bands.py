"""Mutants of the margins of large readouts: by bands, and by groups of cells."""

from __future__ import annotations

from tests.mutation.certifier_mutant import Mutant, of

_bands = of("margins by bands", "verify.certificates.floats.bands")
_runs = of("runs of tokens", "verify.certificates.floats.readout_rows")
_groups = of("groups of cells", "verify.certificates.floats.groups_of_cells")

BANDS: tuple[Mutant, ...] = (
    _bands(
        "the own logit of a run does not round",
        "own = np.minimum.reduceat(self.own[inside] - self.error[inside], starts)",
        "own = np.minimum.reduceat(self.own[inside], starts)",
        "bands, all pairs",
    ),
    _bands(
        "the largest own logit of a run",
        "own = np.minimum.reduceat(self.own[inside]",
        "own = np.maximum.reduceat(self.own[inside]",
        "bands, all pairs",
    ),
    _bands(
        "the hull of a run is its first cell",
        "low = np.minimum.reduceat(self.low[inside], starts)[:, runs.columns]",
        "low = self.low[first][:, runs.columns]",
        "bands, all pairs",
    ),
    _bands(
        "the hull of a run is too low",
        "high = np.maximum.reduceat(self.high[inside], starts)[:, runs.columns]",
        "high = np.minimum.reduceat(self.high[inside], starts)[:, runs.columns]",
        "bands, all pairs",
    ),
    _bands(
        "the smallest product of a run",
        "top = np.maximum.reduce(corners)",
        "top = np.minimum.reduce(corners)",
        "bands, all pairs",
    ),
    _bands(
        "the lowest row of a run",
        "for number in (runs.low, runs.high)",
        "for number in (runs.low, runs.low)",
        "bands, all pairs",
    ),
    _bands("no bias of a run", ".sum(axis=2) + runs.bias\n", ".sum(axis=2)\n", "bands, all pairs"),
    _bands(
        "the logits of a run do not round",
        "allowed = (error + (size.shape[2] + 6)",
        "allowed = (0 * error + (size.shape[2] + 6)",
        "bands, all pairs",
    ),
    _bands("the bias of a run has no size", ".sum(axis=2) + runs.bias_size", ".sum(axis=2)", "bands, all pairs"),
    _bands(
        "every run is exact",
        "nothing = np.full(magnitude.shape, -EVERYTHING)",
        "nothing = np.full(magnitude.shape, 0)",
        "bands, all pairs",
    ),
    _bands(
        "the largest margin of runs counts",
        "np.where(kept[place], np.inf, gaps[place]).min()",
        "np.where(kept[place], -np.inf, gaps[place]).max()",
        "bands, all pairs",
    ),
    _bands(
        "near runs are forgotten",
        "self.runs.tokens(np.flatnonzero(kept[place])), found)",
        "self.runs.tokens(np.flatnonzero(kept[place])[:1]), found)",
        "bands, all pairs",
    ),
    _bands(
        "margins in another order",
        "found[order] = Near(",
        "found[np.sort(order)] = Near(",
        "bands, all pairs",
    ),
    _bands(
        "boxes in another order",
        "Near(arithmetic, (low[order], high[order], grid)",
        "Near(arithmetic, (low, high, grid)",
        "bands, all pairs",
    ),
    _bands(
        "the largest own logit",
        "least = np.minimum(numbers * low, numbers * high).sum(axis=1) + shift",
        "least = np.maximum(numbers * low, numbers * high).sum(axis=1) + shift",
        "bands, all pairs",
    ),
    _bands(
        "no own bias",
        "least = np.minimum(numbers * low, numbers * high).sum(axis=1) + shift",
        "least = np.minimum(numbers * low, numbers * high).sum(axis=1) + 0 * shift",
        "bands, all pairs",
    ),
    _bands(
        "the bias is on every grid",
        "count, np.minimum(on, shift_grid), reduced)",
        "count, on, reduced)",
        "bands, all pairs",
    ),
    _bands(
        "weights are on every grid",
        "on = np.where(used, grid + number_grid, EVERYTHING)",
        "on = np.where(used, grid, EVERYTHING)",
        "bands, all pairs",
    ),
    _bands(
        "a bias has no size",
        "magnitude = products.sum(axis=1) + np.abs(shift)",
        "magnitude = products.sum(axis=1)",
        "bands, all pairs",
    ),
    _bands(
        "the bias is no term",
        "count = used.sum(axis=1, dtype=self.dtype) + (shift != 0)",
        "count = used.sum(axis=1, dtype=self.dtype)",
        "bands, all pairs",
    ),
    _bands(
        "the first tokens alone",
        "for start in range(0, len(tokens), step):",
        "for start in range(0, min(len(tokens), step), step):",
        "bands, in batches",
    ),
    _bands(
        "the first runs of cells alone",
        "chosen = np.arange(start, min(start + chunk, len(self.starts)))",
        "chosen = np.arange(0, min(chunk, len(self.starts)))",
        "bands, in batches",
    ),
    _runs(
        "the zeros of other rows are forgotten",
        "np.where(some, np.minimum(low, 0), low), np.where(some, np.maximum(high, 0), high)",
        "low, high",
        "bands, all pairs",
    ),
    _runs(
        "the smallest bias",
        "biases = np.maximum.reduceat(rows.bias, starts)",
        "biases = np.minimum.reduceat(rows.bias, starts)",
        "bands, all pairs",
    ),
    _runs(
        "the first row of each column",
        "for ends in (np.minimum, np.maximum))",
        "for ends in (np.minimum, np.minimum))",
        "bands, all pairs",
    ),
    _runs(
        "logits are not rounded at last",
        "error = error + arithmetic.last_rounding(magnitude + error)",
        "error = 1 * error",
        "bands, all pairs",
    ),
    _runs(
        "every logit is exact",
        "np.where(whole, 0, error * (1",
        "np.where(whole, 0, 0 * error * (1",
        "bands, all pairs",
        "digits, all pairs",
    ),
    _groups(
        "what is between bounds is on the grid of one",
        "np.where(low == high, np.maximum(grid_of(low), grid), grid)",
        "np.maximum(grid_of(low), grid)",
        "bands, all pairs",
    ),
    _groups(
        "the hull is the first cell",
        "np.minimum.reduceat(low, starts), np.maximum.reduceat(high, starts)",
        "low[starts], high[starts]",
        "bands, all pairs",
    ),
    _groups(
        "the coarsest grid",
        "np.minimum.reduceat(known_grids(low, high, groups.grid), starts)",
        "np.maximum.reduceat(known_grids(low, high, groups.grid), starts)",
        "bands, groups",
    ),
    _groups(
        "the largest gain",
        "gain = np.minimum(slope * low, slope * high)",
        "gain = np.maximum(slope * low, slope * high)",
        "bands, groups",
    ),
    _groups(
        "no bias in the gain",
        ".sum(axis=1) + (groups.shift[own] - self.shift[group])",
        ".sum(axis=1)",
        "bands, groups",
    ),
    _groups(
        "the own logit does not round",
        "np.minimum.reduceat(gain - near.error[everywhere], starts)",
        "np.minimum.reduceat(gain, starts)",
        "bands, all pairs",
    ),
    _groups(
        "the best cell of a group",
        "np.minimum.reduceat(gain - near.error[everywhere], starts)",
        "np.maximum.reduceat(gain - near.error[everywhere], starts)",
        "bands, all pairs",
    ),
    _groups(
        "the smallest rise",
        "rise = np.maximum(slope * self.low[group]",
        "rise = np.minimum(slope * self.low[group]",
        "bands, all pairs",
    ),
    _groups(
        "no bias in the rise",
        ".sum(axis=1) + (shift - self.shift[group])",
        ".sum(axis=1)",
        "bands, all pairs",
    ),
    _groups(
        "the other logit does not round",
        "self.least[group] - rise - (error + slack)",
        "self.least[group] - rise - (0 * error + slack)",
        "bands, all pairs",
    ),
    _groups(
        "settled groups have no margin",
        "np.minimum.at(found, self.cells[cells], np.repeat(least, hulls.counts))",
        "pass",
        "bands, all pairs",
    ),
    _groups(
        "a settled group has the margin of its first cell alone",
        "np.minimum.at(found, self.cells[cells], np.repeat(least, hulls.counts))",
        "np.minimum.at(found, self.cells[firsts], least)",
        "bands, all pairs",
    ),
    _groups(
        "what is not settled is left out",
        "at, token = at[kept], token[kept]",
        "at, token = at[~kept], token[~kept]",
        "bands, all pairs",
    ),
    _groups(
        "the last part of a group is forgotten",
        "count = -(-np.minimum(size, len(self.cells) - at) // part)",
        "count = np.minimum(size, len(self.cells) - at) // part",
        "bands, all pairs",
    ),
    _groups(
        "tokens before the promised one alone",
        "other = self.tokens[token] != self.near.expected[self.cells[at]]",
        "other = self.tokens[token] < self.near.expected[self.cells[at]]",
        "bands, all pairs",
    ),
    _groups(
        "the last pair counts",
        "np.minimum.at(found, self.cells[cell], margins)",
        "found[self.cells[cell]] = margins",
        "bands, all pairs",
    ),
    _groups(
        "pairs of the first cell",
        "margins = sieve.pairs(self.low[cell], self.high[cell], self.own[cell], which)",
        "margins = sieve.pairs(self.low[cell], self.high[cell], self.own[0 * cell], which)",
        "bands, undecided",
    ),
    _groups(
        "inputs are as large as their lower ends",
        "self.largest = np.maximum(np.abs(self.low), np.abs(self.high))",
        "self.largest = np.abs(self.low)",
        "bands, all pairs",
    ),
    _groups(
        "groups of the first batch alone",
        "at, token = np.repeat(at, count) + part * counted(count), np.repeat(token, count)",
        "at, token = np.repeat(at, count) + 0 * counted(count), np.repeat(token, count)",
        "bands, all pairs",
    ),
)
