from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

import proofs
from constructions import ConditionalGeneration, Hardmax, InvalidArgument, LongerInputs, UnconditionalGeneration
from proofs import CLAIMS, Claim, get_claim

ALL = list(CLAIMS.values())
SIZES: dict[str, dict[str, Any]] = {
    "theorem-1": {"vocab": 3, "context": 4},
    "theorem-2": {"vocab": 3},
    "longer-responses": {"vocab": 3, "response": 2},
    "longer-inputs": {"vocab": 2, "input": 3},
}


def message(claim: Claim, **sizes: Any) -> str:
    with pytest.raises(InvalidArgument) as raised:
        claim.build(**sizes)
    return str(raised.value)


def test_the_ids_are_those_of_the_command_line() -> None:
    assert list(CLAIMS) == ["theorem-1", "theorem-2", "longer-responses", "longer-inputs"]
    assert [claim.id for claim in ALL] == list(CLAIMS)


def test_the_registry_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        CLAIMS["theorem-1"] = CLAIMS["theorem-2"]  # type: ignore[index] # that is the point


def test_obligation_ids_are_unique_and_carry_the_claims() -> None:
    ids = [obligation.id for claim in ALL for obligation in claim.obligations]
    assert len(set(ids)) == len(ids)
    assert all(obligation.id.startswith(f"{claim.id}.") for claim in ALL for obligation in claim.obligations)


@pytest.mark.parametrize("claim", ALL, ids=lambda claim: claim.id)
def test_a_claim_says_what_and_whence(claim: Claim) -> None:
    assert min(map(len, (claim.title, claim.statement, claim.latex))) > 20
    assert "arXiv 2310.19698" in claim.source
    assert claim.arithmetics[0] == "real"
    assert claim.obligations
    for text in (claim.latex, *(obligation.latex for obligation in claim.obligations)):
        assert text.count("{") == text.count("}")
        assert "$" not in text
        assert text.count(r"\left") - text.count(r"\leftarrow") == text.count(r"\right") - text.count(r"\rightarrow")


@pytest.mark.parametrize("claim", ALL, ids=lambda claim: claim.id)
def test_get_claim(claim: Claim) -> None:
    assert get_claim(claim.id) is claim


@pytest.mark.parametrize(
    ("given", "quoted"), [("x", "'x' (type str)"), (1, "1 (type int)"), (None, "None (type NoneType)")]
)
def test_an_unknown_claim(given: object, quoted: str) -> None:
    with pytest.raises(InvalidArgument) as raised:
        get_claim(given)  # type: ignore[arg-type] # what a caller without types may do
    expected = "theorem-1, theorem-2, longer-responses, longer-inputs"
    assert str(raised.value) == f"claim: expected one of {expected} but got {quoted}"


@pytest.mark.parametrize("claim", ALL, ids=lambda claim: claim.id)
def test_build(claim: Claim) -> None:
    sizes = SIZES[claim.id]
    built = claim.build(**sizes)
    assert type(built) is claim.construction
    assert {name: getattr(built, f"{name}_size") for name in claim.sizes} == sizes


def test_a_size_of_none_counts_as_not_given() -> None:
    assert get_claim("theorem-2").build(vocab=5, context=None) == get_claim("theorem-2").build(vocab=5)


def test_build_passes_options_on() -> None:
    built = get_claim("theorem-1").build(vocab=2, context=3, options={"temperature": Hardmax(), "mask": "none"})
    assert built == UnconditionalGeneration(2, 3, temperature=Hardmax(), mask="none")
    lifted = get_claim("longer-inputs").build(vocab=2, input=2, options={"lift": "mask"})
    assert lifted == LongerInputs(2, 2, lift="mask")


def test_a_missing_size() -> None:
    expected = "context: expected a value, as theorem-1 needs vocab, context"
    assert message(get_claim("theorem-1"), vocab=3) == expected
    assert message(get_claim("theorem-1"), vocab=3, context=None) == expected
    assert message(get_claim("theorem-2")) == "vocab: expected a value, as theorem-2 needs vocab"


def test_a_superfluous_size() -> None:
    expected = "context: expected no value, as theorem-2 has only vocab, but got 4 (type int)"
    assert message(get_claim("theorem-2"), vocab=3, context=4) == expected
    expected = "input: expected no value, as longer-responses has only vocab, response, but got 2 (type int)"
    assert message(get_claim("longer-responses"), vocab=3, response=2, input=2) == expected


def test_an_unknown_size() -> None:
    expected = "size: expected one of vocab, context, response, input but got 'width' (type str)"
    assert message(get_claim("theorem-2"), vocab=3, width=4) == expected


@pytest.mark.parametrize("value", [0, -1])
def test_a_size_that_the_construction_refuses(value: int) -> None:
    with pytest.raises(InvalidArgument) as refused:
        ConditionalGeneration(value)
    assert message(get_claim("theorem-2"), vocab=value) == str(refused.value)
    assert str(refused.value).startswith("vocab_size: expected an integer ")


def test_importing_the_package_does_not_import_torch() -> None:
    # S603, S607 do not apply: the command is this interpreter and a constant
    code = "import sys, proofs; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0


def test_every_public_name_is_exported_as_itself() -> None:
    assert all(getattr(proofs, name).__name__ == name for name in ("Claim", "Obligation", "Proof", "ObligationError"))
