"""Check the output of a user's backend at the boundary, and read a response off logits, step by step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from constructions.decoding import Answers
from constructions.specification import Specification
from constructions.validation import IntArray, InvalidArgument, is_integral
from verify.running.respond import Produced

#: Logits at every position, or at the last one, for user tokens (and what was fed back after them): cases x length.
Asked = Callable[[IntArray], np.ndarray[Any, Any]]


def called(name: str, call: Callable[[], Any]) -> np.ndarray[Any, Any]:
    """Return what a user's code gives, as an array of its own: the code may use its buffer again.

    Raises:
        InvalidArgument: it raised something, or gave anything but an array or a tensor.

    """
    try:
        found = call()
        if hasattr(found, "logits"):  # what Hugging Face's models give
            found = found.logits
        if hasattr(found, "detach"):  # a torch tensor; float64 holds every float of it
            found = found.detach().to("cpu")
            found = (found.double() if found.is_floating_point() else found).numpy()
    except MemoryError:
        raise
    except Exception as error:
        raise InvalidArgument(
            f"backend: expected {name} to give an answer but it raised {type(error).__name__}: {error}"
        ) from error
    if not isinstance(found, np.ndarray) or np.ma.isMaskedArray(found):
        raise InvalidArgument(
            f"backend: expected an array or a tensor from {name} but got a value of type {type(found).__name__}"
        )
    return np.array(found)  # of numpy's own class: a subclass decides for itself what equals what


def checked_tokens(name: str, found: np.ndarray[Any, Any], specification: Specification, cases: int) -> IntArray:
    """Return the tokens that a backend gave.

    Raises:
        InvalidArgument: not integers, of another shape, or tokens that there are not.

    """
    shape, outputs = (cases, specification.layout.response), specification.output_vocab_size
    if not is_integral(found.dtype) or found.shape != shape:
        raise InvalidArgument(
            f"backend: expected tokens from {name}, integers of shape {_product(shape)} (cases x response), but got"
            f" {_described(found)}"
        )
    outside = (found < 0) | (found >= outputs)
    if outside.any():
        raise InvalidArgument(f"backend: expected tokens from {name} in 0..{outputs - 1} but got {found[outside][0]}")
    return found.astype(np.int64)


def checked_logits(name: str, found: np.ndarray[Any, Any], shapes: tuple[tuple[int, ...], ...]) -> np.ndarray[Any, Any]:
    """Return the logits that a backend gave, as float64; one that is not finite never verifies, and is let through.

    Raises:
        InvalidArgument: not floats, or of none of these shapes.

    """
    if not np.issubdtype(found.dtype, np.floating) or found.dtype.itemsize > np.dtype(np.float64).itemsize:
        raise InvalidArgument(
            f"backend: expected logits from {name}, floats of at most 64 bits, but got {_described(found)}; a backend"
            " that gives tokens is told so by gives='tokens'"
        )
    if found.shape not in shapes:
        expected = " or ".join(_product(shape) for shape in shapes)
        raise InvalidArgument(f"backend: expected logits from {name} of shape {expected} but got {_described(found)}")
    return found.astype(np.float64)


def respond_by_logits(name: str, specification: Specification, asked: Asked, user_inputs: IntArray) -> Produced:
    """Return the response to each user input, read off the logits that are asked for.

    Args:
        name: the backend's name, for messages.
        specification: says where and how the response is read.
        asked: the logits for tokens; of shape cases x outputs at the last position, or cases x positions x outputs.
        user_inputs: int64, cases x user.

    Raises:
        InvalidArgument: logits of another shape, or no floats.

    """
    layout, decoding, outputs = specification.layout, specification.reading, specification.output_vocab_size
    cases = len(user_inputs)

    def logits_of(tokens: IntArray, places: tuple[int, ...] | None) -> np.ndarray[Any, Any]:
        positions = layout.virtual + tokens.shape[1]
        everywhere = (cases, positions, outputs)
        shapes = (everywhere,) if places is not None else (everywhere, (cases, outputs))
        found = checked_logits(name, called(name, lambda: asked(tokens.copy())), shapes)
        if found.ndim == 2:
            return found[:, None]
        return found[:, [positions - 1] if places is None else [layout.virtual + place for place in places]]

    if layout.read is not None:
        logits = logits_of(user_inputs, layout.read)
        return Produced(decoding.produced(logits), logits)
    tokens, steps = user_inputs, []
    answers: list[Answers] = []
    for step in range(layout.response):
        steps.append(logits_of(tokens, None))
        answers.append(decoding.produced(steps[-1]))
        if step + 1 < layout.response:  # numbers are never fed back
            tokens = np.concatenate([tokens, answers[-1]], axis=1)
    return Produced(np.concatenate(answers, axis=1), np.concatenate(steps, axis=1))


def _product(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) if shape else "()"


def _described(found: np.ndarray[Any, Any]) -> str:
    return f"an array of {found.dtype} of shape {_product(found.shape)}"
