"""A construction lowered: its whole forward pass, written down once for pairs of prefixes and suffixes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from constructions.construction import Construction
from constructions.layers.linear import Linear
from constructions.temperature import Softmax, head_temperature
from constructions.transformer import Transformer
from constructions.validation import IntArray
from verify.engine.arithmetic import EngineArithmetic
from verify.engine.blocks import Blocks
from verify.engine.in_c import WRITABLE
from verify.engine.known import Dependence
from verify.engine.margins import Readout, Steps, smallest_margin
from verify.engine.program import Program
from verify.engine.rows import EngineRows, EngineScores, EngineWeight
from verify.engine.strips import Piece, Strip
from verify.engine.traced import BOTH, EXAMPLE, INNER, OUTER, Recording, Untraceable
from verify.running.model import Cache, Model, forward

#: A transformer in the arithmetic of the engine.
EngineModel = Model[EngineWeight, EngineRows, EngineScores, EngineArithmetic]

#: A kernel of torch's: from its arguments to a tuple of results.
Kernel = Callable[..., tuple[Tensor, ...]]


@dataclass(frozen=True, eq=False)
class _Group:
    """Steps of the response that are read from one pass and depend on the same."""

    level: int
    steps: tuple[int, ...]
    readout: Readout


class Lowered:
    """The smallest margin of a case as a program, and its inputs.

    Attributes:
        program: the operations.

    """

    def __init__(
        self,
        construction: Construction,
        model: EngineModel,
        blocks: Blocks,
        known: Dependence | None,
        *,
        strict: bool,
    ) -> None:
        """Write the forward pass down.

        Args:
            construction: whose it is.
            model: its transformer in the engine's arithmetic.
            blocks: how cases are paired.
            known: what prompts and answers depend on.
            strict: see :func:`~verify.engine.margins.smallest_margin`.

        Raises:
            Untraceable: the engine cannot write it down; the message says why.

        """
        self._construction, self._arithmetic, self._blocks = construction, model.arithmetic, blocks
        self._prompt, self._answers = blocks.levels(known)
        # what is the same for all cases is asked for with the prefixes, but for constants of the prompt
        self._answers = np.where(self._answers == 0, OUTER, self._answers)
        self._embedding = model.embedding.dense()
        self._fed_rows = np.flatnonzero(self._embedding.any(axis=1))
        self._recording = Recording()
        self._examples: dict[str, Tensor] = {}
        passes = self._passes(model)
        embedded = self._embedded(model)
        self._groups: list[_Group] = []
        found: Tensor | None = None
        cache: Cache[EngineRows] = Cache()
        for start, stop, read in passes:
            part = self._arithmetic.at(embedded, range(start, stop))
            kept = cache if self._keeps(model) else None
            rows = forward(model.without_readout(), part, stop - start, cache=kept)
            for level in sorted({int(self._answers[step]) for step in read}):
                steps = tuple(step for step in read if self._answers[step] == level)
                places = tuple(read[step] - start for step in steps)
                margin = self._margins(model, rows, level, steps, places, strict=strict)
                found = margin if found is None else torch.minimum(found, margin)
        if self._recording.refused is not None:
            raise Untraceable(self._recording.refused)
        assert found is not None, "a response has a step"
        self.program = Program(self._recording, self._examples, found)

    def _keeps(self, model: EngineModel) -> bool:
        """Return whether the passes are those of generation, which keeps keys and values."""
        return self._construction.layout.read is None and model.causal and not model.transformer.runs_by_position

    def _passes(self, model: EngineModel) -> list[tuple[int, int, Mapping[int, int]]]:
        """Return the passes: the first new position of each and the one after its last, and where steps are read."""
        layout, reading = self._construction.layout, self._construction.reading
        given = layout.virtual + layout.user
        if reading.sign == 0:
            raise Untraceable(f"answers that are read as {reading.words()}")
        if type(model.transformer) is not Transformer:
            raise Untraceable(f"a transformer of class {type(model.transformer).__name__}")
        if type(model.transformer.readout) is not Linear:
            raise Untraceable(f"a readout of class {type(model.transformer.readout).__name__}")
        if not given or not layout.response:
            raise Untraceable("a response without a token before it, or an empty one")
        if self._construction.output_vocab_size > 2**self._arithmetic.fmt.precision:
            raise Untraceable(f"more tokens than {self._arithmetic.fmt.name} counts one by one")
        if layout.read is not None:
            return [(0, given, {step: layout.virtual + place for step, place in enumerate(layout.read)})]
        layers = list(model.transformer.attentions)
        heads = [head_temperature(model.temperature, head.name) for layer in layers for head in layer.heads]
        by_length = any(isinstance(one, Softmax) and one.scaled_by == "length" for one in heads)
        if self._keeps(model):
            fed = range(given, given + layout.response - 1)
            return [(0, given, {0: given - 1}), *((at, at + 1, {step: at}) for step, at in enumerate(fed, 1))]
        if layout.response == 1 or (model.causal and not by_length):
            # earlier positions never change: one pass over the whole promised response has every step in it
            return [(0, given + layout.response - 1, {step: given + step - 1 for step in range(layout.response)})]
        if model.causal and len(layers) > 1:
            raise Untraceable("several attention layers scaled by the length, which keep keys of other temperatures")
        return [(0, given + step, {step: given + step - 1}) for step in range(layout.response)]

    # the inputs as the recording has them -----------------------------------------------------------------------------

    def _input(self, name: str, width: int, count: int, level: int) -> Tensor:
        outer, inner = (size if level & bit else 1 for bit, size in zip((OUTER, INNER), EXAMPLE, strict=True))
        random = np.random.default_rng(len(self._examples))  # numbers of no meaning, within the range of a prompt
        example = torch.from_numpy(random.random((width, count, outer, inner)).astype(self._arithmetic.dtype))
        self._examples[name] = self._recording.given(example)
        return self._examples[name]

    def _embedded(self, model: EngineModel) -> EngineRows:
        """Return virtual tokens, user tokens and the promised response, embedded."""
        layout = self._construction.layout
        steps = layout.response - 1 if layout.read is None else 0
        width, given = len(self._embedding), layout.virtual + layout.user
        constant = np.zeros((width, given + steps), dtype=self._arithmetic.dtype)
        live: list[list[Piece]] = [[] for _ in range(width)]
        places = self._numbers_of_prompt(0)
        if places:
            held = self._prompts(places, self._blocks.of_level(OUTER, 0, 1)[0])
            for (virtual, coordinate), value in zip(places, held[:, 0, 0, 0].tolist(), strict=True):
                constant[coordinate, virtual] = value
        for level in (OUTER, INNER, BOTH):
            places = self._numbers_of_prompt(level)
            value = self._input(f"prompt {level}", len(places), 1, level) if places else None
            for index, (virtual, coordinate) in enumerate(places):
                assert value is not None, "it has these numbers"
                live[coordinate].append(Piece((virtual,), value[index : index + 1]))
        user = tuple(range(layout.virtual, given))
        if user and (only := self._blocks.only_user) is not None:
            constant[:, list(user)] = self._embedding[:, only]
        elif user and len(self._fed_rows):
            value = self._input("user", len(self._fed_rows), len(user), self._blocks.of_users)
            self._add(live, value, user)
        for level in (OUTER, INNER, BOTH):
            chosen = self._fed(level)
            if chosen:
                value = self._input(f"fed {level}", len(self._fed_rows), len(chosen), level)
                self._add(live, value, tuple(given + step for step in chosen))
        strips = (Strip(constant[row : row + 1], tuple(live[row])) for row in range(width))
        return EngineRows(tuple(strips), EXAMPLE[0] * EXAMPLE[1])

    def _add(self, live: list[list[Piece]], value: Tensor, places: tuple[int, ...]) -> None:
        for index, row in enumerate(self._fed_rows.tolist()):
            live[row].append(Piece(places, value[index : index + 1]))

    def _numbers_of_prompt(self, level: int) -> list[tuple[int, int]]:
        return [(int(virtual), int(coordinate)) for virtual, coordinate in np.argwhere(self._prompt == level)]

    def _fed(self, level: int) -> list[int]:
        steps = len(self._answers) - 1 if self._construction.layout.read is None and len(self._fed_rows) else 0
        return np.flatnonzero(self._answers[:steps] == level).tolist()

    def _margins(
        self,
        model: EngineModel,
        rows: EngineRows,
        level: int,
        steps: tuple[int, ...],
        places: tuple[int, ...],
        *,
        strict: bool,
    ) -> Tensor:
        arithmetic, last = self._arithmetic, model.transformer.readout
        read = arithmetic.at(rows, places)
        sign = self._construction.reading.sign
        readout, live = Readout.of(read, last.weight, last.bias, arithmetic.fmt, sign)
        number, count = len(self._groups), len(steps)
        self._groups.append(_Group(level, steps, readout))
        tokens = self._input(f"tokens {number}", 1, count, level)
        bias = self._input(f"bias {number}", 1, count, level)
        weight = None if live is None else self._input(f"weight {number}", readout.weight.shape[1], count, level)
        return smallest_margin(readout, live, Steps(tokens, weight, bias), at_once=self._blocks.tokens, strict=strict)

    # what runs -------------------------------------------------------------------------------------------------------

    @property
    def is_fused(self) -> bool:
        """Whether the kernel is made of operations that store nothing, on what was computed before it."""
        inputs = {level for _, level in self.program.inputs.values()}
        return BOTH not in inputs and self.program.kernel.names <= WRITABLE

    @cached_property
    def _suffixes(self) -> dict[int, Tensor]:
        return self.program.stage(INNER, self.given(INNER, 0, 1))

    def arguments(self, start: int, stop: int) -> dict[int, Tensor]:
        """Return what the kernel needs for some prefixes, by its places."""
        prefixes = self.program.stage(OUTER, self.given(OUTER, start, stop))
        both = {self.program.inputs[name][0]: value for name, value in self.given(BOTH, start, stop).items()}
        return self._suffixes | prefixes | both

    def margins(self, start: int, stop: int, kernel: Kernel | None = None) -> Tensor:
        """Return the smallest margin of every case of some prefixes, prefixes x cases.

        Args:
            start: the first prefix.
            stop: the prefix after the last one.
            kernel: compiled for as many prefixes; by default one operation of torch after another.

        """
        values, part = self.arguments(start, stop), self.program.kernel
        if part.gives:
            (found,) = (part.module if kernel is None else kernel)(*part.arguments(values))
        else:  # it depends on one of the two alone
            found = values[self.program.result]
        return torch.broadcast_to(found[0, 0], (stop - start, self._blocks.inner))

    # the inputs of some cases -----------------------------------------------------------------------------------------

    def given(self, level: int, start: int, stop: int) -> dict[str, Tensor]:
        """Return the inputs of a level for some prefixes.

        Args:
            level: what they depend on.
            start: the first prefix.
            stop: the prefix after the last one.

        """
        blocks, construction = self._blocks, self._construction
        if level not in {depends for _, depends in self.program.inputs.values()}:
            return {}
        targets, users = blocks.of_level(level, start, stop)
        outer, inner = (stop - start if level & OUTER else 1), (blocks.inner if level & INNER else 1)
        found: dict[str, Tensor] = {}
        needed = self.program.inputs
        if (name := f"prompt {level}") in needed:
            found[name] = self._prompts(self._numbers_of_prompt(level), targets, outer, inner)
        if level == self._blocks.of_users and "user" in needed:
            found["user"] = self._tokens_embedded(users.T.reshape(users.shape[1], outer, inner))
        groups = [(number, group) for number, group in enumerate(self._groups) if group.level == level]
        if not groups:
            return found
        answers = construction.response(targets, users).T.reshape(-1, outer, inner)
        if (name := f"fed {level}") in needed:
            found[name] = self._tokens_embedded(answers[self._fed(level)])
        for number, group in groups:
            tokens = answers[list(group.steps)]
            found |= self._promised(number, group.readout, tokens)
        return {name: value for name, value in found.items() if name in needed}

    def _prompts(self, places: Sequence[tuple[int, int]], targets: IntArray, outer: int = 1, inner: int = 1) -> Tensor:
        virtual, coordinates = zip(*places, strict=True)
        numbers = self._construction.prompts(targets)[:, list(virtual), list(coordinates)]
        held = numbers.to_float(self._arithmetic.fmt).astype(self._arithmetic.dtype)
        return torch.from_numpy(np.ascontiguousarray(held.T).reshape(len(places), 1, outer, inner))

    def _tokens_embedded(self, tokens: IntArray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(self._embedding[self._fed_rows][:, tokens]))

    def _promised(self, number: int, readout: Readout, tokens: IntArray) -> dict[str, Tensor]:
        dtype = self._arithmetic.dtype
        at = np.arange(len(tokens))[:, None, None]
        return {
            f"tokens {number}": torch.from_numpy(tokens.astype(dtype)[None]),
            f"bias {number}": torch.from_numpy(readout.bias[tokens, at][None]),
            f"weight {number}": torch.from_numpy(np.ascontiguousarray(readout.weight.T[:, tokens])),
        }
