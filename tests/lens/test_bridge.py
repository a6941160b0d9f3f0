"""Constructions under the bridge of TransformerLens: its logits and patterns are ours, and patches do what they say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("transformers")
pytest.importorskip("transformer_lens")

import torch  # after the libraries that may not be there

from constructions import Construction, InvalidArgument, ResidualConditional, ResidualGeneration
from constructions.formats import FORMATS
from tests.huggingface.theorems import FAMILIES, exact_logits, largest_share, theorem
from verify import Trace, check, get_arithmetic
from verify.huggingface import to_huggingface
from verify.lens import embedded, to_transformer_lens

pytestmark = pytest.mark.extras

NAMES = ("theorem 1", "theorem 2")


def cases(construction: Construction, count: int) -> tuple[Any, Any, Any]:
    """Return targets, user inputs and responses, drawn."""
    targets = construction.targets.sample(count, seed=1)
    users = construction.user_inputs.sample(count, seed=2)
    return targets, users, construction.response(targets, users)


def fed(users: Any, responses: Any) -> Any:
    """Return the tokens behind the virtual ones in the pass that reads the whole response."""
    return np.concatenate([users, responses[:, :-1]], axis=1)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("family", FAMILIES)
def test_generation_through_hooks_returns_the_targets(name: str, family: str) -> None:
    construction = theorem(name, family, 9, 5)
    bridge = to_transformer_lens(construction, family)
    targets, users, responses = cases(construction, 20)
    prompt = embedded(bridge, construction, targets, users)
    length = construction.layout.response
    made = bridge.generate(prompt, max_new_tokens=length, do_sample=False, stop_at_eos=False, verbose=False)
    assert torch.as_tensor(made).tolist() == responses.tolist()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_logits_are_the_true_ones_up_to_a_part_of_each_gap(name: str, family: str, dtype: str) -> None:
    construction = theorem(name, family, 9, 5)
    bridge = to_transformer_lens(construction, family, dtype=dtype)
    stock = to_huggingface(construction, family, dtype=dtype, attn_implementation="eager")
    targets, users, responses = cases(construction, 3)
    rows = embedded(bridge, construction, targets, fed(users, responses))
    with torch.no_grad():
        logits, cache = bridge.run_with_cache(rows)
        expected = stock(inputs_embeds=rows).logits
    length = construction.layout.response
    assert logits.dtype == getattr(torch, dtype)
    assert torch.equal(cache["unembed.hook_out"], logits)
    for case in range(3):
        true, radius = exact_logits(construction, targets[case], users[case])
        largest = np.sort(true, axis=1)
        unknown = 2 * radius / (largest[:, -1] - largest[:, -2]).min()  # of a gap, as the true logits are balls
        for found in (logits, expected):
            share = largest_share(found[case, -length:].double().numpy(), true, responses[case])
            # within a half of every gap of the truth, and so within a whole one of each other
            assert share + unknown < 0.5


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("family", FAMILIES)
def test_patterns_are_one_over_the_number_of_positions(name: str, family: str) -> None:
    construction = theorem(name, family, 9, 5)
    bridge = to_transformer_lens(construction, family)
    targets, users, responses = cases(construction, 3)
    rows = embedded(bridge, construction, targets, fed(users, responses))
    with torch.no_grad():
        _, cache = bridge.run_with_cache(rows)
    count = rows.shape[1]
    names = [key for key in cache if key.endswith("attn.hook_pattern")]
    assert len(names) == bridge.cfg.n_layers
    # every score is 0: exp(0) is 1, a sum of ones is exact, and one quotient is rounded, or a product with 1
    expected = torch.tensor([[float(key <= place) for key in range(count)] for place in range(count)])
    expected /= torch.arange(1, count + 1)[:, None]
    for key in names:
        assert (cache[key] == expected).all()


@pytest.mark.parametrize("family", FAMILIES)
def test_patterns_are_those_of_our_own_pass(family: str) -> None:
    construction = theorem("theorem 1", family, 9, 5)
    bridge, trace = to_transformer_lens(construction, family), Trace(enabled=True)
    target, user = [8, 0, 3, 3, 1], [4]
    arithmetic = get_arithmetic("numpy", dtype="float64")
    assert check(construction, target=target, user_input=user, arithmetic=arithmetic, trace=trace).holds
    ours = [weights[0, -1] for name, weights in trace.steps.items() if name.endswith(".weights")]
    with torch.no_grad():
        _, cache = bridge.run_with_cache(embedded(bridge, construction, target, user + target[:-1]))
    assert len(ours) == bridge.cfg.n_layers
    for layer, weights in enumerate(ours):
        theirs = cache[f"blocks.{layer}.attn.hook_pattern"][0, 0, -1].double().numpy()
        # each is one quotient, rounded once in its format
        allowed = (2.0**-24 + 2.0**-53) * (1 + 2.0**-52) * weights
        assert (np.abs(theirs - weights) <= allowed).all()


def test_a_hook_that_writes_the_virtual_token_selects_its_target() -> None:
    construction = ResidualGeneration(9, 5)
    bridge = to_transformer_lens(construction)
    one, other = embedded(bridge, construction, [[8, 0, 3, 3, 1], [2, 7, 1, 8, 2]], [[8, 0, 3, 3], [8, 0, 3, 3]])
    place = bridge.original_model.transformer.wpe.original_component.weight[0]

    def write(resid: Any, hook: Any) -> Any:
        resid[:, 0] = other[0] + place  # behind the position's own embedding
        return resid

    with torch.no_grad():
        before = bridge(one[None])[0].argmax(dim=-1)
        after = bridge.run_with_hooks(one[None], fwd_hooks=[("blocks.0.hook_resid_pre", write)])[0].argmax(dim=-1)
    assert before.tolist() == [8, 0, 3, 3, 1]
    assert after.tolist() == [2, 7, 1, 8, 2]


@pytest.mark.parametrize("step", [1, 2, 3, 4])
def test_a_patched_attention_gives_the_other_targets_token_there_alone(step: int) -> None:
    construction = ResidualGeneration(9, 5)
    bridge = to_transformer_lens(construction)
    target, other = [8, 0, 3, 3, 1], [2, 7, 1, 8, 2]
    _, cache = bridge.run_with_cache(embedded(bridge, construction, other, other[:-1]))

    def patch(value: Any, hook: Any) -> Any:
        value[:, step] = cache[hook.name][:, step]
        return value

    rows = embedded(bridge, construction, target, target[:-1])
    logits = bridge.run_with_hooks(rows, fwd_hooks=[("blocks.0.hook_attn_out", patch)])
    expected = [*target[:step], other[step], *target[step + 1 :]]
    assert logits[0].argmax(dim=-1).tolist() == expected


def test_the_input_is_virtual_tokens_and_then_the_embeddings_of_tokens() -> None:
    construction = ResidualConditional(4)
    bridge = to_transformer_lens(construction)
    numbers = construction.virtual_tokens([3, 1, 0, 2]).to_float(FORMATS["float32"])
    table = bridge.original_model.get_input_embeddings().weight
    rows = embedded(bridge, construction, [3, 1, 0, 2], [2])
    assert rows.shape == (1, 2, table.shape[1])
    assert rows[0, 0].tolist() == numbers[0].tolist()
    assert torch.equal(rows[0, 1], table[2])
    both = embedded(bridge, construction, [[3, 1, 0, 2], [0, 0, 0, 1]], [[2], [1]])
    assert torch.equal(both[0], rows[0])
    assert torch.equal(both[1, 1], table[1])
    assert embedded(bridge, construction, [[3, 1, 0, 2], [0, 0, 0, 1]], [2]).shape == (2, 2, table.shape[1])
    assert embedded(bridge, construction, [3, 1, 0, 2]).shape == (1, 1, table.shape[1])


@pytest.mark.parametrize(
    ("target", "tokens", "message"),
    [
        ([4, 0, 0, 0], [0], "target: expected integers from 0 to 3"),
        ([0, 0, 0], [0], "target: expected integers from 0 to 3 of shape"),
        ([0, 0, 0, 0], [4], "tokens: expected integers from 0 to 3"),
        ([0, 0, 0, 0], [0.5], "tokens: expected integers from 0 to 3"),
        ([0, 0, 0, 0], 3, "tokens: expected integers from 0 to 3 of shape"),
        ([[0, 0, 0, 0]] * 2, [[0], [1, 2]], "tokens: expected rows of the same number of tokens"),
        ([[0, 0, 0, 0]] * 3, [[0], [1]], "tokens: expected a row for each of 3 targets but got 2"),
    ],
)
def test_what_is_no_target_or_no_token_is_refused(target: Any, tokens: Any, message: str) -> None:
    construction = ResidualConditional(4)
    bridge = to_transformer_lens(construction)
    with pytest.raises(InvalidArgument, match=message):
        embedded(bridge, construction, target, tokens)


def test_what_is_no_bridge_of_the_construction_is_refused() -> None:
    construction = ResidualGeneration(3, 2)
    cases = (
        (lambda: embedded(3, construction, [0, 0]), "bridge: expected one that to_transformer_lens returns but got 3"),
        (
            lambda: embedded(to_transformer_lens(ResidualGeneration(3, 3)), construction, [0, 0]),
            "bridge: expected one whose residual stream is 9 wide, as the virtual tokens are, but got 11",
        ),
        (
            lambda: to_transformer_lens(construction, attn_implementation="sdpa"),
            "attn_implementation: expected none, as attention is eager, so that patterns can be read",
        ),
    )
    for call, said in cases:
        with pytest.raises(InvalidArgument) as raised:
            call()
        assert str(raised.value).startswith(said)
