"""The passes that a certificate bounds: one over all positions if generation computes the same, else its own passes.

Generation gives a model the prompt, keeps keys and values where it can, and then gives it each new position alone. That
is the last row of one pass over all positions for the layers of this library, which are tested for it. Other authors'
code may depend on how many positions there are, on where a pass starts, or on what is kept: it runs in the passes of
generation itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from constructions.layers.linear import Linear
from constructions.operations import RowsT, ScoresT, WeightT
from constructions.temperature import Softmax, head_temperature
from constructions.transformer import Transformer
from verify.arithmetic.base import NumberSystem
from verify.certificates.code_on_bounds import CellsError
from verify.running.model import Cache, Model, forward
from verify.running.trace import Trace


def check_parts(transformer: Transformer[Any], readout: Linear[Any]) -> None:
    """Refuse a transformer or a readout whose class may do other things than its weights say.

    The readout's own code does not run, as its weights tell margins better; a transformer's runs without the readout.

    Raises:
        CellsError: a class of another author.

    """
    if type(transformer) is not Transformer:
        raise CellsError(f"a transformer of class {type(transformer).__name__} may run more than its layers")
    if type(readout) is not Linear:
        raise CellsError(f"a readout of class {type(readout).__name__} may give other logits than its weights")


def _check_one_pass(model: Model[Any, Any, Any, NumberSystem[Any, Any, Any]]) -> None:
    """Refuse attention whose temperature is not that of generation in one pass over positions that were fed back.

    Generation keeps the keys and values of earlier positions. Under a causal mask they are those of one pass, unless
    the temperature is scaled by the number of positions, which was smaller when a lower layer attended there.

    Raises:
        CellsError: several layers of such attention.

    """
    layers = list(model.transformer.attentions)
    temperatures = [head_temperature(model.temperature, head.name) for layer in layers for head in layer.heads]
    by_length = any(isinstance(one, Softmax) and one.scaled_by == "length" for one in temperatures)
    if by_length and len(layers) > 1 and model.causal:
        raise CellsError("several attention layers scaled by the length keep keys of other temperatures between steps")


def last_row(
    model: Model[WeightT, RowsT, ScoresT, NumberSystem[WeightT, RowsT, ScoresT]],
    given: RowsT,
    count: int,
    fed: tuple[int, Callable[[slice], RowsT]],
    *,
    trace: Trace | None = None,
) -> RowsT:
    """Return the output at the last position of a step of generation.

    Args:
        model: the transformer, with or without its readout.
        given: the embeddings of the positions that are there at first.
        count: how many these are.
        fed: how many tokens were fed back since, and a function that returns the embeddings of some of them.
        trace: records every intermediate, of the last pass where there are several.

    Raises:
        CellsError: tokens were fed back, and attention depends on the number of positions when it ran.

    """
    arithmetic, (steps, embedded) = model.arithmetic, fed
    by_position = model.transformer.runs_by_position
    if model.causal and not by_position:
        cache: Cache[RowsT] = Cache()
        rows = forward(model, given, count, cache=cache, trace=trace)
        for step in range(steps):
            rows = forward(model, embedded(slice(step, step + 1)), 1, cache=cache, trace=trace)
        return arithmetic.last(rows)
    if steps:
        _check_one_pass(model)
        given = arithmetic.below(given, embedded(slice(steps)))
    rows = forward(model, given, count + steps, last_only=by_position, trace=trace)
    return rows if by_position else arithmetic.last(rows)
