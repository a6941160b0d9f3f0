"""The run-time checks of array shapes are really installed: without this, a wrong annotation would never be noticed."""

import numpy as np
import pytest
import torch
from jaxtyping import TypeCheckError

from constructions import UnconditionalGeneration
from verify.arithmetic import NumpyArithmetic
from verify.forward import bind_construction, generate
from verify.torch_module import to_torch


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
