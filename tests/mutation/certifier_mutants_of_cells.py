"""Mutants of cells: what is known of targets, of the code that encodes them, and of what is promised."""

from __future__ import annotations

from tests.mutation.certifier_mutant import Mutant, of

_cells = of("cells", "verify.certificates.cells")
_members = of("members of cells", "verify.certificates.code_on_bounds")
_bounds = of("bounds of unknown tokens", "constructions.unknown_arithmetic")
_tokens = of("unknown tokens", "constructions.unknown_tokens")
_refusals = of("refusals of unknown tokens", "constructions.unknown_refusals")
_functions = of("look-ups of unknown tokens", "constructions.token_functions")
_certify = of("the certificate", "verify.certificates.all_targets")
_passes = of("passes of generation", "verify.certificates.passes")
_exact = of("nothing rounds", "verify.certificates.nothing_rounds")

CELLS: tuple[Mutant, ...] = (
    _cells(
        "the last cell of a place is dropped",
        "total, start = vocab ** len(place.entries), 0",
        "total, start = vocab ** len(place.entries) - 1, 0",
        "covering",
    ),
    _cells(
        "the first user input alone",
        "for user in users:\n        promised",
        "for user in users[:1]:\n        promised",
        "covering",
    ),
    _cells(
        "the largest token is left out",
        "high = low + (space.vocab_size - 1)\n        start",
        "high = low + max(space.vocab_size - 2, 0)\n        start",
        "covering",
    ),
    _cells(
        "everything but the largest token",
        "return Targets(low, low + (space.vocab_size - 1), names.reshape(low.shape))",
        "return Targets(low, low + max(space.vocab_size - 2, 0), names.reshape(low.shape))",
        "nothing rounds",
    ),
    _cells(
        "the last batch is dropped",
        "    if chosen:\n        yield chosen, counts, values",
        "    if chosen and len(places) > 1:\n        yield chosen, counts, values",
        "right ones",
    ),
    _cells(
        "members are not looked at",
        "looked_at = members.check(targets, (prompt, denominator), (inputs, promised))",
        "looked_at = 1",
        "liars",
    ),
    _cells("fed tokens are the first member's", "promised.high[:, :step],", "promised.low[:, :step],", "covering"),
    _cells(
        "prompts are the first member's",
        "Ratios(prompt.high, denominator),\n        inputs,",
        "Ratios(prompt.low, denominator),\n        inputs,",
        "covering",
    ),
    _cells(
        "user tokens are all 0",
        "users + vocab - 1,",
        "users,",
        "nothing rounds",
    ),
    _cells(
        "fed tokens are all 0",
        "fed + vocab - 1,",
        "fed,",
        "nothing rounds",
    ),
    _members(
        "one end alone",
        "((targets.low, cells), (targets.high, cells), (drawn, chosen))",
        "((targets.low, cells), (drawn, chosen))",
        "liars",
    ),
    _members(
        "the other end alone",
        "((targets.low, cells), (targets.high, cells), (drawn, chosen))",
        "((targets.high, cells), (drawn, chosen))",
        "liars",
    ),
    _members(
        "drawn at the lower end",
        "self.random.integers(targets.low[chosen], targets.high[chosen] + 1)",
        "self.random.integers(targets.low[chosen], targets.low[chosen] + 1)",
        "liars",
    ),
    _members(
        "prompts are not compared",
        "if not prompts[0].holds(found.numerators) or found.denominator != prompts[1]:",
        "if False:",
        "liars",
    ),
    _members(
        "denominators are not compared",
        "if not prompts[0].holds(found.numerators) or found.denominator != prompts[1]:",
        "if not prompts[0].holds(found.numerators):",
        "liars",
    ),
    _members(
        "answers are not compared",
        "if promised is not None and not promised[1].holds(found.answers):",
        "if False:",
        "liars",
    ),
    _members(
        "upper bounds are not compared",
        "return bool((self.low <= rounds).all()) and bool((rounds <= self.high).all())",
        "return bool((self.low <= rounds).all())",
        "liars",
    ),
    _members(
        "none is asked alone",
        "(order[place : place + 1], None) for place in range(ALONE)",
        "(order[place : place + 1], None) for place in range(0)",
        "liars",
    ),
    _members(
        "prompts asked again are not compared",
        "if found.denominator != again.denominator or (found.numerators[places] != again.numerators).any():",
        "if False:",
        "liars",
    ),
    _members(
        "a refusal that was caught is forgotten",
        "    if run.refusals:\n        raise CellsError",
        "    if False:\n        raise CellsError",
        "liars",
    ),
    _bounds(
        "a difference of equal ends",
        "return a.low - b.high, a.high - b.low",
        "return a.low - b.low, a.high - b.high",
        "unknown tokens",
    ),
    _bounds(
        "two corners of a product",
        "for one in (a.low, a.high) for other in (b.low, b.high)]",
        "for one in (a.low, a.high) for other in (b.low, b.low)]",
        "unknown tokens",
    ),
    _bounds(
        "a remainder of the ends",
        "np.where(same, a.low % b.low, 0), np.where(same, a.high % b.low, b.low - 1)",
        "np.minimum(a.low % b.low, a.high % b.low), np.maximum(a.low % b.low, a.high % b.low)",
        "unknown tokens",
    ),
    _bounds(
        "a negative keeps its ends",
        '(-one.high, -one.low) if name == "negative"',
        '(-one.low, -one.high) if name == "negative"',
        "unknown tokens",
    ),
    _bounds(
        "dependence of one operand",
        "np.bitwise_or(a.entries, b.entries)",
        "np.bitwise_or(a.entries, a.entries)",
        "unknown tokens",
    ),
    _bounds(
        "a matrix product forgets negative weights",
        "low = product(unknown.low, up) + product(unknown.high, down)",
        "low = product(unknown.low, up) + product(unknown.low, down)",
        "unknown tokens",
    ),
    _bounds(
        "a matrix product forgets an entry",
        "entries = np.bitwise_or(entries, bits)",
        "entries = np.bitwise_or(0, bits)",
        "unknown tokens",
    ),
    _bounds(
        "products are computed in int64",
        'kind != "int64" or magnitude(a.largest, b.largest) > _LARGEST',
        'kind != "int64"',
        "int64",
    ),
    _refusals(
        "a comparison says no",
        '__eq__ = __ne__ = _refused("a comparison (use equals)")',
        "__eq__ = lambda self, other: False\n    __ne__ = lambda self, other: True",
        "liars",
    ),
    _refusals(
        "an unknown integer is 0",
        '__int__ = __index__ = __trunc__ = _refused("its value as an integer")',
        "__int__ = __index__ = __trunc__ = lambda self: 0",
        "liars",
    ),
    _tokens(
        "a known number less an unknown one, exchanged",
        "return self._operated(name, other, self)",
        "return self._operated(name, self, other)",
        "int64",
    ),
    _tokens(
        "dependence is forgotten",
        'keep(self, "_entries", np.where(known, 0, entries) if known.any() else entries)',
        'keep(self, "_entries", entries * 0)',
        "unknown tokens",
    ),
    _functions(
        "equal where it may be",
        "sure, possible = (low == known) & (high == known), (low <= known) & (known <= high)",
        "sure, possible = (low <= known) & (known <= high), (low <= known) & (known <= high)",
        "unknown tokens",
    ),
    _functions(
        "at least at the lower end",
        "return _indicator(tokens, low >= known, high >= known)",
        "return _indicator(tokens, low >= known, low >= known)",
        "unknown tokens",
    ),
    _functions(
        "a look-up of the ends",
        "first, last = low[here], high[here] - 2 ** int(exponent) + 1",
        "first, last = low[here], low[here]",
        "unknown tokens",
    ),
    _passes(
        "one pass, whoever wrote the layers", "if model.causal and not by_position:", "if False:", "sharing, liars"
    ),
    _passes("the last position alone is asked", "last_only=by_position", "last_only=True", "sharing, liars"),
    _passes("a transformer of any class", "if type(transformer) is not Transformer:", "if False:", "sharing, liars"),
    _passes("a readout of any class", "if type(readout) is not Linear:", "if False:", "sharing, liars"),
    _passes(
        "the first fed token alone",
        "for step in range(steps):",
        "for step in range(min(steps, 1)):",
        "sharing, liars",
    ),
    _certify(
        "free embeddings are on the grid of their bound",
        "arithmetic.reals_between(*ends)",
        "arithmetic.prompt_between(*ends)",
        "built networks",
    ),
    _certify(
        "free embeddings are not negative",
        "ends = (Ratios(-numerators, largest.denominator), Ratios(numerators, largest.denominator))",
        "ends = (Ratios(0 * numerators, largest.denominator), Ratios(numerators, largest.denominator))",
        "networks, free embedding",
    ),
    _certify(
        "the first batch alone",
        "if found.reason is not None:\n                    break",
        "break",
        "liars, balls",
    ),
    _certify(
        "fed tokens are not seen",
        "fed = batch.fed_low.shape[1], lambda",
        "fed = 0, lambda",
        "liars",
    ),
    _certify(
        "a fed token is its lower bound",
        "arithmetic.embed_between(bound.model.embedding, low, high)",
        "arithmetic.embed_between(bound.model.embedding, low, low)",
        "liars",
    ),
    _passes(
        "layers of a length that grows",
        "if by_length and len(layers) > 1 and steps > 1 and model.causal:",
        "if False:",
        "wrong in floats",
    ),
    _exact(
        "the first value alone",
        "if self.name is None and not value.exact:",
        'if name == "input" and self.name is None and not value.exact:',
        argument=(
            "Whether a box is exact is handed on by every operation, so that the readout's input says it for "
            "all before it; the trace only names the first."
        ),
        proof="nothing rounds",
    ),
    _exact(
        "the readout may round",
        "if arithmetic.linear(rows, bound.readout.weight, bound.bias).exact:",
        "if rows.exact and bound.readout.weight.exact and bound.bias.exact:",
        "nothing rounds",
    ),
    _exact(
        "the readout's numbers need not be exact",
        "arithmetic.linear(rows, bound.readout.weight, bound.bias)",
        "arithmetic.linear(rows, *(RoundedWeight(w.values, w.grid, True) for w in (bound.readout.weight, bound.bias)))",
        "nothing rounds",
    ),
    _exact(
        "the first step alone",
        "for step in range(steps):\n            try",
        "for step in range(min(1, steps)):\n            try",
        "nothing rounds",
    ),
)
