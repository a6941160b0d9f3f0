"""A claim: a statement, its source, the obligations that sympy must decide, and the plan of its evidence."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any, final

from constructions import Construction, InvalidArgument
from constructions.fields import Sizes
from proofs.claims.plan import Plan
from proofs.obligations import Obligation, Proof

#: The paper, as the sources of claims cite it.
PAPER = "Petrov, Torr, Bibi, When Do Prompting and Prefix-Tuning Work?, ICLR 2024, arXiv 2310.19698"

_NOTHING: Mapping[str, Any] = MappingProxyType({})


@final
@dataclass(frozen=True)
class Claim:
    """A statement about all sizes of a construction, or about any attention layer.

    A construction of the user's own makes a claim too: one without obligations, whose plan follows from its sizes.

    Attributes:
        id: as in ``prefixproof verify ID``.
        title: a line.
        statement: in words; tokens and positions are 0-based.
        latex: the statement in LaTeX, without dollar signs.
        source: its place in the paper, and the parts that go beyond the paper.
        construction: the class of constructions that the claim is about; ``None`` for a claim about any attention
            layer, which has no sizes to choose.
        obligations: what sympy must decide; together with the argument in the statement they are the proof.
        plan: the evidence to gather beside the proof; ``None`` for the plan that follows from the sizes asked for.
        caveat: what the obligations leave to the reader or to another proof; empty when they leave nothing.
        symbols_at: sizes at which every kind of layer is there; the symbolic matrices do not depend on them. Empty
            where the weights are numbers alone.
        extends: the ids of the claims whose promise this one varies or whose identity it uses: the edges of a graph.
        drawn: says of sizes, by field, whether fuzzing draws them where it is told the largest alone; ``None``: all.

    """

    id: str
    title: str
    statement: str
    latex: str = ""
    source: str = ""
    construction: type[Construction] | None = None
    obligations: tuple[Obligation, ...] = ()
    plan: Plan | None = None
    caveat: str = ""
    symbols_at: Mapping[str, int] = field(default_factory=dict)
    extends: tuple[str, ...] = ()
    drawn: Callable[[Mapping[str, int]], bool] | None = None

    @cached_property
    def sizes(self) -> Sizes:
        """The sizes of the construction; none for a claim about any layer."""
        return Sizes(self.id, {}) if self.construction is None else Sizes.of(self.id, self.construction)

    def build(self, sizes: Mapping[str, Any], options: Mapping[str, Any] = _NOTHING) -> Construction:
        """Return the construction at the given sizes.

        Args:
            sizes: by field, or by short name: ``vocab`` for ``vocab_size``; ``None`` counts as not given.
            options: further arguments of the construction, such as ``temperature`` and ``mask``.

        Raises:
            InvalidArgument: a size is missing, unknown, given twice, or not accepted by the construction; or the claim
                is about no construction.

        Example:
            >>> from proofs import get_claim
            >>> get_claim("theorem-1").build({"vocab": 3, "context": 2})
            UnconditionalGeneration(vocab_size=3, context_size=2)

        """
        if self.construction is None:
            raise InvalidArgument(
                f"claim: expected one about a construction but {self.id} is about any attention layer"
            )
        return self.construction(**self.sizes.complete(sizes), **options)

    def discharge(self) -> tuple[Proof, ...]:
        """Return the proofs of all obligations.

        Raises:
            ObligationFailed: one is false.
            ObligationUndecided: sympy cannot decide one; nothing has been shown then.

        """
        return tuple(obligation.discharge() for obligation in self.obligations)
