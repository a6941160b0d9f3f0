"""Comparisons bit by bit; they are findings and promise nothing."""

from __future__ import annotations

from typing import Any

import numpy as np

from constructions.construction import Construction
from verify.device.base import Data
from verify.running.cases import Runner, spaces


def compared_bits(construction: Construction, one: Any, other: Any, cases: int) -> Data:
    """Count the drawn cases whose logits two backends give bit for bit alike, and return the largest difference too.

    Args:
        construction: whose cases they are.
        one: an arithmetic or a backend.
        other: the same.
        cases: how many.

    """
    targets, users = spaces(construction)
    drawn = targets.sample(cases, seed=0), users.sample(cases, seed=0)
    logits = [Runner(construction, runs).run(*drawn).logits for runs in (one, other)]
    first, second = (np.asarray(each, dtype=np.float64) for each in logits)
    return bits_compared(first, second)


def bits_compared(first: np.ndarray[Any, Any], second: np.ndarray[Any, Any]) -> Data:
    """Count the cases whose numbers are all the same bit for bit, and return the largest difference too.

    Args:
        first: float64, cases in front.
        second: the same shape.

    """
    same = (first.view(np.uint64) == second.view(np.uint64)).reshape(len(first), -1).all(axis=1)
    largest = float(np.max(np.abs(first - second)))
    difference = largest if np.isfinite(largest) else str(largest)
    return {"cases": len(first), "equal": int(same.sum()), "difference": difference}


def compared_sentence(data: Data) -> str:
    """Return the data of :func:`bits_compared` in words.

    Raises:
        ValueError: they are no such data.

    """
    if type(data["cases"]) is not int or type(data["equal"]) is not int or not 0 <= data["equal"] <= data["cases"]:
        raise ValueError("equal cases are some of the compared ones")
    apart = "" if data["equal"] == data["cases"] else f", apart by up to {data['difference']}"
    return f"{data['equal']} of {data['cases']} drawn cases equal bit for bit to plain torch{apart}"
