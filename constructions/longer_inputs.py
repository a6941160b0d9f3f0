r"""The extension to longer user inputs: more depth, still one information-carrying virtual token.

The virtual token packs the whole table of the map: coordinate ``j`` holds, as ``V^(n_X - 1)`` base-V digits after the
point, the sub-table of all inputs that start with token ``j``. There are ``n_X`` blocks, each an attention layer and
an MLP. Block ``l`` lets the ``l``-th user token select one of ``V`` packed numbers, exactly as Theorem 2 does; its
MLP unpacks the digits of the selected number and packs them again as the ``V`` candidates of the next token.

The unpacking is a real ReLU MLP, see :mod:`constructions.unpacking`: it gives exact digits for any value within 1/4 of
the lattice, and digits from ``[0, V-1]`` for any input at all. So no error accumulates from block to block, and the
results at positions that do not matter stay bounded.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import final

import numpy as np
import sympy as sp

from constructions.construction import Construction, Layout
from constructions.expressions import V, n_X
from constructions.formats import Format
from constructions.ratios import Ratios
from constructions.targets import TargetSpace
from constructions.temperature import RationalSoftmax, Temperature, one_hot_temperature
from constructions.thresholds import longer_inputs_sufficient_q
from constructions.transformer import Transformer
from constructions.unpacking import POSITIONS, Lift, blocks
from constructions.validation import IntArray, InvalidArgument, TokenArray, check_choice

#: Largest number of digits in one packed number: every digit is two layers, and more would be absurdly deep.
LARGEST_DIGITS = 2**12


@final
@dataclass(frozen=True, repr=False)
class LongerInputs(Construction):
    r"""A transformer that answers ``n_X`` user tokens by any of ``V^(V^n_X)`` maps, chosen by ONE virtual token.

    ``n_X >= 2``, ``n_Y = 1``, ``d_e = V``, context ``n_X + 1``; ``n_X`` attention layers of two heads with MLPs that
    unpack digits between them (paper, appendix, longer user inputs; the paper's notebook unpacks in Python).

    Attributes:
        vocab_size: ``V``, the number of tokens.
        input_size: ``n_X``, the number of user tokens, at least 2.
        lift: how block 1 selects. ``add``: ``E = onehot`` and ``ReLU(s + onehot - 1)``, as in Theorem 2. ``mask``:
            ``E = onehot - 1`` and ``ReLU(s + (onehot - 1))``: 0 is added to the selected number instead of 1, and a
            float keeps one more bit of it.

    Example:
        >>> construction = LongerInputs(vocab_size=2, input_size=2)
        >>> construction.virtual_tokens([[0, 1], [1, 0]]).to_fractions()[0]  # each row of the map as base-2 digits
        [Fraction(1, 4), Fraction(1, 2)]
        >>> construction.response([[0, 1], [1, 0]], [1, 0]).tolist()
        [1]

    """

    vocab_size: int
    input_size: int
    lift: Lift = "add"

    def __post_init__(self) -> None:
        super().__post_init__()
        # one token needs no digits, but still a block for each user token
        self._set_size("input_size", 2, LARGEST_DIGITS if self.vocab_size == 1 else None)
        check_choice("lift", self.lift, ("add", "mask"))
        # the exponent is looked at first: no huge power is ever built
        too_long = self.vocab_size > 1 and self.input_size - 1 >= LARGEST_DIGITS.bit_length()
        if too_long or self.vocab_size ** (self.input_size - 1) > LARGEST_DIGITS:
            raise InvalidArgument(
                f"input_size: expected vocab_size ** (input_size - 1) <= {LARGEST_DIGITS}, the number of digits to"
                f" unpack, but got {self.vocab_size} ** {self.input_size - 1} (type int)"
            )

    @property
    def layout(self) -> Layout:
        """One virtual token, ``n_X`` user tokens, one answer."""
        return Layout(virtual=1, user=self.input_size, response=1)

    @cached_property
    def transformer(self) -> Transformer:
        """The weights: ``n_X`` blocks, the layers of each written once for symbolic V, n_X, block and digit."""
        bindings = {V: self.vocab_size, n_X: self.input_size}
        embedding = sp.Identity(V) - sp.OneMatrix(V, V) if self.lift == "mask" else sp.Identity(V)
        layers = tuple(blocks(self.vocab_size, self.input_size, self.lift))
        return Transformer(embedding, layers, POSITIONS, bindings)

    @property
    def targets(self) -> TargetSpace:
        """All maps of ``n_X`` tokens to one, as tables of ``n_X`` axes."""
        return TargetSpace(self.vocab_size, (self.vocab_size,) * self.input_size)

    @property
    def packed_size(self) -> int:
        """``V^(V^(n_X - 1))``, the number of values of one coordinate of the virtual token."""
        return int(self.vocab_size ** (self.vocab_size ** (self.input_size - 1)))

    def encode(self, targets: TokenArray) -> Ratios:
        """Return ``s_j = r_j / V^(V^(n_X-1))``, where ``r_j`` has the sub-table of first token j as its digits."""
        rows = targets.reshape(len(targets), self.vocab_size, self.vocab_size ** (self.input_size - 1))
        dtype = np.int64 if self.packed_size < 2**62 and rows.dtype != object else object
        packed = np.zeros(rows.shape[:2], dtype=dtype)
        for digit in range(rows.shape[2]):
            packed = packed * self.vocab_size + rows[:, :, digit].astype(dtype)
        return Ratios(packed[:, None, :], self.packed_size)

    def answer(self, targets: TokenArray, user_inputs: IntArray) -> TokenArray:
        """Return ``m(x_1, ..., x_n)``, shape ``(batch, 1)``."""
        batch = np.arange(len(targets))
        answers: TokenArray = targets[(batch, *user_inputs.T)]
        return answers[:, None]

    def default_temperature(self, fmt: Format | None) -> Temperature:
        """Exact arithmetic: a ``q`` shown to be enough; floats: attention one-hot up to rounding.

        The contents are one-hots and multiples of ``1/B`` below 1, so the largest is at most ``B`` times the smallest
        that is not 0, with ``B`` the number of packed values.
        """
        if fmt is None:
            causal = self.mask == "causal"
            return RationalSoftmax(
                longer_inputs_sufficient_q(self.vocab_size, self.input_size, causal=causal, lift=self.lift)
            )
        keys = self.input_size + 1
        return one_hot_temperature(fmt, keys=keys, content_ratio=Fraction(self.packed_size), largest_key_size=keys)

    def check_format(self, fmt: Format) -> None:
        """Refuse a format whose significand cannot carry the packed numbers through the selection.

        Raises:
            InvalidArgument: see :func:`packing_error`; at two user tokens float64 ends at ``V = 13`` and float32 at
                ``V = 7``, at 8 with the mask lift.

        """
        error = max(packing_error(self, fmt, block) for block in range(1, self.input_size))
        if error > Fraction(1, 4):
            raise InvalidArgument(
                f"dtype: expected a format that carries {self.vocab_size}^{self.vocab_size ** (self.input_size - 1)}"
                f" packed values to within 1/4 (lift {self.lift!r}) but got {fmt.name!r} (type str)"
            )


def packing_error(construction: LongerInputs, fmt: Format, block: int) -> Fraction:
    r"""Return a bound on the error of the integer that block ``l`` unpacks, in float arithmetic with one-hot attention.

    The number selected is ``r/B`` and ``B (r/B)`` is compared with integers; the comparison tolerates 1/4. With
    ``u = 2^-p`` and every operation rounded to nearest: ``r/B`` itself has an error of at most ``u`` (in later blocks
    it is a sum of ``K`` products of rounded weights, at most ``(K+2)u/(1-(K+2)u)``); adding the 1 of the one-hot, in
    block 1 with the add lift and in every later block, another ``u``, as the sum is below 2; subtracting 1 is exact;
    the product with ``B`` another ``u`` relative to it, at most ``(1 + all that) u``. Multiplied by ``B``, this is
    the bound. When ``V`` is a power of two, ``r/B`` has at most ``log2 B`` bits and all of it is exact as long as
    ``B <= 2^p``, or ``2^(p-1)`` where the 1 is added; otherwise it is as above.

    Args:
        construction: the sizes and the lift.
        fmt: the number format.
        block: ``l``, from 1 to ``n_X - 1``.

    """
    vocab_size, input_size = construction.vocab_size, construction.input_size
    base = vocab_size ** (vocab_size ** (input_size - block))
    added = not (construction.lift == "mask" and block == 1)
    power_of_two = vocab_size & (vocab_size - 1) == 0
    if power_of_two and base <= 2 ** (fmt.precision - added):
        return Fraction(0)
    u = fmt.unit_roundoff
    if block == 1:
        encoding = u
    else:
        roundings = (vocab_size ** (input_size - block) + 2) * u
        encoding = roundings / (1 - roundings) if roundings < 1 else Fraction(1)
    selected = encoding + (u if added else 0)
    return Fraction(base * (selected + (1 + selected) * u))
