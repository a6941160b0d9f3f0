"""Mutants of cells that share: sheets of targets, trees of positions, sums of few terms, and balls of equal members."""

from __future__ import annotations

from tests.mutation.certifier_mutant import Mutant, of

_sheets = of("sheets of targets", "verify.certificates.sheets")
_told = of("sheets of targets", "verify.certificates.told")
_shared = of("places that share", "verify.certificates.shared_cells")
_passes = of("passes that are part of a longer one", "verify.certificates.sharing")
_parts = of("passes that are part of a longer one", "constructions.layers.weighted")
_whole = of("passes that are part of a longer one", "constructions.transformer")
_branched = of("boxes of a tree", "verify.certificates.floats.branched")
_branched_rows = of("boxes of a tree", "verify.certificates.floats.branched_rows")
_slots = of("sums of few terms", "verify.certificates.floats.slots")
_linear = of("matrices of few entries", "verify.certificates.floats.linear")
_few = of("matrices of few entries", "verify.certificates.floats.boxes")
_columns = of("balls that share", "verify.certificates.balls.columns")

_LIARS, _AGREE, _COVER = "sharing, liars", "sharing, margins", "sharing, covering"
_APART = "sharing, apart"

SHARING: tuple[Mutant, ...] = (
    _told(
        "members are not held against what is told of their cells",
        "if (members[chosen, columns] != told).any():",
        "if False:",
        _LIARS,
    ),
    _told(
        "what is told of none is not compared",
        "return np.flatnonzero(found)",
        "return np.flatnonzero(found)[:0]",
        _LIARS,
    ),
    _sheets(
        "members are not held against prompts of all targets",
        "if not self.prompt[0].holds(found.reshape(len(found), *self.prompt[0].low.shape[1:])):",
        "if False:",
        _LIARS,
    ),
    _sheets(
        "prompts asked again are not compared",
        "if told.differs(found, row[members]) or (found[:, told.rest] != rest[members]).any():",
        "if False:",
        _LIARS,
    ),
    _sheets(
        "answers asked again are not compared",
        "if told.differs(tokens, ordered) or (tokens[:, told.rest] != rest[order]).any():",
        "if False:",
        _LIARS,
    ),
    _sheets(
        "many are asked only as they may not be changed",
        "again.setflags(write=user in asked)",
        "again.setflags(write=False)",
        _LIARS,
    ),
    _sheets("none is asked alone", "alone = order[:ALONE]", "alone = order[:0]", _LIARS),
    _sheets(
        "every place goes through its cells in one order",
        "drawn = random.permuted(np.broadcast_to(values, shape), axis=1).reshape(-1, count)",
        "drawn = np.broadcast_to(values, shape).reshape(-1, count)",
        _LIARS,
    ),
    _sheets(
        "one end alone",
        "ends = np.repeat([0, largest], len(low))[:, None]",
        "ends = np.repeat([largest, largest], len(low))[:, None]",
        _LIARS,
    ),
    _sheets(
        "the other end alone",
        "ends = np.repeat([0, largest], len(low))[:, None]",
        "ends = np.repeat([0, 0], len(low))[:, None]",
        _LIARS,
    ),
    _sheets("no member is at an end", "low = self._at_ends()", "low = self._at_ends()[:0]", _LIARS),
    _sheets(
        "the last cell alone has a member at its end",
        "values = np.arange(1 if every else self.rows - 1, self.rows,",
        "values = np.arange(self.rows - 1, self.rows,",
        _LIARS,
    ),
    _sheets(
        "denominators are not compared in a forward pass",
        "if prompt.denominator != self.prompt[1]:",
        "if False:",
        _LIARS,
    ),
    _sheets(
        "rows may be a set of numbers",
        "if (low != high).any() or denominator != self.prompt[1]:",
        "if False:",
        argument="A number that depends on fixed entries alone has one value, as what it depends on is tracked.",
        proof=_AGREE,
    ),
    _sheets(
        "answers are not held against bounds",
        "if any((part[:, steps] != found[user][chosen][:, steps]).any() for part in (promised.low, promised.high)):",
        "if False:",
        argument="Members that are drawn are held against the same answers, and against bounds over all targets.",
        proof=_LIARS,
    ),
    _shared(
        "fed tokens are the first member's", "place.promised.high for place", "place.promised.low for place", _COVER
    ),
    _shared(
        "prompts are the first member's",
        "Ratios(prompt.high, denominator),",
        "Ratios(prompt.low, denominator),",
        _COVER,
    ),
    _shared("the first step's tokens are expected", "[:, place.step]", "[:, 0]", _COVER),
    _shared(
        "places of one user input alone",
        "for user, branch in users.items():",
        "for user, branch in [*users.items()][:1]:",
        _COVER,
    ),
    _shared("fed tokens are not seen", "alike & (depth[None, :]", "(branch[None, :] == -1) & (depth[None, :]", _AGREE),
    _shared("every branch sees the others", "alike & (depth[None, :]", "(depth[None, :]", _AGREE),
    _shared(
        "every place is on the first branch",
        "last + place.branch * each",
        "last",
        _AGREE,
    ),
    _shared(
        "coordinates that are linked",
        "if any(int(numbers[at]) & ~fixed for entry in place.entries for at in depending[entry]):",
        "if False:",
        argument="Such a coordinate is a set of numbers in a row of the sheet, which is refused there.",
        proof=_APART,
    ),
    _passes(
        "a mask that changes with the length",
        "if not all(np.array_equal(",
        "if not any(np.array_equal(",
        argument="A position sees the same keys before it in every mask of the library. Others are not believed.",
        proof=_APART,
    ),
    _passes("layers that depend on the length", "if not model.transformer.runs_by_position:", "if False:", _LIARS),
    _parts(
        "a subclass is taken at its parent's word",
        'bool(vars(type(part)).get("by_position"))',
        "part.by_position",
        argument="Classes of the library say it of themselves, and those of others are not believed.",
        proof=_LIARS,
    ),
    _parts("the code of others is believed", "if not is_ours(thing):", "if False:", _LIARS),
    _whole(
        "positions may be counted from anywhere",
        "return (self.positions, *self.layers)",
        "return self.layers",
        _LIARS,
    ),
    _passes(
        "scores that are scaled by the length",
        'if isinstance(temperature, Softmax) and temperature.scaled_by == "length":',
        "if False:",
        _APART,
    ),
    _branched(
        "what is not finite does not spread",
        "if self._sparse.wild(*boxes):",
        "if False:",
        _APART,
    ),
    _branched(
        "scores that differ are those of all cells",
        'raise UnsharedError("scores that differ among cells")',
        "pass",
        _APART,
    ),
    _branched(
        "equal numbers are one, whatever their biases",
        "for held in (weight, bias) if held is not None",
        "for held in (weight,) if held is not None",
        _AGREE,
    ),
    _branched(
        "equal numbers are one, whatever is promised",
        "key = box.contents, promised.tobytes()",
        "key = box.contents",
        _LIARS,
    ),
    _branched(
        "a place attends from the first node",
        "(part[:, own : own + 1, nodes] for part in (attention.low, attention.high))",
        "(part[:, :1, nodes] for part in (attention.low, attention.high))",
        _AGREE,
    ),
    _branched(
        "a place reads one node alone",
        "np.flatnonzero(attention.magnitude[0, own] if one_weight else self._tree.sees[own])",
        "np.flatnonzero(attention.magnitude[0, own] if one_weight else self._tree.sees[own])[:1]",
        _AGREE,
    ),
    _branched_rows(
        "upper ends of a prompt",
        "for part in (cells.low, cells.high):",
        "for part in (cells.low, cells.low):",
        _AGREE,
    ),
    _slots(
        "the first term of every sum alone",
        "    return found\n\n\ndef nonzero",
        "    return found[:, :1]\n\n\ndef nonzero",
        "sums of few terms",
    ),
    _slots(
        "a grid that every product is on",
        "(piece[2] != 0).any(axis=0)",
        "(piece[2] != 0).all(axis=0)",
        "sums of few terms",
    ),
    _columns(
        "equal lower bounds are equal columns",
        "if all((part == part[:1]).all() for part in parts)",
        "if (parts[0] == parts[0][:1]).all()",
        "balls that share",
    ),
    _columns("every factor is positive", "all(value >= 0 for value in factor.low.flat)", "True", "balls that share"),
    _linear(
        "negative weights take the wrong end",
        "low = total(x_low * positive) + total(x_high * negative)",
        "low = total(x_low * positive) + total(x_low * negative)",
        "few entries",
    ),
    _linear(
        "no product rounds",
        "may_round = ~is_power_of_two(values) & ~simple",
        "may_round = ~is_power_of_two(values) & False",
        "few entries",
    ),
    _linear("the bias is no term", "high + shift, count + (shift != 0)", "high + shift, count", "few entries"),
    _linear(
        "the bias has no magnitude", "magnitude + np.abs(shift), np.minimum", "magnitude, np.minimum", "few entries"
    ),
    _linear(
        "the bias is on every grid",
        "np.abs(shift), np.minimum(grid, bias.grid[:, 0])",
        "np.abs(shift), grid",
        "few entries",
    ),
    _linear(
        "one held term is enough",
        "held=np.asarray(held.all(axis=3))",
        "held=np.asarray(held.any(axis=3))",
        "few entries",
    ),
    _linear(
        "factors lose nothing",
        "reduced = total(np.broadcast_to(lost, size.shape))",
        "reduced = 0 * total(np.broadcast_to(lost, size.shape))",
        "few entries, units",
    ),
    _few(
        "the first entry of every row alone",
        "found.columns[at], found.numbers[at], found.grids[at] = ",
        "at = at[0], 0 * at[1]\n        found.columns[at], found.numbers[at], found.grids[at] = ",
        "few entries",
    ),
)
