"""What stock classes cannot hold is refused in one line that names the layer."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any, cast

import numpy as np
import pytest
import sympy as sp

pytest.importorskip("transformers")

import transformers

from constructions import InvalidArgument, Softmax, UnconditionalGeneration
from constructions.activations import GELU, SQUARE, Gelu
from constructions.layers import (
    Attention,
    Head,
    LayerNorm,
    Linear,
    Residual,
    Softmax1Attention,
    Window,
    rotary,
)
from tests.huggingface.models import KEYS, VOCAB, WIDTH, Weights, attention, random_model
from tests.huggingface.test_families import model_of
from verify.huggingface import different_tensors, stock_rotary, to_huggingface, to_peft
from verify.huggingface.families.base import activation_name

pytestmark = pytest.mark.extras


def changed(made: Any, change: Any) -> Any:
    """Return a model with other layers."""
    layers = tuple(change(list(made.transformer.layers)))
    return replace(made, given_transformer=replace(made.transformer, layers=layers))


def with_attention(change: Any, family: str = "gpt2") -> Any:
    """Return a model whose first attention is another one."""

    def first(layers: list[Any]) -> list[Any]:
        norm, layer = layers[0].layers
        return [layers[0].changed(layers=(norm, change(layer))), *layers[1:]]

    return changed(model_of(family), first)


def with_mlp(change: Any) -> Any:
    """Return a model whose first MLP is another one."""

    def first(layers: list[Any]) -> list[Any]:
        return [layers[0], layers[1].changed(layers=tuple(change(*layers[1].layers))), *layers[2:]]

    return changed(model_of("gpt2"), first)


def first_head(layer: Any, **more: Any) -> Any:
    return layer.changed(heads=(layer.heads[0].changed(**more), *layer.heads[1:]))


TWO = Weights(2, 1)

REFUSED: dict[str, tuple[Any, str | None, str]] = {
    "one-hot positions": (
        lambda: UnconditionalGeneration(3, 3),
        None,
        "construction: expected a table added to the embedding, or none (Unmarked), as stock classes have it, but"
        " positions are given by OneHot",
    ),
    "no norm before the readout": (
        lambda: changed(model_of("gpt2"), lambda layers: [*layers[:-2], layers[-1]]),
        None,
        "expected a norm between the last block and the readout, as stock classes have it, but no norm comes before"
        " layer readout",
    ),
    "post-norm": (
        lambda: changed(
            model_of("gpt2"), lambda layers: [layers[0].changed(layers=layers[0].layers[::-1]), *layers[1:]]
        ),
        None,
        "expected a norm at the beginning of a residual connection (pre-norm), as stock classes have it, but layer r 0"
        " begins with attention 0, a Attention",
    ),
    "no residual": (
        lambda: changed(model_of("gpt2"), lambda layers: [layers[0].layers[1], *layers[1:]]),
        None,
        "but layer attention 0 is a Attention outside a residual connection",
    ),
    "another activation": (
        lambda: with_mlp(lambda norm, up, down: (norm, up.changed(activation=SQUARE), down)),
        "gpt2",
        "activation: expected the same in every MLP but layer up 0 has square, and layer up 1 gelu with tanh",
    ),
    "an activation after the second": (
        lambda: with_mlp(lambda norm, up, down: (norm, up, down.changed(activation=SQUARE))),
        "gpt2",
        "expected a linear map without one there, as stock classes have it, but layer down 0 has the activation square",
    ),
    "three linear layers": (
        lambda: with_mlp(lambda norm, up, down: (norm, up, down, Linear(TWO(WIDTH, WIDTH), None, None, "more"))),
        "gpt2",
        "but layer s 0 has norm 0 b, up 0, down 0, more",
    ),
    "a score bias": (
        lambda: with_attention(lambda layer: first_head(layer, score_bias=TWO(5, 5))),
        "gpt2",
        "expected scores of queries and keys alone, as stock classes have it, but head h0 of layer attention 0 has a"
        " score bias",
    ),
    "a window": (
        lambda: with_attention(lambda layer: layer.changed(mask=Window(2))),
        "gpt2",
        "expected a causal mask, as stock classes have it, but attention of layer attention 0 has the mask 'window of"
        " 2'",
    ),
    "no mask": (
        lambda: replace(model_of("gpt2"), mask="none"),
        "gpt2",
        "attention of layer attention 0 has the mask 'none'",
    ),
    "softmax with a 1": (
        lambda: with_attention(
            lambda layer: Softmax1Attention(layer.heads, layer.name, output=layer.output, output_bias=layer.output_bias)
        ),
        "gpt2",
        "but layer r 0 has norm 0, attention 0",
    ),
    "another temperature": (
        lambda: replace(model_of("gpt2"), temperature=Softmax(3.0)),
        "gpt2",
        "temperature: expected Softmax(1.0), the factor 1/sqrt(k) of stock classes, for head h0 of layer attention 0,"
        " whose scores are not all 0, but got Softmax(inverse_temperature=3.0, scaled_by='key')",
    ),
    "hardmax": (lambda: replace(model_of("gpt2"), temperature=None), "gpt2", "but got Hardmax()"),
    "scaled by the length": (
        lambda: replace(model_of("gpt2"), temperature=Softmax(1.0, "length")),
        "gpt2",
        "temperature: expected Softmax(1.0)",
    ),
    "two eps": (
        lambda: with_mlp(lambda norm, up, down: (norm.changed(eps=Fraction(1)), up, down)),
        "gpt2",
        "eps: expected the same in every norm but layer norm 0 has 1e-05 and layer norm 0 b has 1.0",
    ),
    "learned positions in Llama": (
        lambda: replace(
            cast("Any", model_of("llama")),
            given_transformer=replace(model_of("llama").transformer, positions=model_of("gpt2").transformer.positions),
        ),
        "llama",
        "family: expected one with a table of positions but llama has none",
    ),
    "LayerNorm in Llama": (
        lambda: model_of("gpt2"),
        "llama",
        "family: expected one with LayerNorm, for layer norm 0, but llama has RMSNorm",
    ),
    "a gate in GPT-NeoX": (
        lambda: changed(
            model_of("llama"),
            lambda layers: [
                *(
                    each.changed(layers=(LayerNorm(1e-5, name=each.layers[0].name), *each.layers[1:]))
                    for each in layers[:-2]
                ),
                LayerNorm(1e-5, name="norm"),
                layers[-1],
            ],
        ),
        "gpt-neox",
        "family: expected one whose MLP is with a gate, for layer gate 0, but got gpt-neox",
    ),
    "an own eps in OPT": (
        lambda: changed(
            model_of("opt"),
            lambda layers: [
                *(
                    each.changed(layers=(each.layers[0].changed(eps=Fraction(1)), *each.layers[1:]))
                    for each in layers[:-2]
                ),
                layers[-2].changed(eps=Fraction(1)),
                layers[-1],
            ],
        ),
        "opt",
        "eps: expected 1e-05, as opt always has it, but layer norm 0 has 1.0",
    ),
    "side by side in GPT-2": (
        lambda: random_model("gpt-neox", 1),
        "gpt2",
        "family: expected one whose attention and MLP may read the same stream, such as gpt-neox, but got gpt2",
    ),
    "rotary in GPT-2": (
        lambda: with_attention(
            lambda layer: layer.changed(heads=tuple(head.changed(rotary=rotary(KEYS, 5)) for head in layer.heads))
        ),
        "gpt2",
        "family: expected one with rotary positions, for head h0 of layer attention 0, but got gpt2",
    ),
    "no rotary in Llama": (
        lambda: random_model("llama", 1),
        "llama",
        "family: expected one that leaves queries and keys as they are, for head h0 of layer attention 0, but got"
        " llama",
    ),
    "a bias in Llama": (
        lambda: with_attention(lambda layer: first_head(layer, query_bias=[[1], [2]]), "llama"),
        "llama",
        "family: expected one with a bias for head h0 of layer attention 0, but this LlamaForCausalLM has no"
        " model.layers.0.self_attn.q_proj.bias",
    ),
    "a bias of the readout": (
        lambda: changed(model_of("gpt2"), lambda layers: [*layers[:-1], layers[-1].changed(bias=[[1]] * VOCAB)]),
        "gpt2",
        "family: expected one with a bias for layer readout, but this GPT2LMHeadModel has no lm_head.bias",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_a_class_cannot_hold_is_refused_by_its_layer(name: str) -> None:
    build, family, said = REFUSED[name]
    with pytest.raises(InvalidArgument) as raised:
        to_huggingface(build(), family)
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


def test_angles_that_were_computed_otherwise_are_refused() -> None:
    """Ours are computed in float64, those of the class in float32: some differ in the last place."""
    config = transformers.LlamaConfig(hidden_size=64, num_attention_heads=4)
    theirs, ours = stock_rotary(config, 60), rotary(16, 60)
    assert theirs.turn == ours.turn
    near = np.array(theirs.sines.tolist(), dtype=float) - np.array(ours.sines.tolist(), dtype=float)
    # an angle below 60 has the rounding of a float32 frequency and of a product, 2u of 60; a sine is no steeper than 1
    assert 0 < np.abs(near).max() <= 60 * 2.0**-24 * 3
    w = Weights(1, 1)
    changed_model = with_attention(
        lambda layer: layer.changed(
            heads=tuple(
                head.changed(rotary=rotary(KEYS, 5, base=9.0)) if head.shares is None else head for head in layer.heads
            )
        ),
        "llama",
    )
    with pytest.raises(InvalidArgument, match="cosines of head h0 of layer attention 0: expected those of LlamaFor"):
        to_huggingface(changed_model, "llama")
    assert attention(w, "x", rotary=theirs).heads[0].rotary is theirs


def test_scores_of_zero_have_any_temperature_and_any_positions() -> None:
    zero = sp.zeros(KEYS, WIDTH)

    def silenced(each: Any) -> Any:
        norm, *rest = each.layers
        if type(rest[0]) is not Attention:
            return each
        return each.changed(
            layers=(norm, rest[0].changed(heads=tuple(head.changed(query=zero) for head in rest[0].heads)))
        )

    made = changed(random_model("llama", 1), lambda layers: [*map(silenced, layers[:-2]), *layers[-2:]])
    model = to_huggingface(replace(made, temperature=None), "llama")
    assert different_tensors(replace(made, temperature=Softmax(3.0)), model) == ()


def test_arguments_are_refused_in_words() -> None:
    made = model_of("gpt2")
    for call, said in (
        (lambda: to_huggingface(made, "bert"), "family: expected one of gpt2, opt, llama, gpt-neox but got 'bert'"),
        (lambda: to_huggingface(made, dtype="float8"), "dtype: expected one of float64"),
        (
            lambda: to_huggingface(made, attn_implementation="quick"),
            "config: expected one that transformers takes with quick attention but",
        ),
        (
            lambda: to_huggingface(made, attn_implementation=cast("Any", 3)),
            "attn_implementation: expected a name, such as 'eager' or 'sdpa' but got 3 (type int)",
        ),
        (
            lambda: to_huggingface(
                made,
                config=transformers.GPT2Config(
                    vocab_size=VOCAB, n_embd=8, n_head=4, quantization_config={"quant_method": "bitsandbytes"}
                ),
            ),
            "quantization_config of config: expected None, as weights are whole floats, but got {'quant_method': 'bit",
        ),
        (
            lambda: to_huggingface(
                made,
                config=transformers.GPT2Config(vocab_size=VOCAB, n_embd=8, n_head=4, layer_norm_epsilon=1e-6),
            ),
            "config: expected the eps of the norms of the construction, 1e-05, but got 1e-06",
        ),
        (
            lambda: to_huggingface(made, config=transformers.GPT2Config(layer_norm_epsilon=float("nan"))),
            "eps of config: expected a finite number but got nan",
        ),
        (
            lambda: to_huggingface(made, config=transformers.GPT2Config(layer_norm_epsilon=float("inf"))),
            "eps of config: expected a finite number but got inf",
        ),
        (
            lambda: to_huggingface(made, config=transformers.GPT2Config(n_head=0)),
            "n_head of config: expected an integer >= 1 but got 0",
        ),
        (
            lambda: to_huggingface(made, "opt", config=transformers.GPT2Config()),
            "family: expected 'gpt2', that of the configuration, but got 'opt'",
        ),
        (
            lambda: to_huggingface(made, config=transformers.BertConfig()),
            "config: expected one of GPT2Config, OPTConfig",
        ),
        (
            lambda: to_huggingface(made, config=transformers.GPT2Config(vocab_size=VOCAB)),
            "config: expected the width of the residual stream of the construction, 8, but got 768",
        ),
        (
            lambda: to_huggingface(
                made, config=transformers.GPT2Config(vocab_size=VOCAB, n_embd=8, n_head=4, n_layer=1)
            ),
            "config: expected at least 2 blocks but got 1",
        ),
        (
            lambda: to_huggingface(made, config=transformers.GPT2Config(vocab_size=VOCAB, n_embd=8, n_head=4)),
            "config: expected tie_word_embeddings=False, as layer readout is not the embedding, but got True",
        ),
        (
            lambda: to_huggingface(
                made, config=transformers.GPT2Config(vocab_size=VOCAB, n_embd=8, n_head=4, scale_attn_weights=False)
            ),
            "scale_attn_weights of config: expected True but got False",
        ),
        (
            lambda: to_huggingface(
                model_of("opt"),
                config=transformers.OPTConfig(
                    vocab_size=VOCAB, hidden_size=8, num_attention_heads=4, do_layer_norm_before=False
                ),
            ),
            "do_layer_norm_before of config: expected True but got False",
        ),
        (lambda: to_peft(made, []), "construction: expected one with virtual tokens, which an adapter holds"),
        (
            lambda: different_tensors(made, transformers.BertModel(transformers.BertConfig(num_hidden_layers=1))),
            "model: expected one of GPT2LMHeadModel, OPTForCausalLM, LlamaForCausalLM, GPTNeoXForCausalLM itself but"
            " got a BertModel",
        ),
    ):
        with pytest.raises(InvalidArgument) as raised:
            call()
        assert str(raised.value).startswith(said)


def test_a_subclass_of_a_layer_is_no_layer_of_ours() -> None:
    class Doubled(Linear[Any]):
        """It computes something else."""

    made = with_mlp(lambda norm, up, down: (norm, Doubled(up.weight, up.bias, up.activation, up.name), down))
    with pytest.raises(InvalidArgument, match="but layer s 0 has norm 0 b, up 0, down 0"):
        to_huggingface(made, "gpt2")


def test_weights_beyond_a_format_are_refused() -> None:
    made = with_mlp(lambda norm, up, down: (norm, up.changed(bias=[[10**6]] * 12), down))
    with pytest.raises(
        InvalidArgument, match="dtype: expected a format that holds the weights of layer up 0 but float16"
    ):
        to_huggingface(made, "gpt2", dtype="float16")


def test_values_wider_than_a_head_take_several() -> None:
    """A head without a projection of its own fills as many heads of the class as its values need."""
    w = Weights(3, 1)
    wide = Attention((Head("sum", [[0] * WIDTH], [[0] * WIDTH], w(WIDTH, WIDTH)),), "wide")
    made = changed(model_of("gpt2"), lambda layers: [Residual((layers[0].layers[0], wide), "r 0"), *layers[1:]])
    model = to_huggingface(made, "gpt2", dtype="float64")
    assert model.config.n_head == 4  # those of the other block
    assert different_tensors(made, model) == ()


class _Impostor(Gelu):  # type: ignore[misc] # as an author does
    """Another function, which says that it is equal to every other one; Python asks a subclass first."""

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = Gelu.__hash__


def test_an_activation_that_calls_itself_equal_to_gelu_is_not_gelu() -> None:
    assert activation_name(GELU) is not None
    assert _Impostor() == GELU
    assert activation_name(_Impostor()) is None
