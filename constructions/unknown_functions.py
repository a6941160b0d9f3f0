"""Numpy's functions on :class:`~constructions.unknown_tokens.UnknownTokens`; any that is not here is refused.

Most of them move entries about: they do the same to the lower bounds, the upper bounds and the dependence.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from constructions.bounded_runs import refuse
from constructions.unknown_arithmetic import Kind, made, operand, operate, result_run
from constructions.unknown_tokens import UnknownTokens, bounds, dependence, holds_unknown, run_of, share

_LARGEST = int(np.iinfo(np.int64).max)
_Handler = Callable[[tuple[Any, ...], Mapping[str, Any]], Any]

#: Options that say where entries go, and nothing of their values.
_OPTIONS = {
    *("axis", "axes", "axis1", "axis2", "shape", "order", "indices", "repeats", "reps", "shift", "offset"),
    *("source", "destination", "mode"),
}


#: The number of unnamed arguments that say where entries go; after these numpy takes an array to write to.
_MOVED, _JOINED = 3, 2


def _checked(name: str, given: Any, options: Mapping[str, Any], allowed: set[str]) -> None:
    if holds_unknown(given) or holds_unknown(dict(options)):
        refuse(f"numpy.{name} by unknown tokens" + (" (use look_up)" if name.startswith("take") else ""))
    if not set(options) <= allowed:
        refuse(f"numpy.{name} with {', '.join(sorted(set(options) - allowed))}")


def _first(name: str, args: tuple[Any, ...]) -> UnknownTokens:
    """Return the argument of a function as an array; a Python integer becomes an int64 there."""
    if not args or type(args[0]) is not UnknownTokens:
        refuse(f"numpy.{name} by unknown tokens" + (" (use look_up)" if name.startswith("take") else ""))
    tokens: UnknownTokens = args[0]
    return converted(tokens, np.int64) if tokens.dtype == object and not tokens.ndim else tokens


def _moved(function: Callable[..., Any], *, copies: bool) -> _Handler:
    """Return the handler of a function that moves entries about.

    Args:
        function: of numpy.
        copies: whether its result never shares memory with its argument.

    """
    name = function.__name__

    def handler(args: tuple[Any, ...], options: Mapping[str, Any]) -> UnknownTokens:
        tokens = _first(name, args)
        _checked(name, args[1:], options, _OPTIONS)
        if len(args) > _MOVED:
            refuse(f"numpy.{name} with more arguments that have no name")
        parts = (*bounds(tokens), dependence(tokens))
        low, high, entries = (np.asarray(function(part, *args[1:], **options)) for part in parts)
        if not copies:
            share(args[0])
        return UnknownTokens(low, high, entries, run_of(tokens), owned=copies)

    return handler


def _joined(function: Callable[..., Any]) -> _Handler:
    """Return the handler of a function that puts several arrays together."""
    name = function.__name__

    def handler(args: tuple[Any, ...], options: Mapping[str, Any]) -> UnknownTokens:
        if not args or not isinstance(args[0], (list, tuple)):
            refuse(f"numpy.{name} of anything but a list of arrays")
        if len(args) > _JOINED:
            refuse(f"numpy.{name} with more arguments that have no name")
        _checked(name, args[1:], options, _OPTIONS)
        return _together(args[0], lambda *parts: function(parts, *args[1:], **options))

    return handler


def _together(values: Any, function: Callable[..., Any]) -> UnknownTokens:
    operands = tuple(operand(value) for value in values)
    kind: Kind = "objects" if any(each.kind == "objects" for each in operands) else "int64"
    operands = tuple(each.as_objects() if kind == "objects" else each.as_int64() for each in operands)
    entries = [np.broadcast_to(each.entries, each.low.shape) for each in operands]
    low, high = function(*(each.low for each in operands)), function(*(each.high for each in operands))
    return made(low, high, function(*entries), kind, result_run(operands))


def _where(args: tuple[Any, ...], options: Mapping[str, Any]) -> UnknownTokens:
    if len(args) != 3 or options or holds_unknown(args[0]):
        refuse("numpy.where by unknown tokens (use select)")
    return _together(args[1:], lambda one, other: np.where(args[0], one, other))


def _reduced(name: str, extreme: Callable[..., Any] | None) -> _Handler:
    """Return the handler of a sum, or of the smallest or largest entry."""

    def handler(args: tuple[Any, ...], options: Mapping[str, Any]) -> UnknownTokens:
        tokens = _first(name, args)
        _checked(name, args[1:], options, {"axis", "keepdims"})
        if len(args) > 2:
            refuse(f"numpy.{name} with more than an axis")
        how: dict[str, Any] = {"axis": args[1] if len(args) > 1 else None, "keepdims": False, **options}
        given = operand(tokens)
        if extreme is None and given.kind == "int64" and given.largest * tokens.size > _LARGEST:
            given = given.as_objects()
        add: Callable[..., Any] = extreme or np.sum
        entries = np.bitwise_or.reduce(given.entries, initial=0, **how)
        kind: Kind = "int64" if tokens.dtype == np.int64 else "objects"
        return made(add(given.low, **how), add(given.high, **how), entries, kind, run_of(tokens))

    return handler


def _cumulative(args: tuple[Any, ...], options: Mapping[str, Any]) -> UnknownTokens:
    tokens = _first("cumsum", args)
    _checked("cumsum", args[1:], options, {"axis"})
    if len(args) > 2:
        refuse("numpy.cumsum with more than an axis")
    axis = args[1] if len(args) > 1 else options.get("axis")
    if axis is None:
        tokens, axis = tokens.reshape(-1), 0
    given = operand(tokens)
    kind: Kind = "int64" if tokens.dtype == np.int64 else "objects"
    if kind == "int64" and given.largest * tokens.size > _LARGEST:
        given = given.as_objects()
    low, high = (np.add.accumulate(part, axis=axis) for part in (given.low, given.high))
    return made(low, high, np.bitwise_or.accumulate(given.entries, axis=axis), kind, run_of(tokens))


def _dot(args: tuple[Any, ...], options: Mapping[str, Any]) -> UnknownTokens:
    if len(args) != 2 or options:
        refuse("numpy.dot with more than two arrays")
    axes = [np.ndim(value) if type(value) is not UnknownTokens else value.ndim for value in args]
    if max(axes) > 2:
        refuse("numpy.dot of more than two axes (use @)")
    found = operate("matmul" if min(axes) else "multiply", *args, operator=False)
    if found.dtype == object and not min(axes):  # numpy leaves a scalar of int64 as it is, and its products wrap
        refuse("numpy.dot of a number with Python's integers (use *)")
    return found


def _clip(args: tuple[Any, ...], options: Mapping[str, Any]) -> UnknownTokens:
    if len(args) != 3 or options or type(args[0]) is not UnknownTokens:
        refuse("numpy.clip with other arguments than an array and its ends")
    found: UnknownTokens = args[0]
    for name, end in (("maximum", args[1]), ("minimum", args[2])):
        found = found if end is None else operate(name, found, end, operator=False)
    return found


def _like(fill: int | None) -> _Handler:
    """Return the handler of ``zeros_like`` and similar functions, which give known numbers."""

    def handler(args: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
        tokens = _first("zeros_like", args)
        _checked("zeros_like", args[1:], options, {"dtype", "shape", "fill_value"})
        rest = args[1:] if fill is not None else (*args[2:],)
        if rest:
            refuse("numpy.zeros_like with options that have no name")
        value = fill if fill is not None else args[1] if len(args) > 1 else options["fill_value"]
        shape = tokens.shape if options.get("shape") is None else options["shape"]
        return np.full(shape, value, dtype=options.get("dtype") or args[0].dtype)

    return handler


def _known(function: Callable[..., Any]) -> _Handler:
    """Return the handler of a function of the known facts about an array, such as its shape."""

    def handler(args: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
        tokens = _first(function.__name__, args)
        return function(bounds(tokens)[0], *args[1:], **options)

    return handler


_VIEWS: tuple[Callable[..., Any], ...] = (
    *(np.reshape, np.ravel, np.transpose, np.swapaxes, np.moveaxis, np.expand_dims, np.squeeze, np.broadcast_to),
    *(np.flip, np.diagonal),
)
_COPIES: tuple[Callable[..., Any], ...] = (np.repeat, np.tile, np.take, np.take_along_axis, np.roll, np.copy)
_JOINS: tuple[Callable[..., Any], ...] = (np.stack, np.concatenate, np.hstack, np.vstack, np.column_stack)

_FUNCTIONS: Mapping[Callable[..., Any], _Handler] = {
    **{function: _moved(function, copies=False) for function in _VIEWS},
    **{function: _moved(function, copies=True) for function in _COPIES},
    **{function: _joined(function) for function in _JOINS},
    **{function: _known(function) for function in (np.shape, np.ndim, np.size)},
    np.where: _where,
    np.sum: _reduced("sum", None),
    np.max: _reduced("max", np.max),
    np.min: _reduced("min", np.min),
    np.amax: _reduced("amax", np.max),
    np.amin: _reduced("amin", np.min),
    np.cumsum: _cumulative,
    np.dot: _dot,
    np.clip: _clip,
    np.zeros_like: _like(0),
    np.ones_like: _like(1),
    np.full_like: _like(None),
}

#: Methods of arrays that are one of these functions.
METHODS: Mapping[str, Callable[..., Any]] = {
    **{function.__name__: function for function in (np.ravel, np.swapaxes, np.squeeze, np.diagonal)},
    **{function.__name__: function for function in (np.repeat, np.take, np.copy, np.sum, np.cumsum, np.dot, np.clip)},
    "max": np.max,
    "min": np.min,
    "flatten": np.ravel,
}


def call_function(function: Callable[..., Any], args: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
    """Return bounds of the result of a function of numpy."""
    handler = _FUNCTIONS.get(function)
    if handler is None:
        refuse(f"numpy.{getattr(function, '__name__', 'a function')}")
    return handler(args, options)


def converted(tokens: UnknownTokens, dtype: Any, options: Mapping[str, Any] | None = None) -> UnknownTokens:
    """Return the numbers as int64, which must hold them, or as Python's integers; refuse other types."""
    if options or holds_unknown(dtype):
        refuse("a conversion with options")
    kind: Kind = "objects"
    if dtype is not object and dtype != "object" and dtype != np.dtype(object):
        if np.dtype(dtype) != np.int64:
            refuse(f"a conversion to {np.dtype(dtype)}")
        kind = "int64"
    return made(*bounds(tokens), dependence(tokens), kind, run_of(tokens))
