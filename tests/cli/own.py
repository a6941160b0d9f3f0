"""A construction of a user's own, as a file that the tests of the command line write somewhere."""

from __future__ import annotations

from pathlib import Path

SOURCE = '''
import os
import signal
from dataclasses import dataclass
from functools import cached_property

from constructions import Attention, Construction, Head, Layout, Linear, Ratios, TargetSpace, Transformer
from constructions.validation import InvalidArgument

NOT_A_CONSTRUCTION = 3


@dataclass(frozen=True, repr=False)
class Shifted(Construction):
    """The token plus the target, and plus a shift that is promised but not made."""

    vocab_size: int
    shift: int = 0
    layout = Layout(virtual=1, user=1, response=1)

    @property
    def targets(self):
        return TargetSpace(self.vocab_size, (1,))

    def encode(self, targets):
        return Ratios(targets[:, None, :], 1)

    def answer(self, targets, user_inputs):
        return (targets + user_inputs + self.shift) % self.vocab_size

    @cached_property
    def transformer(self):
        V = self.vocab_size
        add = Head("add", query=[[0, 0, 0]], key=[[0, 0, 0]], value=[[2, 0, 0]])
        wrap = Linear([[1], [1], [1]], [[0], [1 - V], [-V]], name="wrap")
        lines = [[2 * v, -2 * v * V, 2 * v * V] for v in range(V)]
        readout = Linear(lines, [[-v * v] for v in range(V)], activation=None, name="readout")
        return Transformer([list(range(V))], (Attention((add,)), wrap, readout), context_size=2)


@dataclass(frozen=True, repr=False)
class Needy(Shifted):
    extra: int = 1

    def __post_init__(self):
        super().__post_init__()
        if self.extra > self.vocab_size:
            raise InvalidArgument("extra: expected at most vocab_size")


@dataclass(frozen=True, repr=False)
class Raising(Shifted):
    def answer(self, targets, user_inputs):
        return 1 // 0


@dataclass(frozen=True, repr=False)
class Interrupted(Shifted):
    def answer(self, targets, user_inputs):
        global calls
        calls += 1
        if calls > 3:
            os.kill(os.getpid(), signal.SIGINT)
        return super().answer(targets, user_inputs)


@dataclass(frozen=True, repr=False)
class SmallEmbedding(Shifted):
    @cached_property
    def transformer(self):
        right = super().transformer
        lines = right.layers[-1]
        V = self.vocab_size
        readout = Linear(lines.weight[:-1, :], lines.bias[:-1, :], activation=None, name="readout")
        return Transformer([list(range(V - 1))], (*right.layers[:-1], readout), context_size=2)


@dataclass(frozen=True, repr=False)
class LongLayout(Shifted):
    layout = Layout(virtual=1, user=2, response=1)


class Unfinished(Construction):
    layout = Layout(virtual=1, user=1, response=1)


calls = 0
'''


def written(folder: Path, name: str = "own_shifted") -> Path:
    """Write the file into a folder."""
    path = folder / f"{name}.py"
    path.write_text(SOURCE, encoding="utf-8")
    return path
