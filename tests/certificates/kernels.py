"""A forward pass of its own on kernels drawn at random, each within what a float certificate assumes of kernels.

A drawn kernel adds the terms of a sum in an order of its own (sequential, reversed, shuffled, in pairs, in chains),
rounds products or fuses them, keeps intermediate results of 16-bit formats in float32 or not, divides or multiplies
with a reciprocal, and has an ``exp`` that is off by as much as it may be, to either side.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np

from constructions import Attention, Construction, Linear
from constructions.temperature import Hardmax, RationalSoftmax, Softmax
from tests.certificates.emulated import FORMATS, Array, add, fused, held, multiply, spacing, to_format

#: What ``exp`` may be off by, in units in the last place: the documented assumption, not read from the package.
EXP_ULPS = 3


@dataclass(frozen=True)
class Layer:
    """A layer's numbers as a format holds them: heads of an attention layer, or a linear one."""

    heads: tuple[tuple[Array, Array, Array], ...] = ()
    weight: Array | None = None
    bias: Array | None = None
    relu: bool = False


@dataclass(frozen=True)
class Network:
    """A construction's numbers as a format holds them.

    Attributes:
        fmt: the format.
        embedding: one row for each token.
        layers: from the input to the logits.
        mask: causal, or none.
        temperature: of all heads.

    """

    fmt: str
    embedding: Array
    layers: tuple[Layer, ...]
    mask: str
    temperature: Any

    @classmethod
    def of(cls, construction: Construction, fmt: str) -> Network:
        """Return a construction's numbers, each correctly rounded."""

        def matrix(exact: Any) -> Array:
            values = [[held(Fraction(value), fmt) for value in row] for row in exact.to_fractions()]
            return np.array(values, dtype=np.float64).reshape(exact.shape)

        exact = construction.transformer.lowered
        layers = [
            Layer(
                heads=tuple((matrix(head.query), matrix(head.own_key), matrix(head.own_value)) for head in layer.heads)
            )
            if isinstance(layer, Attention)
            else Layer(weight=matrix(layer.weight), bias=matrix(layer.given_bias)[:, 0], relu=layer.has_relu)
            for layer in exact.layers
            if isinstance(layer, (Attention, Linear))
        ]
        assert exact.is_plain
        temperature = construction.temperature_for(None) if construction.temperature is None else None
        found = temperature if construction.temperature is None else construction.temperature
        return cls(fmt, matrix(exact.embedding).T, tuple(layers), construction.mask, found)

    def prompts(self, construction: Construction, targets: Array) -> Array:
        """Return the virtual tokens of targets, each number correctly rounded."""
        ratios = construction.encode(targets)
        values, place = np.unique(np.asarray(ratios.numerators), return_inverse=True)
        rounded = [held(Fraction(int(value), ratios.denominator), self.fmt) for value in values]
        shape = (len(targets), construction.layout.virtual, self.embedding.shape[1])
        return np.array(rounded)[place.reshape(-1)].reshape(shape)


@dataclass
class DrawnKernel:
    """One way to compute everything.

    Attributes:
        fmt: the format.
        rng: decides every order.
        products: how a bias is added. ``separate``: to the rounded sum of the products; ``fused``: a chain of fused
            multiply-adds starts from it, or, in a 16-bit format, all is added in float32; ``either``: like a product;
            ``reversed``: like ``separate``, to rounded products that are added from the last to the first.
        share: how many products are fused, not rounded.
        inner: the format of intermediate results.
        order: how the terms of a sum are added.
        bias_first: whether a chain starts from the bias.
        exp_off: by how many units ``exp`` is off; ``None`` for anything up to the assumption.
        reciprocal: whether the normaliser's reciprocal is multiplied with.
        early: whether the largest score is taken off before scaling.

    """

    fmt: str
    rng: np.random.Generator
    products: str = "either"
    share: float = field(init=False)
    inner: str = field(init=False)
    order: str = field(init=False)
    bias_first: bool = field(init=False)
    exp_off: int | None = field(init=False)
    reciprocal: bool = field(init=False)
    early: bool = field(init=False)

    def __post_init__(self) -> None:
        rng, narrow = self.rng, FORMATS[self.fmt][0] < FORMATS["float32"][0]
        self.inner = "float32" if narrow and rng.random() < 0.6 else self.fmt
        self.share = float(rng.choice([0, 0.5, 1]))
        self.order = str(rng.choice(["sequential", "reversed", "shuffled", "pairs", "chains"]))
        self.bias_first = bool(rng.random() < 0.5)
        self.exp_off = [None, 0, -2, 2][int(rng.integers(4))]
        self.reciprocal, self.early = (bool(rng.random() < 0.5) for _ in range(2))
        self.exp_format = str(rng.choice([self.fmt, self.inner]))
        self.sum_format = str(rng.choice([self.exp_format, self.inner]))
        self.gap_format = [None, self.fmt, self.inner][int(rng.integers(3))]
        if self.products == "reversed":
            self.share, self.order = 0.0, "reversed"

    # sums -----------------------------------------------------------------------------------------------------------

    def sum_of(self, pairs: Sequence[tuple[Array, Array]], bias: Array | None = None) -> Array:
        """Return the sum of products and a bias, which is added as :attr:`products` says."""
        if bias is None or self.products == "either" or not pairs:
            return to_format(self._sum(pairs, bias, self.inner), self.fmt)
        if self.products in {"separate", "reversed"}:
            return to_format(add(self.sum_of(pairs), bias, self.inner), self.fmt)
        if self.inner != self.fmt:
            return to_format(self._sum(pairs, bias, self.inner), self.fmt)
        total = bias
        for at in self.rng.permutation(len(pairs)):
            left, right = pairs[at]
            total = fused(left, right, total, self.fmt)
        return total

    def _sum(self, pairs: Sequence[tuple[Array, Array]], bias: Array | None, fmt: str) -> Array:
        """Return a sum in any order, its products rounded or not: chains, and a tree of their totals."""
        order = list(range(len(pairs)))
        if self.order == "shuffled" and len(pairs) > 1:
            return self._shuffled(pairs, bias, fmt)
        if self.order == "chains":
            order = [int(at) for at in self.rng.permutation(len(pairs))]
        elif self.order == "reversed":
            order = order[::-1]
        chains: list[list[int]] = [order]
        if self.order == "pairs":
            chains = [[at] for at in order]
        elif self.order == "chains" and len(order) > 1:
            cuts = np.flatnonzero(self.rng.random(len(order) - 1) < 0.5) + 1
            chains = [part.tolist() for part in np.split(np.array(order), cuts)]
        started = bias is not None and self.bias_first
        totals: list[Array] = []
        for index, chain in enumerate(chains):
            total = bias if started and index == 0 else None
            for at in chain:
                total = self._step(total, *pairs[at], fmt)
            if total is not None:
                totals.append(total)
        if bias is not None and not (started and chains):
            totals.append(bias)
        return self.tree(totals, fmt) if totals else np.zeros(())

    def _shuffled(self, pairs: Sequence[tuple[Array, Array]], bias: Array | None, fmt: str) -> Array:
        """Return the sum, for every member of the batch in an order, and with multiply-adds, of its own."""
        shape = np.broadcast_shapes(*(part.shape for pair in pairs for part in pair))
        left, right = (np.stack([np.broadcast_to(pair[end], shape) for pair in pairs]) for end in (0, 1))
        members = np.arange(shape[0])
        orders = self.rng.permuted(np.tile(np.arange(len(pairs)), (shape[0], 1)), axis=1)
        total = np.broadcast_to(bias, shape) if bias is not None and self.bias_first else None
        for place in range(len(pairs)):
            at = orders[:, place]
            first, second = left[at, members], right[at, members]
            rounded = multiply(first, second, fmt)
            if total is None:
                total = rounded
                continue
            joined = self.rng.random((shape[0], *(1,) * (len(shape) - 1))) < self.share
            separate = add(total, rounded, fmt)
            total = np.where(joined, fused(first, second, total, fmt), separate) if joined.any() else separate
        assert total is not None
        return total if bias is None or self.bias_first else add(total, bias, fmt)

    def _step(self, total: Array | None, left: Array, right: Array, fmt: str) -> Array:
        if total is None:  # a chain from 0 rounds its first product
            return multiply(left, right, fmt)
        if self.rng.random() < self.share:
            return fused(left, right, total, fmt)
        return add(total, multiply(left, right, fmt), fmt)

    def tree(self, parts: Sequence[Array], fmt: str) -> Array:
        """Return a sum of numbers, by the order of this kernel."""
        left = list(parts)
        if self.order in {"shuffled", "chains"}:
            left = [left[int(at)] for at in self.rng.permutation(len(left))]
        elif self.order == "reversed":
            left = left[::-1]
        while len(left) > 1:
            if self.order == "pairs":
                pairs = range(0, len(left) - 1, 2)
                left = [add(left[at], left[at + 1], fmt) for at in pairs] + left[len(left) - len(left) % 2 :]
            else:
                at = int(self.rng.integers(len(left) - 1)) if self.order == "chains" else 0
                left[at : at + 2] = [add(left[at], left[at + 1], fmt)]
        return left[0]

    def linear(self, rows: Array, weight: Array, bias: Array | None = None) -> Array:
        """Return ``W x + b`` for rows of shape batch x rows x width."""
        used = np.flatnonzero((weight != 0).any(axis=0))
        pairs = [(rows[..., at, None], weight[:, at]) for at in used]
        found = self.sum_of(pairs, None if bias is None else np.broadcast_to(bias, (*rows.shape[:2], len(bias))))
        return np.broadcast_to(found, (*rows.shape[:2], weight.shape[0]))

    # attention ------------------------------------------------------------------------------------------------------

    def attention(self, scores: Array, visible: Array, temperature: Any, key_size: int) -> Array:
        """Return attention weights, in the format."""
        masked = np.where(visible, scores, -np.inf)
        top = masked.max(axis=-1, keepdims=True)
        if isinstance(temperature, Hardmax):
            return self._normalised((masked == top).astype(np.float64), visible)
        gap = np.asarray(_gap(temperature, key_size, visible.shape[1]))
        gap = gap if self.gap_format is None else to_format(gap, self.gap_format)
        if self.early:
            below = multiply(add(masked, -top, self.exp_format), gap, self.exp_format)
        else:
            scaled = multiply(masked, gap, self.exp_format)
            below = add(scaled, -scaled.max(axis=-1, keepdims=True), self.exp_format)
        return self._normalised(np.where(visible, self._exp(below), 0), visible)

    def _exp(self, exponents: Array) -> Array:
        """Return ``exp`` of numbers that are not positive, off as drawn; 0 below half of the smallest number."""
        fmt = self.exp_format
        wide = np.longdouble if fmt == "float64" else np.float64
        true = np.exp(exponents.astype(wide))
        unit = spacing(true.astype(np.float64), fmt)
        off = self.rng.integers(-2, 3, exponents.shape) if self.exp_off is None else self.exp_off
        moved = true + wide(1) * off * unit
        found = to_format(np.maximum(moved, 0).astype(np.float64), fmt)
        plain = to_format(true.astype(np.float64), fmt)
        # at the end of a binade the rounding of the result may cost a whole unit more
        found = np.where(np.abs(found.astype(wide) - true) <= EXP_ULPS * unit * wide(1 - 2.0**-20), found, plain)
        bits, least = FORMATS[fmt]
        gone = true < wide(2.0) ** (least - bits)
        return np.asarray(np.where(exponents == 0, 1.0, np.where(gone | np.isneginf(exponents), 0.0, found)))

    def _normalised(self, factors: Array, visible: Array) -> Array:
        seen = [at for at in range(factors.shape[-1]) if visible[:, at].any()]
        total = self.tree([factors[..., at, None] for at in seen], self.sum_format)
        if self.reciprocal:
            inverse = to_format(1 / total, self.inner)
            return to_format(multiply(factors, inverse, self.inner), self.fmt)
        return to_format(to_format(factors / total, self.inner), self.fmt)

    # the forward pass -----------------------------------------------------------------------------------------------

    def hidden(self, network: Network, prompts: Array, tokens: Array, positions: int) -> Array:
        """Return the readout's input at the last position, batch x 1 x width.

        Args:
            network: the numbers.
            prompts: batch x virtual x width.
            tokens: the embeddings of the tokens after them, batch x tokens x width.
            positions: the context size.

        """
        rows = np.concatenate([prompts, tokens], axis=1)
        count = rows.shape[1]
        codes = np.broadcast_to(np.eye(positions)[:count], (len(rows), count, positions))
        x: Array = np.concatenate([rows, codes], axis=2)
        visible = np.ones((count, count), dtype=bool) if network.mask == "none" else np.tri(count, dtype=bool)
        for layer in network.layers[:-1]:
            if layer.weight is not None:
                x = self.linear(x, layer.weight, layer.bias)
                x = np.maximum(x, 0) if layer.relu else x
                continue
            outputs = []
            for query, key, value in layer.heads:
                q, k, v = (self.linear(x, part) for part in (query, key, value))
                scores = self.sum_of([(q[:, :, None, at], k[:, None, :, at]) for at in range(q.shape[2])])
                scores = np.broadcast_to(scores, (len(x), count, count))
                weights = self.attention(scores, visible, network.temperature, query.shape[0])
                mixed = self.sum_of([(weights[:, :, at, None], v[:, None, at]) for at in range(count)])
                outputs.append(np.broadcast_to(mixed, (len(x), count, v.shape[2])))
            x = to_format(self.tree(outputs, self.inner), self.fmt)
        return x[:, -1:]

    def logits(self, network: Network, hidden: Array) -> Array:
        """Return the logits, batch x vocabulary."""
        readout = network.layers[-1]
        assert readout.weight is not None
        return self.linear(hidden, readout.weight, readout.bias)[:, 0]


def _gap(temperature: Softmax | RationalSoftmax, key_size: int, length: int) -> float:
    if isinstance(temperature, RationalSoftmax):
        return math.log(temperature.q.numerator) - math.log(temperature.q.denominator)
    under = key_size if temperature.scaled_by == "key" else length
    return temperature.inverse_temperature / math.sqrt(under)


def margins(logits: Array, expected: Array) -> Array:
    """Return the promised tokens' logits minus the largest others; NaN where a logit is not finite."""
    own = np.take_along_axis(logits, expected[:, None], axis=1)[:, 0]
    others = logits.copy()
    np.put_along_axis(others, expected[:, None], -np.inf, axis=1)
    return np.where(np.isfinite(logits).all(axis=1), own - others.max(axis=1), np.nan)
