"""Whether a model of a stock class is still what its configuration makes: the same modules, with the same settings."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from itertools import chain
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any

import torch
from torch import nn
from torch.nn.modules import module as modules_of_torch

from constructions.validation import InvalidArgument
from verify.extras import needed
from verify.huggingface.classes import PURPOSE, family_of

#: Settings that say nothing of what is computed in evaluation mode, but how it was loaded or is trained.
_OTHER = frozenset({"training", "gradient_checkpointing", "name_or_path"})

#: The kinds of values that are settings.
_PLAIN = (bool, int, float, str, tuple, type(None), FunctionType, BuiltinFunctionType)

#: Hooks of every module in the process. PyTorch has no public name for them.
_EVERYWHERE = ("_global_forward_hooks", "_global_forward_pre_hooks")


def fresh(config: Any) -> Any:
    """Return the model that a configuration makes, without any weights."""
    transformers = needed("transformers", PURPOSE)
    with torch.device("meta"):
        return transformers.AutoModelForCausalLM.from_config(copy.deepcopy(config))


def tensors(model: Any) -> dict[str, Any]:
    """Return the parameters of a model by their names in the state dict.

    Modules may share one: it is there under the name of each. Only a readout that is the embedding, as the
    configuration has it, is there once.
    """
    held = dict(model.named_parameters(remove_duplicate=False))
    readout = model.get_output_embeddings().weight
    if model.config.tie_word_embeddings and readout is model.get_input_embeddings().weight:
        del held[f"{family_of(model).names['readout']}.weight"]
    return held


def check_stock(model: Any) -> None:
    """Refuse a model with other modules than its configuration makes, other settings, or code hooked into them.

    Weights alone do not say what a model computes: a factor of the scores, an ``eps``, a bias that its class does not
    have, or a mask does too, and dropout in training.

    Raises:
        InvalidArgument: there is one; the message names the module.

    """
    stock = fresh(model.config)
    made, found = dict(stock.named_modules()), dict(model.named_modules())
    for name in {**made, **found}:
        where = f"module {name}" if name else "the model"
        if name not in made or name not in found or type(made[name]) is not type(found[name]):
            raise InvalidArgument(f"model: expected the modules that its configuration makes but {where} is another")
        if _own_code(found[name]):
            raise InvalidArgument(f"model: expected no code of its own but {where} has some, such as a hook")
        for setting in {**_settings(made[name]), **_settings(found[name])}:
            meant, held = (_settings(part).get(setting, "nothing") for part in (made[name], found[name]))
            if meant != held:
                raise InvalidArgument(
                    f"model: expected {setting} {meant} in {where}, as its configuration has it, but got {held}"
                )
        if not _same_config(vars(found[name]).get("config", model.config), model.config):
            raise InvalidArgument(f"model: expected one configuration but {where} has another than the model")
        if found[name].training:
            raise InvalidArgument(
                f"model: expected one in evaluation mode but {where} is in training; call model.eval()"
            )
    if any(getattr(modules_of_torch, hooks) for hooks in _EVERYWHERE):
        raise InvalidArgument("model: expected no hooks on all modules of the process but there are some")
    _check_tensors(_held(stock), _held(model))
    _check_cache(model.config)


def _check_tensors(made: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    """Refuse tensors that the configuration does not make, and those that hide their numbers."""
    for name in {**made, **found}:
        if name not in found:
            raise InvalidArgument(f"model: expected the tensors that its configuration makes but {name} is not there")
        held = found[name]
        if name not in made or held.shape != made[name].shape:
            raise InvalidArgument(
                f"model: expected the tensors that its configuration makes but got {name} of shape {tuple(held.shape)}"
            )
        if held.is_meta:
            raise InvalidArgument(f"model: expected weights but {name} is on the meta device, without numbers")
        if type(held) not in (torch.Tensor, nn.Parameter):
            raise InvalidArgument(f"model: expected plain tensors but {name} is a {type(held).__name__}")


def _check_cache(config: Any) -> None:
    """Refuse a configuration whose cache forgets positions, which any class then does not see while it generates."""
    transformers = needed("transformers", PURPOSE)
    for layer in transformers.DynamicCache(config=copy.deepcopy(config)).layers:
        if type(layer) is not transformers.cache_utils.DynamicLayer:
            raise InvalidArgument(
                "config: expected a cache of all positions, without a sliding_window or an attention_chunk_size, but"
                f" got a {type(layer).__name__}"
            )


def check_attention(model: Any) -> None:
    """Refuse attention that a user has registered: it may compute anything.

    Raises:
        InvalidArgument: the model has it.

    """
    chosen = model.config._attn_implementation  # it has no public name
    known = needed("transformers", PURPOSE).AttentionInterface().get(chosen)
    if chosen != "eager" and not _is_library(known):
        raise InvalidArgument(f"model: expected attention of transformers, such as eager or sdpa, but got {chosen}")


def _held(model: nn.Module) -> dict[str, Any]:
    return dict(chain(model.named_parameters(remove_duplicate=False), model.named_buffers(remove_duplicate=False)))


def _settings(module: nn.Module) -> dict[str, Any]:
    held = vars(module).items()
    return {key: value for key, value in held if key[0] != "_" and key not in _OTHER and isinstance(value, _PLAIN)}


def _same_config(one: Any, other: Any) -> bool:
    return one is other or (
        type(one) is type(other)
        and one.to_dict() == other.to_dict()
        and one._attn_implementation == other._attn_implementation
    )


def _own_code(module: nn.Module) -> bool:
    """Whether a module runs anything but the code of its class, or its class other code than its library's."""
    hooks = (*module._forward_hooks.values(), *module._forward_pre_hooks.values())
    if not all(map(_is_library, hooks)) or not _is_library(type(module).forward, "transformers", "torch"):
        return True
    for name, value in vars(module).items():
        of_class = getattr(type(module), name, value)
        bound = isinstance(value, MethodType) and value.__func__ is of_class and value.__self__ is module
        if callable(value) and value is not of_class and not bound:
            return True
    return False


def _is_library(code: Any, *libraries: str) -> bool:
    """Whether code is that of transformers, which records outputs by hooks, or of one of some libraries."""
    return str(getattr(code, "__module__", "")).partition(".")[0] in (libraries or ("transformers",))
