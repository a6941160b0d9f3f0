"""The run-time checks of array shapes are really installed: without this, a wrong annotation would never be noticed."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from typing import Any, get_args

import beartype
import jaxtyping
import numpy as np
import pytest
import torch
from jaxtyping import AbstractArray, Int, TypeCheckError

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
