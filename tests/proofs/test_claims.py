from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

import proofs
from constructions import ConditionalGeneration, Hardmax, InvalidArgument, LongerInputs, UnconditionalGeneration
from constructions.fields import short
from proofs import CLAIMS, Claim, get_claim

ALL = [claim for claim in CLAIMS.values() if claim.construction is not None]
SIZES: dict[str, dict[str, Any]] = {
    "theorem-1": {"vocab": 3, "context": 4},
    "theorem-2": {"vocab": 3},
    "longer-responses": {"vocab": 3, "response": 2},
    "longer-inputs": {"vocab": 2, "input": 3},
    "digits": {"vocab": 5, "context": 2, "digits": 2},
    "residual-theorem-1": {"vocab": 3, "context": 4},
    "residual-theorem-2": {"vocab": 3},
}


def message(claim: Claim, **sizes: Any) -> str:
    with pytest.raises(InvalidArgument) as raised:
        claim.build(sizes)
    return str(raised.value)


def test_the_ids_are_those_of_the_command_line() -> None:
    built = ["theorem-1", "theorem-2", "longer-responses", "longer-inputs", "digits"]
    built += ["residual-theorem-1", "residual-theorem-2"]
    assert list(CLAIMS) == [*built, "attention-rescaling", "attention-bias", "second-layer-attention"]
    assert [claim.id for claim in CLAIMS.values()] == list(CLAIMS)
    assert [claim.id for claim in ALL] == built


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
    expected = ", ".join(CLAIMS)
    assert str(raised.value) == f"claim: expected one of {expected} but got {quoted}"


@pytest.mark.parametrize("claim", ALL, ids=lambda claim: claim.id)
def test_build(claim: Claim) -> None:
    sizes = SIZES[claim.id]
    built = claim.build(sizes)
    assert type(built) is claim.construction
    assert {short(name): getattr(built, name) for name in claim.sizes.defaults} == sizes
    assert claim.build({name: getattr(built, name) for name in claim.sizes.defaults}) == built


def test_a_size_of_none_counts_as_not_given() -> None:
    assert get_claim("theorem-2").build({"vocab": 5, "context": None}) == ConditionalGeneration(5)


def test_build_passes_options_on() -> None:
    built = get_claim("theorem-1").build({"vocab": 2, "context": 3}, {"temperature": Hardmax(), "mask": "none"})
    assert built == UnconditionalGeneration(2, 3, temperature=Hardmax(), mask="none")
    lifted = get_claim("longer-inputs").build({"vocab": 2, "input": 2}, {"lift": "mask"})
    assert lifted == LongerInputs(2, 2, lift="mask")


def test_a_missing_size() -> None:
    expected = "context: expected a value, as theorem-1 needs vocab, context"
    assert message(get_claim("theorem-1"), vocab=3) == expected
    assert message(get_claim("theorem-1"), vocab=3, context=None) == expected
    assert message(get_claim("theorem-2")) == "vocab: expected a value, as theorem-2 needs vocab"


def test_a_superfluous_size() -> None:
    expected = "context: expected one of the sizes of theorem-2 (vocab)"
    assert message(get_claim("theorem-2"), vocab=3, context=4) == expected
    expected = "input: expected one of the sizes of longer-responses (vocab, response)"
    assert message(get_claim("longer-responses"), vocab=3, response=2, input=2) == expected


def test_a_size_given_twice() -> None:
    expected = "vocab: expected it once but got it twice"
    assert message(get_claim("theorem-2"), vocab=3, vocab_size=3) == expected


def test_a_claim_about_any_layer_builds_nothing() -> None:
    expected = "claim: expected one about a construction but attention-bias is about any attention layer"
    assert message(get_claim("attention-bias")) == expected


def test_an_unknown_size() -> None:
    expected = "width: expected one of the sizes of theorem-2 (vocab)"
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
