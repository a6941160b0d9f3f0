"""The run-time checks of array shapes are really installed: without this, a wrong annotation would never be noticed."""

from __future__ import annotations

import inspect
import re
import sys
from collections import deque
from collections.abc import Collection, Iterator  # noqa: F401 # annotations of the tests name the first
from typing import Any, get_args

import beartype
import jaxtyping
import numpy as np
import pytest
import torch
from jaxtyping import AbstractArray, Float, Int, TypeCheckError

from constructions import UnconditionalGeneration
from verify import certificates, frontier, prefixes
from verify.arithmetic import NumpyArithmetic
from verify.running.model import bind_construction, generate
from verify.running.torch_module import to_torch


def test_an_array_of_another_dtype_is_refused() -> None:
    with pytest.raises(TypeCheckError):
        UnconditionalGeneration(3, 2).answer(np.zeros((1, 2)), np.zeros((1, 0), dtype=np.int64))


def test_a_tensor_with_too_few_axes_is_refused() -> None:
    module = to_torch(UnconditionalGeneration(3, 2))
    with pytest.raises(TypeCheckError):
        module(torch.zeros(1, 2), torch.zeros((1, 0), dtype=torch.int64))


def test_batches_that_differ_are_refused() -> None:
    module = to_torch(UnconditionalGeneration(3, 2))
    with pytest.raises(TypeCheckError):
        module(torch.zeros(2, 1, 2), torch.zeros((1, 1), dtype=torch.int64))


def test_user_tokens_that_are_not_integers_are_refused() -> None:
    construction = UnconditionalGeneration(3, 2)
    arithmetic = NumpyArithmetic()
    prompt = arithmetic.prompt(construction.virtual_tokens([[0, 1]]))
    with pytest.raises(TypeCheckError):
        generate(bind_construction(construction, arithmetic), prompt, 1, np.zeros((1, 0)), 2)


def has_shape(annotation: Any) -> bool:
    if inspect.isclass(annotation) and issubclass(annotation, AbstractArray):
        return True
    return any(has_shape(part) for part in get_args(annotation))


def _functions() -> Iterator[tuple[str, Any]]:
    for name, module in sorted(sys.modules.items()):
        if name.partition(".")[0] in {"constructions", "verify", "proofs"}:
            for owner in (module, *(item for item in vars(module).values() if inspect.isclass(item))):
                for item in vars(owner).values():
                    found = getattr(item, "fget", getattr(item, "func", getattr(item, "__func__", item)))
                    if inspect.isfunction(found) and found.__module__ == name:
                        yield f"{name}.{found.__qualname__}", found


def test_every_function_that_names_a_shape_is_checked() -> None:
    """The decorator passes over functions without a shape; this evaluates all annotations, and none of them had one."""
    assert {certificates.__name__, frontier.__name__, prefixes.__name__} <= set(sys.modules)
    checked = set()
    for name, function in _functions():
        unwrapped = inspect.unwrap(function)
        for hint in unwrapped.__annotations__.values():
            try:
                shaped = has_shape(eval(hint, unwrapped.__globals__) if isinstance(hint, str) else hint)
            except NameError:  # of a type checker alone, or the class whose method it is
                # "rows" without its quotes is a name too, and jaxtyping passes over what it cannot evaluate
                assert not re.search(r"\b(Int|Float|Bool|Shaped)\[", hint), (name, hint)
                continue
            if shaped:
                assert function is not unwrapped, name
                checked.add(name)
    assert len(checked) > 100


def test_a_check_is_made_again_for_arrays_of_another_kind() -> None:
    """What was right once is not looked at again; another shape, another dtype, another result are."""
    construction = UnconditionalGeneration(3, 2)
    inputs = np.zeros((1, 0), dtype=np.int64)
    for _ in range(3):
        construction.answer(np.zeros((1, 2), dtype=np.int64), inputs)
        construction.answer(np.zeros((4, 2), dtype=np.int64), np.zeros((4, 0), dtype=np.int64))
        for targets, users in ((np.zeros((1, 2)), inputs), (np.zeros((1, 2), dtype=np.int64), inputs.astype(float))):
            with pytest.raises(TypeCheckError):
                construction.answer(targets, users)


Rows = Int[np.ndarray, "n"]
Counted = Int[np.ndarray, "{count}"]


def made(hints: dict[str, Any], code: str, **names: Any) -> Any:
    """Return a checked function, as the import hook makes it: its annotations are read among this module's names."""
    there = {**globals(), **names}
    exec(f"def made{code}", there)
    there["made"].__annotations__ = hints
    return jaxtyping.jaxtyped(typechecker=beartype.beartype)(there["made"])


def refuses(function: Any, *given: Any, **named: Any) -> bool:
    try:
        function(*given, **named)
    except TypeCheckError:
        return True
    return False


def numbers(count: int, kind: type = int) -> Any:
    return np.zeros(count, dtype=kind)


def test_functions_of_one_code_are_checked_by_their_own_annotations() -> None:
    code = "(rows): return rows"
    for hint, wrong in ((Int[np.ndarray, "n"], False), (Float[np.ndarray, "n"], True), (np.ndarray, False)):
        for _ in range(2):
            assert refuses(made({"rows": hint}, code), numbers(2)) is wrong
            assert refuses(made({"rows": "Here"}, code, Here=hint), numbers(2)) is wrong  # one name for all of them


def test_an_argument_that_is_as_the_default_is_checked() -> None:
    """A default is not looked at, whatever it is."""
    for code in ("(rows, more=None): pass", "(rows, *, more=None): pass"):
        function = made({"rows": "Rows", "more": "Rows"}, code)
        for _ in range(2):
            assert not refuses(function, numbers(2))
            assert refuses(function, numbers(2), more=None)
            assert not refuses(function, numbers(2), more=numbers(2))
            assert refuses(function, numbers(2), more=numbers(3))
            assert refuses(function, more=numbers(2), rows=numbers(3))


def test_a_size_that_a_name_computes_is_checked_at_every_call() -> None:
    function = made({"rows": "Counted", "count": "int"}, "(rows, count): pass")
    for _ in range(2):
        assert not refuses(function, numbers(2), 2)
        assert refuses(function, numbers(2), 3)


class Numbers:
    def __init__(self, *shape: int) -> None:
        self.shape, self.dtype = shape, "int64"


@pytest.mark.parametrize(
    ("hint", "right", "wrong"),
    [
        ("Collection[Rows]", deque([numbers(2)]), deque([numbers(2, float)])),
        ("Collection[Rows]", {0: numbers(2)}.values(), {0: numbers(2, float)}.values()),
        ("Rows | type[np.ndarray]", np.ndarray, int),
        ("Int[Any, 'n']", Numbers(2), Numbers(2, 3)),
        ("tuple[Rows, Rows]", (numbers(2), numbers(2)), (numbers(2), numbers(3))),
    ],
)
def test_what_looks_alike_is_checked(hint: str, right: Any, wrong: Any) -> None:
    function = made({"rows": hint}, "(rows): pass")
    for _ in range(2):
        assert not refuses(function, right)
        assert refuses(function, wrong)


def test_a_call_that_raises_settles_nothing() -> None:
    function = made({"rows": "Rows", "return": "Rows"}, "(rows, result): return result / 1 if len(result) else 1 // 0")
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            function(numbers(2), numbers(0))
        assert refuses(function, numbers(2), numbers(2))  # a quotient is no integer


def test_a_function_that_calls_itself_is_checked_on_the_way() -> None:
    code = "(rows): return rows if len(rows) == 1 else (again(rows[1:]), rows * factor)[1]"
    for factor in (1, 0.5):
        checked = made({"rows": "Rows", "return": "Rows"}, code, factor=factor)
        inspect.unwrap(checked).__globals__["again"] = checked
        for _ in range(2):
            assert refuses(checked, numbers(3)) is (factor != 1)
            assert not refuses(checked, numbers(1))


def test_a_result_is_checked_for_every_kind_of_it() -> None:
    names: dict[str, Any] = {"np": np, "Int": Int}
    exec("def made(rows: Int[np.ndarray, 'n'], result: object) -> Int[np.ndarray, 'n']:\n    return result\n", names)
    names["made"].__annotations__ = {"rows": "Int[np.ndarray, 'n']", "return": "Int[np.ndarray, 'n']"}
    checked = jaxtyping.jaxtyped(typechecker=beartype.beartype)(names["made"])
    rows = np.zeros(2, dtype=np.int64)
    for _ in range(2):
        assert checked(rows, rows + 1).tolist() == [1, 1]
        for wrong in (np.zeros(3, dtype=np.int64), np.zeros(2), None, (rows,)):
            with pytest.raises(TypeCheckError):
                checked(rows, wrong)
        with pytest.raises(TypeCheckError):
            checked(rows[None], rows)
