"""The registry of claims: what is promised, where it comes from, and what sympy must decide for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Any, final

from constructions import (
    ConditionalGeneration,
    Construction,
    InvalidArgument,
    LongerInputs,
    LongerResponses,
    UnconditionalGeneration,
)
from constructions.validation import check_choice, reject
from proofs import (
    codings,
    longer_inputs,
    longer_inputs_softmax,
    longer_responses,
    longer_responses_softmax,
    theorem_1,
    theorem_1_heads,
    theorem_1_softmax,
    theorem_2,
    theorem_2_heads,
)
from proofs.obligations import Obligation, Proof

#: What the sources of claims cite.
PAPER = "Petrov, Torr, Bibi, When Do Prompting and Prefix-Tuning Work?, ICLR 2024, arXiv 2310.19698"

#: The sizes that a construction can have, as the command line names them.
SIZES = ("vocab", "context", "response", "input")


@final
@dataclass(frozen=True)
class Claim:
    """A statement about a construction, for all of its sizes.

    Attributes:
        id: as in ``prefixproof verify ID``.
        title: a line.
        statement: in words; tokens and positions are 0-based.
        latex: the statement in LaTeX, without dollar signs.
        source: where in the paper it is, and what in it is not from the paper.
        construction: the class of constructions that the claim is about.
        arithmetics: where evidence is gathered; ``real`` is where the obligations are decided, for all sizes.
        obligations: what sympy must decide; together with the argument in the statement they are the proof.
        caveat: what the obligations leave to the reader or to another proof; empty when they leave nothing.

    Example:
        >>> claim = CLAIMS["theorem-2"]
        >>> claim.sizes
        ('vocab',)
        >>> claim.build(vocab=3)
        ConditionalGeneration(vocab_size=3)

    """

    id: str
    title: str
    statement: str
    latex: str
    source: str
    construction: type[Construction]
    arithmetics: tuple[str, ...]
    obligations: tuple[Obligation, ...]
    caveat: str = ""

    @property
    def sizes(self) -> tuple[str, ...]:
        """The sizes that :meth:`build` needs, out of :data:`SIZES`."""
        known = {item.name for item in fields(self.construction)}
        return tuple(name for name in SIZES if f"{name}_size" in known)

    def build(self, *, options: Mapping[str, Any] | None = None, **sizes: int | None) -> Construction:
        """Return the construction at the given sizes.

        Args:
            options: further arguments of the construction, such as ``temperature`` and ``mask``.
            sizes: ``vocab``, ``context``, ``response`` and ``input``, each if and only if the claim has it; ``None``
                counts as not given.

        Raises:
            InvalidArgument: a size that is missing, superfluous, unknown, or not accepted by the construction.

        """
        for name, value in sizes.items():
            check_choice("size", name, SIZES)
            if value is not None and name not in self.sizes:
                reject(name, f"no value, as {self.id} has only {', '.join(self.sizes)},", value)
        for name in self.sizes:
            if sizes.get(name) is None:
                raise InvalidArgument(f"{name}: expected a value, as {self.id} needs {', '.join(self.sizes)}")
        arguments: dict[str, Any] = {f"{name}_size": sizes[name] for name in self.sizes}
        return self.construction(**arguments, **(options or {}))

    def discharge(self) -> tuple[Proof, ...]:
        """Return the proofs of all obligations.

        Raises:
            ObligationFailed: one is false.
            ObligationUndecided: sympy cannot decide one; nothing has been shown then.

        """
        return tuple(obligation.discharge() for obligation in self.obligations)


#: Where every construction is evaluated.
_ARITHMETICS = (
    "rational",
    "numpy float64",
    "torch float64",
    "torch float32",
    "torch bfloat16",
    "torch float16",
)


def _registry(*claims: Claim) -> Mapping[str, Claim]:
    return MappingProxyType({claim.id: claim for claim in claims})


#: Every claim by its id, in the order of the paper.
CLAIMS: Mapping[str, Claim] = _registry(
    Claim(
        id="theorem-1",
        title="One virtual token makes one transformer generate any of V^N sequences",
        statement=(
            "For all V, N >= 1 there is a transformer with vocabulary V, context N, embedding size N, one attention"
            " layer of two heads and a three-layer MLP that generates ANY sequence (y_0, ..., y_{N-1}) when its context"
            " starts with the single virtual token (y_0/V, ..., y_{N-1}/V). That holds at hardmax; a single token"
            " (V = 1) needs no temperature. For V >= 2, with softmax, E = 0 and the causal mask it holds if and only if"
            " q = exp(T/sqrt(k)) > (N-1)(4V-3), the same q in both heads. For V >= 2 and every embedding |E| <= M it"
            " holds if and only if q > (N-1)(4V-3+2VM); with a q for each head, which leaks l = (N-1)/(q+N-1), if and"
            " only if l_self + l_first ((V-1)/V + M) < 1/(2V). The same shape works at hardmax with other encodings,"
            " lifts and readouts of a token."
        ),
        latex=(
            r"\forall V, N \ge 1\ \exists\, \text{transformer}\ \forall y \in \{0..V-1\}^N:\quad"
            r" \operatorname{generate}\bigl(\tfrac1V (y_0, \dots, y_{N-1})\bigr) = (y_0, \dots, y_{N-1})"
        ),
        source=(
            f"{PAPER}: section 3, Theorem 1 (exponential unconditional generation capacity of a single virtual token)"
            " and Figure 4; the softmax thresholds are beyond the paper"
        ),
        construction=UnconditionalGeneration,
        arithmetics=("real", *_ARITHMETICS),
        obligations=(
            *theorem_1.OBLIGATIONS,
            *theorem_1_softmax.OBLIGATIONS,
            *theorem_1_heads.OBLIGATIONS,
            *codings.OBLIGATIONS,
        ),
    ),
    Claim(
        id="theorem-2",
        title="One virtual token makes one transformer answer by any of V^V maps of the user's token",
        statement=(
            "For all V >= 1 there is a transformer with vocabulary V, context 2, embedding size V, one attention layer"
            " of two heads and a three-layer MLP that answers every user token X with m(X), for ANY map m, when its"
            " context starts with the single virtual token (m(0)/V, ..., m(V-1)/V). At hardmax, and with softmax at"
            " every temperature that is the same in both heads; for V >= 2, with a q for each if and only if"
            " -1/(2V) < d < 1/(2(V-1)), d = 1/(1+q_self) - 1/(1+q_first)."
        ),
        latex=(
            r"\forall V \ge 1\ \exists\, \text{transformer}\ \forall m \colon \{0..V-1\} \to \{0..V-1\}\ \forall X:"
            r"\quad \operatorname{answer}\bigl(\tfrac1V (m(0), \dots, m(V-1)), X\bigr) = m(X)"
        ),
        source=(
            f"{PAPER}: section 3, Theorem 2 (conditional generation capacity of a single virtual token, n_X = n_Y ="
            " 1); what it says of temperatures is beyond the paper"
        ),
        construction=ConditionalGeneration,
        arithmetics=("real", *_ARITHMETICS),
        obligations=(*theorem_2.OBLIGATIONS, *theorem_2_heads.OBLIGATIONS),
    ),
    Claim(
        id="longer-responses",
        title="N0 virtual tokens make one transformer answer with N0 tokens by any of V^(V N0) maps",
        statement=(
            "For all V, N0 >= 1 there is a transformer with vocabulary V, context 2 N0, embedding size V, one attention"
            " layer of two heads and a three-layer MLP that answers every user token X with m_0(X), ..., m_{N0-1}(X),"
            " for ANY maps m_p, when its context starts with the virtual tokens (m_p(0)/V, ..., m_p(V-1)/V)."
            " That holds at hardmax; for V >= 2, with softmax and the causal mask, it holds if and only if"
            " q > (4V-3)(2 N0 - 2) - 1, the same q in both heads."
        ),
        latex=(
            r"\forall V, N_0 \ge 1\ \exists\, \text{transformer}\ \forall m_p \colon \{0..V-1\} \to \{0..V-1\}\ \forall"
            r" X: \quad \operatorname{answer}\bigl((\tfrac1V m_p)_{p < N_0}, X\bigr) = (m_0(X), \dots, m_{N_0-1}(X))"
        ),
        source=(f"{PAPER}: appendix, longer responses (n_X = 1, n_Y > 1); the softmax threshold is beyond the paper"),
        construction=LongerResponses,
        arithmetics=("real", *_ARITHMETICS),
        obligations=(*longer_responses.OBLIGATIONS, *longer_responses_softmax.OBLIGATIONS),
    ),
    Claim(
        id="longer-inputs",
        title="One virtual token makes one deeper transformer answer n_X user tokens by any of V^(V^n_X) maps",
        statement=(
            "For all V >= 1, n_X >= 2 there is a transformer with vocabulary V, context n_X + 1, embedding size V and"
            " n_X attention layers of two heads with MLPs between them that answers every user input (x_1, ..., x_n)"
            " with m(x_1, ..., x_n), for ANY map m, when its context starts with the single virtual token whose"
            " coordinate j packs the table of m for a first token j into base-V digits after the point. At hardmax; two"
            " user tokens also with softmax, the causal mask, the add lift and one q >= 6 if and only if q > 2(4V-3)."
            " The obligations are about every layer's weights for all sizes; the order of the layers, whose number"
            " depends on V, is read off one size."
        ),
        latex=(
            r"\forall V \ge 1, n \ge 2\ \exists\, \text{transformer}\ \forall m \colon \{0..V-1\}^n \to \{0..V-1\}\ "
            r"\forall x:\quad \operatorname{answer}(s(m), x) = m(x), \qquad"
            r" s(m)_j = \sum_{k=1}^{V^{n-1}} V^{-k}\, m(j, \text{digits}_V(k-1))"
        ),
        source=(
            f"{PAPER}: appendix, longer user inputs (n_X > 1, n_Y = 1); that the unpacking of the digits is an"
            " explicit ReLU MLP, and n_X > 2, are beyond the paper"
        ),
        construction=LongerInputs,
        arithmetics=("real", *_ARITHMETICS),
        obligations=(*longer_inputs.OBLIGATIONS, *longer_inputs_softmax.OBLIGATIONS),
        caveat=(
            "the obligations are about one block and one digit for all sizes; that the layers follow each other in this"
            " order is read off one size, and what the blocks of two user tokens do together at a finite q is put"
            " together in two_inputs_threshold"
        ),
    ),
)


def get_claim(claim: str) -> Claim:
    """Return the claim with an id.

    Raises:
        InvalidArgument: there is none; the message lists the ids.

    Example:
        >>> get_claim("theorem-1").title
        'One virtual token makes one transformer generate any of V^N sequences'

    """
    return CLAIMS[check_choice("claim", claim, tuple(CLAIMS))]
