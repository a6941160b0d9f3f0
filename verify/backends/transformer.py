"""A backend: a construction's transformer in an arithmetic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, final

import numpy as np

from constructions.construction import Construction
from constructions.ratios import Ratios
from constructions.specification import Specification
from constructions.validation import IntArray, InvalidArgument
from verify.arithmetic.base import Arithmetic
from verify.backends.base import Backend, Prepared
from verify.running.asked import asked_again
from verify.running.model import Model, bind_construction
from verify.running.respond import Produced, respond
from verify.running.temperatures import show_temperature, temperature_setting
from verify.running.trace import Trace

if TYPE_CHECKING:
    from verify.arithmetic.base import AtOnce
    from verify.running.ranks import RankTally


@final
class TransformerBackend(Backend):
    """The weights of a construction, run by the one forward pass in an arithmetic."""

    inspected = True

    def __init__(self, arithmetic: Arithmetic[Any, Any, Any]) -> None:
        """Run in ``arithmetic``."""
        self.arithmetic, self.name = arithmetic, arithmetic.name
        self.device, self.fmt, self.batched = arithmetic.device, arithmetic.fmt, arithmetic.batched
        self.exact = arithmetic.fmt is None

    def prepare(self, specification: Specification) -> PreparedTransformer:
        """Return the construction's weights in the arithmetic."""
        return PreparedTransformer(self._weighted(specification), self)

    def settings(self, specification: Specification) -> Mapping[str, Any]:
        """Return the temperature as it is in this arithmetic."""
        return temperature_setting(self._weighted(specification), self.fmt)

    def key(self, specification: Specification) -> Mapping[str, Any]:
        """Return the temperature, exactly, the mask, and the kernels."""
        construction = self._weighted(specification)
        temperature = construction.temperature_for(self.fmt)
        return {
            "temperature": show_temperature(temperature),
            "exact temperature": repr(temperature),
            "mask": construction.mask,
        }

    def looked_at(self) -> tuple[object, ...]:
        """Return the arithmetic."""
        return (self.arithmetic,)

    def assumptions(self) -> str | None:
        """Return those of the arithmetic."""
        return self.arithmetic.assumptions()

    def expect(self, cases: int) -> None:
        """Tell the arithmetic."""
        self.arithmetic.expect(cases)

    def words(self) -> tuple[str, ...] | None:
        """Return the options of the arithmetic."""
        return self.arithmetic.words()

    def arguments(self) -> tuple[str, ...]:
        """Return the expression of the arithmetic."""
        return (f"arithmetic={self.arithmetic.expression()}",)

    def _weighted(self, specification: Specification) -> Construction:
        """Return a specification that has weights.

        Raises:
            InvalidArgument: it has none.

        """
        if isinstance(specification, Construction):
            return specification
        raise InvalidArgument(
            f"backend: expected one that generates for {type(specification).__name__}, which has no weights that"
            f" {self.name} arithmetic could run, such as verify.CallableBackend(kernel)"
        )


@final
class PreparedTransformer(Prepared):
    """Weights held in an arithmetic.

    The dense torch arithmetic with its default kernels runs as the
    :class:`~verify.running.torch_module.TorchTransformer` that a user would get.

    Attributes:
        construction: whose weights they are.
        transformer: as it was when the weights were bound.
        module: the torch module that runs, where there is one.

    """

    def __init__(self, construction: Construction, backend: TransformerBackend) -> None:
        """Lower the construction's weights."""
        self.construction, self.backend = construction, backend
        arithmetic = backend.arithmetic
        with arithmetic.running():
            self.module: Any = arithmetic.module(construction)
            self._model: Model[Any, Any, Any, Arithmetic[Any, Any, Any]] | None = None
            if self.module is None:
                self.transformer = construction.transformer
                self._model = bind_construction(construction, arithmetic, transformer=self.transformer)
            else:
                self.transformer = self.module.source
        self._at_once: AtOnce | None = None

    def run(self, prompts: Ratios | None, user_inputs: IntArray, trace: Trace | None = None) -> Produced:
        """Return the response; the trace is of the last case, where cases run one by one."""
        assert prompts is not None, "a construction has prompts, if without any virtual token"
        model = self.module.model() if self._model is None else self._model
        arithmetic, construction = model.arithmetic, self.construction
        with self.backend.arithmetic.running():
            if arithmetic.batched:
                return respond(model, construction, arithmetic.prompt(prompts), user_inputs, trace=trace)
            many = self._many()
            together: Produced | None = (
                None if trace is not None or many is None else many.produced(prompts, user_inputs)
            )
            if together is not None:
                return together
            made = [
                respond(model, construction, arithmetic.prompt(prompts[case]), user_inputs[case], trace=trace)
                for case in range(len(user_inputs))
            ]
        if not made:
            return Produced.empty(construction)
        logits = [each.logits for each in made if each.logits is not None]
        return Produced(np.stack([each.answers for each in made]), np.stack(logits))

    @property
    def authored(self) -> Sequence[str]:
        """The classes in the transformer that other authors wrote."""
        return self.transformer.authored

    @property
    def dense(self) -> Arithmetic[Any, Any, Any] | None:
        """That of the arithmetic, where classes of other authors run."""
        return self.backend.arithmetic.dense() if self.authored else None

    def tally_ranks(self, start: int, stop: int) -> RankTally | None:
        """Return the findings of ranks of the enumeration, where the arithmetic runs many cases at once."""
        with self.backend.arithmetic.running():
            many = self._many()
            return None if many is None else many(start, stop)

    def _many(self) -> AtOnce | None:
        """Return what runs many cases at once, made when it is first asked for."""
        if self._at_once is None and self._model is not None:
            self._at_once = self.backend.arithmetic.at_once(self.construction, self._model, self.run)
        return self._at_once

    def changed(self) -> str | None:
        """Ask for weights and temperature twice more, and compare them with what was bound; and what ran at once."""
        if self._at_once is not None and (otherwise := self._at_once.changed()) is not None:
            return otherwise
        return asked_again(self.construction, self.transformer)
