"""Two models as they are trained today, against plain torch: pre-norm as in Llama, and post-norm as in BERT.

The bound of float64 is derived: a forward pass on balls, each result widened by the roundings that any program may make
of it (``tests/forward/plain.py``). Both programs must lie within it, and so must the true value.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import flint
import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from constructions import Softmax, Transformer
from constructions.activations import GELU, SILU
from constructions.layers import (
    Added,
    Attention,
    Gated,
    Head,
    LayerNorm,
    Linear,
    Residual,
    RMSNorm,
    Unmarked,
    rotary,
)
from tests.forward.plain import Float64Balls, Plain, TrueBalls, outside
from verify.arithmetic import NumpyArithmetic
from verify.arithmetic.base import NumberSystem
from verify.arithmetic.structured import StructuredTorchArithmetic
from verify.arithmetic.tensors import TorchArithmetic
from verify.certificates import BallArithmetic
from verify.certificates.balls.columns import ball_precision
from verify.running.model import bind, forward

WIDTH, HEADS, GROUPS, KEYS, HIDDEN, CONTEXT, VOCAB, LAYERS = 8, 4, 2, 2, 12, 5, 6, 2
EPS = 1e-5
TOKENS = np.array([[3, 1, 4, 1, 5], [2, 0, 5, 3, 3]])


class _Weights:
    """Random float64 weights by name, made when they are first asked for."""

    def __init__(self, seed: int) -> None:
        self.rng, self.held = np.random.default_rng(seed), dict[str, np.ndarray[Any, Any]]()

    def __call__(self, name: str, *shape: int) -> np.ndarray[Any, Any]:
        if name not in self.held:
            self.held[name] = self.rng.normal(0, 0.5, shape) + (1 if name.endswith("scale") else 0)
        return self.held[name]

    def tensor(self, name: str) -> Tensor:
        return torch.from_numpy(self.held[name])

    def column(self, name: str, rows: int) -> list[list[Fraction]]:
        return [[Fraction(value)] for value in self(name, rows).tolist()]


def _heads(w: _Weights, name: str, *, biased: bool, turned: bool, groups: int) -> tuple[Head, ...]:
    q, k, v = (w(f"{name}.{part}", heads * KEYS, WIDTH) for part, heads in (("q", HEADS), ("k", groups), ("v", groups)))
    heads = []
    for index in range(HEADS):
        group, first = divmod(index, HEADS // groups)
        more: dict[str, Any] = {"rotary": rotary(KEYS, CONTEXT)} if turned else {}
        own = slice(index * KEYS, (index + 1) * KEYS)
        shared = slice(group * KEYS, (group + 1) * KEYS)
        if biased:
            more["query_bias"] = w.column(f"{name}.qb", HEADS * KEYS)[own]
        if first:
            more["shares"] = f"h{index - first}"
        else:
            more |= {"key": k[shared], "value": v[shared]}
            if biased:
                more["key_bias"] = w.column(f"{name}.kb", groups * KEYS)[shared]
                more["value_bias"] = w.column(f"{name}.vb", groups * KEYS)[shared]
        heads.append(Head(f"h{index}", q[own], **more))
    return tuple(heads)


def _llama(w: _Weights) -> Transformer:
    layers: list[Any] = []
    for at in range(LAYERS):
        attention = Attention(
            _heads(w, f"{at}", biased=False, turned=True, groups=GROUPS),
            f"attention {at}",
            output=w(f"{at}.o", WIDTH, HEADS * KEYS),
        )
        gated = Gated(
            Linear(w(f"{at}.gate", HIDDEN, WIDTH), None, SILU, f"gate {at}"),
            Linear(w(f"{at}.up", HIDDEN, WIDTH), None, None, f"up {at}"),
            f"gated {at}",
        )
        down = Linear(w(f"{at}.down", WIDTH, HIDDEN), None, None, f"down {at}")
        layers += [
            Residual((RMSNorm(EPS, w.column(f"{at}.1.scale", WIDTH), name=f"norm {at}"), attention), f"r {at}"),
            Residual((RMSNorm(EPS, w.column(f"{at}.2.scale", WIDTH), name=f"norm {at} b"), gated, down), f"s {at}"),
        ]
    layers += [
        RMSNorm(EPS, w.column("scale", WIDTH), name="norm"),
        Linear(w("head", VOCAB, WIDTH), None, None, "readout"),
    ]
    return Transformer(w("embedding", WIDTH, VOCAB), tuple(layers), CONTEXT, positions=Unmarked())


def _llama_in_torch(w: _Weights, tokens: Tensor) -> Tensor:
    x = functional.embedding(tokens, w.tensor("embedding").T)
    count = tokens.shape[1]
    table = rotary(KEYS, CONTEXT)
    cosines, sines = (
        torch.from_numpy(np.array(part.tolist(), dtype=np.float64)).T[:count] for part in (table.cosines, table.sines)
    )

    def turned(y: Tensor) -> Tensor:
        left, right = y.chunk(2, dim=-1)
        return y * cosines + torch.cat([-right, left], dim=-1) * sines

    for at in range(LAYERS):
        y = functional.rms_norm(x, (WIDTH,), w.tensor(f"{at}.1.scale"), EPS)
        q, k, v = (
            functional.linear(y, w.tensor(f"{at}.{part}")).reshape(*y.shape[:-1], -1, KEYS).transpose(1, 2)
            for part in "qkv"
        )
        k, v = (part.repeat_interleave(HEADS // GROUPS, dim=1) for part in (k, v))
        made = functional.scaled_dot_product_attention(turned(q), turned(k), v, is_causal=True)
        x = x + functional.linear(made.transpose(1, 2).flatten(2), w.tensor(f"{at}.o"))
        y = functional.rms_norm(x, (WIDTH,), w.tensor(f"{at}.2.scale"), EPS)
        hidden = functional.silu(functional.linear(y, w.tensor(f"{at}.gate"))) * functional.linear(
            y, w.tensor(f"{at}.up")
        )
        x = x + functional.linear(hidden, w.tensor(f"{at}.down"))
    return functional.linear(functional.rms_norm(x, (WIDTH,), w.tensor("scale"), EPS), w.tensor("head"))


def _bert(w: _Weights) -> Transformer:
    layers: list[Any] = []
    for at in range(LAYERS):
        attention = Attention(
            _heads(w, f"{at}", biased=True, turned=False, groups=HEADS),
            f"attention {at}",
            output=w(f"{at}.o", WIDTH, HEADS * KEYS),
            output_bias=w.column(f"{at}.ob", WIDTH),
        )
        up = Linear(w(f"{at}.up", HIDDEN, WIDTH), w.column(f"{at}.upb", HIDDEN), GELU, f"up {at}")
        down = Linear(w(f"{at}.down", WIDTH, HIDDEN), w.column(f"{at}.downb", WIDTH), None, f"down {at}")
        scales = [(w.column(f"{at}.{n}.scale", WIDTH), w.column(f"{at}.{n}.shift", WIDTH)) for n in (1, 2)]
        layers += [
            Residual((attention,), f"r {at}"),
            LayerNorm(EPS, *scales[0], name=f"norm {at}"),
            Residual((up, down), f"s {at}"),
            LayerNorm(EPS, *scales[1], name=f"norm {at} b"),
        ]
    layers.append(Linear(w("head", VOCAB, WIDTH), w.column("headb", VOCAB), None, "readout"))
    return Transformer(
        w("embedding", WIDTH, VOCAB), tuple(layers), CONTEXT, positions=Added(w("positions", WIDTH, CONTEXT))
    )


def _bert_in_torch(w: _Weights, tokens: Tensor) -> Tensor:
    x = functional.embedding(tokens, w.tensor("embedding").T) + w.tensor("positions").T[: tokens.shape[1]]
    for at in range(LAYERS):

        def linear(y: Tensor, name: str, at: int = at) -> Tensor:
            return functional.linear(y, w.tensor(f"{at}.{name}"), w.tensor(f"{at}.{name}b"))

        def normed(y: Tensor, n: int, at: int = at) -> Tensor:
            return functional.layer_norm(y, (WIDTH,), w.tensor(f"{at}.{n}.scale"), w.tensor(f"{at}.{n}.shift"), EPS)

        q, k, v = (linear(x, part).reshape(*x.shape[:-1], HEADS, KEYS).transpose(1, 2) for part in "qkv")
        made = functional.scaled_dot_product_attention(q, k, v)
        x = normed(x + linear(made.transpose(1, 2).flatten(2), "o"), 1)
        x = normed(x + linear(functional.gelu(linear(x, "up")), "down"), 2)
    return functional.linear(x, w.tensor("head"), w.tensor("headb"))


MODELS = {"pre-norm": (_llama, _llama_in_torch, "causal"), "post-norm": (_bert, _bert_in_torch, "none")}
#: ``softmax(q . k / sqrt(k))``, as everywhere
TEMPERATURE = Softmax(1.0)


def _bounds(transformer: Transformer, kit: Any, mask: str) -> list[list[list[Any]]]:
    found = []
    for tokens in TOKENS.tolist():
        made = Plain(transformer.lowered, kit, TEMPERATURE, causal=mask == "causal")
        found.append(made.logits(made.embedded(tokens)))
    return found


def _logits(arithmetic: NumberSystem[Any, Any, Any], transformer: Transformer, mask: str) -> np.ndarray[Any, Any]:
    model = bind(transformer.lowered, arithmetic, TEMPERATURE, mask=mask)
    return arithmetic.numbers(forward(model, arithmetic.embed(model.embedding, TOKENS), CONTEXT))


@pytest.mark.share(2)
@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("name", MODELS)
def test_the_forward_pass_is_that_of_plain_torch(name: str, seed: int) -> None:
    build, in_torch, mask = MODELS[name]
    weights = _Weights(seed)
    transformer = build(weights)
    theirs = in_torch(weights, torch.from_numpy(TOKENS)).numpy()
    mine = [
        _logits(arithmetic, transformer, mask)
        for arithmetic in (TorchArithmetic("float64"), StructuredTorchArithmetic("float64"), NumpyArithmetic())
    ]
    with ball_precision():
        bounds = _bounds(transformer, Float64Balls(), mask)
    with ball_precision(256):
        true = _bounds(transformer, TrueBalls(), mask)
    with ball_precision():
        enclosed = _logits(BallArithmetic(), transformer, mask)
    assert theirs.shape == (2, CONTEXT, VOCAB)
    for place in np.ndindex(theirs.shape):
        batch, row, column = place
        allowed, exact = bounds[batch][row][column], true[batch][row][column]
        for logits in (theirs, *mine):
            assert not outside(allowed, float(logits[place])), (name, place)
        assert allowed.contains(exact)
        assert flint.arb(enclosed[place][0]) <= exact <= flint.arb(enclosed[place][1])
    for batch, row in np.ndindex(2, CONTEXT):  # the bounds say something: they decide which token comes next
        best = int(theirs[batch, row].argmax())
        others = [allowed for token, allowed in enumerate(bounds[batch][row]) if token != best]
        assert all(bounds[batch][row][best] > allowed for allowed in others)
