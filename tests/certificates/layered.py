"""Two small models of today's kinds with random weights: ours, and the same written in plain torch; drawn kernels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar, final

import numpy as np
import torch
from torch.nn import functional as F  # noqa: N812 # as everybody calls it

from constructions.activations import GELU, SILU, Activation
from constructions.exact_matrix import ExactMatrix
from constructions.formats import Format, get_format
from constructions.layers import (
    Added,
    Attention,
    Gated,
    Head,
    Layer,
    LayerNorm,
    Linear,
    Residual,
    RMSNorm,
    Unmarked,
    rotary,
)
from constructions.layers.masks import CAUSAL
from constructions.layers.passes import Pass
from constructions.ratios import Ratios
from constructions.temperature import Softmax
from constructions.transformer import ExactTransformer, Transformer
from tests.certificates.emulated import Array, to_format
from tests.certificates.kernels import DrawnKernel
from tests.certificates.layer_kernels import DrawnLayers
from verify.arithmetic.base import Arithmetic, Visible

VOCAB, WIDTH, HEADS, KEY, INNER, CONTEXT, LAYERS = 7, 8, 2, 4, 12, 6, 2
EPS = Fraction(1e-5)
_Weights = dict[str, Array]


def _drawn(rng: np.random.Generator, rows: int, columns: int) -> Array:
    """Return small numbers that float32 and float64 hold."""
    return np.asarray((rng.standard_normal((rows, columns)) / (2 * np.sqrt(max(columns, 4)))).astype(np.float32))


def _scale(rng: np.random.Generator) -> Array:
    return np.asarray((1 + 0.2 * rng.standard_normal((WIDTH, 1))).astype(np.float32))


def pre_norm(seed: int) -> tuple[ExactTransformer, _Weights]:
    """Return two layers with residuals, RMSNorm, SwiGLU, rotary positions and grouped heads, and their weights."""
    rng = np.random.default_rng(seed)
    held: _Weights = {"embedding": _drawn(rng, WIDTH, VOCAB) * 4}
    layers: list[Layer[Any]] = []
    for at in range(LAYERS):
        w = {name: _drawn(rng, KEY, WIDTH) for name in ("k0", "v0", "q0", "q1")}
        w |= {"o": _drawn(rng, WIDTH, HEADS * KEY), "n1": _scale(rng), "n2": _scale(rng)}
        w |= {"gate": _drawn(rng, INNER, WIDTH), "up": _drawn(rng, INNER, WIDTH), "down": _drawn(rng, WIDTH, INNER)}
        held |= {f"{at}.{name}": value for name, value in w.items()}
        heads = [
            Head(f"{at} {head}", w[f"q{head}"], w[f"k{0}"], w[f"v{0}"], rotary=rotary(KEY, CONTEXT))
            if head == 0
            else Head(f"{at} {head}", w[f"q{head}"], rotary=rotary(KEY, CONTEXT), shares=f"{at} {head - 1}")
            for head in range(HEADS)
        ]
        attention = Attention(tuple(heads), name=f"attention {at}", output=w["o"])
        gate = Linear(w["gate"], activation=SILU, name=f"gate {at}")
        gated = Gated(gate, Linear(w["up"], activation=None, name=f"up {at}"), name=f"gated {at}")
        down = Linear(w["down"], activation=None, name=f"down {at}")
        first = RMSNorm(EPS, w["n1"], name=f"norm 1 {at}")
        second = RMSNorm(EPS, w["n2"], name=f"norm 2 {at}")
        layers += [Residual((first, attention), name=f"r1 {at}"), Residual((second, gated, down), name=f"r2 {at}")]
    held |= {"n": _scale(rng), "readout": _drawn(rng, VOCAB, WIDTH)}
    layers += [RMSNorm(EPS, held["n"], name="last"), Linear(held["readout"], activation=None, name="readout")]
    return Transformer(held["embedding"], tuple(layers), CONTEXT, positions=Unmarked()).lowered, held


def post_norm(seed: int) -> tuple[ExactTransformer, _Weights]:
    """Return two layers with LayerNorm after each residual, gelu, learned positions and biases, and their weights."""
    rng = np.random.default_rng(seed)
    held: _Weights = {"embedding": _drawn(rng, WIDTH, VOCAB) * 4, "positions": _drawn(rng, WIDTH, CONTEXT)}
    layers: list[Layer[Any]] = []
    for at in range(LAYERS):
        w: _Weights = {}
        for head in range(HEADS):
            w |= {f"{part}{head}": _drawn(rng, KEY, WIDTH) for part in "qkv"}
            w |= {f"b{part}{head}": _drawn(rng, KEY, 1) for part in "qkv"}
        w |= {"o": _drawn(rng, WIDTH, HEADS * KEY), "bo": _drawn(rng, WIDTH, 1)}
        w |= {"up": _drawn(rng, INNER, WIDTH), "bu": _drawn(rng, INNER, 1), "down": _drawn(rng, WIDTH, INNER)}
        w |= {"bd": _drawn(rng, WIDTH, 1), "n1": _scale(rng), "n2": _scale(rng)}
        w |= {"m1": _drawn(rng, WIDTH, 1), "m2": _drawn(rng, WIDTH, 1)}
        held |= {f"{at}.{name}": value for name, value in w.items()}
        heads = [
            Head(
                f"{at} {head}",
                w[f"q{head}"],
                w[f"k{head}"],
                w[f"v{head}"],
                query_bias=w[f"bq{head}"],
                key_bias=w[f"bk{head}"],
                value_bias=w[f"bv{head}"],
            )
            for head in range(HEADS)
        ]
        attention = Attention(tuple(heads), name=f"attention {at}", output=w["o"], output_bias=w["bo"])
        up, down = Linear(w["up"], w["bu"], GELU, f"up {at}"), Linear(w["down"], w["bd"], None, f"down {at}")
        layers += [
            Residual((attention,), name=f"r1 {at}"),
            LayerNorm(EPS, w["n1"], w["m1"], name=f"norm 1 {at}"),
            Residual((up, down), name=f"r2 {at}"),
            LayerNorm(EPS, w["n2"], w["m2"], name=f"norm 2 {at}"),
        ]
    held["readout"] = _drawn(rng, VOCAB, WIDTH)
    layers.append(Linear(held["readout"], activation=None, name="readout"))
    return Transformer(held["embedding"], tuple(layers), CONTEXT, positions=Added(held["positions"])).lowered, held


# in plain torch -------------------------------------------------------------------------------------------------------


def _attend(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    count = q.shape[-2]
    hidden = torch.triu(torch.ones(count, count, dtype=torch.bool), 1)
    scores = (q @ k.transpose(-1, -2) * (1 / KEY**0.5)).masked_fill(hidden, float("-inf"))
    return torch.softmax(scores, dim=-1) @ v


def plain_pre_norm(held: _Weights, tokens: Array, dtype: torch.dtype) -> torch.Tensor:
    """Return the logits of :func:`pre_norm` by torch's own functions, batch x positions x vocabulary."""
    w = {name: torch.from_numpy(value).to(dtype) for name, value in held.items()}
    x = w["embedding"].T[torch.from_numpy(tokens)]
    count = tokens.shape[1]
    angles = torch.arange(count, dtype=torch.float64)[:, None] * 10000.0 ** (
        -torch.arange(KEY // 2, dtype=torch.float64) * 2 / KEY
    )
    cosines, sines = (torch.cat([part, part], dim=-1).float().to(dtype) for part in (angles.cos(), angles.sin()))

    def turned(rows: torch.Tensor) -> torch.Tensor:
        half = KEY // 2
        return rows * cosines + torch.cat([-rows[..., half:], rows[..., :half]], dim=-1) * sines

    for at in range(LAYERS):
        n = F.rms_norm(x, (WIDTH,), w[f"{at}.n1"][:, 0], float(EPS))
        outputs = []
        for head in range(HEADS):
            q, k, v = (n @ w[f"{at}.{part}"].T for part in (f"q{head}", f"k{0}", f"v{0}"))
            outputs.append(_attend(turned(q), turned(k), v))
        x = x + torch.cat(outputs, dim=-1) @ w[f"{at}.o"].T
        n = F.rms_norm(x, (WIDTH,), w[f"{at}.n2"][:, 0], float(EPS))
        x = x + (F.silu(n @ w[f"{at}.gate"].T) * (n @ w[f"{at}.up"].T)) @ w[f"{at}.down"].T
    return F.rms_norm(x, (WIDTH,), w["n"][:, 0], float(EPS)) @ w["readout"].T


def plain_post_norm(held: _Weights, tokens: Array, dtype: torch.dtype) -> torch.Tensor:
    """Return the logits of :func:`post_norm` by torch's own functions."""
    w = {name: torch.from_numpy(value).to(dtype) for name, value in held.items()}
    x = w["embedding"].T[torch.from_numpy(tokens)] + w["positions"].T[: tokens.shape[1]]

    def linear(rows: torch.Tensor, weight: str, bias: str) -> torch.Tensor:
        return F.linear(rows, w[weight], w[bias][:, 0])

    for at in range(LAYERS):
        outputs = []
        for head in range(HEADS):
            q, k, v = (linear(x, f"{at}.{part}{head}", f"{at}.b{part}{head}") for part in "qkv")
            outputs.append(_attend(q, k, v))
        x = x + linear(torch.cat(outputs, dim=-1), f"{at}.o", f"{at}.bo")
        x = F.layer_norm(x, (WIDTH,), w[f"{at}.n1"][:, 0], w[f"{at}.m1"][:, 0], float(EPS))
        x = x + linear(F.gelu(linear(x, f"{at}.up", f"{at}.bu")), f"{at}.down", f"{at}.bd")
        x = F.layer_norm(x, (WIDTH,), w[f"{at}.n2"][:, 0], w[f"{at}.m2"][:, 0], float(EPS))
    return x @ w["readout"].T


@dataclass(frozen=True)
class Model:
    """Both forms of a model."""

    make: Callable[[int], tuple[ExactTransformer, _Weights]]
    plain: Callable[[_Weights, Array, torch.dtype], torch.Tensor]


MODELS = {"pre-norm": Model(pre_norm, plain_pre_norm), "post-norm": Model(post_norm, plain_post_norm)}


# on drawn kernels -----------------------------------------------------------------------------------------------------


@final
class DrawnArithmetic(Arithmetic[Array, Array, Array]):
    """Our layers on kernels drawn at random: every operation is one of them."""

    batched: ClassVar[bool] = True
    device = "cpu"

    def __init__(self, dtype: str, rng: np.random.Generator) -> None:
        self.fmt: Format = get_format(dtype)
        self.name, self.rng = f"drawn {dtype}", rng

    def _kernel(self) -> DrawnKernel:
        return DrawnKernel(self.fmt.name, self.rng)

    def weight(self, matrix: ExactMatrix) -> Array:
        return np.asarray(matrix.to_numpy(self.fmt), dtype=np.float64)

    def prompt(self, virtual_tokens: Ratios) -> Array:
        raise AssertionError("a drawn kernel runs on tokens alone")

    def argmax(self, logits: Array) -> Any:
        return logits.argmax(axis=-1)

    def numbers(self, rows: Array) -> Array:
        return rows

    def embed(self, embedding: Array, tokens: Array) -> Array:
        return np.asarray(embedding.T[tokens])

    def positions(self, context_size: int, start: int, stop: int) -> Array:
        return np.eye(context_size)[None, start:stop]

    def beside(self, left: Array, right: Array) -> Array:
        return np.concatenate([left, right], axis=-1)

    def below(self, top: Array, bottom: Array) -> Array:
        return np.concatenate([top, bottom], axis=-2)

    def last(self, rows: Array) -> Array:
        return rows[:, -1:]

    def linear(self, rows: Array, weight: Array, bias: Array | None = None) -> Array:
        return self._kernel().linear(rows, weight, None if bias is None else bias[:, 0])

    def relu(self, rows: Array) -> Array:
        return np.maximum(rows, 0)

    def total(self, parts: Sequence[Array]) -> Array:
        kernel = self._kernel()
        return to_format(kernel.tree(list(np.broadcast_arrays(*parts)), kernel.inner), self.fmt.name)

    def pointwise(self, rows: Array, activation: Activation) -> Array:
        held = torch.from_numpy(rows.copy()).to(getattr(torch, self.fmt.name))
        return np.asarray(activation.torch(held).double().numpy())

    def multiply(self, left: Array, right: Array) -> Array:
        return to_format(to_format(left * right, self._kernel().inner), self.fmt.name)

    def normalise(self, rows: Array, *, centred: bool, mean: bool, eps: Fraction) -> Array:
        drawn = DrawnLayers.of(self.fmt.name, self.rng)
        return drawn.normalise(rows, centred=centred, mean=mean, eps=eps)[0]

    def affine(self, rows: Array, weight: Array | None, bias: Array | None) -> Array:
        columns = (None if part is None else part[:, 0] for part in (weight, bias))
        return DrawnLayers.of(self.fmt.name, self.rng).affine(rows, *columns)

    def scores(self, queries: Array, keys: Array) -> Array:
        pairs = [(queries[:, :, None, at], keys[:, None, :, at]) for at in range(queries.shape[2])]
        return self._kernel().sum_of(pairs)

    def attention(self, scores: Array, visible: Visible, temperature: Any, *, key_size: int) -> Array:
        return self._kernel().attention(scores, visible, temperature, key_size)

    def mix(self, attention: Array, values: Array) -> Array:
        pairs = [(attention[:, :, at, None], values[:, None, at]) for at in range(values.shape[1])]
        return self._kernel().sum_of(pairs)


def logits(transformer: ExactTransformer, arithmetic: Any, embedded: Callable[[Any], Any], count: int) -> Any:
    """Return the logits of all positions in an arithmetic.

    Args:
        transformer: one of :data:`MODELS`.
        arithmetic: any.
        embedded: what is read, of the embedding.
        count: how many positions.

    """
    bound = transformer.map(lambda place, matrix: arithmetic.weight(matrix))
    run: Pass[Any, Any, Any] = Pass(arithmetic, 0, count, CAUSAL, Softmax(1.0), None, lambda name, value: None)
    return bound.apply(run, embedded(bound.embedding))
