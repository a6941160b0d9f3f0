"""How the command line names sizes and builds constructions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from constructions.construction import Construction
from constructions.temperature import Hardmax, RationalSoftmax, Softmax
from verify.verdict import decimal

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


def command_for(claim_id: str, construction: Construction) -> dict[str, str]:
    """Return the words that build a construction on the command line: the claim, then option -> value."""
    words: dict[str, str] = {"claim": claim_id}
    for option, name in SIZE_NAMES.items():
        if hasattr(construction, name) and name in type(construction).__dataclass_fields__:
            words[f"--{option}"] = str(getattr(construction, name))
    temperature = construction.temperature
    if isinstance(temperature, Hardmax):
        words["--temperature"] = "inf"
    elif isinstance(temperature, RationalSoftmax):
        words["--q"] = f"{decimal(temperature.q.numerator)}/{decimal(temperature.q.denominator)}"
    elif isinstance(temperature, Softmax):
        words["--temperature"] = repr(temperature.inverse_temperature)
        if temperature.scaled_by != "key":
            words["--scaled-by"] = temperature.scaled_by
    defaults: Mapping[str, Any] = {name: item.default for name, item in construction.__dataclass_fields__.items()}
    for option, name in OPTION_NAMES.items():
        if name in defaults and getattr(construction, name) != defaults[name]:
            words[f"--{option}"] = str(getattr(construction, name))
    return words
