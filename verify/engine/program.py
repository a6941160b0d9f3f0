"""A recording in three parts: what the suffixes share, what the prefixes share, and the kernel for every pair."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, fx
from torch.utils._pytree import tree_map

from verify.engine.traced import BOTH, INNER, OUTER, Recording, Ref, Traced, whole

#: Values of intermediates by their places.
Values = Mapping[int, Tensor]


class Part(NamedTuple):
    """Some operations of a recording, as a module of torch.

    Attributes:
        module: from the intermediates that it reads to those that it gives, a tuple.
        reads: the places of the first.
        gives: the places of the second.
        operations: how many operations it has.
        names: what they are called.

    """

    module: fx.GraphModule
    reads: tuple[int, ...]
    gives: tuple[int, ...]
    operations: int
    names: frozenset[str]

    def arguments(self, values: Values) -> list[Tensor]:
        """Return what the module is called with."""
        return [values[place] for place in self.reads]

    def run(self, values: Values) -> dict[int, Tensor]:
        """Return what it gives, by one operation after another."""
        return dict(zip(self.gives, self.module(*self.arguments(values)), strict=True))


class Program:
    """Operations that lead to one result.

    Attributes:
        inputs: the places of the inputs by name, and what each of them depends on.
        result: the place of the result.
        stages: what depends on the prefix alone, and on the suffix alone.
        kernel: what depends on both.

    """

    def __init__(self, recording: Recording, inputs: Mapping[str, Tensor], result: Tensor) -> None:
        """Keep the operations that the result needs.

        Args:
            recording: all of them.
            inputs: those of the recording, by name.
            result: an intermediate of it.

        """
        nodes = recording.nodes
        self.result = _place(result)
        self.inputs = {name: (_place(value), nodes[_place(value)].level) for name, value in inputs.items()}
        needed: set[int] = set()
        pending = {self.result}
        while pending:
            place = pending.pop()
            needed.add(place)
            pending |= nodes[place].reads() - needed
        levels = {place: nodes[place].level for place in needed if nodes[place].function is not None}
        readers: dict[int, list[int]] = {}
        for place in levels:
            for read in nodes[place].reads():
                readers.setdefault(read, []).append(place)
        for place in levels:
            # whether a token is this one costs less to ask again, in a register, than to read from memory
            inside = place != self.result and all(levels[reader] == BOTH for reader in readers.get(place, ()))
            if inside and nodes[place].function is torch.eq:
                levels[place] = BOTH
        parts = {level: sorted(place for place in levels if levels[place] == level) for level in (OUTER, INNER, BOTH)}
        outside = {read for place in parts[BOTH] for read in nodes[place].reads()} | {self.result}
        self.stages = {
            level: _part(recording, parts[level], sorted(outside.intersection(parts[level])))
            for level in (OUTER, INNER)
        }
        self.kernel = _part(recording, parts[BOTH], sorted({self.result}.intersection(parts[BOTH])))

    def stage(self, level: int, given: Mapping[str, Tensor]) -> dict[int, Tensor]:
        """Return the intermediates that depend on prefixes alone, or on suffixes alone, with the inputs that do.

        Args:
            level: which.
            given: all inputs of that level.

        """
        values = {self.inputs[name][0]: value for name, value in given.items()}
        return values | self.stages[level].run(values)


def _part(recording: Recording, places: Sequence[int], gives: Sequence[int]) -> Part:
    graph, root = fx.Graph(), torch.nn.Module()
    inside = set(places)
    reads = sorted({read for place in places for read in recording.nodes[place].reads()} - inside)
    held: dict[int, Any] = {place: graph.placeholder(f"given_{place}") for place in reads}
    constants: dict[int, Any] = {}

    def read(value: Any) -> Any:
        if isinstance(value, Ref):
            return held[value.place]
        if isinstance(value, Tensor):
            if id(value) not in constants:
                name = f"constant_{len(constants)}"
                root.register_buffer(name, value)
                constants[id(value)] = graph.get_attr(name)
            return constants[id(value)]
        return value

    for place in places:
        node = recording.nodes[place]
        assert node.function is not None, "an input is no operation"
        args, options = tree_map(read, (node.args, node.options), is_leaf=whole)
        held[place] = _called(graph, node.function, args, options)
    graph.output(tuple(held[place] for place in gives))
    names = frozenset(
        node.target if isinstance(node.target, str) else node.target.__name__
        for node in graph.nodes
        if node.op in {"call_function", "call_method"}
    )
    return Part(fx.GraphModule(root, graph), tuple(reads), tuple(gives), len(places), names)


def _called(graph: fx.Graph, function: Callable[..., Any], args: Sequence[Any], options: dict[str, Any]) -> fx.Node:
    name = getattr(function, "__name__", "")
    if name == "__getitem__":
        return graph.call_function(operator.getitem, tuple(args))
    if getattr(torch.Tensor, name, None) is function:
        return graph.call_method(name, tuple(args), options)
    return graph.call_function(function, tuple(args), options)


def _place(value: Tensor) -> int:
    assert isinstance(value, Traced), "an intermediate of a recording"
    return value.place
