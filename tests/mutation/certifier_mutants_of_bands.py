"""Mutants of the margins of large readouts: by bands, by groups of cells, and by digits."""

from __future__ import annotations

from tests.mutation.certifier_mutant import Mutant, of

_bands = of("margins by bands", "verify.certificates.floats.bands")
_runs = of("runs of tokens", "verify.certificates.floats.readout_rows")
_groups = of("groups of cells", "verify.certificates.floats.groups_of_cells")
_digits = of("margins by digits", "verify.certificates.floats.additive")

BANDS: tuple[Mutant, ...] = (
    _bands(
        "the largest own logit of a run",
        "own = np.minimum.reduceat(self.own[inside]",
        "own = np.maximum.reduceat(self.own[inside]",
        "bands",
    ),
    _bands(
        "the hull of a run is its first cell",
        "low = np.minimum.reduceat(self.low[inside], starts)[:, runs.columns]",
        "low = self.low[first][:, runs.columns]",
        "bands",
    ),
    _bands(
        "the hull of a run is too low",
        "high = np.maximum.reduceat(self.high[inside], starts)[:, runs.columns]",
        "high = np.minimum.reduceat(self.high[inside], starts)[:, runs.columns]",
        "bands",
    ),
    _bands(
        "the smallest product of a run", "top = np.maximum.reduce(corners)", "top = np.minimum.reduce(corners)", "bands"
    ),
    _bands(
        "the lowest row of a run", "for number in (runs.low, runs.high)", "for number in (runs.low, runs.low)", "bands"
    ),
    _bands("no bias of a run", ".sum(axis=2) + runs.bias\n", ".sum(axis=2)\n", "bands"),
    _bands(
        "near runs are forgotten",
        "self.runs.tokens(np.flatnonzero(kept[place])), found)",
        "self.runs.tokens(np.flatnonzero(kept[place])[:1]), found)",
        "bands",
    ),
    _bands(
        "margins in another order",
        "found[order] = Near(",
        "found[np.sort(order)] = Near(",
        "bands",
    ),
    _bands(
        "boxes in another order",
        "Near(arithmetic, (low[order], high[order], grid)",
        "Near(arithmetic, (low, high, grid)",
        "bands",
    ),
    _bands(
        "the largest own logit",
        "least = np.minimum(numbers * low, numbers * high).sum(axis=1) + shift",
        "least = np.maximum(numbers * low, numbers * high).sum(axis=1) + shift",
        "bands",
    ),
    _bands(
        "no own bias",
        "least = np.minimum(numbers * low, numbers * high).sum(axis=1) + shift",
        "least = np.minimum(numbers * low, numbers * high).sum(axis=1) + 0 * shift",
        "bands",
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
        "bands",
    ),
    _runs(
        "the smallest bias",
        "biases = np.maximum.reduceat(rows.bias, starts)",
        "biases = np.minimum.reduceat(rows.bias, starts)",
        "bands",
    ),
    _runs(
        "the first row of each column",
        "for ends in (np.minimum, np.maximum))",
        "for ends in (np.minimum, np.minimum))",
        "bands",
    ),
    _groups(
        "the hull is the first cell",
        "np.minimum.reduceat(low, starts), np.maximum.reduceat(high, starts)",
        "low[starts], high[starts]",
        "bands",
    ),
    _groups(
        "the best cell of a group",
        "np.minimum.reduceat(gain - near.error[everywhere], starts)",
        "np.maximum.reduceat(gain - near.error[everywhere], starts)",
        "bands",
    ),
    _groups(
        "the smallest rise",
        "rise = np.maximum(slope * self.low[group]",
        "rise = np.minimum(slope * self.low[group]",
        "bands",
    ),
    _groups(
        "no bias in the rise",
        ".sum(axis=1) + (shift - self.shift[group])",
        ".sum(axis=1)",
        "bands",
    ),
    _groups(
        "what is not settled is left out",
        "at, token = at[kept], token[kept]",
        "at, token = at[~kept], token[~kept]",
        "bands",
    ),
    _groups(
        "the last part of a group is forgotten",
        "count = -(-np.minimum(size, len(self.cells) - at) // part)",
        "count = np.minimum(size, len(self.cells) - at) // part",
        "bands",
    ),
    _groups(
        "tokens before the promised one alone",
        "other = self.tokens[token] != self.near.expected[self.cells[at]]",
        "other = self.tokens[token] < self.near.expected[self.cells[at]]",
        "bands",
    ),
    _groups(
        "the last pair counts",
        "np.minimum.at(found, self.cells[cell], margins)",
        "found[self.cells[cell]] = margins",
        "bands",
    ),
    _groups(
        "groups of the first batch alone",
        "at, token = np.repeat(at, count) + part * counted(count), np.repeat(token, count)",
        "at, token = np.repeat(at, count) + 0 * counted(count), np.repeat(token, count)",
        "bands",
    ),
    _digits(
        "tokens of the same digits are told apart",
        "biases is None or not _distinct(classes)",
        "biases is None",
        "digits",
    ),
    _digits("any bias is a sum", "return found if (total == bias).all() else None", "return found", "digits"),
    _digits(
        "the best digit",
        "least = np.minimum.reduce([one.least for one in compared])",
        "least = np.maximum.reduce([one.least for one in compared])",
        "digits",
    ),
    _digits(
        "no bias",
        ".sum(axis=2) + (part.bias[label][:, None] - part.bias[None])",
        ".sum(axis=2)",
        "digits",
    ),
    _digits(
        "the bias is on every grid",
        ".min(initial=EVERYTHING)), int(bias.grid.min()))",
        ".min(initial=EVERYTHING)), EVERYTHING)",
        "digits",
    ),
    _digits("the smallest sizes", "sizes.max(axis=1),", "sizes.min(axis=1),", "digits"),
)
