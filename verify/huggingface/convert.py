"""A construction's weights in a stock class, and the comparison of a stock model with a construction."""

from __future__ import annotations

import copy
from typing import Any

import torch

from constructions.construction import Construction
from constructions.formats import get_format
from constructions.validation import InvalidArgument, check_choice, reject
from verify.extras import needed
from verify.huggingface.blocks import Decoder, decoder_of
from verify.huggingface.classes import PURPOSE, dtype_of, family_of, family_of_config
from verify.huggingface.families import FAMILIES
from verify.huggingface.fitting import Fitted, fitted_to, smallest
from verify.huggingface.pieces import expected_tensors
from verify.huggingface.stock import check_stock, tensors
from verify.huggingface.turning import check_rotary

#: Any of these would end a response early, or be left out of it.
_NO_TOKENS = {"bos_token_id": None, "eos_token_id": None, "pad_token_id": None}


def to_huggingface(
    construction: Construction,
    family: str | None = None,
    *,
    dtype: str = "float32",
    attn_implementation: str = "sdpa",
    config: Any = None,
) -> Any:
    """Return an untouched stock class of transformers with a construction's own weights.

    Every weight is rounded once, correctly, to the format. Biases that the construction lacks are 0, and so are blocks,
    heads and hidden units that a given configuration has in excess.

    Args:
        construction: a decoder of pre-norm blocks.
        family: ``gpt2``, ``opt``, ``llama`` or ``gpt-neox``; by default the configuration's, or the first one that
            holds the construction, one with its activation by default before the others.
        dtype: the number format of all tensors.
        attn_implementation: ``eager``, ``sdpa``, or another one that transformers knows.
        config: a configuration that fits; by default the smallest one, with defaults for everything but sizes. Its
            special tokens are left out, as any of them would end a response early.

    Returns:
        A ``GPT2LMHeadModel``, ``OPTForCausalLM``, ``LlamaForCausalLM`` or ``GPTNeoXForCausalLM`` in evaluation mode.
        Its ``generate`` returns as many new tokens as a response has, and begins with the token 0 where the promise
        does not depend on the first token. By default it uses no cache, with which peft 0.21 does not get along.

    Raises:
        InvalidArgument: a family that there is not, or one that has no place for something in the construction; the
            message names the layer.

    """
    transformers = needed("transformers", PURPOSE)
    fmt = get_format(dtype)
    if not isinstance(attn_implementation, str):
        reject("attn_implementation", "a name, such as 'eager' or 'sdpa'", attn_implementation)
    decoder = decoder_of(construction)
    fitted = _fitted(construction, decoder, family, config, dtype)
    if config is None:
        kind = getattr(transformers, fitted.family.config_class)
        config = kind(**fitted.family.options(fitted.sizes), **_NO_TOKENS)
    config = copy.deepcopy(config)
    config.update(_NO_TOKENS)
    try:
        with torch.random.fork_rng():  # weights are drawn before they are written over
            model = transformers.AutoModelForCausalLM.from_config(
                config, dtype=getattr(torch, fmt.name), attn_implementation=attn_implementation
            ).eval()
    except (ValueError, ImportError) as error:  # of the configuration, or of an attention that is not installed
        raise InvalidArgument(
            f"config: expected one that transformers takes with {attn_implementation} attention but"
            f" {str(error).strip().splitlines()[0]}"
        ) from error
    check_rotary(fitted, model)
    held = tensors(model)
    with torch.no_grad():
        for name, numbers in expected_tensors(fitted, _shapes(held), fmt):
            held[name].copy_(torch.from_numpy(numbers))
    model.generation_config = generation_of(construction)
    wrong = different_tensors(construction, model)
    if wrong:
        raise InvalidArgument(
            f"config: expected a {type(model).__name__} that holds the exact weights but {', '.join(wrong)} do not"
        )
    return model


def generation_of(construction: Construction) -> Any:
    """Return the defaults of ``generate``: greedy, no token that ends a response, its length, and what starts it."""
    transformers = needed("transformers", PURPOSE)
    layout = construction.layout
    start = 0 if layout.user == 1 and starts_anywhere(construction) else None
    return transformers.GenerationConfig(
        max_new_tokens=layout.response,
        do_sample=False,
        bos_token_id=start,
        eos_token_id=None,
        pad_token_id=None,
        # peft 0.21 looks for the cache by a name that transformers 5.24 no longer has, and puts the virtual tokens
        # before every step's token, beside those in the cache
        use_cache=False,
    )


def starts_anywhere(construction: Construction) -> bool:
    """Whether a construction says that its response does not depend on the user's tokens."""
    reads = [construction.reads(step) for step in range(construction.layout.response)]
    return all(read is not None and not read.user for read in reads)


def different_tensors(construction: Construction, model: Any) -> tuple[str, ...]:
    """Return the tensors of a stock model that are not the construction's exact weights, correctly rounded.

    Args:
        construction: a decoder.
        model: of a stock class, such as :func:`to_huggingface` makes, or one that was loaded from files.

    Returns:
        Their names in the state dict; none where the model is the construction.

    Raises:
        InvalidArgument: no stock class, one that was changed, or sizes that do not fit.

    """
    family = family_of(model)
    check_stock(model)
    held = tensors(model)
    fmt = dtype_of(model)
    fitted = fitted_to(decoder_of(construction), family, construction.temperature_for(fmt), model.config)
    check_rotary(fitted, model)
    wrong = []
    for name, numbers in expected_tensors(fitted, _shapes(held), fmt):
        expected = torch.from_numpy(numbers).to(held[name].dtype)
        if not torch.equal(expected, held[name].detach().to("cpu")):
            wrong.append(name)
    return tuple(wrong)


def _fitted(construction: Construction, decoder: Decoder, family: str | None, config: Any, dtype: str) -> Fitted:
    temperature = construction.temperature_for(get_format(dtype))
    if config is not None:
        of_config = family_of_config(config)
        if family is not None and FAMILIES[check_choice("family", family, tuple(FAMILIES))] is not of_config:
            reject("family", f"{of_config.name!r}, that of the configuration,", family)
        return fitted_to(decoder, of_config, temperature, config)
    if family is not None:
        return smallest(decoder, FAMILIES[check_choice("family", family, tuple(FAMILIES))], temperature)
    found, refused = [], []
    for candidate in FAMILIES.values():
        try:
            found.append(smallest(decoder, candidate, temperature))
        except InvalidArgument as error:
            refused.append(f"{candidate.name}: {error}")
    if not found:
        raise InvalidArgument("; ".join(refused))
    return min(found, key=lambda fitted: fitted.sizes.activation != fitted.family.default_activation)


def _shapes(held: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in held.items()}
