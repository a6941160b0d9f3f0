"""Constructions that answer otherwise when they are asked again: what is said is about what ran, or nothing is."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from constructions import (
    ConditionalGeneration,
    InvalidArgument,
    Layout,
    RationalSoftmax,
    Softmax,
    UnconditionalGeneration,
)
from constructions.transformer import Transformer
from tests.redteam.test_symmetric_weights import Changed
from verify import (
    EngineArithmetic,
    NumpyArithmetic,
    RationalArithmetic,
    StructuredTorchArithmetic,
    TorchArithmetic,
    exhaust,
)
from verify.certificates import BallArithmetic, RoundedArithmetic, certify
from verify.export import write_export
from verify.export.formats.safetensors_file import read_weights
from verify.frontier.scan import Scanner

# the default temperature ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, repr=False)
class Cooling(UnconditionalGeneration):  # type: ignore[misc] # final to a type checker, as claims are about it alone
    """Theorem 1 whose default is sharp enough once, and too blunt whenever else it is asked for."""

    honest: int = 0
    asked: list[int] = field(default_factory=list)

    def default_temperature(self, fmt: Any) -> Any:
        self.asked.append(0)
        if len(self.asked) == self.honest + 1:
            return super().default_temperature(fmt)
        return RationalSoftmax(Fraction(2)) if fmt is None else Softmax(0.5)


@pytest.mark.parametrize(
    "arithmetic",
    [RationalArithmetic(), NumpyArithmetic(), TorchArithmetic(), StructuredTorchArithmetic(), EngineArithmetic()],
    ids=lambda each: each.name,
)
@pytest.mark.parametrize("honest", range(4))
def test_a_default_temperature_that_changes_never_holds(honest: int, arithmetic: Any) -> None:
    """A verdict held at the temperature of its row, at which the theorem is false, as another one had run."""
    verdict = exhaust(Cooling(3, 3, honest=honest), arithmetic)
    assert verdict.holds is not True
    if honest == 0:
        assert str(verdict.reason).startswith("temperature in ")
        assert " when it is asked again, " in str(verdict.reason)


@pytest.mark.parametrize("arithmetic", [RoundedArithmetic.of("float32"), BallArithmetic()], ids=lambda each: each.name)
@pytest.mark.parametrize("honest", range(4))
def test_nor_is_it_certified(honest: int, arithmetic: Any) -> None:
    assert certify(Cooling(3, 3, honest=honest), arithmetic).holds is not True
    assert certify(UnconditionalGeneration(3, 3), arithmetic).holds is True


@pytest.mark.parametrize("honest", range(4))
def test_nor_is_it_certain_to_a_scan_of_the_frontier(honest: int) -> None:
    scanner = Scanner(RoundedArithmetic.of("float32"))
    assert scanner.undecided(Cooling(3, 3, honest=honest)) is not None
    assert scanner.undecided(UnconditionalGeneration(3, 3)) is None


@pytest.mark.parametrize("honest", range(8))
def test_nor_does_a_temperature_that_is_computed_hold(honest: int) -> None:
    """A property may take the place of the field."""
    assert exhaust(Reading(3, 3, honest=honest), RationalArithmetic()).holds is not True
    assert certify(Reading(3, 3, honest=honest), BallArithmetic()).holds is not True


@dataclass(frozen=True, repr=False)
class Reading(UnconditionalGeneration):  # type: ignore[misc] # as above
    """Theorem 1 whose temperature is sharp enough at one of the times when it is read."""

    honest: int = 0
    asked: list[int] = field(default_factory=list)

    @property  # type: ignore[misc] # the same
    def temperature(self) -> Any:
        self.__dict__.setdefault("times", []).append(0)
        return RationalSoftmax(Fraction(19 if len(self.__dict__["times"]) == self.honest + 1 else 2))

    @temperature.setter
    def temperature(self, given: Any) -> None:
        pass


def test_a_default_that_fails_when_it_is_asked_again_shows_nothing() -> None:
    verdict = exhaust(Failing(3, 2), RationalArithmetic())
    assert verdict.holds is None
    assert "temperature, asked again: temperature: expected" in str(verdict.reason)


@dataclass(frozen=True, repr=False)
class Failing(UnconditionalGeneration):  # type: ignore[misc] # as above
    """Theorem 1 whose default is a temperature once."""

    asked: list[int] = field(default_factory=list)

    def default_temperature(self, fmt: Any) -> Any:
        self.asked.append(0)
        return super().default_temperature(fmt) if len(self.asked) == 1 else -1


# the layout ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, repr=False)
class Shortened(UnconditionalGeneration):  # type: ignore[misc] # as above
    """Theorem 1 with a wrong promise for its last token, which is not there at some of the times that it is asked for.

    Its answer is as long as the layout was last said to be.
    """

    short: tuple[int, int] = (0, 0)
    asked: list[int] = field(default_factory=list)

    @property
    def layout(self) -> Layout:
        self.asked.append(0)
        short = self.short[0] <= len(self.asked) - 1 < self.short[1]
        self.__dict__["said"] = 1 if short else 3
        return Layout(virtual=1, user=0, response=self.__dict__["said"])

    def answer(self, targets: Any, user_inputs: Any) -> Any:
        whole = np.concatenate([targets[:, :2], targets[:, :1]], axis=1)
        return whole[:, : self.__dict__["said"]]


#: The times at which certificates of such lengths held.
_TIMES = [(start, start + length) for start in range(14) for length in range(5, 11)]


@pytest.mark.parametrize("times", _TIMES)
def test_a_response_that_is_shorter_for_a_while_is_not_certified(times: tuple[int, int]) -> None:
    """Only the cells of the first token had been planned, and all were counted."""
    with contextlib.suppress(ValueError, IndexError):  # arrays of both lengths met
        assert certify(Shortened(3, 3, short=times), BallArithmetic()).holds is not True


# exports -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, repr=False)
class Twofold(ConditionalGeneration):  # type: ignore[misc] # as above
    """Theorem 2 with other weights, as right as its own, at some of the times that they are asked for."""

    other: Any = None
    times: tuple[int, ...] = ()
    asked: list[int] = field(default_factory=list)

    @property
    def transformer(self) -> Transformer:
        self.asked.append(0)
        other: Transformer = self.other
        return other if len(self.asked) - 1 in self.times else ConditionalGeneration(self.vocab_size).transformer


def test_an_export_has_the_digest_of_the_weights_in_it(tmp_path: Path) -> None:
    """The record took its digest of weights that were asked for after those that were written."""
    changed = Changed(3, weight="select.bias", at=(1, 0), by=Fraction(-1, 2**20)).transformer
    digests = {-1.0: ConditionalGeneration(3).transformer.lowered.sha256, -1 - 2.0**-20: changed.lowered.sha256}
    assert len(set(digests.values())) == 2
    path, shown = tmp_path / "twofold.safetensors", 0
    for times in combinations(range(7), 2):
        path.unlink(missing_ok=True)
        try:
            verdicts = write_export(Twofold(3, other=changed, times=times), path, sample=2)
        except InvalidArgument as error:
            assert str(error) == "transformer: other weights when it is asked again"  # noqa: PT017 # some are shown
            continue
        if all(verdict.holds for verdict in verdicts):
            record, weights = read_weights(path.read_bytes(), "twofold", "safetensors")
            assert record.exact_sha256 == digests[weights["select.bias"][1, 0].item()]
            shown += 1
    assert shown


# digests -------------------------------------------------------------------------------------------------------------

_DIGEST = """
from tests.redteam.test_asked_again import digest
print(digest())
"""


def digest() -> str:
    """Return the digest of a model with options that Python shows by their place in memory, or in any order."""
    from tests.redteam.test_options import OPTIONS, with_option  # it is run as a program, too

    return " ".join(with_option(make(1)) for make in OPTIONS.values())


def test_a_digest_is_the_same_in_every_process() -> None:
    """An export of a layer with a function for an option was falsified by any other process."""
    ran = [
        subprocess.run(
            [sys.executable, "-c", _DIGEST],
            check=True,
            capture_output=True,
            text=True,
            cwd=Path(__file__).parents[2],
            env={"PYTHONHASHSEED": seed, "OMP_NUM_THREADS": "1"},
        ).stdout
        for seed in ("1", "2")
    ]
    assert ran[0] == ran[1]
