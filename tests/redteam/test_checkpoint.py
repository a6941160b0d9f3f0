"""A checkpoint that is damaged, edited or untrue is refused; what was taken over is on the verdict."""

from __future__ import annotations

import json
import re
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from constructions import InvalidArgument, RationalSoftmax, UnconditionalGeneration
from tests.redteam.checkpoints import EXACT, RIGHT, begin, forge, refused
from verify import NumpyArithmetic, Verdict, exhaust
from verify.evidence.checkpoint import Checkpoint
from verify.report.tables import explanation
from verify.running.cases import Runner


def test_what_was_taken_over_is_on_the_verdict(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    saved = begin(RIGHT, path, limit=128)["saved"]
    verdict = exhaust(RIGHT, EXACT, checkpoint=path)
    assert verdict.holds is True
    assert verdict.resumed == {"cases": "128", "saved": saved, "replayed": 64}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", saved)
    assert Verdict.from_json(json.loads(json.dumps(verdict.to_json()))) == verdict
    (line,) = explanation(verdict)
    assert "went on from 128 cases of 20" in line
    assert "64 of them were run again" in line
    assert exhaust(RIGHT, EXACT).resumed is None


@pytest.mark.parametrize("cases", ["256", "257", "-5", "0", "129", "1e2", "٣", "128.0", 128, None, True, "9" * 5000])
def test_an_edited_count_is_refused(tmp_path: Path, cases: Any) -> None:
    path = tmp_path / "run.json"
    record = begin(RIGHT, path)
    path.write_text(json.dumps({**record, "cases": cases}))
    assert "damaged or edited" in refused(RIGHT, path)
    if cases not in ("256", "129"):  # of these the digest is all that tells: they are counts that could be
        forge(path, record, cases=cases)
        refused(RIGHT, path)


@pytest.mark.parametrize("margin", ["0", "-1/688", "1/600", "nan", "inf", 0.25, 1, True, None, "x", "1/0", []])
def test_an_edited_margin_is_refused(tmp_path: Path, margin: Any) -> None:
    path = tmp_path / "run.json"
    record = begin(RIGHT, path)
    assert record["margin"] == "1/688"
    forge(path, record, margin=margin)
    refused(RIGHT, path)
    floats = begin(RIGHT, path := tmp_path / "floats.json", NumpyArithmetic())
    forge(path, floats, margin=margin if margin != 0.25 else floats["margin"] * (1 + 2**-52))
    refused(RIGHT, path, NumpyArithmetic())


@pytest.mark.parametrize(
    "closest",
    [
        *(None, {}, "0..63", {"batch": "0..63", "place": True}, {"batch": "0..63", "place": 64}, {"batch": "0..63"}),
        *({"batch": name, "place": 0} for name in ("0..63", "64..200", "63..0", "constant:0..3", 7, None)),
        {"batch": "0..63", "place": -1},
    ],
)
def test_an_edited_place_of_the_smallest_margin_is_refused(tmp_path: Path, closest: Any) -> None:
    path = tmp_path / "run.json"
    record = begin(RIGHT, path)
    assert record["closest"] != closest
    forge(path, record, closest=closest)
    refused(RIGHT, path)


@pytest.mark.parametrize("saved", ["", "yesterday", 5, None, "2026-01-01\nholds: yes at all times"])
def test_an_edited_time_is_refused(tmp_path: Path, saved: Any) -> None:
    path = tmp_path / "run.json"
    forge(path, begin(RIGHT, path), saved=saved)
    refused(RIGHT, path)


def test_every_damaged_byte_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    begin(RIGHT, path)
    whole = path.read_bytes()
    record = json.loads(whole)
    for place in range(0, len(whole), 37):
        damaged = whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]
        try:
            same = json.loads(damaged) == record
        except ValueError:
            same = False
        path.write_bytes(damaged)
        if not same:  # a blank may have become another one
            refused(RIGHT, path)
    for length in (0, 1, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        refused(RIGHT, path)


def test_a_forger_meets_the_cases_that_are_run_again(tmp_path: Path) -> None:
    """Below the threshold: the forged record says that all 256 cases are done, with a digest and a key that fit."""
    wrong = UnconditionalGeneration(4, 4, temperature=RationalSoftmax(Fraction(2)))
    path = tmp_path / "run.json"
    key = Checkpoint(path, Runner(wrong, EXACT)).key
    # the first case is right, with the margin that it really has
    first = Runner(wrong, EXACT).run(np.zeros((1, 4), dtype=np.int64), np.zeros((1, 0), dtype=np.int64))
    assert not first.failures().any()
    forged = {"key": key, "margin": str(first.smallest_margin()), "closest": {"batch": "0..0", "place": 0}}
    for cases in ("2", "128", "256"):
        forge(path, {**forged, "cases": cases, "saved": "2026-01-01T00:00:00+00:00"})
        message = refused(wrong, path)
        assert "is not when run again" in message
    assert exhaust(wrong, EXACT).holds is False


def test_what_is_no_small_file_is_refused_at_once(tmp_path: Path) -> None:
    large = tmp_path / "large.json"
    with large.open("wb") as stream:
        stream.truncate(2**40)  # nothing but a hole
    for path in (tmp_path, large, Path("/dev/zero"), Path("/dev/full")):
        if path.exists():
            with pytest.raises(InvalidArgument, match=f"checkpoint: expected a checkpoint file but {path} is not"):
                exhaust(RIGHT, EXACT, checkpoint=path)
