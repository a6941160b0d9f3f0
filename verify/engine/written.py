"""A kernel written out in C: loops over prefixes and suffixes, with every intermediate in a register.

It is for kernels of operations on single numbers, and of the smallest of a few. Each is rounded as torch's own, in the
same order; a product and a sum are rounded twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor, fx

from verify.engine.in_c import C_TYPES, HEAD, IN_C, NotWritten, literal, taken

#: Suffixes that go through an operation together: the largest power of two of which 20 positions in float32 fit the
#: 32 KiB of a first cache. It decides the speed alone.
_LANES = 256


@dataclass(frozen=True)
class _View:
    """Some coordinates and positions of an argument or of an intermediate, ``name`` in C.

    Attributes:
        shape: coordinates x positions x outer x inner.
        first: the first coordinate and position.
        strides: of its axes, in numbers; an intermediate is held for one prefix, its suffixes side by side.
        made: which intermediate it is, ``None`` for an argument.

    """

    name: str
    shape: tuple[int, ...]
    first: tuple[int, int]
    strides: tuple[int, ...]
    made: _Made | None = None

    def at(self) -> str:
        """Return its number in a loop over coordinates ``c`` and positions ``p``, for a prefix and a suffix."""
        terms = [str(start * by) for start, by in zip(self.first, self.strides, strict=False) if start * by]
        pairs = zip(("c", "p", "o", "(s + l)"), self.shape, self.strides, strict=False)
        terms += [f"{index} * {by}" for index, size, by in pairs if size > 1 and by]
        terms += ["l"] if self.made is not None and self.shape[3] > 1 else []
        return f"{self.name}[{' + '.join(terms) or '0'}]"


@dataclass(eq=False)
class _Made:
    """An intermediate, and the operation that makes it.

    Attributes:
        name: of the intermediate, in C.
        leading: the coordinates and positions of the loop that makes it.
        operands: what is read: views, and numbers in C.
        line: of C, with places for the operands; of the smallest, with one more for what was found so far.
        alike: whether it is the same for all suffixes: then it is no work of theirs.
        smallest: the view to put the smallest of some coordinates or positions into, ``None`` for other operations.
        stage: a loop of a later stage reads what one of an earlier stage stored.
        stored: whether another loop reads it.

    """

    name: str
    leading: tuple[int, int]
    operands: list[_View | str]
    line: str
    alike: bool
    smallest: _View | None = None
    stage: int = 0
    stored: bool = False

    @property
    def is_truth(self) -> bool:
        """Whether it is the answer to a comparison, and no number."""
        return self.line.startswith("_Bool")

    def waits(self, view: _View) -> bool:
        """Return whether the loop that made a view must be over before this one begins."""
        made = view.made
        assert made is not None, "an argument is there from the start"
        whole = view.first == (0, 0) and view.shape[:2] == made.leading == self.leading
        return not whole or made.smallest is not None

    def views(self) -> list[tuple[_View, _Made]]:
        return [(one, one.made) for one in self.operands if isinstance(one, _View) and one.made is not None]


class Source:
    """The C source of a module of torch.

    Attributes:
        text: of a function ``kernel`` of the addresses of arguments and constants, of its result, and of a workspace.
        shape: of the result.
        work: how many numbers the workspace has.
        constants: what follows the arguments.

    """

    def __init__(self, module: fx.GraphModule, arguments: Sequence[Tensor]) -> None:
        """Write it out.

        Args:
            module: of one result, whose last two axes are the batch.
            arguments: of the shapes, strides and dtype that it is for.

        Raises:
            NotWritten: it needs more than operations on single numbers and the smallest of a few.

        """
        self._values: dict[fx.Node, _View] = {}
        self._made: list[_Made] = []
        self._numbers: dict[fx.Node, str] = {}
        self.constants: list[Tensor] = []
        self._given, places = list(arguments), iter(arguments)
        self._outer, self._inner = self._batch(module, arguments)
        self._lanes, result = min(_LANES, self._inner), None
        for node in module.graph.nodes:
            if node.op == "placeholder":
                self._give(node, next(places))
            elif node.op == "get_attr":
                constant = getattr(module, str(node.target))
                if constant.numel() == 1:  # a choice reads it on one side alone, which no vector does
                    self._numbers[node] = literal(constant.item())
                self.constants.append(constant)
                self._give(node, constant)
            elif node.op == "output":
                (returned,) = node.args[0]
                result = self._values[returned]
            else:
                self._operation(node)
        if result is None or (result.shape[:2], result.first) != ((1, 1), (0, 0)):
            raise NotWritten("a result that is not a single intermediate")
        if result.made is None or result.made.is_truth:
            raise NotWritten("a result that is not a single intermediate")
        self._stages()
        result.made.stored = True
        self.shape, self.work = (1, 1, self._outer, self._inner), 0
        self.text = self._text(result)

    @staticmethod
    def _batch(module: fx.GraphModule, arguments: Sequence[Tensor]) -> tuple[int, int]:
        held = [*arguments, *module.buffers()]
        if any(value.ndim != 4 for value in held) or len({value.dtype for value in held}) != 1:
            raise NotWritten("arguments of several kinds")
        if held[0].dtype not in C_TYPES:
            raise NotWritten(f"numbers of {held[0].dtype}")
        batch: tuple[int, int] = np.broadcast_shapes(*(tuple(value.shape[2:]) for value in held))
        return batch

    def _give(self, node: fx.Node, value: Tensor) -> None:
        name = f"g{len(self._values)}"
        self._values[node] = _View(name, tuple(value.shape), (0, 0), tuple(value.stride()))

    def _operation(self, node: fx.Node) -> None:
        name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")
        if name == "getitem":
            self._values[node] = _part(self._values[node.args[0]], node.args[1])  # type: ignore[index]
        elif name == "amin":
            self._smallest(node)
        elif name in IN_C and not node.kwargs:
            self._pointwise(node, name)
        else:
            raise NotWritten(f"{name} {dict(node.kwargs) or ''}".strip())

    def _pointwise(self, node: fx.Node, name: str) -> None:
        operands = [
            self._numbers.get(one) or self._values[one] if isinstance(one, fx.Node) else literal(one)
            for one in node.args
        ]
        shape = np.broadcast_shapes(*(one.shape for one in operands if isinstance(one, _View)))
        truths = [isinstance(one, _View) and one.made is not None and one.made.is_truth for one in operands]
        if truths != [name == "where" and not place for place in range(taken(name))]:
            raise NotWritten(f"{name} of other arguments")  # in C a sum of truths is a number, in torch a truth
        if name == "where" and not any(isinstance(one, fx.Node) for one in node.args[1:]):
            raise NotWritten("a choice of two numbers, which torch holds as float32")
        here = f"v{len(self._values)}"
        line = f"{'_Bool' if name in {'eq', 'gt', 'le'} else 'REAL'} {here} = {IN_C[name]};"
        self._keep(node, shape, _Made(here, (shape[0], shape[1]), operands, line, shape[3] == 1))

    def _smallest(self, node: fx.Node) -> None:
        over = self._values[node.args[0]]  # type: ignore[index]
        if over.made is not None and over.made.is_truth:
            raise NotWritten("a smallest truth")
        axes = node.args[1:] + tuple(value for key, value in node.kwargs.items() if key == "dim")
        if len(axes) != 1 or axes[0] not in (0, 1) or node.kwargs.get("keepdim") is not True:
            raise NotWritten("a minimum over other axes")
        shape = tuple(1 if axis == axes[0] else size for axis, size in enumerate(over.shape))
        here = f"v{len(self._values)}"
        line = f"REAL {here} = {{1}}; {{1}} = ({IN_C['minimum'].replace('{1}', here)});"
        made = _Made(here, (over.shape[0], over.shape[1]), [over], line, over.shape[3] == 1, stored=True)
        made.smallest = self._keep(node, shape, made)

    def _keep(self, node: fx.Node, shape: tuple[int, ...], made: _Made) -> _View:
        width = self._lanes if shape[3] > 1 else 1
        strides = shape[1] * width, width
        self._values[node] = _View(f"a{made.name}", shape, (0, 0), strides, made)
        self._made.append(made)
        return self._values[node]

    def _stages(self) -> None:
        """Put every operation into the last loop that it may be in: there most of its readers are."""
        for made in self._made:
            made.stage = max((other.stage + made.waits(view) for view, other in made.views()), default=0)
        latest = {made: max(one.stage for one in self._made) for made in self._made}
        for reader in reversed(self._made):
            reader.stage = latest[reader]
            for view, made in reader.views():
                latest[made] = min(latest[made], reader.stage - reader.waits(view))
        for reader in self._made:
            for view, made in reader.views():
                made.stored = made.stored or made.stage < reader.stage or reader.waits(view)

    def _text(self, result: _View) -> str:
        names = dict.fromkeys(view.name for view in self._values.values() if view.made is None)
        loops: dict[tuple[int, tuple[int, int]], list[_Made]] = {}
        for made in self._made:
            loops.setdefault((made.stage, made.leading), []).append(made)
        lines = [
            HEAD,
            f"typedef {C_TYPES[self._given[0].dtype]} REAL;",
            "void kernel(const REAL *const *given, REAL *restrict result, REAL *work) {",
            *(f"const REAL *restrict {name} = given[{place}];" for place, name in enumerate(names)),
            f"for (long o = 0; o < {self._outer}; o++)",
            f"for (long start = 0; start < {self._inner}; start += {self._lanes}) {{",
            f"long s = start + {self._lanes} <= {self._inner} ? start : {self._inner - self._lanes};",
        ]
        for _, held in sorted(loops.items()):
            lines += self._loop(held)
        last = f"for (long l = 0; l < {self._lanes}; l++) result[o * {self._inner} + s + l] = {result.name}[l];"
        return "\n".join([*lines, last, "}", "}", ""])

    def _loop(self, held: Sequence[_Made]) -> list[str]:
        coordinates, positions = held[0].leading
        before, once, each = list[str](), list[str](), list[str]()
        for made in held:
            read = [one if isinstance(one, str) else self._read(one, made) for one in made.operands]
            body, width = (once, 1) if made.alike else (each, self._lanes)
            if (smallest := made.smallest) is not None:
                size, here = smallest.shape[0] * smallest.shape[1] * width, smallest.name
                before += [self._place(here, size), f"for (long n = 0; n < {size}; n++) {here}[n] = INFINITY;"]
                read.append(smallest.at())
            body.append(made.line.format(*read))
            if made.stored and made.smallest is None:
                before.append(self._place(f"a{made.name}", coordinates * positions * width))
                place = f"(c * {positions} + p) * {width}{'' if made.alike else ' + l'}"
                body.append(f"a{made.name}[{place}] = {made.name};")
        head = f"for (long c = 0; c < {coordinates}; c++) for (long p = 0; p < {positions}; p++) {{"
        return [*before, head, *once, f"for (long l = 0; l < {self._lanes}; l++) {{", *each, "}", "}"]

    def _place(self, name: str, size: int) -> str:
        """Give an intermediate its part of the workspace: a stack may be too small for it."""
        self.work += size
        return f"REAL *restrict {name} = work + {self.work - size};"

    @staticmethod
    def _read(view: _View, reader: _Made) -> str:
        return view.at() if view.made is None or view.made.stage < reader.stage else view.made.name


def _part(view: _View, index: Any) -> _View:
    slices = index if isinstance(index, tuple) else (index,)
    shape, first = list(view.shape), list(view.first)
    for axis, chosen in enumerate(slices):
        if not isinstance(chosen, slice) or chosen.step not in (None, 1):
            raise NotWritten("a view with gaps between coordinates or positions")
        start, stop, _ = chosen.indices(shape[axis])
        if axis > 1 and (start, stop) != (0, shape[axis]):
            raise NotWritten("a view of some cases")
        shape[axis] = stop - start
        if axis < 2:
            first[axis] += start
    return _View(view.name, tuple(shape), (first[0], first[1]), view.strides, view.made)
