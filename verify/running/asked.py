"""What a construction says of itself, asked for again before a verdict holds."""

from __future__ import annotations

from typing import Any

from constructions.construction import Construction
from constructions.transformer import Transformer
from constructions.validation import InvalidArgument


def asked_again(construction: Construction, before: Transformer[Any]) -> str | None:
    """Ask for the weights and the temperatures twice more; return in words which are not those of before.

    ``None`` where all are.

    Args:
        construction: whose they are.
        before: its transformer, as it was asked for before.

    """
    if construction.transformer is not before:
        asked = [construction.transformer for _ in range(2)]
        if any(transformer.lowered.sha256 != before.lowered.sha256 for transformer in asked):
            return "transformer: other weights when it is asked again"
    try:
        return next((said for _ in range(2) if (said := construction.changed_temperature()) is not None), None)
    except InvalidArgument as error:
        return f"temperature, asked again: {error}"
