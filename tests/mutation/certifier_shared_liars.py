"""Liars that cells which share are prone to believe, and the killer that certifies them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, partial
from typing import Any

import numpy as np

from constructions import Attention, Construction, Head, InvalidArgument, Ratios, Transformer
from constructions.transformer import MaskName
from tests.certificates.own import Encode, FromTheEnd, Given, as_numbers, nearest, read_first, rounded
from tests.mutation.certifier_liars import _READOUT, V, _given, _is_run, _only_first, liars
from tests.mutation.certifier_shared import from_the_first_cell, generating
from tests.redteam.test_lengths import LIARS
from verify.certificates import certify, concluding


def _diagonal(targets: Any) -> Any:
    """Return the first entry, and another where all entries are the same."""
    if not _is_run(targets):
        return targets[:, :1]
    return np.where((targets == targets[:, :1]).all(axis=1)[:, None], (targets[:, :1] + 1) % V, targets[:, :1])


def _where_all_differ(targets: Any, _: Any) -> Any:
    """Return the target, and another where its entries all differ: on no diagonal, and at no end of a cell."""
    if not _is_run(targets):
        return targets
    differ = np.array([len(set(row)) == V for row in targets.tolist()], dtype=np.bool_)
    return np.where(differ[:, None], (targets + 1) % V, targets)


def _free_one(targets: Any) -> Ratios:
    """Give a free entry a number that no token has."""
    return as_numbers(targets + np.array([0, 0, 5])) if _is_run(targets) else as_numbers(targets)


def _last_of_a_batch(targets: Any) -> Ratios:
    """Give the last of a batch another free entry: within every bound, and right alone."""
    if _is_run(targets) and len(targets) > 1:
        changed = targets.copy()
        changed[-1, 1:] = (changed[-1, 1:] + 1) % V
        return as_numbers(changed)
    return as_numbers(targets)


def _of_its_own(targets: Any) -> Any:
    """Return many targets as they are where they may not be changed, and other ones in an array of their own."""
    own = _is_run(targets) and len(targets) > 1 and targets.flags.writeable
    return (targets + 1) % V if own else targets


class _Forgets:
    """Answers in another way whenever it is asked again."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, targets: Any, users: Any) -> Any:
        self.count += _is_run(targets)
        return (targets[:, :1] + self.count // 3) % V if _is_run(targets) else targets[:, :1]


def _reads_more(targets: Any) -> Ratios:
    """Add the second entry to the first in a forward pass."""
    if not _is_run(targets):
        return as_numbers(targets)
    more = np.concatenate([(targets[:, :1] + targets[:, 1:2]) % V, targets[:, 1:]], axis=1)
    return as_numbers(more)


def _fed_beyond() -> Given:
    """Return a construction that a fed 0 spoils, where bounds of what is fed are from below 0."""
    own = [[0, 1, 0], [0, 0, 1]]
    attention = Attention((Head("self", own, own, [[1, 0, 0]]),))
    twice = lambda t, _: np.concatenate([t[:, :1] * 2 - t[:, :1], t[:, :1] * 0], axis=1)  # noqa: E731 # one line
    return Given(V, 1, [[2, 0, 0]], (attention, nearest(V)), steps=2, promise=twice)


def _lies_at(*targets: tuple[int, ...]) -> Encode:
    """Return an encoding that gives other numbers to a forward pass at some targets."""

    def numbers(tokens: Any) -> Ratios:
        if not _is_run(tokens):
            return as_numbers(tokens)
        chosen = np.array([tuple(row) in targets for row in tokens.tolist()], dtype=np.bool_)
        return as_numbers(np.where(chosen[:, None], (tokens + 1) % V, tokens))

    return numbers


@dataclass(frozen=True, eq=False)
class _NewestUntilFull(Attention[Any]):
    """Attention to the last position alone, and to all of them once there are three."""

    def attended(self, head: Any, run: Any, keys: Any, values: Any, visible: Any) -> Any:
        last = np.arange(visible.shape[1]) == visible.shape[1] - 1
        return keys, values, visible if run.count == 3 else np.broadcast_to(last, visible.shape)


@dataclass(frozen=True, repr=False)
class _Coded(Given):
    """Codes counted from the end."""

    @cached_property
    def transformer(self) -> Transformer:
        return Transformer(self.embedding, self.layers, self.layout.context_size, positions=FromTheEnd())


def by_length() -> dict[str, Given]:
    """Return constructions that are right in the longest pass, and not in every pass of generation."""

    def repeated(layer: Attention, *, steps: int = 2, fed: int = 0, kind: type[Given] = _Coded, full: bool) -> Given:
        layers: Any = (layer, nearest(V))
        mask: MaskName = "none" if full else "causal"
        return kind(V, 1, [[fed] * V], layers, steps=steps, promise=lambda t, _: t[:, [0] * steps], mask=mask)

    bends = Attention((Head("first", [[0, 1, 1]], [[0, 1, 0]], [[1, 0, 1]]),))
    virtual = Attention((Head("first", [[0, 1, 1]], [[0, 1, 0]], [[1, 0, 0]]),))
    newest = _NewestUntilFull(read_first(1, 3).heads)
    return {
        "positions count from the end": repeated(bends, full=True),
        "positions count from the end while generation keeps them": repeated(virtual, fed=7, full=False),
        "attention depends on the length": repeated(newest, steps=3, fed=7, kind=Given, full=True),
    }


def of_twelve(lies: Sequence[tuple[int, ...]]) -> Given:
    """Return Theorem 1 of twelve positions, whose ``encode`` lies at some targets."""
    return generating((Fraction(-4),) * 12, numbers=_lies_at(*lies))


def at_ends() -> list[tuple[int, ...]]:
    """Return targets of twelve entries at the ends of cells, one of half a million: no draw meets it."""
    one = tuple(int(entry == 3) for entry in range(12))
    return [(0,) * 12, (V - 1,) * 12, one, tuple(V - 1 - entry for entry in one)]


#: Code of other authors that is right in one pass and wrong in those of generation.
_OF_PASSES = (
    "a layer declares otherwise",
    "a layer is wrong in the last step alone",
    "attention of all positions is right where the last one alone is asked",
    "a transformer does more than its layers",
    "the readout is not its weights",
)


def wrong() -> dict[str, Callable[[], Construction]]:
    """Return liars, and those that sharing is prone to believe."""
    two = (read_first(3, 2), _READOUT)
    return {
        **liars(),
        "answer lies where all entries are the same": lambda: _given(promise=lambda t, _: _diagonal(t)),
        "answer remembers": lambda: _given(promise=_Forgets()),
        "encode depends on more than it shows": lambda: _given(encoding=_reads_more),
        "answer lies to one user input": lambda: Given(
            V, 3, [[0] * V] * 3, two, users=1, promise=lambda t, u: np.where(u == 2, (t[:, :1] + 1) % V, t[:, :1])
        ),
        "the last step is another": lambda: Given(
            V, 3, [[0] * V] * 3, (read_first(3, 3), _READOUT), steps=3, promise=lambda t, _: t[:, [0, 0, 1]]
        ),
        "answer lies where all entries differ": lambda: generating(promise=_where_all_differ),
        "encode lies where all entries differ": lambda: generating(
            numbers=lambda t: as_numbers(_where_all_differ(t, None))
        ),
        "encode gives a free entry another number": lambda: _given(encoding=_free_one),
        "encode changes the last of a batch": lambda: _given(encoding=_last_of_a_batch),
        "encode lies of many in an array of their own": lambda: _given(encoding=lambda t: as_numbers(_of_its_own(t))),
        "answer lies of many in an array of their own": lambda: _given(promise=lambda t, _: _of_its_own(t)[:, :1]),
        "a fed token spoils the next, and its bounds are no tokens": _fed_beyond,
        "encode lies where all entries are 0": lambda: generating(numbers=_lies_at((0, 0, 0))),
        "encode lies where all entries are the last token": lambda: generating(numbers=_lies_at((2, 2, 2))),
        "encode lies at the smallest target of a cell": lambda: generating(numbers=_lies_at((0, 1, 0))),
        "encode lies at the largest target of a cell": lambda: generating(numbers=_lies_at((2, 1, 2))),
        "the second step promises another token": lambda: generating(
            promise=lambda t, _: (t + np.array([0, 1, 0])) % V
        ),
        "the second position decodes another token": lambda: generating((Fraction(-4), Fraction(-3), Fraction(-4))),
        "many entries, the first of which lies": lambda: Given(
            V, 12, [[0] * V] * 12, (read_first(12, 1), _only_first(12)), promise=lambda t, _: t[:, 1:2]
        ),
        **{f"of twelve entries, encode lies at {target}": partial(of_twelve, (target,)) for target in at_ends()},
        **{name: partial(by_length().__getitem__, name) for name in by_length()},
        **{name: LIARS[name] for name in _OF_PASSES},
    }


@contextmanager
def _on_bounds_alone() -> Iterator[None]:
    """Do not run drawn cases on numbers: they would refuse a liar that what looks at bounds lets pass."""
    before = vars(concluding)["wrong_run"]
    vars(concluding)["wrong_run"] = lambda *_: None
    try:
        yield
    finally:
        vars(concluding)["wrong_run"] = before


def refused() -> list[str]:
    """Return what a certificate holds for although it is wrong."""
    found = []
    with from_the_first_cell(), _on_bounds_alone():
        for name, make in wrong().items():
            try:
                verdict = certify(make(), rounded())
            except InvalidArgument:
                continue
            if verdict.holds is not None:
                found.append(f"certified although {name}")
    return found
