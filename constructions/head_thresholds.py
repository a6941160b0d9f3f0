r"""When softmax attention is sharp enough with a ``q = exp(T/sqrt(k))`` for each head, in real arithmetic.

Notation: with ``t`` visible keys, head ``h`` leaks ``l_h = (t-1)/(q_h+t-1)``, the weight of all keys but the one of
score 1. The readout picks the grid value nearest to the decoded number, so an error below half a step
``1/(2V)`` is harmless, and at exactly half a step two tokens tie.
"""

from __future__ import annotations

from fractions import Fraction

from constructions.validation import check_integer, check_positive_rational, check_rational


def head_leak(q: Fraction, visible: int) -> Fraction:
    """Return ``(t-1)/(q+t-1)``, the weight that a head gives to all keys but the one of score 1.

    Args:
        q: of the head.
        visible: ``t``, the number of visible keys.

    Example:
        >>> from fractions import Fraction
        >>> head_leak(Fraction(19), visible=3)
        Fraction(2, 21)

    """
    others = check_integer("visible", visible, 1) - 1
    return others / (check_positive_rational("q", q) + others)


def unconditional_generation_error(
    vocab_size: int, token: int, visible: int, *, q_self: Fraction, q_first: Fraction, magnitude: Fraction = Fraction(0)
) -> Fraction:
    r"""Return the largest shortfall of Theorem 1's decoded number at one position: ``l_self + l_first (y/V + M)``.

    Head "self" brings ``1 - l_self`` to the selected coordinate, and head "first" ``(1 - l_first) y/V`` with at least
    ``-l_first M`` from embeddings of entries ``|E| <= M``. Less 1, that is at least ``y/V`` minus this sum of two
    leaks, and exactly that with embeddings of ``-M``.

    Args:
        vocab_size: ``V``.
        token: ``y``.
        visible: ``t``, the number of visible keys.
        q_self: ``q`` of head "self".
        q_first: ``q`` of head "first".
        magnitude: ``M``, the largest magnitude of an entry of the embedding.

    """
    check_integer("vocab_size", vocab_size, 1)
    check_integer("token", token, 0, vocab_size - 1)
    read = Fraction(token, vocab_size) + check_rational("magnitude", magnitude, minimum=0)
    return head_leak(q_self, visible) + head_leak(q_first, visible) * read


def unconditional_generation_holds(
    vocab_size: int, context_size: int, *, q_self: Fraction, q_first: Fraction, magnitude: Fraction = Fraction(0)
) -> bool:
    r"""Say whether Theorem 1's transformer generates EVERY target for EVERY embedding ``|E| <= M``, at a q per head.

    It does if and only if ``V = 1`` or ``l_self + l_first ((V-1)/V + M) < 1/(2V)`` at ``t = N``, the
    :func:`unconditional_generation_error` of the token ``V-1``. With the same ``q`` in both heads that is
    ``q > (N-1)(4V-3+2VM)``.

    Enough: leaks grow with ``t`` and the error with ``y``, so the selected coordinate is nowhere too small by half a
    step. It is too large by at most ``l_first M``, less than half a step. Another coordinate is at most
    ``l_self/(t-1) + (1-l_first)(V-1)/V + l_first M`` before 1 is subtracted. The last term is below
    ``1/(2V) - l_self``, so the coordinate vanishes: ``(V-1)/V + 1/(2V) < 1``. Needed: for the target ``0, ..., 0, V-1``
    and embeddings of ``-M`` the other coordinates are at most ``1/(q_self+t-1) < 1``, and the selected one is too small
    by the error itself: ``V-1`` ties with ``V-2`` at equality and loses beyond it.

    Args:
        vocab_size: ``V``.
        context_size: ``N``.
        q_self: ``q`` of head "self".
        q_first: ``q`` of head "first".
        magnitude: ``M``, the largest magnitude of an entry of the embedding.

    Example:
        >>> from fractions import Fraction
        >>> q_self, q_first = Fraction(40), Fraction(20)
        >>> unconditional_generation_holds(4, 3, q_self=q_self, q_first=q_first)
        True
        >>> unconditional_generation_holds(4, 3, q_self=q_self, q_first=q_self)
        True

    """
    check_integer("vocab_size", vocab_size, 1)
    check_integer("context_size", context_size, 1)
    error = unconditional_generation_error(
        vocab_size, vocab_size - 1, context_size, q_self=q_self, q_first=q_first, magnitude=magnitude
    )
    return vocab_size == 1 or error < Fraction(1, 2 * vocab_size)


def conditional_generation_difference(*, q_self: Fraction, q_first: Fraction) -> Fraction:
    r"""Return ``d = 1/(1+q_self) - 1/(1+q_first)``, the distance of Theorem 2's two leaks from cancelling.

    There are two keys. Head "self" gives ``(1-l_self) e_X + l_self s`` and head "first"
    ``l_first e_X + (1-l_first) s``: together ``(1-d) e_X + (1+d) s``, exactly ``e_X + s`` at the same ``q`` in both.

    Args:
        q_self: ``q`` of head "self".
        q_first: ``q`` of head "first".

    Example:
        >>> from fractions import Fraction
        >>> conditional_generation_difference(q_self=Fraction(1), q_first=Fraction(3))
        Fraction(1, 4)

    """
    return head_leak(q_self, 2) - head_leak(q_first, 2)


def conditional_generation_holds(vocab_size: int, *, q_self: Fraction, q_first: Fraction) -> bool:
    r"""Say whether Theorem 2's transformer answers by EVERY map, at a ``q`` per head.

    It does if and only if ``V = 1`` or ``-1/(2V) < d < 1/(2(V-1))``, ``d`` the
    :func:`conditional_generation_difference`. The selected coordinate is ``y/V - d(1-y/V)`` before the ReLU, and the
    others ``(1+d) s_r - 1``, which is not positive up to ``d = 1/(V-1)``. For ``d > 0`` the token 0 is clipped to 0
    exactly, and of the others 1 is the hardest: too small by ``d(V-1)/V``. For ``d < 0`` the hardest is 0, too large
    by ``-d``. At equality two neighbours tie.

    Args:
        vocab_size: ``V``.
        q_self: ``q`` of head "self".
        q_first: ``q`` of head "first".

    Example:
        >>> from fractions import Fraction
        >>> conditional_generation_holds(3, q_self=Fraction(1), q_first=Fraction(3))
        False
        >>> conditional_generation_holds(3, q_self=Fraction(3), q_first=Fraction(3))
        True

    """
    check_integer("vocab_size", vocab_size, 1)
    difference = conditional_generation_difference(q_self=q_self, q_first=q_first)
    return vocab_size == 1 or Fraction(-1, 2 * vocab_size) < difference < Fraction(1, 2 * (vocab_size - 1))
