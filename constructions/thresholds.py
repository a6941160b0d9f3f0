r"""The size of ``q = exp(T/sqrt(k))`` at which softmax attention decodes as hardmax does, in real arithmetic.

Notation: ``t`` visible keys, ``a = q/(q+t-1)`` the weight of the key of score 1, ``b = 1/(q+t-1)`` that of each
other key; the same ``q`` in both heads. The readout picks the grid value nearest to the decoded number, so an error
below half a step ``1/(2V)`` is harmless, and at exactly half a step two tokens tie.
"""

from __future__ import annotations

from fractions import Fraction

from constructions.validation import check_integer, check_rational


def unconditional_generation_threshold(vocab_size: int, context_size: int) -> int:
    r"""Return the ``q`` above which, and only above which, Theorem 1's transformer generates EVERY target (``E = 0``).

    ``(N-1)(4V-3)`` for ``V >= 2``. At a position with ``t`` visible keys the selected coordinate is
    ``a + a y/V - 1 = y/V - (1-a)(1+y/V)``: too small by ``(t-1)(1+y/V)/(q+t-1)``. That is below ``1/(2V)`` iff
    ``q > (t-1)(2(V+y)-1)``, hardest at ``y = V-1``, ``t = N``. The other coordinates are at most
    ``b + a (V-1)/V <= 1`` before 1 is subtracted, so they vanish. A single token (``V = 1``) needs no temperature.

    Args:
        vocab_size: ``V``.
        context_size: ``N``.

    Example:
        >>> unconditional_generation_threshold(vocab_size=94, context_size=20)
        7087

    """
    check_integer("vocab_size", vocab_size, 1)
    check_integer("context_size", context_size, 1)
    return int(embedding_threshold(vocab_size, context_size, lowest=Fraction(0), highest=Fraction(0)))


def token_threshold(vocab_size: int, token: int, visible: int) -> int:
    r"""Return the ``q`` above which, and only above which, Theorem 1 decodes one token at one position (``E = 0``).

    ``(t-1)(2(V+y)-1)`` for ``y >= 1``, see :func:`unconditional_generation_threshold`; at equality (``t >= 2``) the
    tokens ``y`` and ``y-1`` tie. Token 0 needs no temperature: its number, too small by ``1-a``, is clipped to 0.

    Args:
        vocab_size: ``V``.
        token: ``y``.
        visible: ``t``, the number of visible keys.

    Example:
        >>> [token_threshold(vocab_size=4, token=token, visible=3) for token in range(4)]
        [0, 18, 22, 26]

    """
    check_integer("vocab_size", vocab_size, 1)
    check_integer("token", token, 0, vocab_size - 1)
    check_integer("visible", visible, 1)
    return 0 if token == 0 else (visible - 1) * (2 * (vocab_size + token) - 1)


def embedding_threshold(vocab_size: int, context_size: int, *, lowest: Fraction, highest: Fraction) -> Fraction:
    r"""Return the ``q`` above which, and only above which, Theorem 1 is right for EVERY embedding and target.

    For all embeddings with entries from ``lowest = -m <= 0`` to ``highest = M >= 0`` it is, for ``V >= 2``,

    ``(N-1) max(4V-3 + 2Vm, 2V(M-1) - 1)``,

    for ``|E| <= M`` thus ``(N-1)(4V-3+2VM)``, and for ``0 <= E <= M`` the same as for ``E = 0`` as long as
    ``M <= 3 - 1/V``. With ``c = t-1`` other keys and ``l = c/(q+c)``, the embeddings of the tokens before add between
    ``-lm`` and ``lM`` to every coordinate. The selected one is too small by at most ``l(1 + y/V + m)`` and too large
    by at most ``l(M - 1 - y/V)``, worst at ``y = V-1`` and at ``y = 0``; each is below half a step iff ``q`` is above
    its part of the maximum. Above both, the other coordinates, ``l/c + (1-l)(V-1)/V + lM`` before 1 is subtracted,
    vanish: they do from ``q = Vc(M-1) + V`` on. That is at most ``c(4V-3)`` where ``M <= 3 - 1/V``, and at most
    ``c(2V(M-1)-1)`` where ``M >= 3 - 1/V``. All this grows with ``t``, so ``t = N`` decides. :func:`hardest_embedding`
    ties at the threshold.

    Args:
        vocab_size: ``V``.
        context_size: ``N``.
        lowest: the smallest entry, at most 0.
        highest: the largest entry, at least 0.

    Example:
        >>> embedding_threshold(94, 20, lowest=-1, highest=1)
        Fraction(10659, 1)

    """
    check_integer("vocab_size", vocab_size, 1)
    check_integer("context_size", context_size, 1)
    lowest, highest = check_rational("lowest", lowest, maximum=0), check_rational("highest", highest, minimum=0)
    if vocab_size == 1:
        return Fraction(0)
    too_small = 4 * vocab_size - 3 - 2 * vocab_size * lowest
    too_large = 2 * vocab_size * (highest - 1) - 1
    return (context_size - 1) * max(too_small, too_large)


#: An embedding as rows of numbers, and a target.
HardestCase = tuple[tuple[tuple[Fraction, ...], ...], tuple[int, ...]]


def hardest_embedding(vocab_size: int, context_size: int, *, lowest: Fraction, highest: Fraction) -> HardestCase:
    r"""Return an embedding with entries in the range, and a target, that fail at the :func:`embedding_threshold`.

    Where values that are too small decide, all entries are ``lowest`` and the target is ``0, ..., 0, V-1``: at the
    threshold ``V-1`` ties with ``V-2``, which is decoded just below it. Otherwise all are ``highest`` and the target is
    ``0, ..., 0``: at the threshold the last 0 ties with 1, which is decoded just below it.

    Args:
        vocab_size: ``V``, at least 2: a single token is always right.
        context_size: ``N``, at least 2: the first token needs no temperature.
        lowest: the smallest entry, at most 0.
        highest: the largest entry, at least 0.

    Example:
        >>> embedding, target = hardest_embedding(3, 2, lowest=-1, highest=1)
        >>> target
        (0, 2)

    """
    check_integer("vocab_size", vocab_size, 2)
    check_integer("context_size", context_size, 2)
    decisive = embedding_threshold(vocab_size, context_size, lowest=lowest, highest=highest)
    too_small = decisive == embedding_threshold(vocab_size, context_size, lowest=lowest, highest=Fraction(0))
    entry, token = (Fraction(lowest), vocab_size - 1) if too_small else (Fraction(highest), 0)
    return ((entry,) * vocab_size,) * context_size, (*(0,) * (context_size - 1), token)


def coded_generation_threshold(demand: Fraction, context_size: int) -> Fraction:
    r"""Return the ``q`` above which, and only above which, Theorem 1 in any coding generates EVERY target (``E = 0``).

    In units of a token, with the lift ``g``: the selected coordinate is ``y - (1-a)(g + y)`` with the add lift
    (``a (g + y) - g``) and with the mask lift (``a y - (1-a) g``) alike. That is decoded iff ``(1-a)(g + y) < e`` with
    the error ``e`` that the readout forgives below ``y``, and ``1-a = (t-1)/(q+t-1)``: iff
    ``q > (t-1)((g+y)/e - 1)``, hardest for the largest ``(g+y)/e`` and ``t = N``. The other coordinates vanish as in
    :func:`unconditional_generation_threshold`, which this is for the paper's coding.

    Args:
        demand: the largest ``(g+y)/e``, see :func:`constructions.encodings.decoding_demand`.
        context_size: ``N``.

    """
    return (check_integer("context_size", context_size, 1) - 1) * (demand - 1)


def conditional_generation_threshold(vocab_size: int) -> int:
    r"""Return 0: with the same ``q`` in both heads Theorem 2's transformer is right at every ``q > 0``.

    There are exactly two keys. Head "self" gives ``a onehot(X) + b s``, head "first" ``b onehot(X) + a s``, and
    ``a + b = 1``: the leaks cancel and the sum is ``onehot(X) + s`` at every ``q``.

    Args:
        vocab_size: ``V``.

    Example:
        >>> conditional_generation_threshold(94)
        0

    """
    check_integer("vocab_size", vocab_size, 1)
    return 0


def longer_responses_threshold(vocab_size: int, response_size: int) -> int:
    r"""Return the ``q`` above which, and only above which, longer responses are right for every target and user token.

    ``(4V-3)(2 N0-2) - 1`` for ``V >= 2``, ``N0 >= 2``. With ``t`` visible keys the selected coordinate is at least
    ``(a+b)(1+s) - 1`` (reached when no other content has a part there), too small by
    ``(1-(a+b))(1+s) = (t-2)(1+s)/(q+t-1)``, which is below ``1/(2V)`` at ``s = (V-1)/V`` iff
    ``q > (t-2)(4V-3) - 1``; hardest at the last step, ``t = 2 N0``. Above it the upper error and the other
    coordinates are harmless too. For ``N0 = 1`` this is Theorem 2, which needs none.

    Args:
        vocab_size: ``V``.
        response_size: ``N0``.

    Example:
        >>> longer_responses_threshold(vocab_size=30, response_size=4)
        701

    """
    check_integer("vocab_size", vocab_size, 1)
    check_integer("response_size", response_size, 1)
    if vocab_size == 1 or response_size == 1:
        return 0
    return (4 * vocab_size - 3) * (2 * response_size - 2) - 1


def coded_responses_threshold(demand: Fraction, response_size: int) -> Fraction:
    r"""Return the ``q`` above which, and only above which, longer responses in any coding are right for every target.

    In units of a token, with the lift ``g`` and the weight ``w = a+b``: the selected coordinate is at least
    ``w (g + y) - g`` with the add lift, reached when no other content has a part there; with the mask lift the
    ``N0 - 1`` other response tokens at the last step each add ``-2b g``, which is ``-(1-w) g`` in all, and the same
    number. So ``(1-w)(g + y) < e``, and ``1-w = (t-2)/(q+t-1)``: iff ``q > (t-2)((g+y)/e - 1) - 1``, hardest at
    ``t = 2 N0``. It is :func:`longer_responses_threshold` for the paper's coding.

    Args:
        demand: the largest ``(g+y)/e``, see :func:`constructions.encodings.decoding_demand`.
        response_size: ``N0``.

    """
    if check_integer("response_size", response_size, 1) == 1:
        return Fraction(0)
    return max(Fraction(0), (2 * response_size - 2) * (demand - 1) - 1)


def longer_inputs_sufficient_q(vocab_size: int, input_size: int, *, causal: bool, lift: str) -> Fraction:
    r"""Return a ``q`` from which on longer inputs are right for every target and user input (sufficient, not tight).

    In block ``l`` a position with ``t`` visible keys reads contents whose spread (largest minus smallest) is at most
    ``c`` in each of two heads, so the selected value is off by at most ``e = 2c(t-1)/(q+t-1)``, and so is every other
    coordinate. The unpacking tolerates ``B_l e <= 1/4`` with ``B_l = V^(V^(n_X-l))`` (then ``e < 1/B_l``, and the
    unselected coordinates vanish); the readout of the last block needs ``e < 1/(2V)``; the restored one-hots need
    ``c(t-1)/(q+t-1) <= 1/4``. Contents are one-hots and numbers in ``[0, 1)``, so ``c = 1``; with the mask lift block
    1 reads ``onehot - 1``, and ``c = 2`` there. A causal mask lets the position that matters in block ``l`` see
    ``t = l+1`` keys, and at ``l = 1`` with ``c = 1`` the two heads' leaks cancel as in Theorem 2; without a mask it
    sees all ``n_X + 1``. The strict bound of the readout is met by adding 1.

    Its distance from the exact threshold is known where all maps can be run. For two user tokens, causal mask and add
    lift :func:`two_inputs_threshold` is exact: 10 at ``V = 2``, where this is 15. Elsewhere only enclosures by
    bisection in exact arithmetic are known, at ``V = 2`` (all maps are right at the upper end and one is wrong at the
    lower): two tokens without a mask 17.56..17.58 against 62 here, with the mask lift as well 22.17..22.19 against 126;
    three tokens, causal, 31.28..31.32 against 62.

    Args:
        vocab_size: ``V``.
        input_size: ``n_X``.
        causal: whether a causal mask hides later positions.
        lift: ``add`` or ``mask``, see ``LongerInputs``.

    Example:
        >>> longer_inputs_sufficient_q(2, 2, causal=True, lift="add")
        Fraction(15, 1)

    """
    check_integer("vocab_size", vocab_size, 1)
    check_integer("input_size", input_size, 2)
    needed = []
    for block in range(1, input_size + 1):
        others = block if causal else input_size
        spread = 2 if lift == "mask" and block == 1 else 1
        base = vocab_size ** (vocab_size ** (input_size - block))
        if block == input_size:
            needed.append(others * (4 * vocab_size * spread - 1) + 1)
        elif block > 1 or not causal or spread > 1:
            needed.append(others * (8 * base * spread - 1))
        needed.append(input_size * (4 * spread - 1))
    return Fraction(max(needed))


def two_inputs_threshold(vocab_size: int) -> int:
    r"""Return the ``q >= 6`` above which, and only above which, two user tokens are right (causal mask, add lift).

    ``2(4V-3)`` for ``V >= 2``; from 6 on the one-hots are restored exactly. In block 1 the leaks of the two heads
    cancel as in Theorem 2, so its digits are exact. In block 2 the answer's position sees three keys and coordinate
    ``r`` is ``((q-1)(o_r + c_r) + A_r)/(q+2)``: ``o`` its own token's one-hot, ``c`` the candidates looked for, whose
    entries are at most ``(V-1)/V``, and ``A >= o + c`` the sum of the one-hots and rows of all three. The selected
    coordinate (``o_r = 1``) is too small by at most ``2(1+c_r)/(q+2)``, below ``1/(2V)`` at ``c_r = (V-1)/V`` iff
    ``q > 2(4V-3)``; too large by at most ``2((V-1)/V)/(q+2)``; and every other one is at most
    ``(V-1)/V + 2/(q+2) <= 1`` before 1 is subtracted. The first is reached by the map that is ``V-1`` at the input
    ``0, 1`` and 0 everywhere else, where ``A`` has no more than ``o + c`` in coordinate 1: ``V-1`` ties with ``V-2``.

    Args:
        vocab_size: ``V``.

    Example:
        >>> two_inputs_threshold(2)
        10

    """
    check_integer("vocab_size", vocab_size, 1)
    return 0 if vocab_size == 1 else 2 * (4 * vocab_size - 3)
