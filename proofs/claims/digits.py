"""Several digits per token: Theorem 1 with an embedding of ``m N`` coordinates instead of ``N``."""

from __future__ import annotations

from constructions import DigitGeneration
from proofs import digits
from proofs.claims.claim import PAPER, Claim
from proofs.claims.plan import SWEPT_VOCABULARY, Step, up_to

CLAIM = Claim(
    id=digits.CLAIM,
    title="One virtual token of m digits per position makes one transformer generate any of V^N sequences",
    statement=(
        "For all V, N, m >= 1 there is a transformer with vocabulary V, context N, embedding size m N, one attention"
        " layer of two heads and a three-layer MLP that generates ANY sequence (y_0, ..., y_{N-1}) when its context"
        " starts with the single virtual token of the m base-b digits of all y_j, where b is the smallest integer with"
        " b^m >= V. That holds at hardmax, for the readouts hat and split."
    ),
    latex=(
        r"\forall V, N, m \ge 1\ \exists\, \text{transformer}\ \forall y \in \{0..V-1\}^N:\quad"
        r" \operatorname{generate}\bigl((\lfloor y_j / b^{m-1-k} \rfloor \bmod b)_{k < m,\, j < N}\bigr)"
        r" = (y_0, \dots, y_{N-1}), \qquad b = \lceil V^{1/m} \rceil"
    ),
    source=(
        f"{PAPER}: section 3, Theorem 1, but for the embedding size, m N instead of N; several digits for a token are"
        " beyond the paper"
    ),
    construction=DigitGeneration,
    obligations=digits.OBLIGATIONS,
    plan=(
        Step("certified", "real", {"vocab_size": 94, "context_size": 20, "digits": 2}),
        Step("exhausted", "rational", {"vocab_size": 5, "context_size": 3, "digits": 2}),
        Step("fuzzed", "rational", {"vocab_size": up_to(60), "context_size": up_to(8), "digits": up_to(3)}),
        Step("exhausted", "floats", {"vocab_size": 10, "context_size": 4, "digits": 2}),
        Step("swept", "floats", {"vocab_size": up_to(SWEPT_VOCABULARY), "context_size": 8, "digits": 2}),
        Step("certified", "floats", {"vocab_size": 94, "context_size": 20, "digits": 2}),
        Step("fuzzed", "floats", {"vocab_size": up_to(300), "context_size": up_to(16), "digits": up_to(3)}),
    ),
    caveat=(
        "the obligations are about two digits, for all V, N and b, at hardmax; one digit and more than two are the same"
        " expressions in their own places, and a logit is a sum over the digits; no obligation is about the default"
        " temperature"
    ),
    symbols_at={"vocab_size": 2, "context_size": 2, "digits": 2},
    extends=("theorem-1",),
)
