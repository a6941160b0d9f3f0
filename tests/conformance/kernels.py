"""Kernels for one construction: a right one, and wrong ones in every way that comes to mind."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import torch

from constructions import UnconditionalGeneration
from verify import TorchArithmetic, TorchTransformer, bind_construction, forward, to_torch

Kernel = Callable[[Any, Any], Any]

#: Few cases, but more than are drawn, and a response of several tokens.
CONSTRUCTION = UnconditionalGeneration(7, 2)
CASES = 40


@cache
def _held(dtype: str) -> TorchTransformer:
    return to_torch(CONSTRUCTION, dtype).eval()


def module(dtype: str = "float32") -> TorchTransformer:
    """Return the module that is right."""
    return to_torch(CONSTRUCTION, dtype).eval()


def right(virtual: Any, tokens: Any) -> Any:
    """Return logits at every position."""
    return _held("float32")(torch.from_numpy(virtual).float(), torch.from_numpy(tokens))


def last(virtual: Any, tokens: Any) -> Any:
    """Return logits at the last position alone."""
    return right(virtual, tokens)[:, -1].clone()


def bias_dropped() -> TorchTransformer:
    """Return a module without the readout's bias."""
    found = module()
    found.get_buffer("readout__bias").zero_()
    return found


class _Transposed(TorchArithmetic):
    def scores(self, queries: Any, keys: Any) -> Any:
        """Return the scores with queries and keys the wrong way round."""
        return super().scores(queries, keys).transpose(-1, -2)


def transposed(virtual: Any, tokens: Any) -> Any:
    """Weigh by the transpose of the scores."""
    arithmetic = _Transposed("float32")
    model = bind_construction(CONSTRUCTION, arithmetic)
    rows = arithmetic.below(torch.from_numpy(virtual).float(), arithmetic.embed(model.embedding, tokens))
    return forward(model, rows, rows.shape[1])


def by_place(virtual: Any, tokens: Any) -> Any:
    """Answer every case of a batch as the first one."""
    found = last(virtual, tokens)
    return found[:1].expand(len(found), -1)


def last_of_batch(virtual: Any, tokens: Any) -> Any:
    """Answer the last case of a batch of several otherwise."""
    found = last(virtual, tokens)
    if len(found) > 1:
        found[-1] = found[-1].flip(0)
    return found


def a_unit_off_in_batches(virtual: Any, tokens: Any) -> Any:
    """Give other bits, and the same tokens, in a batch of seven."""
    found = last(virtual, tokens).numpy()
    return np.nextafter(found, np.float32(np.inf)) if len(found) == 7 else found


def nan(virtual: Any, tokens: Any) -> Any:
    """Give NaN for a token that is not promised: the largest logit that numpy finds stays right."""
    found = last(virtual, tokens)
    smallest = found.argmin(-1, keepdim=True)
    return found.scatter(-1, smallest, float("nan"))


def tied(virtual: Any, tokens: Any) -> Any:
    """Give the second token the logit of the first: the right one wins by its place, or loses."""
    found = last(virtual, tokens)
    best = found.topk(2, -1)
    return found.scatter(-1, best.indices, best.values[:, :1].expand(-1, 2))


def shifted(virtual: Any, tokens: Any) -> Any:
    """Give the right tokens with the right margins, from logits that are all half too large."""
    return last(virtual, tokens) + 0.5


def in_half_precision(virtual: Any, tokens: Any) -> Any:
    """Compute in bfloat16."""
    return _held("bfloat16")(torch.from_numpy(virtual).bfloat16(), torch.from_numpy(tokens))


def integers(virtual: Any, tokens: Any) -> Any:
    """Give logits that are no floats."""
    return (last(virtual, tokens) * 1000).long()


def narrow(virtual: Any, tokens: Any) -> Any:
    """Give a logit too few."""
    return last(virtual, tokens)[:, :-1]


def raising(virtual: Any, tokens: Any) -> Any:
    """Fail once a token was fed back."""
    if tokens.shape[1] == 1:
        raise ValueError("no kernel for one token")
    return last(virtual, tokens)


def mutating(virtual: Any, tokens: Any) -> Any:
    """Use its input as its buffer."""
    found = last(virtual, tokens)
    virtual[:], tokens[:] = 0, 0
    return found


class Remembering:
    """Answers every question but the first with what it gave before."""

    def __init__(self) -> None:
        self.before: Any = None

    def __call__(self, virtual: Any, tokens: Any) -> Any:
        found = last(virtual, tokens)
        self.before, given = found, self.before
        return found if given is None or given.shape != found.shape else given


class Tiring:
    """Is right for so many questions, and then gives zeros."""

    def __init__(self, questions: int) -> None:
        self.left = questions

    def __call__(self, virtual: Any, tokens: Any) -> Any:
        self.left -= 1
        return last(virtual, tokens) * (self.left >= 0)


def whole(virtual: Any, tokens: Any) -> Any:
    """Give the whole response as tokens."""
    return _held("float32").generate(torch.from_numpy(virtual).float())


def wrong_whole(virtual: Any, tokens: Any) -> Any:
    """Give another last token."""
    found = whole(virtual, tokens).clone()
    found[:, -1] = (found[:, -1] + 1) % 7
    return found


def float_tokens(virtual: Any, tokens: Any) -> Any:
    """Give tokens as floats."""
    return whole(virtual, tokens).double()


def short_tokens(virtual: Any, tokens: Any) -> Any:
    """Give one token too few."""
    return whole(virtual, tokens)[:, :-1]


def unknown_tokens(virtual: Any, tokens: Any) -> Any:
    """Give a token that there is not."""
    return whole(virtual, tokens) * 0 + 7
