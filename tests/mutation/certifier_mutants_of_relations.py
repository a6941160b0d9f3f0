"""Mutants of relations: unknown tokens that are kept one by one."""

from __future__ import annotations

from tests.mutation.certifier_mutant import Mutant, of

_tokens = of("unknown tokens in relations", "verify.certificates.relational.arithmetic")
_boxes = of("relations of boxes", "verify.certificates.relational.floats")
_balls = of("relations of balls", "verify.certificates.relational.balls")

_FLOATS, _BALLS = "tokens, floats", "tokens, balls"

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
    _tokens("a table skips relu", "self._each(rows, self.enclosures.inner.relu)", "dict(rows.tables)", _FLOATS, _BALLS),
    _tokens(
        "a part of a sum is left out",
        "self.enclosures.inner.total, couples",
        "lambda held: held[0], couples",
        _FLOATS,
        _BALLS,
    ),
    _tokens(
        "hulls of the last alternative alone",
        "choice.low - choice.first",
        "choice.high - choice.first",
        _FLOATS,
        _BALLS,
    ),
    _tokens("known rows are those of the first place", "one(part.rows, place)", "one(part.rows, 0)", _FLOATS, _BALLS),
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
)
