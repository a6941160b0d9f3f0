"""A construction's own ``encode`` and ``answer``, run on tokens of which only bounds are known."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Int

from constructions.construction import Construction
from constructions.ratios import Ratios
from verify.certificates.between import Between, bounds


class CellsError(Exception):
    """A construction's targets cannot be cut into cells: nothing is shown, for the reason given."""


def unknown_tokens(vocab: int, size: int) -> np.ndarray[Any, Any]:
    """Return tokens of which nothing is known, each an object of its own: equality by identity would be knowledge."""
    return np.array([Between(0, vocab - 1) for _ in range(size)], dtype=object)


#: What code that decides by a token, looks it up or converts it raises when the token is not known.
_UNKNOWN = (TypeError, AttributeError, ValueError, LookupError, ArithmeticError)


def encode(construction: Construction, targets: np.ndarray[Any, Any]) -> Ratios:
    """Return the prompts of a batch of targets, shape ``(batch, virtual, embedding size)``.

    Raises:
        CellsError: the code does something with a token that needs to know it.

    """
    shape = (len(targets), construction.layout.virtual, construction.transformer.lowered.embedding_size)
    try:
        prompt = construction.encode(targets)
        return Ratios(np.asarray(prompt.numerators).reshape(shape), prompt.denominator)
    except _UNKNOWN as error:
        raise CellsError(f"encode cannot run on tokens of which only bounds are known: {error}") from None


def answer(construction: Construction, targets: np.ndarray[Any, Any], users: Any) -> np.ndarray[Any, Any]:
    """Return the promised responses of a batch, shape ``(batch, response)``; raises as :func:`encode` does."""
    try:
        return np.asarray(construction.answer(targets, users)).reshape(len(targets), construction.layout.response)
    except _UNKNOWN as error:
        raise CellsError(f"answer cannot run on tokens of which only bounds are known: {error}") from None


def check_members(
    construction: Construction,
    targets: np.ndarray[Any, Any],
    inputs: Int[np.ndarray, "cells user"],
    *,
    denominator: int,
    prompts: tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]],
    answers: tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]],
) -> None:
    """Look whether targets of the cells, as the integers that a forward pass is given, lie within the bounds.

    The bounds are of Python's integers. Where code overflows in int64, or asks what kind of tokens it was given, the
    forward pass sees other numbers, and the bounds say nothing of it. The least and the largest target of every cell
    show that where sums grow with every token; it is a check of the code, not a part of the proof.

    Raises:
        CellsError: they do not.

    """
    with np.errstate(all="ignore"):  # what overflows is told by its value
        prompt, response = encode(construction, targets), answer(construction, targets, inputs)
    if prompt.denominator != denominator or not _within(prompt.numerators, prompts):
        raise CellsError("encode gives other numbers for a target than the bounds that it gives for a set of targets")
    if not _within(response, answers):
        raise CellsError("answer gives other tokens for a target than the bounds that it gives for a set of targets")


def _within(values: np.ndarray[Any, Any], limits: tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]) -> bool:
    low, high = limits
    return bool(((low <= values) & (values <= high)).all())


def integer_bounds(numbers: np.ndarray[Any, Any]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return the smallest and the largest values of what ``encode`` or ``answer`` gave.

    Raises:
        CellsError: not integers.

    """
    if numbers.dtype != object and not np.issubdtype(numbers.dtype, np.integer):
        raise CellsError(f"encode and answer must give integers, not {numbers.dtype}")
    try:
        return bounds(numbers)
    except TypeError as error:
        raise CellsError(f"encode and answer must give integers: {error}") from None
