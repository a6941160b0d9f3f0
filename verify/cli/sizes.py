"""How the command line names sizes and builds constructions."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from constructions.construction import Construction
from constructions.temperature import Hardmax, PerHeadSoftmax, RationalSoftmax, Softmax
from verify.evidence.verdict import decimal

#: Option and ``Claim.build`` argument -> the construction's field.
SIZE_NAMES: dict[str, str] = {
    "vocab": "vocab_size",
    "context": "context_size",
    "response": "response_size",
    "input": "input_size",
}

#: Option -> the construction's field, for what is not a size.
OPTION_NAMES: dict[str, str] = {
    "mask": "mask",
    "lift": "lift",
    "encoding": "encoding",
    "readout": "readout",
    "band": "band_size",
}


def command_for(claim_id: str, construction: Construction) -> dict[str, str] | None:
    """Return the words that build a construction on the command line: the claim, then option -> value.

    ``None`` when the command line cannot build it, as it has no option for something that was given, such as an
    embedding.

    Args:
        claim_id: a claim's id, or ``module:Class`` of a construction of the user's.
        construction: what to build.

    """
    options = {*SIZE_NAMES.values(), "temperature", *OPTION_NAMES.values()}
    sizes = []
    for name, item in construction.__dataclass_fields__.items():
        value = getattr(construction, name)
        if name in options or not item.init:
            continue
        if type(value) is int:  # a size by the name of its field; True is none
            sizes.append(f"{name}={value}")
        elif value != item.default:
            return None
    words: dict[str, str] = {"claim": claim_id}
    for option, name in SIZE_NAMES.items():
        if name in type(construction).__dataclass_fields__ and construction.__dataclass_fields__[name].init:
            words[f"--{option}"] = str(getattr(construction, name))
    if sizes:
        words["--size"] = ",".join(sizes)
    temperature = construction.temperature
    if isinstance(temperature, Hardmax):
        words["--temperature"] = "inf"
    elif isinstance(temperature, RationalSoftmax):
        words["--q"] = _ratio(temperature.q)
    elif isinstance(temperature, PerHeadSoftmax):
        words["--q"] = ",".join(f"{head}={_ratio(q)}" for head, q in dict(temperature.q).items())
    elif isinstance(temperature, Softmax):
        words["--temperature"] = repr(temperature.inverse_temperature)
        if temperature.scaled_by != "key":
            words["--scaled-by"] = temperature.scaled_by
    defaults: Mapping[str, Any] = {name: item.default for name, item in construction.__dataclass_fields__.items()}
    for option, name in OPTION_NAMES.items():
        if name in defaults and getattr(construction, name) != defaults[name]:
            words[f"--{option}"] = str(getattr(construction, name))
    return words


def _ratio(number: Fraction | int) -> str:
    return f"{decimal(number.numerator)}/{decimal(number.denominator)}"
