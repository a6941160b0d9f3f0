"""One of each thing that can be added, at work from end to end; :mod:`tests.one_of_each` has them, one class each."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction

import pytest

from constructions import RELU, InvalidArgument
from proofs import CLAIMS
from tests.one_of_each import BACKWARDS, CLAIM, Adding, Backwards, Ended, Pairwise, Shifted
from verify import RationalArithmetic, check, exhaust, to_torch
from verify.arithmetic import get_arithmetic
from verify.arithmetic.families import FAMILIES, numbers_of
from verify.certificates import certificate_arithmetic, certify
from verify.certificates.floats.rounding import ORDERS, summaries
from verify.evidence.families import run_family
from verify.evidence.kinds import KINDS, kind_of
from verify.evidence.verdict import Verdict
from verify.suite.strongest import strongest_json

COMMANDS = {
    "listing": "--help",
    "help": "ends --help",
    "ends": "ends shifted --vocab 3 --arithmetic rational",
    "products": "certify --help",
    "certificate": "certify shifted --vocab 3 --products pairwise",
    "arithmetic": "exhaust shifted --vocab 3 --arithmetic backwards",
    "batch": "check shifted --vocab 3 --rank 0 --user 0 --in-batch ended:0..1",
    "main job": "verify shifted --json",
    "no claim": "exhaust nothing --vocab 3",
    "no arithmetic": "exhaust shifted --vocab 3 --arithmetic nothing",
    "no products": "certify shifted --vocab 3 --products nothing",
    "no batch": "check shifted --vocab 3 --rank 0 --user 0 --in-batch nothing:0..1",
}


@pytest.fixture(scope="module")
def told() -> dict[str, tuple[int, str]]:
    """What each command gave in a process in which all is registered: its status, and all it wrote, in one line."""
    commands = [line.split() for line in COMMANDS.values()]
    script = [sys.executable, "-W", "error", "-m", "tests.one_of_each", json.dumps(commands)]
    found = json.loads(subprocess.run(script, capture_output=True, text=True, check=True).stdout)
    return {
        name: (status, " ".join((out + errors).split()))
        for name, (status, out, errors) in zip(COMMANDS, found, strict=True)
    }


@pytest.mark.parametrize(
    ("name", "status", "parts"),
    [
        ("listing", 0, ["ends Check the first and the last case."]),
        ("help", 0, ["residual-theorem-2, shifted; or a construction", "engine or backwards"]),
        ("ends", 0, ["rational ended: 2 cases 1", "holds"]),
        ("products", 0, ["pairwise (a tree of sums)"]),
        ("certificate", 0, ["certified: all 9 cases at once", "rounded products summed in a tree", "holds"]),
        ("arithmetic", 0, ["numpy float32 backwards", "exhausted: 9 of 9 cases", "holds"]),
        ("batch", 0, ["evaluated: 1 case", "holds"]),
        ("no claim", 2, ["expected one of", "residual-theorem-2, shifted but got 'nothing'"]),
        ("no arithmetic", 2, ["engine, backwards but got 'nothing'"]),
        ("no products", 2, ["pairwise but got 'nothing'"]),
        ("no batch", 2, ["constant:A..B or paired:A..B or ended:A..B"]),
    ],
)
def test_the_command_line_follows(told: dict[str, tuple[int, str]], name: str, status: int, parts: list[str]) -> None:
    assert told[name][0] == status
    for part in parts:
        assert part in told[name][1].replace(", attention-rescaling, attention-bias, second-layer-attention", "")


def test_the_main_job_follows(told: dict[str, tuple[int, str]]) -> None:
    status, text = told["main job"]
    document = json.loads(text)
    assert status == 0
    methods = [verdict["method"] for verdict in document["verdicts"]]
    assert methods == ["certified", "ended", "certified", "ended", "certified", "ended"]
    assert document["strongest"]["shifted"]["rational"]["method"] == "ended"


def test_nothing_stays_registered_here() -> None:
    held = {*CLAIMS, *KINDS, *ORDERS, *FAMILIES}
    assert not held & {CLAIM.id, Ended.name, Pairwise.word, BACKWARDS.word}


def test_a_claim_is_found_for_as_long_as_it_is_registered() -> None:
    with CLAIMS.having(CLAIM):
        assert CLAIMS["shifted"].build({"vocab": 3}) == Shifted(3)
        assert list(CLAIMS)[-1] == "shifted"
    assert "shifted" not in CLAIMS


def test_a_layer_and_an_activation_need_no_registration() -> None:
    made = Shifted(3)
    verdict = exhaust(made, RationalArithmetic())
    assert (verdict.holds, verdict.margin) == (True, Fraction(1))
    for arithmetic in (get_arithmetic("torch", dtype="float32"), get_arithmetic("numpy"), get_arithmetic("structured")):
        assert exhaust(made, arithmetic).holds
    assert certify(made, certificate_arithmetic("ball", "float32")).holds
    assert certify(made, certificate_arithmetic("rounded", "float32")).holds
    latex = [layer.formula("x") for layer in made.transformer.layers[1:]]
    assert r"\operatorname{ramp}" in latex[0]
    assert latex[1] == "2 x"
    module = to_torch(made)
    targets = made.targets.unrank_range(0, 3)
    assert module.generate(module.prompt(targets), targets).tolist() == (2 * targets % 3).tolist()


def test_another_activation_in_its_place_is_rejected() -> None:
    """The layer and the activation do run: with ``-x`` for the one, and without the other, the claim is false."""
    right = Shifted(3)
    attention, wrap, doubled, readout = right.transformer.layers

    class Undoubled(Shifted):
        transformer = replace(right.transformer, layers=(attention, wrap, readout))

    class Identical(Shifted):
        transformer = replace(right.transformer, layers=(attention, wrap.changed(activation=None), doubled, readout))

    class Relued(Shifted):
        transformer = replace(right.transformer, layers=(attention, wrap.changed(activation=RELU), doubled, readout))

    assert exhaust(Relued(3), RationalArithmetic()).holds
    for wrong in (Undoubled(3), Identical(3)):
        assert exhaust(wrong, RationalArithmetic()).holds is False


def test_a_rounding_is_an_option_for_as_long_as_it_is_registered() -> None:
    with ORDERS.having(Pairwise):
        assert "pairwise (a tree of sums)" in summaries()
        verdict = certify(Shifted(3), certificate_arithmetic("rounded", "float32", products="pairwise"))
        assert verdict.holds
        assert "summed in a tree" in str(verdict.reason)
    with pytest.raises(InvalidArgument, match="products: expected one of separate"):
        certificate_arithmetic("rounded", "float32", products="pairwise")


def test_a_kind_of_evidence_is_one_for_as_long_as_it_is_registered() -> None:
    kind = Ended()
    with KINDS.having(kind):
        verdict = run_family(kind, Shifted(4), RationalArithmetic())
        assert (verdict.holds, verdict.method, verdict.cases, verdict.space) == (True, "ended", 2, 16)
        assert Verdict.from_json(verdict.to_json()) == verdict
        assert kind_of("ended") is kind
        assert strongest_json([verdict])["Shifted"]["rational"]["method"] == "ended"
        assert check(Shifted(4), rank=3, user_input=[3], in_batch="ended:0..1").holds
        with pytest.raises(InvalidArgument, match="holds: expected the whole family of 2 for True"):
            replace(verdict, cases=1)
    with pytest.raises(InvalidArgument, match="method: expected one of proved"):
        kind_of("ended")


def test_a_backend_needs_no_registration() -> None:
    verdict = exhaust(Shifted(4), Adding())
    assert (verdict.holds, verdict.cases, verdict.arithmetic) == (True, 16, "adding by hand")
    wrong = exhaust(Shifted(4), Adding(wrong=1))
    assert wrong.holds is False
    assert "0 must give" not in str(wrong.counterexample)


def test_an_arithmetic_is_found_by_its_name_for_as_long_as_it_is_registered() -> None:
    with FAMILIES.having(BACKWARDS):
        found = get_arithmetic("backwards", dtype="float32")
        assert isinstance(found, Backwards)
        assert found.words() == ("--arithmetic", "backwards", "--dtype", "float32")
        assert numbers_of(found.name) == "float32 backwards"
        assert exhaust(Shifted(3), found).holds
    with pytest.raises(InvalidArgument, match="arithmetic: expected one of rational"):
        get_arithmetic("backwards")
