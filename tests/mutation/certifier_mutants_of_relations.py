"""Mutants of relations: unknown tokens that are kept one by one."""

from __future__ import annotations

from tests.mutation.certifier_mutant import Mutant, of

_tokens = of("unknown tokens in relations", "verify.certificates.relational.arithmetic")
_tables = of("tables of unknown tokens", "verify.certificates.relational.alternatives")
_boxes = of("relations of boxes", "verify.certificates.relational.floats")
_balls = of("relations of balls", "verify.certificates.relational.balls")

_monomials = of("monomials", "verify.certificates.relational.monomials")
_forms = of("forms", "verify.certificates.relational.forms")
_lines = of("lines", "verify.certificates.relational.lines")
_float_lines = of("lines of floats", "verify.certificates.relational.float_lines")
_ball_lines = of("lines of balls", "verify.certificates.relational.ball_lines")

_FLOATS, _BALLS = "tokens, floats", "tokens, balls"
_scaled = of("logits of a norm", "verify.certificates.relational.scaled")
_SYMBOLS, _SCALED = "symbols", "norms, floats"
_FLOAT_LINES, _BALL_LINES = "lines, floats", "lines, balls"

RELATIONS: tuple[Mutant, ...] = (
    _tokens(
        "cells share the first one's tokens",
        "if (low == low[:1]).all() and (high == high[:1]).all():",
        "if True:",
        _FLOATS,
    ),
    _tokens("rows below are not moved", "{count + place: table", "{place: table", _FLOATS, _BALLS),
    _tokens("the first row is the last", ".count(rows.rows) - 1", ".count(rows.rows) - 2", _FLOATS, _BALLS),
    _tokens(
        "no bias in a table", "inner.linear(alternatives, weight, bias)", "inner.linear(alternatives, weight)", _FLOATS
    ),
    _tokens(
        "a table skips relu",
        "self._tables.each(rows, self.enclosures.inner.relu)",
        "dict(rows.tables)",
        _FLOATS,
        _BALLS,
    ),
    _tokens(
        "a part of a sum is left out",
        "self.enclosures.inner.total, couples",
        "lambda held: held[0], couples",
        _FLOATS,
        _BALLS,
    ),
    _tables(
        "hulls of the last alternative alone",
        "choice.low - choice.first",
        "choice.high - choice.first",
        _FLOATS,
        _BALLS,
    ),
    _tables("known rows are those of the first place", "one(part.rows, place)", "one(part.rows, 0)", _FLOATS, _BALLS),
    _tokens("tables begin with token 0", "choice.first + np.arange", "np.arange", _FLOATS, _BALLS),
    _boxes("the last alternative is left out", "slice(start, stop + 1)", "slice(start, max(stop, start + 1))", _FLOATS),
    _boxes(
        "the largest is the smallest", "inner.high[0, each].max(axis=0)", "inner.high[0, each].min(axis=0)", _FLOATS
    ),
    _boxes(
        "every cell has the first one's alternatives",
        "Box(low[place, None], high[place, None], inner.grid, inner.exact)",
        "Box(low[:1, None], high[:1, None], inner.grid, inner.exact)",
        _FLOATS,
    ),
    _boxes("a hull that all cells share is the first one's", "low.min(axis=0)[None, None]", "low[:1, None]", _FLOATS),
    _boxes("the first row is met", "both[1][:, place] =", "both[1][:, 0] =", _FLOATS),
    _balls("the last alternative is left out", "slice(start, stop + 1)", "slice(start, max(stop, start + 1))", _BALLS),
    _balls("the largest is the smallest", "column.high[0, each]), larger)", "column.high[0, each]), smaller)", _BALLS),
    _balls("every cell has the first one's alternatives", "[place][:, None]", "[0 * place][:, None]", _BALLS),
    _balls("another row is met", "larger(own.low[:, place]", "larger(own.low[:, 0]", _BALLS),
    _tokens("a line of all rows in the last", "self.base.last(rows.origin.rows)", "rows.origin.rows", _BALL_LINES),
    _lines(
        "all directions are one",
        "return all(bool(one * b",
        "return True or all(bool(one * b",
        _FLOAT_LINES,
        _BALL_LINES,
    ),
    _float_lines("no kinks", "for kink in self.pieces.kinks:\n", "for kink in ():\n", _FLOAT_LINES),
    _float_lines("kinks of the first row alone", "places[:, inside]", "places[:1, inside]", _FLOAT_LINES),
    _float_lines(
        "the rounding of hidden floats is forgotten", "(away @ heavy.T)", "0 * (away @ heavy.T)", _FLOAT_LINES
    ),
    _float_lines("errors may cancel", "away @ heavy.T", "away @ w.T", _FLOAT_LINES),
    _float_lines("the largest is the smallest", "totals.max(axis=1)", "totals.min(axis=1)", _FLOAT_LINES),
    _float_lines("coordinates of a line are known", "known[:, line.columns] = 0", "pass", _FLOAT_LINES),
    _float_lines("no bias of the hidden floats", "shift + self.shift.values[line.units, 0]", "shift", _FLOAT_LINES),
    _float_lines("no bias of the sum", "low + bias.values[:, 0], high", "low, high", _FLOAT_LINES),
    _float_lines("units of a line are left out", "alone = np.ones", "alone = np.zeros", _FLOAT_LINES),
    _float_lines(
        "the kernel sums exactly",
        "below, above, _ = self.arithmetic.summed(replace(terms, low=low, high=high))",
        "below, above = low, high",
        _FLOAT_LINES,
    ),
    _ball_lines("no kinks", "for kink in self.pieces.kinks:", "for kink in ():", _BALL_LINES),
    _ball_lines(
        "kinks that may be outside are left out", "if not (place < least or place > most):", "if False:", _BALL_LINES
    ),
    _ball_lines(
        "the largest is the smallest",
        "return extreme(values, smaller), extreme(values, larger)",
        "return extreme(values, smaller), extreme(values, smaller)",
        _BALL_LINES,
    ),
    _ball_lines("no bias of the hidden numbers", "shift = self.origin.bias.entries[unit][0][1]", "pass", _BALL_LINES),
    _ball_lines("no bias of the sum", "part + self.bias.entries[output][0][1]", "part", _BALL_LINES),
    _ball_lines("other units are left out", "if unit not in along and column is not None:", "if False:", _BALL_LINES),
    _ball_lines("known coordinates are left out", "if column not in columns:", "if False:", _BALL_LINES),
    _lines(
        "directions agree but for their second column",
        "zip(left[1:], right[1:]",
        "zip(left[2:], right[2:]",
        _FLOAT_LINES,
    ),
    _forms("a known number is that of the first cell", "part.known and len(part.low) == 1", "part.known", _SYMBOLS),
    _monomials("no constants", "return [_constant(sum", "return [{} or _constant(0 * sum", _SYMBOLS),
    _forms("any factor is common", "frozenset.intersection(*form)", "frozenset.union(*form)", _SYMBOLS),
    _monomials(
        "positive where it may be",
        "all(value >= 0 for value in inner.low)",
        "all(value >= 0 for value in inner.high)",
        _SYMBOLS,
    ),
    _monomials(
        "negative where it may be",
        "all(value <= 0 for value in inner.high)",
        "all(value <= 0 for value in inner.low)",
        _SYMBOLS,
    ),
    _monomials("nothing falls", "combined([(falling, form)])", "{}", _SYMBOLS),
    _monomials(
        "no common factor is kept", "return {factor: {Unknown(Column", "return {ALONE: {Unknown(Column", _SYMBOLS
    ),
    _monomials("no mean is taken off", "if centred:", "if False:", _SYMBOLS),
    _monomials("the sum is taken off", "flint.fmpq(-1, width)", "flint.fmpq(-1)", _SYMBOLS),
    _monomials("squares are averaged always", "flint.arb(width if mean else 1)", "flint.arb(width)", _SYMBOLS),
    _monomials("nothing is added under the root", "part / divisor + added", "part / divisor", _SYMBOLS),
    _monomials("the length is the largest", "for part in (most, least)", "for part in (most, most)", _SYMBOLS),
    _monomials(
        "the smallest square is that of an end",
        "if most < 0 else ZERO",
        "if most < 0 else (least * least).min(most * most)",
        _SYMBOLS,
    ),
    _monomials(
        "the largest square is that of the largest", "(least * least).max(most * most)", "most * most", _SYMBOLS
    ),
    _monomials("attention is no factor", "_multiplied(form, symbols)", "form", _SYMBOLS),
    _monomials("a margin of the smallest factor", ".min(ahead * outer.high[at])", "", _SYMBOLS),
    _monomials("a margin of the first cell", "inner[cell if len(inner) > 1 else 0]", "inner[0]", _SYMBOLS),
    _monomials(
        "the last token is never compared",
        "for token in range(len(logits)):",
        "for token in range(len(logits) - 1):",
        _SYMBOLS,
    ),
    _scaled("the sums round nothing", "gaps = gaps - (error + error[own][:, None])", "gaps = gaps", _SCALED),
    _scaled(
        "biases over the largest factor",
        "np.minimum(raised / least[:, None], raised / most[:, None])",
        "raised / most[:, None]",
        _SCALED,
    ),
    _scaled(
        "the lower end of every coordinate",
        "np.minimum(difference * low[:, None], difference * high[:, None])",
        "(difference * low[:, None])",
        _SCALED,
    ),
    _scaled(
        "the least factor of a coordinate's least",
        "(nearest[1] - off) / farthest[0]",
        "(farthest[1] - off) / nearest[0]",
        _SCALED,
    ),
    _scaled(
        "a margin that is negative is that of the least factor",
        "np.minimum(ahead * least[part], ahead * most[part])",
        "ahead * least[part]",
        _SCALED,
    ),
)
