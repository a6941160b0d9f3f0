"""The run-time checks of array shapes, as jaxtyping's import hook makes them, but once for what they look at."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import re
import sys
import threading
from collections.abc import Callable, Collection
from types import CodeType, FunctionType
from typing import Any, TypeVar, get_args

import beartype
import jaxtyping
import numpy as np
import torch
from jaxtyping import AbstractArray, AbstractDtype

_Parameter = inspect.Parameter
_Function = TypeVar("_Function", bound=Callable[..., Any])


def _has_shape(annotation: Any) -> bool:
    if inspect.isclass(annotation) and issubclass(annotation, (AbstractArray, AbstractDtype)):
        return True
    return any(_has_shape(part) for part in get_args(annotation))


def check_shapes(function: _Function) -> _Function:
    """Check the arrays that a function takes and returns against its jaxtyping annotations.

    Other annotations are mypy's work, and beartype cannot check some of them at all: it refuses unions with sympy's
    classes, whose ``repr`` is not that of a class.
    """
    function.__annotations__ = {name: hint for name, hint in function.__annotations__.items() if _has_shape(hint)}
    return beartype.beartype(function) if function.__annotations__ else function


_EVERY_FUNCTION = jaxtyping.jaxtyped


def _names_shape(annotation: Any, names: dict[str, Any]) -> bool:
    """Say whether a name in an annotation is of jaxtyping, or stands for an array with a shape.

    A name that is not known yet is no array's: jaxtyping gives up on such an annotation when it decorates.
    """
    if not isinstance(annotation, str):
        return _has_shape(annotation)
    return any(_has_shape(names.get(name)) for name in re.findall(r"\w+", annotation))


def _told(annotation: Any, names: dict[str, Any]) -> str:
    """Return an annotation with all that the names in it stand for."""
    text = str(annotation)
    return " ".join([text, *(str(names[name]) for name in re.findall(r"\w+", text) if name in names)])


def _has_shapes(function: Any) -> bool:
    return any(_names_shape(hint, function.__globals__) for hint in function.__annotations__.values())


def jaxtyped(*, typechecker: Any) -> Callable[[Any], Any]:
    """Do as jaxtyping's decorator does, for functions in whose annotations there is a shape to check, and for no other.

    The import hook decorates every function, those within others again at every call, and every dataclass, whose
    instances would each be checked for nothing: most of the time that the tests would take.
    """

    def decorated(item: Any) -> Any:
        if inspect.isfunction(item):
            return _checked(item, typechecker)
        if inspect.isclass(item):
            made: Any = vars(item).get("__init__")  # a dataclass has one of its own
            if dataclasses.is_dataclass(item) and inspect.isfunction(made) and _has_shapes(made):
                setattr(item, "__init__", _checked(made, typechecker))  # noqa: B010 # mypy refuses the other way
            return item
        return _EVERY_FUNCTION(item, typechecker=typechecker)

    return decorated


#: The checks of each function by its name, its code and its annotations, ``None`` where there is no shape. One that is
#: made at every call of another has the same ones each time. The names that annotations are read among are kept, so
#: that their id stays theirs.
_checks: dict[tuple[str, str, CodeType, tuple[tuple[str, Any], ...], int], tuple[_Checks | None, dict[str, Any]]] = {}


def _checked(function: Any, typechecker: Any) -> Any:
    """Return the function with its checks; the function itself where it has none."""
    hints, names = tuple(function.__annotations__.items()), function.__globals__
    key = (function.__module__, function.__qualname__, function.__code__, hints, id(names))
    if key not in _checks:
        _checks[key] = (_Checks(function, typechecker) if _has_shapes(function) else None), names
    checks, _ = _checks[key]
    return function if checks is None else checks.around(function)


class _Checks:
    """The checks of a function, and for which arguments and results they were made.

    What a check finds follows from the types, the numbers' types and the shapes of what is annotated with a shape, so
    that it is made once for each of them, before the call of the arguments, and after it of the result. Values of which
    this is not known are checked at every call, and so is a function with an annotation that computes a size of an
    argument.
    """

    def __init__(self, function: Any, typechecker: Any) -> None:
        hints = function.__annotations__
        shaped = {name for name, hint in hints.items() if _names_shape(hint, function.__globals__)}
        self._signature = inspect.signature(function)
        parameters = [each for each in self._signature.parameters.values() if each.name in shaped]
        kinds = {parameter.kind for parameter in parameters}
        texts = [_told(hints[name], function.__globals__) for name in shaped]
        computed = any(word in text for text in texts for word in ("{", "Literal"))
        self._always = (
            computed
            or inspect.isgeneratorfunction(function)
            or bool(kinds & {_Parameter.VAR_POSITIONAL, _Parameter.VAR_KEYWORD})
        )
        places = {name: place for place, name in enumerate(self._signature.parameters)}
        self._places = [
            (sys.maxsize if each.kind is _Parameter.KEYWORD_ONLY else places[each.name], each.name)
            for each in parameters
        ]
        self._gives_shape = "return" in shaped
        self._right: set[Any] = set()
        self._running = threading.local()
        self._like = self._calling(function)
        self._typechecker = typechecker

    def _calling(self, like: Any) -> Any:
        """Return a function like another, among whose module's names annotations are read; it holds nothing of it.

        The function that was called last runs in its place.
        """
        running = self._running

        def calling(*given: Any, **named: Any) -> Any:
            return running.functions[-1](*given, **named)

        there = FunctionType(calling.__code__, like.__globals__, like.__name__, None, calling.__closure__)
        functools.update_wrapper(there, like)
        del vars(there)["__wrapped__"]
        vars(there)["__signature__"] = self._signature
        return there

    @functools.cached_property
    def _checking(self) -> Any:
        return _EVERY_FUNCTION(self._like, typechecker=self._typechecker)

    def _call(self, function: Any, given: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """Call a function between the checks of its arguments and of its result."""
        functions = vars(self._running).setdefault("functions", [])
        functions.append(function)
        try:
            return self._checking(*given, **named)
        finally:
            functions.pop()

    def around(self, function: Any) -> Any:
        """Return the function, checked where it was not called with such arrays before."""
        if self._always:

            @functools.wraps(function)
            def always(*given: Any, **named: Any) -> Any:
                return self._call(function, given, named)

            return always

        places = self._places
        right, gives_shape = self._right, self._gives_shape

        @functools.wraps(function)
        def remembering(*given: Any, **named: Any) -> Any:
            count = len(given)
            kinds = tuple(
                [
                    _kind(given[at]) if at < count else _kind(named[name]) if name in named else _NOT_GIVEN
                    for at, name in places
                ]
            )
            if kinds not in right:
                result = self._call(function, given, named)
                found = _kind(result) if gives_shape else None
                if None not in kinds and not (gives_shape and found is None):
                    right.update({kinds, (kinds, found)})
                return result
            result = function(*given, **named)
            if gives_shape:
                found = _kind(result)
                if (kinds, found) not in right:
                    self._call(lambda *_, **__: result, given, named)
                    if found is not None:
                        right.add((kinds, found))
            return result

        return remembering


#: The kind of an argument that is left to its default, which no check looks at.
_NOT_GIVEN = "not given"
#: How a value of a type is looked at.
_ARRAY, _TENSOR, _PARTS, _NEVER, _TYPE = range(5)
_ways: dict[type, int] = {}


def _way(value: Any) -> int:
    if isinstance(value, np.ndarray):
        return _ARRAY
    if isinstance(value, torch.Tensor):
        return _TENSOR
    if isinstance(value, (tuple, list)):
        return _PARTS
    if isinstance(value, (str, bytes, np.generic)):
        return _TYPE
    # other collections, classes, and other arrays than those above
    return _NEVER if isinstance(value, (Collection, type)) or hasattr(value, "shape") else _TYPE


def _kind(value: Any) -> Any:
    """Return everything that a check of shapes looks at in a value; ``None`` where this does not cover it."""
    kind = type(value)
    way = _ways.get(kind)
    if way is None:
        way = _ways[kind] = _way(value)
    if way == _ARRAY:
        return kind, value.dtype, value.shape
    if way == _TENSOR:
        shape = tuple(value.shape)
        known = all(isinstance(size, int) for size in shape)  # sizes of torch's tracer are symbols without a hash
        return (kind, value.dtype, shape) if known else None
    if way == _PARTS:
        parts = tuple([_kind(part) for part in value])
        return None if None in parts else (kind, parts)
    return None if way == _NEVER else kind
