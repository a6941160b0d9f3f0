"""One-hots, look-ups and tests of tokens on plain arrays; on unknown ones see tests/certificates."""

from __future__ import annotations

import doctest
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from constructions import InvalidArgument, at_least, equals, look_up, one_hot, select, token_functions

_TOKENS = np.array([[2, 0, 4], [1, 1, 3]])


def test_the_examples_of_the_docstrings_run() -> None:
    # the names of the tests' own import: functions are wrapped there, and doctest would not find them
    names = {"np": np, **{name: getattr(token_functions, name) for name in dir(token_functions)}}
    finder = doctest.DocTestFinder()
    runner = doctest.DocTestRunner()
    for function in (at_least, equals, look_up, one_hot, select):
        for example in finder.find(function, name=function.__name__, globs=dict(names)):
            assert any(line.want for line in example.examples)
            runner.run(example)
    assert runner.failures == 0


def test_on_plain_arrays_they_are_what_numpy_has() -> None:
    assert one_hot(_TOKENS, 5).tolist() == np.eye(5, dtype=int)[_TOKENS].tolist()
    assert look_up(np.arange(10).reshape(5, 2), _TOKENS).tolist() == np.arange(10).reshape(5, 2)[_TOKENS].tolist()
    assert equals(_TOKENS, 1).tolist() == (_TOKENS == 1).astype(int).tolist()
    assert equals(_TOKENS, [1, 0, 4]).tolist() == [[0, 1, 1], [1, 0, 0]]
    assert at_least(_TOKENS, 2).tolist() == (_TOKENS >= 2).astype(int).tolist()
    assert select(_TOKENS == 1, 9, _TOKENS).tolist() == [[2, 0, 4], [9, 9, 3]]
    for found in (one_hot(_TOKENS, 5), look_up([1, 2, 3, 4, 5], _TOKENS), equals(_TOKENS, 1), at_least(_TOKENS, 1)):
        assert found.dtype == np.int64


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: one_hot(_TOKENS, 4), "tokens: expected integers from 0 to 3 but got 4 (type int)"),
        (lambda: one_hot(_TOKENS - 1, 5), "tokens: expected integers from 0 to 4 but got -1 (type int)"),
        (lambda: one_hot(_TOKENS, 0), "vocab_size: expected an integer >= 1 but got 0 (type int)"),
        (lambda: look_up([1, 2], _TOKENS), "tokens: expected integers from 0 to 1 but got 2 (type int)"),
        (lambda: look_up([0.5], _TOKENS), "table: expected integers of shape (letters, ...) but got [0.5] (type list)"),
        (lambda: look_up(3, _TOKENS), "table: expected integers of shape (letters, ...) but got 3 (type int)"),
        (lambda: select(_TOKENS, 1, 0), "indicator: expected integers from 0 to 1 but got 2 (type int)"),
        (lambda: select(0.5, 1, 0), "indicator: expected integers from 0 to 1 but got 0.5 (type float)"),
    ],
)
def test_other_tokens_are_refused(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        call()
    assert str(caught.value) == message
