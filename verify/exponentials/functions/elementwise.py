"""torch's own elementwise functions."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch

from verify.exponentials.functions.base import SHORT, Function, Way, in_short_rows


def _elementwise(word: str, base: str, function: Callable[[torch.Tensor], torch.Tensor]) -> Function:
    """Return a function, with its values in rows too short for a vector, and of numbers that are not neighbours."""

    def ways(arguments: torch.Tensor, values: torch.Tensor) -> Iterator[Way]:
        short = in_short_rows(arguments)
        held = arguments.new_zeros(len(short), SHORT + 1)  # so that rows are not one after the other
        held[:, :SHORT] = short
        yield "short rows", function(held[:, :SHORT]).reshape(-1), values[: short.numel()], True
        pairs = torch.stack([arguments, arguments], dim=1)
        yield "every other number", function(pairs[:, 0]), values, True

    return Function(word, f"torch.{word}", __name__, base, function, ways)


EXP = _elementwise("exp", "e", torch.exp)
EXP2 = _elementwise("exp2", "2", torch.exp2)
