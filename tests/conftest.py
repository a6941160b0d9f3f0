"""What all tests share: shapes checked at run time, the threads asked for, a Hypothesis profile, a rounding oracle."""

from __future__ import annotations

import dataclasses
import functools
import gc
import inspect
import os
import re
import sys
from collections.abc import Callable, Mapping, Set
from fractions import Fraction
from pathlib import Path
from types import CodeType, FunctionType
from typing import TYPE_CHECKING, Any, TypeVar, get_args

import beartype
import hypothesis
import jaxtyping
import numpy as np
import pytest
import torch
from jaxtyping import AbstractArray, AbstractDtype, install_import_hook

from tests.shares import leave_to_heavy

if TYPE_CHECKING:  # at run time the packages must not be imported before the hook is installed
    from constructions import Construction
    from verify.arithmetic import Arithmetic

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
_checked: dict[CodeType, bool] = {}


def _names_shape(annotation: Any, names: dict[str, Any]) -> bool:
    """Say whether a name in an annotation is of jaxtyping, or stands for an array with a shape.

    A name that is not known yet is no array's: jaxtyping gives up on such an annotation when it decorates.
    """
    if not isinstance(annotation, str):
        return _has_shape(annotation)
    return any(_has_shape(names.get(name)) for name in re.findall(r"\w+", annotation))


def _has_shapes(function: Any) -> bool:
    return any(_names_shape(hint, function.__globals__) for hint in function.__annotations__.values())


def jaxtyped(*, typechecker: Any) -> Callable[[Any], Any]:
    """Do as jaxtyping's decorator does, for functions in whose annotations there is a shape to check, and for no other.

    The import hook decorates every function, those within others again at every call, and every dataclass, whose
    instances would each be checked for nothing: most of the time that the tests would take.
    """

    def decorated(item: Any) -> Any:
        if inspect.isfunction(item):
            if item.__code__ not in _checked:  # one that is made at every call has one code
                _checked[item.__code__] = _has_shapes(item)
            if not _checked[item.__code__]:
                return item
            return _remembering(item, typechecker)
        if inspect.isclass(item):
            made: Any = vars(item).get("__init__")  # a dataclass has one of its own
            if dataclasses.is_dataclass(item) and inspect.isfunction(made) and _has_shapes(made):
                setattr(item, "__init__", _remembering(made, typechecker))  # noqa: B010 # mypy refuses the other way
            return item
        return _EVERY_FUNCTION(item, typechecker=typechecker)

    return decorated


def _remembering(function: Any, typechecker: Any) -> Any:
    """Return the function, checked as jaxtyping checks it, where it was not called with such arrays before.

    What a check finds follows from the types, the numbers' types and the shapes of what is annotated with a shape, so
    that it is made once for each of them, before the call of the arguments, and after it of the result. A mapping or a
    set is checked at every call, and so is a function with an annotation that computes a size of an argument.
    """
    checked = _EVERY_FUNCTION(function, typechecker=typechecker)
    hints = dict(function.__annotations__)
    shaped = {name for name, hint in hints.items() if _names_shape(hint, function.__globals__)}
    parameters = list(inspect.signature(function).parameters.values())
    kinds = {parameter.kind for parameter in parameters if parameter.name in shaped}
    computed = any(word in str(hints[name]) for name in shaped for word in ("{", "Literal"))
    if computed or inspect.isgeneratorfunction(function) or kinds & {_Parameter.VAR_POSITIONAL, _Parameter.VAR_KEYWORD}:
        return checked
    places = [(at, each.name, each.default) for at, each in enumerate(parameters) if each.name in shaped]
    right: set[Any] = set()
    gives_shape = "return" in shaped

    @functools.wraps(function)
    def remembering(*given: Any, **named: Any) -> Any:
        kinds = tuple(_kind(given[at] if at < len(given) else named.get(name, default)) for at, name, default in places)
        if kinds not in right:
            result = checked(*given, **named)
            whole = gives_shape and _kind(result) is None
            if None not in kinds and not whole:
                right.update({kinds, (kinds, _kind(result))})
            return result
        result = function(*given, **named)
        found = kinds, _kind(result) if gives_shape else None
        if gives_shape and found not in right:
            _giving(function, result, typechecker)(*given, **named)
            if found[1] is not None:
                right.add(found)
        return result

    return remembering


def _giving(function: Any, result: Any, typechecker: Any) -> Any:
    """Return a checked function like the given one, whose result is known."""

    def known(*given: Any, **named: Any) -> Any:
        return result

    # jaxtyping reads annotations among the names of the function's own module
    there = FunctionType(known.__code__, function.__globals__, function.__name__, None, known.__closure__)
    return _EVERY_FUNCTION(functools.update_wrapper(there, function), typechecker=typechecker)


def _kind(value: Any) -> Any:
    """Return everything that a check of shapes looks at in a value; ``None`` where this does not cover it."""
    if isinstance(value, (np.ndarray, torch.Tensor)):
        shape = tuple(value.shape)
        known = all(isinstance(size, int) for size in shape)  # sizes of torch's tracer are symbols without a hash
        return (type(value), value.dtype, shape) if known else None
    if isinstance(value, (tuple, list)):
        parts = tuple(map(_kind, value))
        return None if None in parts else (type(value), parts)
    return None if isinstance(value, (Mapping, Set)) else type(value)


# A fifth of the time of collecting went into the search for garbage among what is imported, all of which stays.
gc.disable()


def pytest_collection_finish() -> None:
    """Search for garbage from here on, but never again among what is there already."""
    gc.freeze()
    gc.enable()


jaxtyping.jaxtyped = jaxtyped  # type: ignore[assignment] # the hook calls it by this name, always so

# the hook rewrites modules that are found on sys.path; an editable install has a finder of its own, which it misses
sys.path.insert(0, str(Path(__file__).parents[1]))
install_import_hook(("constructions", "verify", "proofs"), f"{__name__}.check_shapes")

torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS") or 1))

hypothesis.settings.register_profile("prefixproof", deadline=None, max_examples=30)
hypothesis.settings.register_profile("ci", parent=hypothesis.settings.get_profile("prefixproof"), derandomize=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "prefixproof")


@pytest.hookimpl(tryfirst=True)  # before pytest looks at the marks that a tier is chosen by
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave shares of the cases to the heavy tier, and skip what needs a CUDA device where there is none."""
    leave_to_heavy(items)
    if not torch.cuda.is_available():
        for item in items:
            if item.get_closest_marker("gpu"):
                item.add_marker(pytest.mark.skip(reason="needs a CUDA device, and torch sees none"))


#: For each format: floats that hold it, integers of their width, and how many bits of them are not the format's.
_BITS: dict[str, tuple[Any, Any, int]] = {
    "float64": (np.float64, np.uint64, 0),
    "float32": (np.float32, np.uint32, 0),
    "float16": (np.float16, np.uint16, 0),
    "bfloat16": (np.float32, np.uint32, 16),
}


def _correctly_rounded(value: Fraction, result: float, dtype: str) -> bool:
    """Say whether ``result`` is the number of the format nearest to ``value``, ties to even, by looking at neighbours.

    Bit patterns of non-negative floats are ordered as the floats are, so a neighbour is a bit pattern plus or minus
    one; the pattern after the largest finite number stands for ``2^(max exponent + 1)``.
    """
    floating, unsigned, shift = _BITS[dtype]
    with np.errstate(over="ignore"):
        held = floating(abs(result))
    pattern = int(held.view(unsigned))
    if float(held) != abs(result) or not np.isfinite(held) or pattern % (1 << shift):
        return False  # not a number of the format

    def number(bits: int) -> Fraction:
        neighbour = np.array(bits << shift, dtype=unsigned).view(floating)
        if np.isfinite(neighbour):
            return Fraction(float(neighbour))
        return 2 * number(bits - 1) - number(bits - 2)  # evenly spaced in the last binade

    pattern >>= shift
    wanted = abs(value)
    error = abs(wanted - number(pattern))
    for neighbour in {max(0, pattern - 1), pattern + 1} - {pattern}:
        distance = abs(wanted - number(neighbour))
        if distance < error or (distance == error and pattern % 2):
            return False
    return result == 0 or (value > 0) == (result > 0)


@pytest.fixture(scope="session")
def correctly_rounded() -> Callable[[Fraction, float, str], bool]:
    """The rounding oracle, which shares no code with the package's."""
    return _correctly_rounded


def _decode(
    construction: Construction, arithmetic: Arithmetic[Any, Any, Any], targets: Any, user_inputs: Any = None
) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return what the transformer generates for each pair of a target and a user input, shape batch x response."""
    from verify.running.model import bind_construction, generate

    layout = construction.layout
    targets = np.asarray(targets)
    inputs = np.zeros((len(targets), 0), dtype=np.int64) if user_inputs is None else np.asarray(user_inputs)
    model = bind_construction(construction, arithmetic)

    def run(target: Any, tokens: Any) -> Any:
        prompt = arithmetic.prompt(construction.virtual_tokens(target))
        return generate(model, prompt, layout.virtual, tokens, layout.response).tokens

    if arithmetic.batched:
        return np.asarray(run(targets, inputs))
    return np.array([run(target, tokens) for target, tokens in zip(targets, inputs, strict=True)])


@pytest.fixture(scope="session")
def decode() -> Callable[..., np.ndarray[Any, np.dtype[np.int64]]]:
    """The one way of the tests to run a construction in any arithmetic."""
    return _decode
