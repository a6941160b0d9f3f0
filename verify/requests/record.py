"""A request as JSON, in the words of the command line alone: it says what to run, and holds no code."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from constructions.temperature import Softmax, Temperatures, as_temperature, parse_head_q
from constructions.validation import InvalidArgument, reject
from verify.arithmetic.families import ENCLOSING, FAMILIES, made
from verify.requests.own import claim_of
from verify.requests.request import Request


def request_to_json(request: Request) -> dict[str, Any]:
    """Return a request as JSON values.

    Raises:
        InvalidArgument: it holds something that no word of the command line says.

    Example:
        >>> from proofs import get_claim
        >>> from verify import RationalArithmetic
        >>> request = Request(get_claim("theorem-2"), {"vocab_size": range(3, 4)}, {}, RationalArithmetic())
        >>> record = request_to_json(request)
        >>> record["claim"], record["sizes"], record["arithmetic"]["family"]
        ('theorem-2', {'vocab_size': [3, 3]}, 'rational')
        >>> request_from_json(record).construction
        ConditionalGeneration(vocab_size=3)

    """
    spec = getattr(request.arithmetic, "spec", None)
    if spec is None:
        reject("arithmetic", "one that the command line can choose", request.arithmetic)
    options = dict(request.options)
    temperature = options.pop("temperature", None)
    for name, value in options.items():
        if not isinstance(value, (str, int, bool)):
            reject(name, "a value that the command line can say", value)
    record = {
        "claim": request.claim.id,
        "sizes": {name: [values[0], values[-1]] for name, values in request.sizes.items()},
        "options": options,
        "temperature": None if temperature is None else as_temperature(temperature).words,
        "arithmetic": spec.to_json(),
    }
    again = request_from_json(json.loads(json.dumps(record)))
    if (again.sizes, again.options, again.arithmetic.name) != (
        request.sizes,
        request.options,
        request.arithmetic.name,
    ):
        raise InvalidArgument("request: expected one that its own words say again, so that workers can make it")
    return record


def request_from_json(record: Mapping[str, Any]) -> Request:
    """Return the request that :func:`request_to_json` wrote."""
    words = record["temperature"]
    options = dict(record["options"]) | ({} if words is None else {"temperature": temperature_of(words)})
    settings = dict(record["arithmetic"])
    word, dtype, device = settings.pop("family"), settings.pop("format"), settings.pop("device")
    families = FAMILIES if word in FAMILIES else ENCLOSING
    chosen = {"device": device} if families[word].devices else {}  # bounds are of any device, and none is chosen
    arithmetic = made(families, word, dtype or "", options=settings, **chosen)
    sizes = {name: range(first, last + 1) for name, (first, last) in record["sizes"].items()}
    return Request(claim_of(record["claim"]), sizes, options, arithmetic)


def temperature_of(words: Mapping[str, str]) -> Temperatures:
    """Return the temperature that its words say: option -> value."""
    if "q" in words:
        return parse_head_q(words["q"])
    found = as_temperature(float(words["temperature"]))
    scaled_by = words.get("scaled-by", "key")
    if scaled_by == "length" and isinstance(found, Softmax):
        return Softmax(found.inverse_temperature, "length")
    return found
