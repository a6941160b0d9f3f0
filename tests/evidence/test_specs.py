"""What an arithmetic says of itself as data: names, options, Python and JSON follow from it, and are never parsed."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch

import verify
from constructions import UnconditionalGeneration
from constructions.validation import InvalidArgument
from tests.redteam.test_reproduce import ARITHMETICS
from verify import check, get_arithmetic
from verify.arithmetic import Arithmetic, Spec
from verify.arithmetic.families import ENCLOSING, FAMILIES, MATRIX_UNIT, ROUNDED, made, numbers_of
from verify.arithmetic.spec import Family
from verify.certificates import BallArithmetic, RoundedArithmetic, certificate_arithmetic
from verify.certificates.floats.rounding.matrix_unit import ANY_UNIT, FACTOR_FORMATS
from verify.matrix_units import GENERATIONS
from verify.prefixes import fuzz_layers

SPECS = [spec for family in (*FAMILIES.values(), *ENCLOSING.values()) for spec in family.specs()]


def _is_there(spec: Spec) -> bool:
    """Say whether this spec exists: TF32 in float32, fused multiply-add in 24 bits at most, formats that units have."""
    options = dict(spec.options)
    reduced, unit = options.get("tf32") or options.get("tf32_factors"), options.get("unit")
    if spec.family is ROUNDED and unit is not None:
        factors = FACTOR_FORMATS.get(str(spec.format))
        generations = GENERATIONS.values() if unit == ANY_UNIT else [GENERATIONS[str(unit)]]
        return not reduced and any(factors in generation.formats for generation in generations)
    if spec.family is MATRIX_UNIT:
        return not options.get("reduced") and (spec.format == "tf32" or "factors" not in options)
    if options.get("full_reduction"):
        return False  # of no unit
    return (not reduced or spec.format == "float32") and (options.get("bias"), spec.format) != ("fma", "float64")


@pytest.mark.parametrize("spec", [spec for spec in SPECS if _is_there(spec)], ids=lambda spec: str(spec.name))
def test_a_spec_makes_what_has_it(spec: Spec) -> None:
    families = FAMILIES if spec.family.word in FAMILIES else ENCLOSING
    found = made(families, spec.family.word, spec.format or "float32", options=dict(spec.options))
    assert found.spec.name == found.name == spec.name
    assert found.spec.words() == spec.words()
    assert found.spec.options == spec.options
    again = eval(spec.expression(), {"verify": verify})
    assert (type(again), again.spec.words()) == (type(found), spec.words())


def test_names_tell_arithmetics_apart() -> None:
    assert len({spec.name for spec in SPECS}) == len(SPECS)
    assert len({json.dumps(spec.to_json()) for spec in SPECS}) == len(SPECS)


def test_a_spec_as_json_and_as_words() -> None:
    arithmetic = get_arithmetic("torch", dtype="float32", bias="separate", tf32=True)
    assert arithmetic.name == "torch float32 separate with TF32"
    assert arithmetic.expression() == "verify.TorchArithmetic('float32', bias='separate', tf32=True)"
    assert arithmetic.words() == (
        *("--arithmetic", "torch", "--dtype", "float32"),
        *("--bias", "separate", "--tf32"),
    )
    assert arithmetic.spec is not None
    assert arithmetic.spec.to_json() == {
        "family": "torch",
        "format": "float32",
        "device": "cpu",
        "bias": "separate",
        "tf32": True,
    }
    bounds = RoundedArithmetic.of("float16", products="reversed").spec
    assert bounds is not None
    assert bounds.words() == (
        *("--arithmetic", "rounded", "--dtype", "float16"),
        *("--products", "reversed"),
    )


@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        ("ball", "real"),
        ("real", "real"),
        ("rational", "rational"),
        ("torch float32 structured", "float32 structured"),
        ("torch float32 separate tf32-factors", "float32 separate tf32-factors"),
        ("rounded float32 with TF32", "float32 with TF32"),
        ("numpy bfloat16", "numpy bfloat16"),  # there is none
        ("my own kernel", "my own kernel"),
    ],
)
def test_numbers_are_looked_up_by_the_name(name: str, numbers: str) -> None:
    assert numbers_of(name) == numbers


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("numpy", {"tf32": True}, "tf32: expected torch in float32, whose products it reduces, but got numpy float64"),
        ("torch", {"tf32": True}, "tf32: expected torch in float32, whose products it reduces, but got torch float64"),
        ("rational", {"bias": "fma"}, "arithmetic: expected torch with --bias or --tf32-factors, .*, but got rational"),
        ("torch", {"bias": "last"}, "bias: expected .*'last'"),
        ("torch", {"products": "fused"}, "option: expected .*bias.*'products'"),
        ("quaternions", {}, "arithmetic: expected .*rational.*'quaternions'"),
        ("numpy", {"device": "cuda"}, "device: expected .*'cuda'"),
    ],
)
def test_what_an_arithmetic_does_not_have_is_refused(kind: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        get_arithmetic(kind, **options)
    assert get_arithmetic("rational", tf32=False, bias="linear").name == "rational"  # the defaults choose nothing


def test_one_entry_is_enough_for_another_arithmetic() -> None:
    own = Family("halves", "halves {format}", "{format}", "tests.evidence.test_specs:Halves", "Halves", ("float32",))
    found = made({**FAMILIES, "halves": own}, "halves", "float32")
    assert isinstance(found, Halves)
    assert own.spec("float32").name == "halves float32"
    assert own.spec("float32").expression() == "Halves('float32')"


class Halves:
    """Somebody's own."""

    def __init__(self, dtype: str) -> None:
        self.dtype = dtype


def test_bounds_that_are_certificates_are_refused_where_cases_run() -> None:
    for kind in ENCLOSING:
        with pytest.raises(InvalidArgument, match="arithmetic: expected"):
            get_arithmetic(kind)
        assert not isinstance(certificate_arithmetic(kind), Arithmetic)
    assert isinstance(certificate_arithmetic("ball"), BallArithmetic)


def test_tf32_is_set_while_a_case_runs_and_not_for_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    arithmetic = get_arithmetic("torch", dtype="float32", tf32=True)
    relu = type(arithmetic).relu

    def spying(self: Any, rows: Any) -> Any:
        seen.append(torch.get_float32_matmul_precision())
        return relu(self, rows)

    monkeypatch.setattr(type(arithmetic), "relu", spying)
    verdict = check(UnconditionalGeneration(3, 2), rank=1, arithmetic=arithmetic)
    assert set(seen) == {"high"}
    assert verdict.arithmetic == "torch float32 with TF32"
    assert arithmetic.ieee().name == "torch float32"
    plain = get_arithmetic("torch", dtype="float32")
    assert plain.ieee() is plain
    layers = fuzz_layers("attention-rescaling", arithmetic, examples=5)
    assert layers.arithmetic == "torch float32"  # whose bounds are those of IEEE products


def test_the_arithmetics_of_the_red_team_are_all_registered() -> None:
    assert {arithmetic.spec.name for arithmetic in ARITHMETICS if arithmetic.spec is not None} <= {
        spec.name for spec in SPECS
    }
