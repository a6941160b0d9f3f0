"""An attention layer, its content and a question about it, in a JSON file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from constructions.layers import Head
from constructions.temperature import Softmax, Temperature, parse_q
from constructions.validation import InvalidArgument, check_finite_positive, reject
from verify.files.atomic import read_json
from verify.prefixes.layer import AttentionLayer, Numbers, plain_head

_REQUIRED = {"heads", "content"}
_OPTIONAL = {"q", "temperature", "mask", "prefix", "next_head", "outputs", "pattern", "prefix_size"}


@dataclass(frozen=True, eq=False)
class LayerFile:
    """The parts of a file; a missing one is ``None``.

    Attributes:
        layer: the attention layer.
        content: positions x width.
        prefix: prefix x width.
        next_head: a head of the next layer.
        outputs: wanted outputs, positions x output width.
        pattern: wanted attention, heads x positions x positions.
        prefix_size: the length of the prefix.

    """

    layer: AttentionLayer
    content: Any
    prefix: Any
    next_head: Head[Numbers] | None
    outputs: Any
    pattern: Any
    prefix_size: int

    def needs(self, *names: str) -> None:
        """Raise :class:`InvalidArgument` unless the file has these parts."""
        for name in names:
            if getattr(self, name) is None:
                raise InvalidArgument(f"{name}: expected a value in the file")


def read_layer(path: Path) -> LayerFile:
    """Return the layer in a JSON file.

    An object with ``heads`` (each ``query``, ``key``, ``value``, matrices as arrays of rows), ``content`` and either
    ``q`` (exact ``exp(T/sqrt(k))``, such as ``"3/2"``) or ``temperature`` (``T``). Where they are needed: ``mask``
    (``causal``, the default, ``none``, or an array of rows of 0 and 1), ``prefix``, ``next_head``, ``outputs``,
    ``pattern``, ``prefix_size``. Numbers may be strings such as ``"2/3"``; a float counts as the number it is.

    Raises:
        InvalidArgument: not JSON, unknown or missing keys, or parts that do not fit.

    """
    record = read_json(path, "layer")
    if not isinstance(record, Mapping) or not _REQUIRED <= set(record) <= _REQUIRED | _OPTIONAL:
        raise InvalidArgument(
            f"layer: expected a JSON object with {', '.join(sorted(_REQUIRED))} and, where needed,"
            f" {', '.join(sorted(_OPTIONAL))}"
        )
    heads = record["heads"]
    if not isinstance(heads, list) or not heads:
        raise InvalidArgument("heads: expected an array of at least one head")
    layer = AttentionLayer(tuple(_head(head) for head in heads), _temperature(record), _mask(record))
    layer.visible(len(layer.rows("content", record["content"])))  # refuses a mask for other positions
    return LayerFile(
        layer=layer,
        content=record["content"],
        prefix=record.get("prefix"),
        next_head=None if record.get("next_head") is None else _head(record["next_head"]),
        outputs=record.get("outputs"),
        pattern=record.get("pattern"),
        prefix_size=record.get("prefix_size", 1),
    )


def _head(record: Any) -> Head[Numbers]:
    if not isinstance(record, Mapping) or set(record) != {"query", "key", "value"}:
        raise InvalidArgument("heads: expected each to be an object with query, key and value")
    return plain_head(record["query"], record["key"], record["value"])


def _temperature(record: Mapping[str, Any]) -> Temperature:
    if ("q" in record) == ("temperature" in record):
        raise InvalidArgument("temperature: expected either q or temperature in the file")
    if "q" in record:
        return parse_q(str(record["q"]))
    return Softmax(check_finite_positive("temperature", record["temperature"]))


def _mask(record: Mapping[str, Any]) -> Any:
    mask = record.get("mask", "causal")
    if isinstance(mask, str):
        return mask
    try:
        return np.array(mask)
    except ValueError:
        reject("mask", "causal, none or a square array of 0 and 1", mask)
