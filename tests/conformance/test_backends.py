"""The registered backends: what runs here conforms, and what is not here says so in a line."""

from __future__ import annotations

import sys
import warnings
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from constructions import (
    ConditionalGeneration,
    Construction,
    InvalidArgument,
    RationalSoftmax,
    UnconditionalGeneration,
)
from constructions.layers.masks import MASKS
from constructions.temperature import Hardmax, Softmax
from verify import Runner, TorchArithmetic, exhaust
from verify.arithmetic.sdpa import SdpaArithmetic
from verify.arithmetic.sdpa_kernels import KERNELS
from verify.backends import Backend, CallableBackend
from verify.backends.modules import ModuleBackend
from verify.conformance import conform, judge, known_answers
from verify.conformance.backends import FACTORIES, BackendFactory, chosen
from verify.conformance.backends.compiled import Compiled
from verify.conformance.backends.exported import ONNX_LEVELS, Exported
from verify.conformance.backends.own import Own
from verify.conformance.report import passed
from verify.export.formats.onnx_file import LEVELS

FORMATS = ("float64", "float32", "bfloat16", "float16")


@pytest.mark.parametrize(
    "construction",
    [pytest.param(UnconditionalGeneration(4, 3), marks=pytest.mark.heavy), ConditionalGeneration(3)],
    ids=repr,
)
def test_everything_that_is_quick_conforms_in_every_format(construction: Construction) -> None:
    rows = list(conform(construction, chosen(), FORMATS, cases=12))
    assert len(rows) == 4 * 5
    assert {row.backend for row in rows} == {"torch", "numpy", "structured", "sdpa-math", "sdpa-flash"}
    assert [(row.backend, row.dtype) for row in rows if not row.ran] == [("numpy", "bfloat16")]
    assert all(row.passed for row in rows if row.ran)
    assert passed(rows)


def test_what_is_not_here_is_a_row_that_never_passes() -> None:
    elsewhere = [name for name, kernel in KERNELS.items() if not kernel.on_cpu]
    rows = list(conform(UnconditionalGeneration(3, 2), chosen(",".join(f"sdpa-{name}" for name in elsewhere))))
    assert len(rows) == len(elsewhere) > 0
    for row in rows:
        assert (row.ran, row.passed, row.cases) == (False, False, 0)
        assert row.missing is not None
        assert "kernel: expected one that torch has on cpu" in row.missing
    assert not passed(rows)


def test_a_format_that_holds_no_weights_is_missing_everywhere() -> None:
    from constructions import LongerInputs

    rows = list(conform(LongerInputs(9, 2), chosen("torch,numpy"), ["float32"], cases=5))
    assert [row.ran for row in rows] == [False, False]
    assert all("format that carries" in str(row.missing) for row in rows)


def test_passing_needs_positive_evidence() -> None:
    assert not passed([])
    (row,) = conform(UnconditionalGeneration(3, 2), chosen("numpy"))
    (missing,) = conform(UnconditionalGeneration(3, 2), chosen("sdpa-cudnn"))
    assert passed([row, missing])
    assert not passed([row, missing], required=frozenset({"sdpa-cudnn"}))
    assert passed([row], required=frozenset({"numpy"}), bitwise=True)


def test_a_backend_is_one_entry() -> None:
    class Twice(BackendFactory):
        name = group = "twice"
        summary = "logits twice as large"

        def make(self, construction: Construction, dtype: str) -> Backend:
            runner = TorchArithmetic(dtype).module(construction)
            assert runner is not None

            def call(virtual: Any, tokens: Any) -> Any:
                return 2 * runner(torch.from_numpy(virtual).float(), torch.from_numpy(tokens))

            return CallableBackend(call, dtype=dtype)

    with FACTORIES.having(Twice()):
        (row,) = conform(UnconditionalGeneration(3, 2), chosen("twice"))
        assert row.right == row.cases == 9
        assert not row.passed
    with pytest.raises(
        InvalidArgument, match="backend: expected one of all, torch, numpy, structured, sdpa, sdpa-math"
    ):
        chosen("twice")


@pytest.mark.parametrize("names", ["torch,torch", "sdpa,sdpa-math"])
def test_a_backend_twice_is_refused(names: str) -> None:
    with pytest.raises(InvalidArgument, match="backend: expected each one once"):
        chosen(names)


def test_all_are_all() -> None:
    assert chosen("all") == list(FACTORIES.values())
    assert [factory.name for factory in chosen("sdpa")] == [f"sdpa-{kernel}" for kernel in KERNELS]


# attention in one call ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kernel", ["math", "flash"])
@pytest.mark.parametrize("mask", ["causal", "none"])
def test_one_call_attends_as_steps_do(kernel: str, mask: Any) -> None:
    made = UnconditionalGeneration(4, 5, mask=mask)
    targets = made.targets.sample(20, seed=0)
    inputs = np.zeros((20, 0), dtype=np.int64)
    steps, fused = (
        Runner(made, arithmetic).run(targets, inputs).logits
        for arithmetic in (TorchArithmetic("float64"), SdpaArithmetic("float64", kernel))
    )
    assert steps is not None
    assert fused is not None
    assert np.abs(steps - fused).max() < 1e-14  # both are float64s, of sums of a few terms below 1
    assert exhaust(UnconditionalGeneration(3, 3, mask=mask), SdpaArithmetic("float32", kernel)).holds


def test_the_kernel_is_really_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    real = torch.nn.functional.scaled_dot_product_attention

    def watched(*tensors: Any, **how: Any) -> Any:
        asked.append((how["is_causal"], how["attn_mask"] is None))
        return real(*tensors, **how)

    monkeypatch.setattr("verify.arithmetic.sdpa.scaled_dot_product_attention", watched)
    made = ConditionalGeneration(3)
    assert exhaust(made, SdpaArithmetic("float32", "flash")).holds
    assert set(asked) == {(False, True), (True, True)}  # of one position, and the causal pass over two
    sliding = MASKS["causal"].seen(1, 3)
    assert sliding.shape == (3, 4)


@pytest.mark.parametrize(
    ("temperature", "message"),
    [
        (Hardmax(), "temperature: expected a finite one but got Hardmax"),
        (RationalSoftmax(Fraction(1, 2)), "q: expected one above 1 for torch float32 sdpa math"),
    ],
)
def test_scores_of_another_form_are_refused(temperature: Any, message: str) -> None:
    made = UnconditionalGeneration(3, 3, temperature=temperature)
    (row,) = conform(made, chosen("sdpa-math"), cases=5)
    assert not row.passed
    assert message in row.failures()[0]
    assert exhaust(UnconditionalGeneration(3, 3, temperature=Softmax(60)), SdpaArithmetic("float32", "math")).holds


def test_a_fused_arithmetic_says_how_it_is_made() -> None:
    made = SdpaArithmetic("float32", "flash")
    assert (made.name, made.words()) == ("torch float32 sdpa flash", None)
    assert made.expression() == "verify.arithmetic.sdpa.SdpaArithmetic('float32', 'flash')"
    with pytest.raises(InvalidArgument, match="kernel: expected one of math, flash, efficient, cudnn but got 'fast'"):
        SdpaArithmetic("float32", "fast")
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # torch's own warnings are in the message
        with pytest.raises(InvalidArgument, match="kernel: expected one that torch has on cpu but got 'cudnn'"):
            SdpaArithmetic("float32", "cudnn")


def test_a_wrong_scale_is_told() -> None:
    made = UnconditionalGeneration(5, 5, temperature=Softmax(5.0))  # blunt: false, and the same in one call
    (row,) = conform(made, chosen("sdpa-flash"), cases=20)
    assert row.tokens is not None
    assert row.tokens.holds is False


# the user's own -------------------------------------------------------------------------------------------------------

_SOURCE = """
import sys
import torch
import verify
from constructions import UnconditionalGeneration

made = verify.to_torch(UnconditionalGeneration(3, 2), "float32").eval()
plain = 3

def logits(virtual, tokens):
    return made(torch.from_numpy(virtual).float(), torch.from_numpy(tokens))

def tokens(virtual, tokens):
    return made.generate(torch.from_numpy(virtual).float())

def one(virtual, tokens):
    assert len(tokens) == 1
    return logits(virtual, tokens)

backend = verify.CallableBackend(logits)
"""


@pytest.fixture(autouse=True)
def _path_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "kernels_of_mine.py"
    path.write_text(_SOURCE, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("name", "how"),
    [("logits", {}), ("tokens", {"gives": "tokens"}), ("one", {"batched": False}), ("made", {}), ("backend", {})],
)
def test_what_is_at_a_place_runs(file: Path, name: str, how: Any) -> None:
    (row,) = conform(UnconditionalGeneration(3, 2), [Own(f"{file}:{name}", **how)])
    assert row.passed
    assert row.cases == 9
    assert row.backend == f"{file}:{name}"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nothing", "backend: expected a name of .*kernels_of_mine.py but it has no 'nothing'"),
        ("plain", "backend: expected a function, a torch module, or a backend that is made already but got 3"),
        ("UnconditionalGeneration", "backend: expected a function, a torch module, or a backend that is made already"),
    ],
)
def test_anything_else_at_a_place_is_refused(file: Path, name: str, message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        Own(f"{file}:{name}")


def test_a_file_that_is_not_there_is_refused() -> None:
    with pytest.raises(InvalidArgument, match=r"backend: expected path/to/file.py:NAME but there is no file none.py"):
        Own("none.py:run")
    with pytest.raises(
        InvalidArgument, match="backend: expected module:NAME that can be imported but nowhere_at_all:run"
    ):
        Own("nowhere_at_all:run")


def test_a_module_of_another_format_does_not_run(file: Path) -> None:
    (row,) = conform(UnconditionalGeneration(3, 2), [Own(f"{file}:made")], ["float64"])
    assert row.missing == "expected it in float64 but it computes in float32"


def test_a_function_is_given_numbers_of_its_format() -> None:
    seen = []

    def call(virtual: Any, tokens: Any) -> Any:
        seen.append(virtual)
        return np.zeros((len(tokens), 3))

    made = UnconditionalGeneration(3, 2)
    for dtype in (None, "float16"):
        backend = CallableBackend(call, dtype=dtype)
        exhaust(made, backend)
        assert backend.fmt is None or backend.fmt.name == "float16"
    wide, narrow = seen[0], seen[-1]
    assert wide.dtype == narrow.dtype == np.float64
    assert (narrow == narrow.astype(np.float16)).all()
    assert not (wide == wide.astype(np.float16)).all()
    with pytest.raises(InvalidArgument, match="dtype: expected one of float64, float32, bfloat16, float16"):
        CallableBackend(call, dtype="half")


# compilers and exports ------------------------------------------------------------------------------------------------


class _Failing(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("held", torch.zeros(1))

    def forward(self, *_: Any) -> Any:
        raise RuntimeError("no\nkernel image")


def test_a_compiler_that_is_not_here_is_told_and_never_passes() -> None:
    (row,) = conform(UnconditionalGeneration(3, 2), [Compiled("nothing")])
    assert not row.ran
    assert str(row.missing).startswith("backend: expected torch.compile to work with nothing but")


def test_a_backend_that_fails_when_it_runs_never_passes() -> None:
    row = judge(known_answers(UnconditionalGeneration(3, 2)), ModuleBackend(_Failing().eval()))
    assert row.ran
    assert not row.passed
    assert row.failures()[0].endswith("raised RuntimeError: no kernel image")


@pytest.mark.heavy
def test_an_exported_program_conforms() -> None:
    made = UnconditionalGeneration(3, 2)
    rows = list(conform(made, chosen("torch-export"), ["float32"], cases=10))
    assert [row.passed for row in rows] == [True]


def test_what_an_export_cannot_hold_does_not_run() -> None:
    (row,) = conform(UnconditionalGeneration(3, 2), [Exported("onnxruntime", "onnx", "all")], ["bfloat16"])
    assert row.missing == "dtype of onnx: expected one of float32, float64 but got 'bfloat16' (type str)"


def test_the_levels_of_onnxruntime_are_those_of_the_export() -> None:
    assert tuple(LEVELS) == ONNX_LEVELS
    assert all(f"onnxruntime-{level}" in FACTORIES for level in ONNX_LEVELS)


def test_a_compiler_that_is_switched_off_is_no_row_that_passes() -> None:
    """Such as by TORCHDYNAMO_DISABLE: torch then runs the module as it is, and says nothing."""
    with torch.compiler.set_stance("force_eager"):
        [row] = conform(UnconditionalGeneration(3, 2), chosen("compile-aot-eager"), cases=2)
    assert not row.ran
    assert not row.passed
    assert "runs everything as it is" in row.failures()[0]
