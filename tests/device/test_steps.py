"""Steps on a processor, and their judgements: promises must hold, and a judgement follows from the data alone."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from constructions import RationalSoftmax, UnconditionalGeneration
from constructions.formats import get_format
from verify import RationalArithmetic, TorchArithmetic, exhaust
from verify.arithmetic.sdpa import SdpaArithmetic
from verify.certificates import certificate_arithmetic
from verify.conformance.bounds import Cases, bounds_of
from verify.device.base import NotDoneError, Setting, Step
from verify.device.comparing import bits_compared, compared_bits, compared_sentence
from verify.device.graphs import FedSteps
from verify.device.judging import certified_again, judge_verdict, verdict_data
from verify.device.loops import PlainLoop
from verify.device.process import run_task
from verify.device.roofline import Rates, bytes_of, dominating, measured_rates
from verify.device.steps import STEPS
from verify.device.steps.certificates import Certificates
from verify.device.steps.graphs import replayed
from verify.evidence.tally import no_progress
from verify.running.model import bind_construction

TINY = Setting("cpu", "tiny")
FLOAT32 = certificate_arithmetic("rounded", "float32")
BFLOAT16 = certificate_arithmetic("rounded", "bfloat16")


def _verdict(vocab_size: int, context_size: int, dtype: str) -> Any:
    return exhaust(UnconditionalGeneration(vocab_size, context_size), TorchArithmetic(dtype))


def test_a_verdict_that_holds_holds() -> None:
    data = verdict_data(_verdict(3, 3, "float32"), FLOAT32, promised=False)
    assert judge_verdict(json.loads(json.dumps(data))).holds is True


def test_a_falsified_verdict_is_refuted_if_promised_and_a_finding_if_nothing_is_certified() -> None:
    failing = _verdict(60, 1, "bfloat16")
    assert failing.holds is False
    data = verdict_data(failing, BFLOAT16, promised=False)
    assert data["certified"] is None  # as no certificate holds there
    assert judge_verdict(data).holds is None
    assert judge_verdict(data).sentence.startswith("nothing is certified there: ")
    assert judge_verdict({**data, "promised": True}).holds is False
    assert judge_verdict({**data, "certified": True}).holds is False
    assert judge_verdict({**data, "promised": "no"}).holds is False  # only False excuses it


def test_a_failure_that_a_certificate_excludes_is_refuted() -> None:
    wrong = RationalSoftmax(Fraction(18))
    verdict = exhaust(UnconditionalGeneration(3, 3, temperature=wrong), RationalArithmetic())
    assert verdict.holds is False
    assert verdict.counterexample is not None
    # as if the device had failed at the default temperature, where the claim is certified
    case = replace(verdict.counterexample, construction=repr(UnconditionalGeneration(3, 3)))
    data = verdict_data(replace(verdict, counterexample=case), FLOAT32, promised=False)
    assert data["certified"] is True
    found = judge_verdict(data)
    assert found.holds is False
    assert found.sentence.startswith("although all cases there are certified: ")


def test_an_undecided_verdict_counts_as_not_done() -> None:
    cut_off = exhaust(UnconditionalGeneration(3, 3), TorchArithmetic("float32"), limit=3)
    with pytest.raises(NotDoneError, match="not shown: cut off"):
        verdict_data(cut_off, FLOAT32, promised=True)


@pytest.mark.parametrize("expression", ["3", "nonsense(", "__import__('os')", "UnconditionalGeneration(0, 1)"])
def test_only_our_constructions_are_certified_again(expression: str) -> None:
    assert certified_again(expression, FLOAT32) is None


@pytest.mark.parametrize("name", ["device", "attention", pytest.param("batches", marks=pytest.mark.heavy)])
def test_a_step_does_all_that_a_processor_can(name: str) -> None:
    step: Step = STEPS[name]
    tasks = [run_task(step, task) for task in step.tasks(TINY)]
    assert {task["state"] for task in tasks} <= {"held", "noted", "absent"}
    assert len({task["name"] for task in tasks}) == len(tasks) > 2


@pytest.mark.parametrize("name", STEPS)
def test_data_of_nothing_are_not_judged(name: str) -> None:
    if name == "device":
        pytest.skip("its data are findings of any kind")
    with pytest.raises((KeyError, ValueError, TypeError)):  # whatever it is, such data are broken
        STEPS[name].judge({})


GOOD: dict[str, Any] = {
    "certificate": "rounded float32",
    "cases": 2,
    "logits": 10,
    "outside": 0,
    "wrong": 0,
    "margin": 0.1,
    "certified margin": 0.1,
    "share": 0.5,
}


@pytest.mark.parametrize(
    ("changed", "holds"),
    [
        ({}, True),
        ({"outside": 1}, False),
        ({"wrong": 1}, False),
        ({"margin": 0.09}, False),
        ({"certified margin": 0.0, "margin": 0.0}, False),
        ({"cases": 0, "logits": 0}, False),
        ({"logits": 1}, False),
    ],
)
def test_no_logit_may_be_outside_and_no_margin_below(changed: dict[str, Any], holds: bool) -> None:  # noqa: FBT001 # a parameter of the test
    assert Certificates().judge({**GOOD, **changed}).holds is holds


def test_counts_that_do_not_fit_are_broken() -> None:
    with pytest.raises(ValueError, match="outside"):
        Certificates().judge({**GOOD, "outside": -1})
    with pytest.raises(ValueError, match="equal cases"):
        compared_sentence({"cases": 2, "equal": 3, "difference": 0.0})
    counts = {"compared": 1, "equal": 2, "right": 1, "difference": 0.0}
    with pytest.raises(ValueError, match="do not fit"):
        STEPS["batches"].judge({"sizes": {"2": counts}})
    assert STEPS["batches"].judge({"sizes": {"2": {**counts, "equal": 1, "right": 0}}}).holds is False
    assert STEPS["batches"].judge({"sizes": {}}).holds is False


def test_bits_are_compared_case_by_case() -> None:
    one = np.array([[1.0, 2.0], [3.0, 4.0], [0.0, 0.0]])
    other = np.array([[1.0, 2.0], [3.0, 4.5], [0.0, -0.0]])
    assert bits_compared(one, other) == {"cases": 3, "equal": 1, "difference": 0.5}
    made = UnconditionalGeneration(5, 4)
    same = compared_bits(made, TorchArithmetic("float32"), TorchArithmetic("float32"), 6)
    assert (same["cases"], same["equal"]) == (6, 6)
    assert compared_bits(made, TorchArithmetic("float64"), TorchArithmetic("bfloat16"), 6)["equal"] < 6


@pytest.mark.parametrize("size", [(10, 6), (4, 1), (1, 3)])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_the_plain_loop_generates_the_targets(size: tuple[int, int], dtype: str) -> None:
    construction = UnconditionalGeneration(*size)
    targets = construction.targets.sample(20, seed=0)
    rows = construction.virtual_tokens(targets).to_float(get_format(dtype))[:, 0]
    loop = PlainLoop(construction, dtype, "cpu")
    np.testing.assert_array_equal(loop.run(torch.from_numpy(rows.copy()).to(loop.dtype)).numpy(), targets)
    other = np.roll(rows, 1, axis=0)
    assert size[0] == 1 or (loop.run(torch.from_numpy(other.copy()).to(loop.dtype)).numpy() != targets).any()


def test_the_steps_of_a_graph_are_those_of_generation() -> None:
    construction, arithmetic = UnconditionalGeneration(7, 5), TorchArithmetic("float64")
    model = bind_construction(construction, arithmetic)
    first, second = (construction.targets.sample(6, seed=seed) for seed in (0, 1))
    steps = FedSteps(model, construction, first)
    places = steps.prompt.data_ptr(), steps.fed.data_ptr()
    steps.load(second)
    assert places == (steps.prompt.data_ptr(), steps.fed.data_ptr())  # a captured graph reads there
    found = arithmetic.numbers(steps.run())
    nobody = np.zeros((len(second), 0), dtype=np.int64)
    cases = Cases(second, nobody, construction.response(second, nobody))
    _, allowed, _ = bounds_of(construction, get_format("float64"), cases, no_progress)
    assert allowed is not None
    assert ((allowed.low <= found) & (found <= allowed.high)).all()  # as for every kernel of the format
    data = replayed(found, found, second)
    assert data == {"cases": 6, "wrong": 0, "compared": {"cases": 6, "equal": 6, "difference": 0.0}}
    assert replayed(found, found, first)["wrong"] > 0


def test_the_dominating_operation_of_a_run_is_found_with_what_it_moves() -> None:
    rates = measured_rates("float32", "cpu", size=64, count=4096)
    assert rates.flops > 0
    assert rates.bytes > 0
    large = torch.ones(600, 600)
    found = dominating(lambda: torch.mm(large, large), "cpu", 4, Rates(1e9, 1e9))
    assert found["operation"] == "aten::mm"
    assert found["bytes"] == 3 * 600 * 600 * 4
    assert found["flops"] == 2 * 600**3
    assert found["share of the roofline"] == 2 * 600**3 / 1e9 / found["seconds of a call"]  # the same two quotients
    with pytest.raises(NotDoneError):
        dominating(lambda: None, "cpu", 4, rates)


def test_bytes_are_those_read_and_written_at_least() -> None:
    assert bytes_of("aten::bmm", [(5, 2, 3), (5, 3, 4)], 1) == 5 * (6 + 12 + 8)
    assert bytes_of("aten::addmm", [(4,), (2, 3), (3, 4)], 2) == 2 * (4 + 6 + 12 + 8)
    assert bytes_of("aten::mul", [(2, 1), (3,)], 1) == 2 + 3 + 6
    assert bytes_of("aten::cat", [], 4) is None


def test_padding_to_the_width_that_a_kernel_reads_changes_no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernels that read 16 bytes at once are on GPUs alone; padded in the same way, another one does the same."""
    from verify.arithmetic import sdpa
    from verify.arithmetic.sdpa_kernels import KERNELS

    assert KERNELS["efficient"].multiple == KERNELS["cudnn"].multiple == 8
    monkeypatch.setattr(sdpa, "KERNELS", {**KERNELS, "math": KERNELS["math"]._replace(multiple=8)})
    assert exhaust(UnconditionalGeneration(3, 3), SdpaArithmetic("float32", "math")).holds is True


def test_the_exponentials_of_a_format_are_judged_by_what_is_assumed(tmp_path: Path) -> None:
    step = STEPS["exp"]
    (task, *_) = step.tasks(TINY)
    data = json.loads(json.dumps(task.run()))
    assert step.judge(data).holds is True
    with pytest.raises(ValueError, match="not all arguments"):
        step.judge({**data, "complete": False})
