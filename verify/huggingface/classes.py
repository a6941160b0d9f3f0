"""Which family a stock model, or a configuration, is of."""

from __future__ import annotations

from typing import Any

from constructions.formats import Format, get_format
from constructions.validation import InvalidArgument, reject
from verify.extras import needed
from verify.huggingface.families import FAMILIES, Family

#: What needs the extra, in messages.
PURPOSE = "huggingface"


def family_of(model: Any) -> Family:
    """Return the family of a stock model.

    Raises:
        InvalidArgument: no stock class, or a subclass of one.

    """
    transformers = needed("transformers", PURPOSE)
    for family in FAMILIES.values():
        if type(model) is getattr(transformers, family.model_class):
            return family
    known = ", ".join(family.model_class for family in FAMILIES.values())
    raise InvalidArgument(f"model: expected one of {known} itself but got a {type(model).__name__}")


def family_of_config(config: Any) -> Family:
    """Return the family of a configuration.

    Raises:
        InvalidArgument: of no stock class.

    """
    transformers = needed("transformers", PURPOSE)
    for family in FAMILIES.values():
        if type(config) is getattr(transformers, family.config_class):
            return family
    return reject("config", f"one of {', '.join(family.config_class for family in FAMILIES.values())}", config)


def dtype_of(model: Any) -> Format:
    """Return the number format of a model's parameters.

    Raises:
        InvalidArgument: there are several, or none of ours.

    """
    found = sorted({str(parameter.dtype).removeprefix("torch.") for parameter in model.parameters()})
    if len(found) != 1:
        raise InvalidArgument(f"model: expected parameters of one dtype but got {', '.join(found)}")
    return get_format(found[0])
