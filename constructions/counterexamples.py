"""Small exact objects that refute over-broad claims; ``verify.evidence.counterexamples`` gives the verdicts.

Each entry of :data:`REFUTED` is a claim as it can be read somewhere, and the truth instead. The objects are named
functions, to be imported and varied.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from types import MappingProxyType
from typing import final

from constructions.temperature import RationalSoftmax
from constructions.thresholds import unconditional_generation_threshold
from constructions.transformer import Attention, Head
from constructions.unconditional_generation import UnconditionalGeneration
from constructions.validation import check_integer, reject


@dataclass(frozen=True)
class RefutedClaim:
    """A claim that is false.

    Attributes:
        id: as in ``prefixproof counterexample ID``.
        statement: the claim, as it can be read.
        instead: the truth.

    """

    id: str
    statement: str
    instead: str


#: The refuted claims by their ids.
REFUTED: Mapping[str, RefutedClaim] = MappingProxyType(
    {
        claim.id: claim
        for claim in (
            RefutedClaim(
                "prefix-reverses-attention",
                "Some prefix makes attention over the content whatever fine-tuning can make it.",
                "No prefix of any length changes a ratio of content attention; a rank-one change of W_K does.",
            ),
            RefutedClaim(
                "prefix-equals-fine-tuning",
                "A soft prompt is as expressive as full fine-tuning with as many parameters.",
                "Two parameters of W_V swap two outputs; no prefix vector of two parameters does.",
            ),
            RefutedClaim(
                "temperature-does-not-matter",
                "The temperature of the softmax does not matter for what one virtual token can select.",
                "Theorem 1's transformer needs q = exp(T/sqrt(k)) > (N-1)(4V-3); at equality two tokens tie.",
            ),
            RefutedClaim(
                "embedding-does-not-matter",
                "The token embedding of Theorem 1 is free.",
                "It is free at hardmax; with softmax entries of size M need q > (N-1)(4V-3+2VM).",
            ),
            RefutedClaim(
                "float32-is-enough",
                "float32 carries Theorem 1 for any vocabulary.",
                "The readout's logits of neighbouring tokens are 1/V^2 apart, and float32 runs out of bits.",
            ),
            RefutedClaim(
                "hard-token-equals-virtual-token",
                "One hard token can do what one virtual token does.",
                "With any embedding V hard tokens select at most V of the V^N sequences.",
            ),
            RefutedClaim(
                "prefix-changes-no-pattern",
                "A prefix cannot change any attention pattern anywhere.",
                "It changes the inputs of layer 2, and with them the ratios of its attention over the content.",
            ),
            RefutedClaim(
                "float-digits-are-safe",
                "Unpacking base-V digits by division and remainder in float64 is safe.",
                "At V = 10 it reads wrong digits from the smallest maps on; the ReLU construction reads all of them.",
            ),
        )
    }
)


@final
@dataclass(frozen=True, eq=False)
class LayerExample:
    """An attention layer, the output or pattern wanted of it, and fine-tuned weights that give it.

    Attributes:
        attention: the layer.
        fine_tuned: the same layer after fine-tuning.
        q: ``exp(T/sqrt(k))``.
        mask: ``causal`` or ``none``.
        content: positions x width.
        wanted: the outputs, positions x output width; or the pattern of the one head, positions x positions, up to the
            scale of each row.

    """

    attention: Attention
    fine_tuned: Attention
    q: Fraction
    mask: str
    content: tuple[tuple[int, ...], ...]
    wanted: tuple[tuple[Fraction, ...], ...]


def attention_reversal(q: Fraction = Fraction(2)) -> LayerExample:
    """Return a layer that prefers content 0 to content 1 by ``q : 1``, where ``1 : q`` is wanted.

    Scores are ``x_j . (1, 0)``. The rank-one change ``W_K + (-1, 1)`` reverses the pattern; no prefix does.

    Args:
        q: a positive rational that is not 1.

    Example:
        >>> example = attention_reversal()
        >>> example.wanted
        ((Fraction(1, 1), Fraction(2, 1)), (Fraction(1, 1), Fraction(2, 1)))

    """
    if q in {0, 1} or q < 0:
        reject("q", "a positive rational number that is not 1", q)
    query, value = [[1, 1]], [[1, 0], [0, 1]]
    return LayerExample(
        attention=Attention((Head("prefer", query, [[1, 0]], value),)),
        fine_tuned=Attention((Head("prefer", query, [[0, 1]], value),)),
        q=q,
        mask="none",
        content=((1, 0), (0, 1)),
        wanted=((Fraction(1), q), (Fraction(1), q)),
    )


def swapped_values() -> LayerExample:
    """Return a layer of uniform attention with outputs ``0, 1/2``, where ``1, 1/2`` is wanted.

    The second output must stay, which needs ``W_V s = 1/2``; but the first must move from 0 to 1, beyond that. Swapping
    the two entries of ``W_V``, as many as one prefix vector has, gives the wanted outputs.

    Example:
        >>> swapped_values().wanted
        ((Fraction(1, 1),), (Fraction(1, 2),))

    """
    key = [[0, 0]]
    return LayerExample(
        attention=Attention((Head("mean", key, key, [[0, 1]]),)),
        fine_tuned=Attention((Head("mean", key, key, [[1, 0]]),)),
        q=Fraction(2),
        mask="causal",
        content=((1, 0), (0, 1)),
        wanted=((Fraction(1),), (Fraction(1, 2),)),
    )


def blunt_temperature(vocab_size: int = 2, context_size: int = 2) -> UnconditionalGeneration:
    """Return Theorem 1's construction AT its threshold of ``q``, where the hardest case ties.

    Args:
        vocab_size: ``V``, at least 2.
        context_size: ``N``, at least 2.

    Example:
        >>> blunt_temperature(3, 3)
        UnconditionalGeneration(vocab_size=3, context_size=3, temperature=RationalSoftmax(q=Fraction(18, 1)))

    """
    check_integer("vocab_size", vocab_size, 2)
    check_integer("context_size", context_size, 2)
    q = Fraction(unconditional_generation_threshold(vocab_size, context_size))
    return UnconditionalGeneration(vocab_size, context_size, temperature=RationalSoftmax(q))


def smallest_harmful_magnitude(vocab_size: int, context_size: int, q: Fraction) -> Fraction:
    """Return the smallest ``M`` for which some embedding with ``|E| <= M`` fails: ``(q/(N-1) - (4V-3)) / (2V)``.

    It solves :func:`~constructions.thresholds.embedding_threshold` for ``M``.

    Args:
        vocab_size: ``V``, at least 2.
        context_size: ``N``, at least 2.
        q: above the threshold ``(N-1)(4V-3)`` of ``E = 0``.

    Example:
        >>> from fractions import Fraction
        >>> smallest_harmful_magnitude(3, 3, Fraction(19))
        Fraction(1, 12)

    """
    check_integer("vocab_size", vocab_size, 2)
    check_integer("context_size", context_size, 2)
    found = (Fraction(q) / (context_size - 1) - (4 * vocab_size - 3)) / (2 * vocab_size)
    if found <= 0:
        threshold = unconditional_generation_threshold(vocab_size, context_size)
        reject("q", f"more than {threshold}, where E = 0 works", q)
    return found


def harmful_embedding(
    vocab_size: int = 2, context_size: int = 2, *, magnitude: Fraction | None = None
) -> UnconditionalGeneration:
    """Return Theorem 1 at its default ``q``, one above the threshold of ``E = 0``, with every entry of ``E`` ``-M``.

    Args:
        vocab_size: ``V``, at least 2.
        context_size: ``N``, at least 2.
        magnitude: ``M``; the :func:`smallest_harmful_magnitude` by default.

    """
    plain = UnconditionalGeneration(
        check_integer("vocab_size", vocab_size, 2), check_integer("context_size", context_size, 2)
    )
    temperature = plain.temperature_for(None)
    assert isinstance(temperature, RationalSoftmax), "the default of exact arithmetic"
    if magnitude is None:
        magnitude = smallest_harmful_magnitude(vocab_size, context_size, temperature.q)
    embedding = [[-magnitude] * vocab_size] * context_size
    return replace(plain, embedding=embedding, temperature=temperature)


@final
@dataclass(frozen=True, eq=False)
class TwoLayerExample:
    """Two attention layers and a prefix of the first that changes the pattern of the second.

    Attributes:
        first: a layer in which every position attends to itself alone.
        second: the layer whose pattern changes.
        q: ``exp(T/sqrt(k))`` of both.
        content: positions x width.
        prefix: one vector, in front of the first layer.

    """

    first: Attention
    second: Attention
    q: Fraction
    content: tuple[tuple[int, ...], ...]
    prefix: tuple[tuple[int, ...], ...]


def changed_second_layer() -> TwoLayerExample:
    """Return two layers of width 2 where a prefix flattens the second pattern.

    In layer 1 all scores are 0 and ``W_V = 2 I``; each position sees itself and the prefix, and ``t_i = 2 e_i`` becomes
    ``e_i + s``. Layer 2 scores by inner products. Without a prefix position 0 has the scores ``4, 0``, and prefers
    itself by ``q^4 : 1``; with ``s = e_1`` both of its scores are 2, and it has no preference.
    """
    one = [[1, 0], [0, 1]]
    zero = [[0, 0]]
    return TwoLayerExample(
        first=Attention((Head("self", zero, zero, [[2, 0], [0, 2]]),), name="first"),
        second=Attention((Head("compare", one, one, one),), name="second"),
        q=Fraction(2),
        content=((1, 0), (0, 1)),
        prefix=((0, 1),),
    )
