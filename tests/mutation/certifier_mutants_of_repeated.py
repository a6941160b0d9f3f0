"""Mutants of rows that passes have in common: one that is handed out where it is another one's."""

from __future__ import annotations

from tests.mutation.certifier_mutant import Mutant, of

_HOME = "verify.certificates.relational.factors"
_repeated = of("rows that passes have in common", f"{_HOME}.repeated")
_table = of("rows with factors", f"{_HOME}.table")
_keys = of("keys of rows in common", f"{_HOME}.arithmetic")

_PASSES, _ONE, _NOTED = "factors, other passes", "factors, one pass", "factors, noted"

REPEATED: tuple[Mutant, ...] = (
    _repeated("any weights", "(*key, *rows, *(id(weight) for weight in weights))", "(*key, *rows)", _PASSES),
    _repeated("any rows", "(*key, *rows, *(id", "(*key, *(id", _PASSES),
    _repeated("any operation", "(*key, *rows, *(id", "(*rows, *(id", _PASSES),
    _repeated("any token", "self._sources[key], *key)", "self._sources[key], key[0])", _PASSES),
    _repeated("once in a pass, and again", "if held.last == self._pass:", "if False:", _ONE),
    _repeated("large numbers are noted in the first pass alone", "self._table.note(held.most)", "pass", _NOTED),
    _repeated("large numbers before are forgotten", "self._table.note(np.array(before))", "pass", _NOTED),
    _table(
        "numbers that were forgotten are given again",
        "self._made += 1",
        "self._made = len(self._factors) + len(self._unknown) + 1",
        _ONE,
    ),
    _keys("any last token", "low.tobytes(), high.tobytes())", "low.tobytes())", _PASSES),
    _keys("any first token", "low.tobytes(), high.tobytes())", "high.tobytes())", _PASSES),
    _keys("any position", '("position", context_size, at)', '("position", context_size)', _PASSES),
    _keys("any bias", 'key=("linear",), weights=(weight, bias)', 'key=("linear",), weights=(weight,)', _PASSES),
    _keys("any epsilon", '("normalise", centred, mean, eps)', '("normalise", centred, mean)', _PASSES),
    _keys("any mean", '("normalise", centred, mean, eps)', '("normalise", centred, eps)', _PASSES),
    _keys("any centre", '("normalise", centred, mean, eps)', '("normalise", mean, eps)', _PASSES),
    _keys("any activation", 'key=("activation",), weights=(activation,)', 'key=("activation",)', _PASSES),
)
