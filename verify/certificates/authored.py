"""Code of other authors that runs in a pass: what a certificate assumes of it, and what it looks at itself.

A certificate runs a layer on bounds. No run can show that the layer computes the same of numbers. Drawn cases, run as a
user runs them, find a layer that does not, or that depends on the batch or on earlier calls, if it is wrong often
enough.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from constructions.construction import Construction
from constructions.formats import Format
from constructions.validation import InvalidArgument
from verify.arithmetic import RationalArithmetic, torch_arithmetic
from verify.arithmetic.base import Arithmetic
from verify.running.again import WITNESSES, alone, in_words
from verify.running.cases import Runner


def same_function(authored: Sequence[str]) -> str:
    """Return what a verdict assumes of classes of other authors; empty without any."""
    said = "the same function of what a pass gives it whenever it runs, of bounds as of numbers"
    return f"; {', '.join(authored)}: {said}" if authored else ""


def wrong_run(construction: Construction, authored: Sequence[str], fmt: Format | None) -> str | None:
    """Return in words a drawn case that comes out wrong; ``None`` where none does, or all code is of this library.

    Cases run together, and some alone. In real numbers they run in rational ones, or in float64 where these have no
    rule; nothing is said where neither holds the weights.

    Args:
        construction: what is certified.
        authored: the classes of other authors in its transformer.
        fmt: the format of the certificate; ``None`` for real numbers.

    """
    if not authored:
        return None
    targets = construction.target_space.sample(WITNESSES, seed=0)
    inputs = construction.user_inputs.sample(WITNESSES, seed=0)
    floats = torch_arithmetic("float64" if fmt is None else fmt.name, "cpu")
    runs: list[Arithmetic[Any, Any, Any]] = [floats] if fmt is not None else [RationalArithmetic(), floats]
    for arithmetic in runs:
        places = [np.arange(WITNESSES), *(np.array([place]) for place in alone(range(WITNESSES)))]
        try:
            runner = Runner(construction, arithmetic)
            failed = [runner.run(targets[chosen], inputs[chosen]).failures().any(axis=1) for chosen in places]
        except InvalidArgument as error:
            if fmt is None:
                continue
            return f"{arithmetic.name}, where {', '.join(authored)} runs on numbers: {error}"
        for chosen, wrong in zip(places, failed, strict=True):
            if wrong.any():
                at = chosen[int(np.argmax(wrong))]
                case = in_words(targets[at], inputs[at])
                return f"{case} is not right in {arithmetic.name}, where {', '.join(authored)} runs on numbers"
        break
    return None
