"""One known answer, with checks whose messages say what is wrong in plain words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from constructions.decoding import Answers, Decoding
from constructions.validation import IntArray, check_integer, is_integral
from verify.conformance.answers import KnownAnswers
from verify.numbers import shortened


@dataclass(frozen=True, eq=False)
class KnownCase:
    """One case of :class:`~verify.conformance.KnownAnswers`.

    Attributes:
        target: the behaviour that the virtual tokens select.
        virtual_tokens: virtual x embedding size, each number correctly rounded to the format, as float64; ``None``
            where there are none.
        user_input: int64, the user's tokens.
        promised: the answers, one for each token of the response.
        exact: response x outputs, the exact logits as float64; ``None`` where none are known.
        low: lower bounds of what a kernel may give; ``None`` where no certificate bounds it.
        high: upper bounds.
        outputs: how many logits there are at each position of the response.
        decoding: how the answer is read off them.

    """

    target: IntArray
    virtual_tokens: Float[np.ndarray, "virtual embedding"] | None
    user_input: IntArray
    promised: Answers
    exact: Float[np.ndarray, "response outputs"] | None
    low: Float[np.ndarray, "response outputs"] | None
    high: Float[np.ndarray, "response outputs"] | None
    outputs: int
    decoding: Decoding

    @property
    def allowance(self) -> Float[np.ndarray, "response outputs"] | None:
        """How far each logit may be from the exact one; ``None`` where no certificate bounds it."""
        if self.exact is None or self.low is None or self.high is None:
            return None
        return np.asarray(np.maximum(self.high - self.exact, self.exact - self.low))

    def check_tokens(self, found: Any) -> None:
        """Check the whole response.

        Raises:
            AssertionError: another token, or another number of them.

        """
        tokens = np.asarray(found).reshape(-1)
        if not is_integral(tokens.dtype) or len(tokens) != len(self.promised):
            raise AssertionError(
                f"{self._said()} must give {len(self.promised)} tokens, but {shortened(tokens.tolist())} was produced"
            )
        for position, (expected, token) in enumerate(zip(self.promised, tokens, strict=True)):
            if token != expected:
                raise AssertionError(
                    f"{self._said()} must give {expected} at response position {position}, but {token} was produced"
                )

    def check_logits(self, found: Any, position: int = 0) -> None:
        """Check the logits from which a token of the response is read, all tokens before it fed back as promised.

        Args:
            found: floats, one for each output.
            position: of the response.

        Raises:
            AssertionError: another number of logits, no positive margin, or a logit that is not within the bounds.

        """
        check_integer("position", position, 0, len(self.promised) - 1)
        logits = np.asarray(found, dtype=np.float64).reshape(-1)
        expected, where = self.promised[position], f"at response position {position}"
        if len(logits) != self.outputs:
            raise AssertionError(f"{self._said()} must give {self.outputs} logits {where}, but {len(logits)} came")
        margin = float(self.decoding.margins(self.promised[position : position + 1], logits[None])[0])
        if not margin > 0:
            instead = self.decoding.instead(expected, self.decoding.produced(logits[None])[0], margin)
            raise AssertionError(f"{self._said()} must give {expected} {where}, but {instead}")
        if self.low is None or self.high is None:
            return
        low, high = self.low[position], self.high[position]
        outside = np.flatnonzero(~((logits >= low) & (logits <= high)))
        if len(outside):
            output = int(outside[0])
            bounds = f"[{float(low[output])!r}, {float(high[output])!r}]"
            raise AssertionError(
                f"{self._said()} must give logit {output} {where} in {bounds}, but it is {float(logits[output])!r}"
            )

    def _said(self) -> str:
        given = f" with user input {self.user_input.tolist()}" if len(self.user_input) else ""
        return f"target {shortened(self.target.tolist())}{given}"


def case_of(answers: KnownAnswers, place: int) -> KnownCase:
    """Return one case of known answers.

    Args:
        answers: all of them.
        place: from 0.

    Example:
        >>> from constructions import UnconditionalGeneration
        >>> from verify.conformance import known_answers
        >>> case = case_of(known_answers(UnconditionalGeneration(3, 2)), 5)
        >>> case.target.tolist(), case.promised.tolist(), case.virtual_tokens.shape
        ([1, 2], [1, 2], (1, 2))
        >>> try:
        ...     case.check_tokens([1, 1])
        ... except AssertionError as error:
        ...     print(error)
        target [1, 2] must give 2 at response position 1, but 1 was produced

    """
    check_integer("place", place, 0, len(answers) - 1)
    prompts, allowed = answers.specification.prompts(answers.targets[place : place + 1]), answers.allowed
    exact = answers.exact
    virtual = prompts is not None and answers.specification.layout.virtual > 0
    return KnownCase(
        answers.targets[place],
        prompts.to_float(answers.fmt)[0].copy() if virtual and prompts is not None else None,
        answers.inputs[place],
        answers.promised[place],
        None if exact is None else (exact.low[place] + exact.high[place]) / 2,
        None if allowed is None else allowed.low[place],
        None if allowed is None else allowed.high[place],
        answers.specification.output_vocab_size,
        answers.specification.reading,
    )
