"""Attention weights of one query as exact numbers, whether or not its scores are the same for all cases."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import flint

from constructions.temperature import Hardmax, RationalSoftmax, Temperature
from verify.arithmetic.rational import LARGEST_BITS, factors
from verify.exact_engine.atoms import Atom, Chosen, Fixed, Gap, Largest, Same, Sum
from verify.exact_engine.forms import Form, Graph, NotCoveredError, primitive

_ONE = flint.fmpq(1)


def attention_weights(graph: Graph, scores: Sequence[Form], temperature: Temperature) -> list[Form]:
    """Return the weights of the keys that one query sees.

    Scores that are known have known weights. Scores that depend on one token have weights for every token, each exactly
    as one case has them. All others are compared case by case: a weight is then an integer over the sum of all of them,
    which the number carries as a divisor.

    Args:
        graph: holds the atoms.
        scores: of the visible keys, at least one.
        temperature: hardmax, or softmax at an exact ``q``.

    Raises:
        NotCoveredError: scores that a softmax may take no power of, or a table of powers beyond all memory.
        InvalidArgument: the scores of one case, or the temperature, are refused in rational arithmetic.

    """
    if len(scores) == 1:
        factors([flint.fmpq(0)], temperature)  # refuses another temperature, as every case does
        return [Form(_ONE)]
    if not all(score.known for score in scores):  # what all scores share moves no weight
        scores = [graph.combined([(_ONE, score), (-_ONE, scores[0])]) for score in scores]
    if all(score.known for score in scores):
        return [Form(weight) for weight in _normalised([score.constant for score in scores], temperature)]
    slots = {graph.read(score) for score in scores if not score.known}
    slot = slots.pop() if len(slots) == 1 else None
    if slot is not None:
        by_token = zip(*(graph.values(score) for score in scores), strict=True)
        weights = [_normalised(each, temperature) for each in by_token]
        return [graph.function(slot, each) for each in zip(*weights, strict=True)]
    return _case_by_case(graph, scores, temperature)


def _normalised(scores: Sequence[flint.fmpq], temperature: Temperature) -> list[flint.fmpq]:
    found = factors(scores, temperature)
    normaliser = sum(found, flint.fmpq(0))
    return [factor / normaliser for factor in found]


def _case_by_case(graph: Graph, scores: Sequence[Form], temperature: Temperature) -> list[Form]:
    dividends, divisors = graph.alike(scores)  # which of them is the largest, the dividends say too
    if divisors and not isinstance(temperature, Hardmax):
        raise NotCoveredError("scores over normalisers, which a softmax takes no power of")
    atoms, unit = _integers(graph, dividends)
    largest = graph.atom(("largest", atoms), partial(Largest, atoms))
    if isinstance(temperature, Hardmax):
        found = [graph.atom(("same", atom, largest), partial(Same, atom, largest)) for atom in atoms]
    elif isinstance(temperature, RationalSoftmax):
        if unit.q != 1:
            raise NotCoveredError("scores that may differ by fractions")
        found = _powers(graph, atoms, largest, int(unit.p), temperature)
    else:
        factors([flint.fmpq(0)], temperature)  # refuses it
        raise NotCoveredError("another temperature")
    normaliser, scale = graph.settled(graph.combined([(_ONE, Form(terms={atom: _ONE})) for atom in found]))
    assert normaliser is not None, "a sum of atoms"
    return [Form(terms={atom: 1 / scale}, divisors=(normaliser,)) for atom in found]


def _integers(graph: Graph, scores: Sequence[Form]) -> tuple[tuple[Atom, ...], flint.fmpq]:
    """Return an integer for each score, and the positive number whose multiples of them the scores are."""
    wholes = [graph.whole(score) for score in scores]
    scales, unit = primitive([whole.scale for whole in wholes])
    found: list[Atom] = []
    for factor, whole in zip(scales, wholes, strict=True):
        terms = tuple((factor * number, atom) for number, atom in whole.terms)
        constant = factor * whole.constant
        if terms:
            found.append(graph.atom(("sum", terms, constant), partial(Sum, terms, constant)))
        else:
            found.append(graph.atom(("fixed", constant), partial(Fixed, constant)))
    return tuple(found), unit


def _powers(graph: Graph, atoms: Sequence[Atom], largest: Atom, unit: int, temperature: RationalSoftmax) -> list[Atom]:
    """Return ``q`` to the power of each score less the largest one, times one positive number for all of them.

    With ``q = a/b``, a gap ``g`` of at most ``G`` gives ``a^(G-g) b^g``, which is ``a^G q^-g``: a table of integers.
    """
    most = max(0, *(largest.high - atom.low for atom in atoms))
    over, under = temperature.q.numerator**unit, temperature.q.denominator**unit
    if (most + 1) * most * max(over.bit_length(), under.bit_length()) > LARGEST_BITS:
        raise NotCoveredError("a table of powers that is too large")
    table = [over ** (most - gap) * under**gap for gap in range(most + 1)]
    gaps = [graph.atom(("gap", atom, largest), partial(Gap, largest, atom, most)) for atom in atoms]
    return [graph.atom(("power", gap, temperature.q, unit), partial(Chosen, table, gap)) for gap in gaps]
