"""Mutants of certificates in which one user input stands for all."""

from __future__ import annotations

from tests.mutation.certifier_mutant import Mutant, of

_permuted = of("weights that commute", "constructions.layers.permuted")
_linear = of("weights that commute", "constructions.layers.linear")
_attention = of("weights that commute", "constructions.layers.attention")
_symmetry = of("one input for all", "verify.certificates.symmetry")
_code = of("code that hands the target on", "verify.certificates.handed_on")
_moves = of("code that hands the target on", "constructions.unknown_arithmetic")
_known = of("code that hands the target on", "constructions.unknown_tokens")
_order = of("one input for all", "verify.certificates.floats.rounding.base")
_tf32 = of("one input for all", "verify.certificates.floats.rounding.tensor_cores")

_WEIGHTS, _COMMUTING, _CODE, _PARTS = "symmetry, weights", "symmetry, commuting", "symmetry, code", "symmetry, parts"

SYMMETRY: tuple[Mutant, ...] = (
    _permuted("every block stays", "if self.still(height).commutes(block, self):", "if True:", _WEIGHTS),
    _permuted(
        "every block as large as a run moves",
        "if height != self.tokens or not TokenCoordinates(height, self.tokens, (0,)).commutes(block, self):",
        "if height != self.tokens:",
        _WEIGHTS,
    ),
    _permuted("swaps alone", "return swap, np.roll(np.arange(tokens), 1)", "return (swap,)", _COMMUTING),
    _permuted(
        "turns alone",
        "return swap, np.roll(np.arange(tokens), 1)",
        "return (np.roll(np.arange(tokens), 1),)",
        _COMMUTING,
    ),
    _permuted("entries are not compared", "if not all(np.array_equal(one, other)", "if not all(True", _COMMUTING),
    _permuted(
        "entries are compared where they were",
        "Entries.collected(down[entries.rows], across[entries.columns], entries.values)",
        "Entries.collected(entries.rows, entries.columns, entries.values)",
        _COMMUTING,
        _WEIGHTS,
    ),
    _permuted(
        "columns stay",
        "Entries.collected(down[entries.rows], across[entries.columns], entries.values)",
        "Entries.collected(down[entries.rows], entries.columns, entries.values)",
        _COMMUTING,
    ),
    _permuted(
        "places alone are compared",
        "((part.rows, part.columns, part.values.numerators) for part in (held, found))",
        "((part.rows, part.columns) for part in (held, found))",
        _WEIGHTS,
    ),
    _permuted(
        "an identity anywhere",
        'return leaf.kind == "identity" and [range(start, start + self.tokens) for start in inside] == [down, across]',
        'return leaf.kind == "identity"',
        _COMMUTING,
    ),
    _permuted(
        "any block with a run",
        'return leaf.kind == "identity" and [range(start, start + self.tokens) for start in inside] == [down, across]',
        "return True",
        _COMMUTING,
        _WEIGHTS,
    ),
    _permuted(
        "a constant may cut a run",
        "return self._uncut(down) and columns._uncut(across)",
        "return True",
        _COMMUTING,
    ),
    _permuted(
        "any size",
        "if weight.shape != (self.size, columns.size) or self.tokens != columns.tokens:",
        "if self.tokens != columns.tokens:",
        _COMMUTING,
    ),
    _linear(
        "the bias may be any",
        "kept = outputs is not None and outputs.commutes(self.given_bias, rows.still(1))",
        "kept = outputs is not None",
        _WEIGHTS,
    ),
    _attention("keys may move", "for part in (head.query, head.own_key))", "for part in (head.query,))", _WEIGHTS),
    _attention("queries may move", "for part in (head.query, head.own_key))", "for part in (head.own_key,))", _WEIGHTS),
    _attention("heads may move differently", "return None if found else outputs", "return outputs", _PARTS),
    _symmetry("sums in any order", "if not bound.arithmetic.any_order:", "if False:", _PARTS),
    _order(
        "every order is any order",
        """        return False

    # roundings""",
        """        return True

    # roundings""",
        _PARTS,
    ),
    _tf32("any order", "return self.order.any_order", "return True", _PARTS),
    _symmetry(
        "the weights that commute are asked for again",
        "check_weights(bound.source.lowered)",
        "check_weights(construction.transformer.lowered)",
        _WEIGHTS,
    ),
    _symmetry("any layout", "if construction.layout != Layout(virtual=1, user=1, response=1):", "if False:", _PARTS),
    _symmetry("any targets", "if construction.target_space != TargetSpace(vocab, (vocab,)):", "if False:", _PARTS),
    _symmetry(
        "any output", "construction.output_vocab_size != vocab or construction.reading", "construction.reading", _PARTS
    ),
    _symmetry("any reading", " or construction.reading.sign == 0:", ":", _PARTS),
    _symmetry("any transformer", "if type(transformer) is not Transformer or transformer", "if transformer", _PARTS),
    _symmetry("any author", " or transformer.authored or ", " or ", _PARTS),
    _symmetry(
        "any embedding",
        "if transformer.embedding_size != tokens or not embedded.commutes(",
        "if transformer.embedding_size != tokens or None is embedded.commutes(",
        _WEIGHTS,
    ),
    _symmetry(
        "layers are not asked", "rows = layer.permuted(rows)\n", "rows = layer.permuted(rows) or rows\n", _WEIGHTS
    ),
    _symmetry("logits may move", "if rows is None or rows.starts:", "if rows is None:", _WEIGHTS),
    _symmetry("some inputs", "if not users.is_all_of(vocab) or not", "if not", _PARTS),
    _symmetry("few cells", "vocab <= budget < vocab * users.size:", "vocab <= budget:", _PARTS),
    _code("encode may hand on anything", "if not np.array_equal(prompt.entries[:, 0], names):", "if False:", _CODE),
    _code(
        "answer may hand on anything",
        "if not np.array_equal(promised.entries, np.take_along_axis(named, users, axis=1)):",
        "if False:",
        _CODE,
    ),
    _code(
        "no members",
        "return denominator, _check_members(construction, denominator, random)",
        "return denominator, 0",
        _CODE,
    ),
    _code("numbers of members are not compared", " or not np.array_equal(numerators[:, 0], entries):", ":", _CODE),
    _code("denominators of members are not compared", "if found.denominator != denominator or not", "if not", _CODE),
    _code(
        "answers to members are not compared",
        "if not np.array_equal(tokens, promised):",
        "if False:",
        _CODE,
    ),
    _code(
        "no member is encoded alone",
        "single = [pair[:1].copy(), pair[1:].copy()] if member < ALONE else []",
        "single: list[Any] = []",
        _CODE,
    ),
    _code(
        "no member is asked alone",
        "for alone in (slice(1), slice(1, 2)) if member < ALONE else ():",
        "for alone in ():",
        _CODE,
    ),
    _code("never more than two at once", "max(2, min(2 * DRAWN, _RUN_TOKENS // vocab))", "2", _CODE),
    _code(
        "targets are compared after code changed them",
        "promised = np.take_along_axis(targets, users, axis=1)  # before the code may change the targets\n"
        "    with running_code():\n"
        "        tokens = construction.answer(targets, users.copy())",
        "with running_code():\n"
        "        tokens = construction.answer(targets, users.copy())\n"
        "        promised = np.take_along_axis(targets, users, axis=1)",
        _CODE,
    ),
    _code(
        "prompts are compared after code changed the targets",
        "entries = targets.copy()",
        "entries = targets",
        _CODE,
    ),
    _code(
        "a member is encoded alone only as it may not be changed",
        "[pair[:1].copy(), pair[1:].copy()]",
        "[pair[:1], pair[1:]]",
        _CODE,
    ),
    _code(
        "a member is asked alone only as it may not be changed", "pair[alone].copy(), two", "pair[alone], two", _CODE
    ),
    _code(
        "a batch is asked only as it may not be changed",
        "        _check_asked(construction, many[order], asked[order])\n",
        "",
        _CODE,
    ),
    _code(
        "no two members are asked at once",
        "        _check_asked(construction, pair, two)\n        _check_asked(construction, pair[::-1].copy(), two)\n",
        "",
        _CODE,
    ),
    _code(
        "members are asked at one input",
        "for users in batches[member % len(batches) :: DRAWN]:",
        "for users in batches[:1]:",
        _CODE,
    ),
    _moves("tokens may be computed with", "if run.moves:", "if False:", _CODE),
    _known(
        "repeated bounds are known",
        "slice(None) if any(steps) else slice(1)",
        "slice(None) if all(steps) else slice(1)",
        _PARTS,
    ),
)
