"""The mask that a verdict prints is the mask that ran, however a construction's author writes it."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any

import pytest

from constructions import Attention, Construction, Head, InvalidArgument, Linear, Transformer
from constructions.transformer import MaskName
from constructions.validation import IntArray
from tests.evidence.test_own_construction import CaesarCipher
from verify import RationalArithmetic, Verdict, exhaust, get_arithmetic, to_torch
from verify.certificates import certificate_arithmetic, certify


@dataclass(frozen=True, repr=False)
class MaskTeller(CaesarCipher):
    """Right under a causal mask alone: position 0 averages what it sees, and the readout reads that average."""

    def answer(self, targets: IntArray, user_inputs: IntArray) -> IntArray:
        return targets

    @cached_property
    def transformer(self) -> Transformer:
        V = self.vocab_size
        mean = Attention((Head("mean", [[0, 0, 0]], [[0, 0, 0]], [[1, 0, 0], [0, 1, 0], [0, 0, 1]]),), name="mean")
        first = Attention((Head("first", [[0, 0, 1]], [[0, 1, -1]], [[1, 0, 0]]),), name="first")
        readout = Linear([[2 * v] for v in range(V)], [[-v * v] for v in range(V)], activation=None, name="readout")
        return Transformer([list(range(V))], (mean, first, readout), 2)


@dataclass(frozen=True, repr=False)
class ClassAttribute(MaskTeller):
    mask = "none"


@dataclass(frozen=True, repr=False)
class AnnotatedDefault(MaskTeller):
    mask: MaskName = "none"


@dataclass(frozen=True, repr=False)
class FieldDefault(MaskTeller):
    mask: MaskName = field(default="none", kw_only=True)


class Mixin:
    mask = "none"


@dataclass(frozen=True, repr=False)
class FromAMixin(Mixin, MaskTeller):
    pass


@dataclass(frozen=True, repr=False)
class MoreFields(MaskTeller):
    mask = "none"
    size: int  # a field without a default after one with a default, were the mask not given by keyword


def _verdicts(construction: Construction) -> list[Verdict]:
    return [exhaust(construction, get_arithmetic(kind)) for kind in ("rational", "numpy", "torch")]


def _never_certified(construction: Construction, mask: str) -> None:
    for kind in ("rounded", "ball"):
        verdict = certify(construction, certificate_arithmetic(kind))
        assert verdict.parameters["mask"] == mask
        assert verdict.holds is not True


@pytest.mark.parametrize("mask", ["causal", "none"])
def test_the_mask_that_is_printed_runs(mask: Any) -> None:
    for verdict in _verdicts(MaskTeller(4, mask=mask)):
        assert verdict.parameters["mask"] == mask
        assert (verdict.holds is True) is (mask == "causal")
    if mask == "none":
        _never_certified(MaskTeller(4, mask=mask), mask)
    module = to_torch(MaskTeller(4, mask=mask))
    made = module.generate(module.prompt([[0]]), [[3]]).tolist()
    assert (made == [[0]]) is (mask == "causal")


@pytest.mark.parametrize("kind", [ClassAttribute, AnnotatedDefault, FieldDefault, FromAMixin, MoreFields])
def test_another_default_of_the_mask_runs_and_is_printed(kind: type[MaskTeller]) -> None:
    sizes = (4, 1) if kind is MoreFields else (4,)
    open_to_all = kind(*sizes)
    for verdict in _verdicts(open_to_all):
        assert verdict.parameters["mask"] == "none"
        assert verdict.holds is not True
    _never_certified(open_to_all, "none")
    closed = replace(open_to_all, mask="causal")
    assert repr(closed) == repr(open_to_all).removesuffix(")") + ", mask='causal')"
    for verdict in _verdicts(closed):
        assert verdict.parameters["mask"] == "causal"
        assert verdict.holds is True


def test_a_transformer_takes_no_mask() -> None:
    parts: dict[str, Any] = {
        "embedding": [[0]],
        "layers": (Linear([[0, 0]], [[0]], activation=None),),
        "context_size": 1,
    }
    for mask in ("causal", "none", None):
        with pytest.raises(InvalidArgument, match=r"mask: a Transformer takes none, as its construction owns"):
            Transformer(**{**parts, "mask": mask})
    transformer = Transformer(**parts)
    assert not hasattr(transformer, "mask")
    assert not hasattr(transformer.lowered, "mask")
    assert replace(transformer, context_size=2).context_size == 2


@pytest.mark.parametrize(
    "mask", [property(lambda _: "none"), property(lambda _: "none", lambda _, __: None), 7, None, ["causal"]]
)
def test_a_mask_that_could_read_differently_each_time_is_refused(mask: Any) -> None:
    with pytest.raises(InvalidArgument, match=r"mask: expected a field of Hidden such as"):
        type("Hidden", (MaskTeller,), {"mask": mask})


def test_an_author_who_forgets_the_decorator_is_told() -> None:
    class Bare(MaskTeller):
        mask = "none"

    with pytest.raises(InvalidArgument, match=r"Bare: expected a frozen dataclass, whose fields are mask"):
        Bare(4)


def test_a_mask_that_no_check_saw_does_not_run() -> None:
    @dataclass(frozen=True, repr=False)
    class Unchecked(MaskTeller):
        def __post_init__(self) -> None:
            """Leave all checks out."""

    for mask in ("NONE", "", None):
        with pytest.raises(InvalidArgument, match=r"mask: expected one of causal, none"):
            exhaust(Unchecked(2, mask=mask), RationalArithmetic())  # type: ignore[arg-type] # that is the point


def test_every_construction_of_the_package_keeps_the_field() -> None:
    import constructions

    found = [kind for kind in vars(constructions).values() if isinstance(kind, type) and issubclass(kind, Construction)]
    assert len(found) > 4
    for kind in found:
        (mask,) = (item for item in fields(kind) if item.name == "mask")
        assert (mask.default, mask.kw_only) == ("causal", True)
