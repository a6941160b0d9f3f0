r"""The obligations about attention under a prefix, for any layer: symbolic scores, values, mask and sizes.

The subject is a rule: how a score becomes a weight and what normalises it. Everything else is a symbol: ``n`` content
positions, ``p`` prefix vectors, a mask ``M_hij``, scores ``s_hij`` and ``r_hik`` of every head, one coordinate ``v_hj``
and ``w_hk`` of their values (the identities hold coordinate by coordinate). A sum that sympy does not evaluate stays a
symbol of its own; the statements hold for every value of it, wherever the normaliser of the content is not 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import sympy as sp

from proofs.decide import Decision, Expr, natural, positive, prove_equal
from proofs.obligations import Obligation
from proofs.sums import total

RESCALING, BIAS, SECOND_LAYER = "attention-rescaling", "attention-bias", "second-layer-attention"

_CONTENT, _VIRTUAL, _LEFT, _RIGHT = natural("j"), natural("k"), natural("a"), natural("b")
_HEAD, _QUERY, _OTHER = natural("h"), natural("i"), natural("l")
_SCORE, _PREFIX_SCORE = sp.Function("s", real=True), sp.Function("r", real=True)
_VALUE, _PREFIX_VALUE = sp.Function("v", real=True), sp.Function("w", real=True)
_MASK = sp.Function("M", real=True, nonnegative=True)
_GAP = positive("g")


@dataclass(frozen=True)
class AttentionRule:
    """How attention weighs keys: the subject of the claims, which can be asked of another rule too.

    Attributes:
        factor: the unnormalised weight of a score.
        normaliser: of the content's sum and the prefix's sum of such weights, with the prefix in front.

    """

    factor: Callable[[Expr], Expr]
    normaliser: Callable[[Expr, Expr], Expr]


def softmax() -> AttentionRule:
    """Return ``exp(g s)``, normalised over all visible keys."""
    return AttentionRule(lambda score: sp.exp(_GAP * score), lambda content, prefix: content + prefix)


@dataclass(frozen=True)
class _Weights:
    """Attention of a query, over an index of the content and one of the prefix.

    Attributes:
        visible: the normaliser without the prefix, which is not 0: the query sees some content.
        alone: attention without the prefix.
        content: attention with it.
        prefix: attention on it.
        strength: the attention on all of it.

    """

    visible: Expr
    alone: Callable[[Expr], Expr]
    content: Callable[[Expr], Expr]
    prefix: Callable[[Expr], Expr]
    strength: Expr


_N, _P, _D = natural("n") + 1, natural("p") + 1, natural("d") + 1


def _weights(rule: AttentionRule, head: Expr, query: Expr) -> _Weights:
    def content(j: Expr) -> Expr:
        return _MASK(head, query, j) * rule.factor(_SCORE(head, query, j))

    def prefix(k: Expr) -> Expr:
        return rule.factor(_PREFIX_SCORE(head, query, k))

    alone = total(content(_CONTENT), _CONTENT, _N)
    everything = rule.normaliser(alone, total(prefix(_VIRTUAL), _VIRTUAL, _P))
    return _Weights(
        visible=alone,
        alone=lambda j: content(j) / alone,
        content=lambda j: content(j) / everything,
        prefix=lambda k: prefix(k) / everything,
        strength=total(prefix(_VIRTUAL), _VIRTUAL, _P) / everything,
    )


def _rescaling(rule: AttentionRule) -> Iterator[Decision]:
    weights = _weights(rule, _HEAD, _QUERY)
    summed = total(weights.prefix(_VIRTUAL), _VIRTUAL, _P)
    seen = [weights.visible]
    yield prove_equal("alpha_i is the attention on the prefix, summed", summed, weights.strength, nonzero=seen)
    j = natural("j0")
    yield prove_equal(
        "A^pt_ij = (1 - alpha_i) A_ij",
        weights.content(j),
        (1 - weights.strength) * weights.alone(j),
        nonzero=seen,
    )
    other = natural("j1")
    yield prove_equal(
        "the ratio of two content weights does not change",
        weights.content(j) * weights.alone(other),
        weights.content(other) * weights.alone(j),
        nonzero=seen,
    )
    everything = total(weights.content(_CONTENT), _CONTENT, _N) + weights.strength
    yield prove_equal("with the prefix, attention sums to 1", everything, sp.S.One, nonzero=seen)


def _outputs(weights: _Weights, head: Expr) -> tuple[Expr, Expr, Expr]:
    """Return ``t``, ``t^pt`` and ``sum_p alpha_p W_V s_p``, one coordinate of each."""
    alone = total(weights.alone(_CONTENT) * _VALUE(head, _CONTENT), _CONTENT, _N)
    bias = total(weights.prefix(_VIRTUAL) * _PREFIX_VALUE(head, _VIRTUAL), _VIRTUAL, _P)
    joined = total(weights.content(_CONTENT) * _VALUE(head, _CONTENT), _CONTENT, _N) + bias
    return alone, joined, bias


def _bias(rule: AttentionRule) -> Iterator[Decision]:
    weights = _weights(rule, _HEAD, _QUERY)
    alone, joined, bias = _outputs(weights, _HEAD)
    # head h is a symbol, so that the terms of the sum over the heads agree one by one
    yield prove_equal(
        "t^pt_i = (1 - alpha_i) t_i + sum_p alpha_ip W_V s_p in every head",
        joined,
        (1 - weights.strength) * alone + bias,
        nonzero=[weights.visible],
    )


def _second_layer(rule: AttentionRule) -> Iterator[Decision]:
    # with one prefix vector alpha_ip is alpha_i, by the first decision
    weights = _weights(rule, _HEAD, _QUERY)
    yield prove_equal(
        "attention with the prefix sums to 1, so that t^pt_i is (1 - alpha_i) t_i + alpha_i mu",
        total(weights.content(_CONTENT), _CONTENT, _N),
        1 - weights.strength,
    )
    before, mu, form = sp.Function("t", real=True), sp.Function("mu", real=True), sp.Function("H", real=True)
    strength = sp.Function("alpha", real=True)
    left, right = strength(_QUERY), strength(_OTHER)

    def moved(query: Expr, axis: Expr) -> Expr:
        return (1 - strength(query)) * before(query, axis) + strength(query) * mu(axis)

    def bilinear(first: Callable[[Expr], Expr], second: Callable[[Expr], Expr]) -> Expr:
        inner = total(form(_LEFT, _RIGHT) * second(_RIGHT), _RIGHT, _D)
        return total(first(_LEFT) * inner, _LEFT, _D)

    score = bilinear(lambda a: moved(_QUERY, a), lambda b: moved(_OTHER, b))
    expansion = (
        (1 - left) * (1 - right) * bilinear(lambda a: before(_QUERY, a), lambda b: before(_OTHER, b))
        + left * (1 - right) * bilinear(mu, lambda b: before(_OTHER, b))
        + (1 - left) * right * bilinear(lambda a: before(_QUERY, a), mu)
        + left * right * bilinear(mu, mu)
    )
    yield prove_equal("(t^pt_i)' H t^pt_l is the sum of the four terms", score, expansion)


RESCALING_OBLIGATIONS = (
    Obligation(
        f"{RESCALING}.ratios",
        "A prefix multiplies all content attention of a query by the same 1 - alpha_i: for every mask, score, head,"
        " number of positions and of prefix vectors.",
        r"A^{\mathrm{pt}}_{ij} = (1 - \alpha_i) A_{ij}",
        _rescaling,
        softmax,
    ),
)
BIAS_OBLIGATIONS = (
    Obligation(
        f"{BIAS}.output",
        "In every head, and so in their sum, a prefix scales the output of a query by 1 - alpha_i and adds a"
        " combination of the values of the prefix.",
        r"t^{\mathrm{pt}}_i = (1 - \alpha_i) t_i + \sum_p \alpha_{ip} W_V s_p",
        _bias,
        softmax,
    ),
)
SECOND_LAYER_OBLIGATIONS = (
    Obligation(
        f"{SECOND_LAYER}.expansion",
        "With one prefix vector of one head, mu = W_V s, the scores of the next layer are the sum of four terms, three"
        " of which contain mu.",
        r"(1-\alpha_i)(1-\alpha_l) t_i^\top H t_l + \alpha_i (1-\alpha_l) \mu^\top H t_l"
        r" + (1-\alpha_i) \alpha_l t_i^\top H \mu + \alpha_i \alpha_l \mu^\top H \mu",
        _second_layer,
        softmax,
    ),
)
