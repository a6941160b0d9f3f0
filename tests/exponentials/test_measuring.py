"""The measurement of all numbers: right, resumable, and sure to find a wrong ``exp`` of each kind."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import flint
import pytest
import torch

from constructions import FORMATS, InvalidArgument
from verify.certificates.balls.columns import ball_precision
from verify.certificates.floats.kernel import EXP_ULPS
from verify.exponentials import Findings, Record, measure, measuring
from verify.exponentials.blocks import Blocks
from verify.exponentials.findings import COUNTS
from verify.exponentials.functions import FUNCTIONS, Function, Way, summaries
from verify.exponentials.reference import Reference, ball_errors

EXP = FUNCTIONS["exp"]
FLOAT16 = FORMATS["float16"]
#: The error of torch's exp in units of float16 at most: it rounds a value of float32 that is within EXP_ULPS units.
OFF = 0.5 + EXP_ULPS * 2.0 ** (FLOAT16.precision - FORMATS["float32"].precision)


@pytest.fixture(scope="module")
def reference() -> Reference:
    return Reference.of("e", FLOAT16)


def _measured(reference: Reference, function: Callable[[torch.Tensor], torch.Tensor], chunk: int = 2**14) -> Findings:
    def ways(arguments: torch.Tensor, values: torch.Tensor) -> Iterator[Way]:
        return iter(())

    changed = replace(EXP, computed=function, ways=ways)
    return Blocks(changed, FLOAT16, torch.float16, reference, chunk).measured(0, 2**16)


def test_the_findings_are_those_of_every_number_by_balls(reference: Reference) -> None:
    found = _measured(reference, torch.exp)
    patterns = torch.arange(-(2**15), 2**15).to(torch.int16).view(torch.float16)
    patterns = patterns[patterns.isfinite() & (patterns.abs() < 18)]
    rows = zip(patterns.tolist(), torch.exp(patterns).tolist(), strict=True)
    with ball_precision():
        errors = [ball_errors("e", FLOAT16, x, y)[1] for x, y in rows if x < 11 or flint.arb(x).exp() <= 2**16]
    assert found.worst.high == max(errors)
    assert found.above["0.5"] == sum(error > 0.5 for error in errors)
    assert found.counts["arguments"] + found.counts["nan"] == 2**16
    assert found.counts["nan"] == 2 * (2**10 - 1)
    assert found.within(3)
    assert not found.within(0.5)


@pytest.mark.parametrize("chunk", [2**16, 1000, 37])
def test_findings_do_not_depend_on_the_chunk(reference: Reference, chunk: int) -> None:
    assert _measured(reference, torch.exp, chunk).to_json() == _measured(reference, torch.exp).to_json()


def _moved(steps: int) -> Callable[[torch.Tensor], torch.Tensor]:
    """An exp that is so many numbers too large where it is neither 0 nor 1 nor large."""

    def function(x: torch.Tensor) -> torch.Tensor:
        right = torch.exp(x)
        inside = (right > 2.0**-18) & (right != 1) & (right < 30000)
        return torch.where(inside, (right.view(torch.int16) + steps).view(torch.float16), right)

    return function


def _with(value: float, where: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[torch.Tensor], torch.Tensor]:
    """An exp with another value where a condition holds."""
    return lambda x: torch.where(where(x), torch.tensor(value, dtype=x.dtype), torch.exp(x))


WRONG = {
    "nan lost": _with(1.0, torch.isnan),
    "nan made": _with(float("nan"), lambda x: x == -3),
    "zero not to one": _with(1 - 2.0**-11, lambda x: x == 0),
    "infinity wrong": _with(2.0**-24, lambda x: x == float("-inf")),
    "falls": _with(0.25, lambda x: x == -1),
    "above one": _with(1 + 2.0**-10, lambda x: (x < 0) & (x > -1e-3)),
    "below one": _with(1 - 2.0**-11, lambda x: (x > 0) & (x < 1e-3)),
    "negative": _with(-0.0, lambda x: x < -30),
    "finite beyond": _with(65504.0, lambda x: x > 12),
    "not gone": _with(2.0**-24, lambda x: x == -20),
    "flushed": _with(0.0, lambda x: x < -15),
    "flushed normal": _with(0.0, lambda x: x < -9),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_exp_is_found_by_its_own_count(reference: Reference, name: str) -> None:
    assert _measured(reference, torch.exp).counts[name] == 0
    assert _measured(reference, WRONG[name]).counts[name] > 0


def test_every_count_has_its_wrong_exp() -> None:
    assert {*COUNTS} - {"arguments", "nan", "decided by balls"} == {*WRONG}


@pytest.mark.parametrize("name", ["nan made", "zero not to one", "infinity wrong", "negative", "not gone", "flushed"])
def test_a_wrong_exp_does_not_meet_what_a_certificate_assumes(reference: Reference, name: str) -> None:
    assert not _measured(reference, WRONG[name]).within(3)


@pytest.mark.parametrize("steps", [-4, -3, -2, 2, 3, 4])
def test_an_exp_that_is_numbers_off_is_measured_as_that(reference: Reference, steps: int) -> None:
    found = _measured(reference, _moved(steps))
    # at the end of a binade a step may be two units of the true value
    assert abs(steps) < found.worst.low <= found.worst.high <= 2 * abs(steps) + OFF
    assert not found.within(abs(steps))
    assert found.within(found.worst.high)


def test_findings_of_nothing_hold_of_nothing() -> None:
    assert not Findings().within(3)
    assert not Findings().monotone


def test_other_ways_are_measured_where_they_differ(reference: Reference) -> None:
    def ways(arguments: torch.Tensor, values: torch.Tensor) -> Iterator[Way]:
        yield "worse", _moved(4)(arguments), values, True

    blocks = Blocks(replace(EXP, ways=ways), FLOAT16, torch.float16, reference, 2**14)
    found = blocks.measured(0, 2**16)
    assert found.ways["worse"] > 0
    assert found.worst.low >= 4 - OFF
    assert found.counts["arguments"] == 2**16 - found.counts["nan"]


def test_a_comparison_that_differs_holds_of_nothing(reference: Reference) -> None:
    def ways(arguments: torch.Tensor, values: torch.Tensor) -> Iterator[Way]:
        yield "another", _moved(1)(arguments), values, False

    found = Blocks(replace(EXP, ways=ways), FLOAT16, torch.float16, reference, 2**14).measured(0, 2**16)
    assert found.worst.high <= OFF
    assert found.unlike["another"] > 0
    assert not found.within(3)


@pytest.mark.share(2)
@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_all_numbers_of_16_bits_hold_here(function: str, dtype: str) -> None:
    record = measure(function, dtype)
    assert record.complete
    assert record.within(3)
    assert Record.from_json(json.loads(json.dumps(record.to_json()))) == record


@pytest.mark.parametrize("start", [0xBF7F0000, 0xC2AE0000, 0xC2CF0000, 0x3F7F0000, 0x42B10000, 0xFF7F0000])
@pytest.mark.parametrize("function", FUNCTIONS)
def test_blocks_of_float32_hold_here(function: str, start: int) -> None:
    """Around 1, where results leave the normal range and where they are 0, and at both infinities."""
    found = _blocks(FUNCTIONS[function]).measured(start, start + 2**17)
    assert found.worst.high <= 3
    assert not any(found.unlike.values())


def _blocks(function: Function) -> Blocks:
    return Blocks.of(function, FORMATS["float32"], "cpu", 2**16)


def test_the_exp_of_softmax_is_another_function_on_a_processor() -> None:
    arguments = -torch.rand(100_000, generator=torch.Generator().manual_seed(3)) * 80
    values = FUNCTIONS["softmax"].computed(arguments)
    compared = [way for way in FUNCTIONS["softmax"].ways(arguments, values) if not way[3]]
    assert len(compared) == 3
    for _, got, wanted, _ in compared:
        assert torch.equal(got, wanted)


class _Killed(Exception):
    pass


def test_a_killed_measurement_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "BLOCK", 2**14)
    whole, path, seen = measure("exp", "float16"), tmp_path / "checkpoint", []

    def killed(done: int, total: int) -> None:
        if done == 2**15:
            raise _Killed

    with pytest.raises(_Killed):
        measure("exp", "float16", checkpoint=path, progress=killed)
    resumed = measure("exp", "float16", checkpoint=path, progress=lambda done, total: seen.append(done))
    assert seen[0] > 0
    assert seen[-1] == 2**16
    assert resumed == whole
    assert measure("exp", "float16", checkpoint=path) == whole
    with pytest.raises(InvalidArgument, match="differs in measured"):
        measure("softmax", "float16", checkpoint=path)
    path.write_text(path.read_text(encoding="utf-8").replace('"falls": 0', '"falls": 1'), encoding="utf-8")
    with pytest.raises(InvalidArgument, match="damaged or edited"):
        measure("exp", "float16", checkpoint=path)


def test_a_part_is_no_record_of_all() -> None:
    record = measure("exp", "float16", patterns=2**15)
    assert not record.complete
    assert record.findings.within(3)
    assert not record.within(3)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"function": "log"}, "function: expected one of exp, softmax, exp2 but got 'log'"),
        ({"dtype": "float64"}, "dtype: expected one of float32, bfloat16, float16 but got 'float64'"),
        ({"device": "nowhere"}, "device: expected one that torch has here but got 'nowhere'"),
        ({"dtype": "float16", "patterns": 0}, "patterns: expected an integer >= 1"),
        ({"dtype": "float16", "patterns": 2**16 + 1}, "patterns: expected an integer <= 65536"),
    ],
)
def test_bad_arguments(arguments: dict[str, object], word: str) -> None:
    with pytest.raises(InvalidArgument, match=f"^{word}"):
        measure(**arguments)  # type: ignore[arg-type] # that is the point


def test_a_function_is_measured_for_as_long_as_it_is_registered() -> None:
    doubled = replace(EXP, word="doubled", summary="twice exp", computed=lambda x: 2 * torch.exp(x))
    with FUNCTIONS.having(doubled):
        assert "doubled (twice exp)" in summaries()
        assert not measure("doubled", "bfloat16").within(3)
    with pytest.raises(InvalidArgument, match=r"^function: "):
        measure("doubled", "bfloat16")
