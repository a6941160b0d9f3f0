"""Evidence by pairs: any two places take any two tokens; a mistake of two is found, one of three may not be."""

from __future__ import annotations

from itertools import combinations, product
from typing import Any

import numpy as np
import pytest

from constructions import Domain, InvalidArgument, LongerInputs, Specification, UnconditionalGeneration, specify
from verify import CallableBackend, RationalArithmetic, check, get_arithmetic
from verify.cli.app import run
from verify.evidence.families import family_batch, run_family
from verify.evidence.kinds import EXHAUSTED, FUZZED, PAIRED, SWEPT
from verify.running.cases import spaces

SPECIFICATIONS: list[Specification] = [
    UnconditionalGeneration(2, 9),
    UnconditionalGeneration(7, 5),
    UnconditionalGeneration(9, 3),
    LongerInputs(3, 2),
    specify(Domain.of(4, 5), lambda x: x[:, :1]),
    specify(Domain((range(6), (3, 1), range(5, 6), range(4), range(2))), lambda x: x[:, :1]),
    specify(Domain.of(1, 3), lambda x: x[:, :1]),
    specify(Domain.of(5, 1), lambda x: x[:, :1]),
]


def _rows(specification: Specification) -> np.ndarray[Any, Any]:
    count = PAIRED.count(specification)
    parts = [PAIRED.cases(specification, start, min(count, start + 7)) for start in range(0, count, 7)]  # in parts
    targets, inputs = (np.concatenate([part[at] for part in parts]) for at in (0, 1))
    return np.concatenate([targets.reshape(count, -1), inputs], axis=1)


@pytest.mark.parametrize("specification", SPECIFICATIONS, ids=repr)
def test_any_two_places_take_any_two_tokens(specification: Specification) -> None:
    targets, users = spaces(specification)
    alphabets = [range(targets.vocab_size)] * targets.digits + list(users.alphabets)
    rows = _rows(specification)
    assert rows.shape == (PAIRED.count(specification), len(alphabets))
    for place, alphabet in enumerate(alphabets):
        assert set(rows[:, place].tolist()) == set(alphabet)
    for one, other in combinations(range(len(alphabets)), 2):
        assert set(map(tuple, rows[:, [one, other]].tolist())) == set(product(alphabets[one], alphabets[other]))


def test_there_are_as_many_cases_as_the_square_of_a_prime_or_the_whole_space() -> None:
    sizes = [(94, 20, 97**2), (97, 97, 97**2), (97, 98, 101**2), (3, 2, 9), (2, 3, 8), (2, 4, 16), (2, 5, 25)]
    for vocab, context, count in sizes:
        assert PAIRED.count(UnconditionalGeneration(vocab, context)) == count
    assert len({tuple(row) for row in _rows(UnconditionalGeneration(2, 4)).tolist()}) == 16


@pytest.mark.parametrize("kind", ["rational", "torch", "numpy"])
def test_the_constructions_hold(kind: str) -> None:
    verdict = run_family(PAIRED, UnconditionalGeneration(5, 4), get_arithmetic(kind))
    assert (verdict.holds, verdict.method, verdict.cases, verdict.space) == (True, "paired", 25, 625)
    assert PAIRED.sentence(verdict) == "paired: 25 cases, every pair of tokens"


def _wrong_at(**tokens: int) -> CallableBackend:
    """Return a kernel that repeats the first token, but not where the named places have these tokens."""

    def kernel(_: Any, x: Any) -> Any:
        hit = np.all([x[:, int(place[1:])] == token for place, token in tokens.items()], axis=0)
        return np.eye(5)[(x[:, 0] + hit) % 5]

    return CallableBackend(kernel)


PROMISE = specify(Domain.of(5, 4), lambda x: x[:, :1])


def test_every_mistake_of_two_places_is_found() -> None:
    for one, other in combinations(range(4), 2):
        for tokens in product(range(5), repeat=2):
            verdict = run_family(PAIRED, PROMISE, _wrong_at(**{f"_{one}": tokens[0], f"_{other}": tokens[1]}))
            assert verdict.holds is False
            assert verdict.counterexample is not None
            assert verdict.counterexample.user_input[one] == tokens[0]


def test_a_mistake_of_three_places_may_be_missed_and_the_verdict_is_weaker_than_all_cases() -> None:
    missed = [
        tokens
        for tokens in product(range(5), range(5), range(1))
        if run_family(PAIRED, PROMISE, _wrong_at(_0=tokens[0], _1=tokens[1], _2=tokens[2])).holds
    ]
    assert len(missed) == 25 - 5  # 5 of the 25 cases have a 0 there, each with other tokens before it
    assert FUZZED.strength < PAIRED.strength == SWEPT.strength < EXHAUSTED.strength


def test_nan_never_holds_and_a_backend_that_changes_its_mind_does_not_either() -> None:
    nothing = CallableBackend(lambda _, x: np.full((len(x), 5), np.nan))
    assert run_family(PAIRED, PROMISE, nothing).holds is False
    calls: list[int] = []

    def later(_: Any, x: Any) -> Any:
        calls.append(len(x))
        return np.eye(5)[(x[:, 0] + (len(calls) > 1)) % 5]

    verdict = run_family(PAIRED, PROMISE, CallableBackend(later))
    assert verdict.holds is None
    assert "is no function" in str(verdict.reason)


def test_a_domain_that_leaves_combinations_out_is_refused() -> None:
    some = specify(Domain.of(3, 2, lambda x: x[:, 0] <= x[:, 1]), lambda x: x[:, :1])
    with pytest.raises(InvalidArgument, match="user_inputs: expected every combination of their tokens for paired"):
        run_family(PAIRED, some, CallableBackend(lambda _, x: np.eye(3)[x[:, 0]]))


def test_a_batch_is_found_by_its_name() -> None:
    batch = family_batch(PAIRED, UnconditionalGeneration(5, 4), 3, 9)
    assert batch.name == "paired:3..8"
    verdict = check(UnconditionalGeneration(5, 4), target=batch.targets[2], in_batch=batch.name)
    assert verdict.holds
    with pytest.raises(
        InvalidArgument, match=r"in_batch: expected A\.\.B or constant:A\.\.B or paired:A\.\.B, such as"
    ):
        check(UnconditionalGeneration(5, 4), rank=0, in_batch="pair:0..3")


def test_the_command_finds_a_false_claim_and_how_to_show_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["pairs", "theorem-1", "--vocab", "3", "--context", "3", "--q", "18", "--arithmetic", "rational"]) == 1
    text = " ".join(capsys.readouterr().out.split())
    assert "FALSIFIED" in text
    assert "reproduce: prefixproof check theorem-1 --vocab 3 --context 3 --q 18/1 --rank" in text
    assert run(["pairs", "theorem-1", "--vocab", "4", "--context", "4", "--arithmetic", "rational"]) == 0
    assert "paired: 25 cases, every pair of tokens" in capsys.readouterr().out
    assert run_family(PAIRED, UnconditionalGeneration(4, 4), RationalArithmetic()).cases == 25
