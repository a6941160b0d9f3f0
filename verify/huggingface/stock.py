"""Whether a model of a stock class is still what its configuration makes: the same modules, with the same settings."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from constructions.validation import InvalidArgument
from verify.extras import needed
from verify.huggingface.classes import PURPOSE

#: Settings that say nothing of what is computed in evaluation mode, but how it was loaded or is trained.
_OTHER = frozenset({"training", "gradient_checkpointing", "name_or_path"})


def fresh(config: Any) -> Any:
    """Return the model that a configuration makes, without any weights."""
    transformers = needed("transformers", PURPOSE)
    with torch.device("meta"):
        return transformers.AutoModelForCausalLM.from_config(copy.deepcopy(config))


def check_stock(model: Any) -> None:
    """Refuse a model with other modules than its configuration makes, other settings, or code hooked into them.

    Weights alone do not say what a model computes: a factor of the scores, an ``eps``, or a mask is a setting of a
    module.

    Raises:
        InvalidArgument: there is one; the message names the module.

    """
    made = dict(fresh(model.config).named_modules())
    found = dict(model.named_modules())
    for name in {**made, **found}:
        where = f"module {name}" if name else "the model"
        if name not in made or name not in found or type(made[name]) is not type(found[name]):
            raise InvalidArgument(f"model: expected the modules that its configuration makes but {where} is another")
        for setting in {**_settings(made[name]), **_settings(found[name])}:
            meant, held = (_settings(part).get(setting, "nothing") for part in (made[name], found[name]))
            if meant != held:
                raise InvalidArgument(
                    f"model: expected {setting} {meant} in {where}, as its configuration has it, but got {held}"
                )
        if "forward" in vars(found[name]) or any(not _is_library(hook) for hook in _hooks(found[name])):
            raise InvalidArgument(f"model: expected no code of its own but {where} has some, such as a hook")


def _settings(module: nn.Module) -> dict[str, Any]:
    plain = (bool, int, float, str, type(None))
    held = vars(module).items()
    return {key: value for key, value in held if key[0] != "_" and key not in _OTHER and isinstance(value, plain)}


def _hooks(module: nn.Module) -> Iterator[Any]:
    yield from module._forward_hooks.values()
    yield from module._forward_pre_hooks.values()


def _is_library(hook: Any) -> bool:
    """Whether a hook is one with which transformers records outputs."""
    return str(getattr(hook, "__module__", "")).partition(".")[0] == "transformers"
