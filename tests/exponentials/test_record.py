"""The committed records: made by these sources, complete, within what certificates assume, and right where rerun."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, get_type_hints

import pytest
import torch

from constructions import FORMATS, InvalidArgument
from verify.certificates.floats.kernel import EXP_ULPS, Kernel
from verify.cli.app import run
from verify.cli.exponentials import exp
from verify.exponentials import Findings, Record, cited, records
from verify.exponentials.blocks import Blocks
from verify.exponentials.findings import ASSUMED_NEVER
from verify.exponentials.functions import FUNCTIONS, summaries
from verify.exponentials.record import EVIDENCE, place_of, sources_sha256

COMMITTED = {f"{record.function} {record.dtype}": record for record in records() if record.place["device"] == "cpu"}


def test_the_records_that_certificates_cite_are_there() -> None:
    assert {f"{f} {d}" for f in ("exp", "softmax") for d in ("float32", "bfloat16", "float16")} <= {*COMMITTED}
    assert len(records()) == len(list(EVIDENCE.glob("exp-*.json")))


@pytest.mark.parametrize("record", records(), ids=lambda record: f"{record.function}-{record.dtype}-{record.where}")
def test_a_record_is_of_these_sources_and_complete(record: Record) -> None:
    stale = "the sources changed since the record was made: run prefixproof exp again"
    assert record.place["sources"] == sources_sha256(FUNCTIONS[record.function].home), stale
    bits = 32 if record.dtype == "float32" else 16
    assert record.complete
    assert record.patterns == 2**bits
    found = record.findings.counts
    below = FUNCTIONS[record.function].positive
    numbers = 2 * (FORMATS[record.dtype].max_exponent * 2 + 1) * 2 ** (FORMATS[record.dtype].precision - 1) + 2
    assert found["arguments"] == (numbers if below else numbers // 2)
    assert found["nan"] == 2**bits - numbers
    assert record.within(EXP_ULPS)
    assert record.findings.monotone or record.function == "exp2"  # torch's vectors of exp2 fall here and there
    assert record.findings.worst.high <= 1


def _here(record: Record) -> bool:
    place = place_of("cpu", FUNCTIONS[record.function].home)
    return all(record.place[name] == place[name] for name in ("torch", "capability"))


def _rerun(record: Record, start: int, size: int) -> Findings:
    fmt = FORMATS[record.dtype]
    return Blocks.of(FUNCTIONS[record.function], fmt, "cpu", 2**17).measured(start, start + size)


def _check(record: Record, start: int, size: int) -> None:
    """A block's findings are part of the record where the library and the processor are those of the record."""
    found = _rerun(record, start, size)
    assert found.worst.high <= EXP_ULPS
    assert not any(found.counts[name] for name in ASSUMED_NEVER)
    if _here(record):
        assert found.worst.high <= record.findings.worst.high
        assert all(found.above[name] <= count for name, count in record.findings.above.items())


@pytest.mark.parametrize("name", COMMITTED)
def test_the_worst_argument_is_as_bad_as_the_record_says(name: str) -> None:
    record = COMMITTED[name]
    worst = record.findings.worst
    assert worst.at is not None
    if not _here(record):
        pytest.skip("another library or processor than the record's")
    kind = torch.int32 if record.dtype == "float32" else torch.int16
    bits = 32 if record.dtype == "float32" else 16
    pattern = int(torch.tensor([worst.at], dtype=getattr(torch, record.dtype)).view(kind)) % 2**bits
    found = _rerun(record, max(pattern - 500, 0), 1001)
    assert found.worst.low == worst.low


@pytest.mark.parametrize("function", ["exp", "softmax"])
def test_a_drawn_block_is_part_of_the_record(function: str) -> None:
    # where exp is neither 0 nor 1: negative numbers between 2^-20 and 2^7
    start = random.SystemRandom().randrange(0xB5800000, 0xC3000000 - 2**17)
    _check(COMMITTED[f"{function} float32"], start, 2**17)


@pytest.mark.heavy
@pytest.mark.parametrize("function", ["exp", "softmax"])
def test_millions_of_arguments_are_part_of_the_record(function: str) -> None:
    for _ in range(8):
        start = random.SystemRandom().randrange(0xB5800000, 0xC3000000 - 2**20)
        _check(COMMITTED[f"{function} float32"], start, 2**20)


def test_a_change_of_the_code_is_another_digest_and_of_words_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    home = FUNCTIONS["exp"].home
    whole, read = sources_sha256(home), Path.read_text
    for old, new, same in (
        ("# as a signed integer", "# as an integer", False),
        ("\n    #", "\n    # so:\n    #", True),
    ):

        def changed(path: Path, old: str = old, new: str = new, **options: str) -> str:
            return read(path, **options).replace(old, new)

        monkeypatch.setattr(Path, "read_text", changed)
        assert (sources_sha256(home) == whole) is same


def test_the_line_of_a_certificate_cites_what_was_measured() -> None:
    line = Kernel(FORMATS["float32"]).assumptions()
    assert re.search(r"exp right within 3 units in the last place \(all float32 measured: at most 0\.99 by torch", line)
    assert Kernel(FORMATS["float64"]).assumptions().endswith("exp right within 3 units in the last place")


def test_what_does_not_hold_is_not_cited() -> None:
    pair = [COMMITTED["exp float32"], COMMITTED["softmax float32"]]
    assert "at most 0.99 by torch" in cited("float32", 3, pair)
    assert cited("float32", 0.9, pair) == ""
    assert cited("bfloat16", 3, pair) == ""
    assert cited("float32", 3, pair[:1]) == ""  # softmax has an exp of its own
    assert cited("float32", 3, [pair[0], replace(pair[1], complete=False)]) == ""
    assert cited("float32", 3, [pair[0], replace(pair[1], place={**pair[1].place, "torch": "0"})]) == ""
    wrong = Findings.from_json(pair[1].to_json())
    wrong.counts["zero not to one"] = 1
    assert cited("float32", 3, [pair[0], replace(pair[1], findings=wrong)]) == ""


@pytest.mark.parametrize(
    ("part", "changed"),
    [
        (("patterns",), 2**31),
        (("counts", "arguments"), 1000),
        (("counts", "nan"), 0),
        (("dtype",), "float16"),
        (("complete",), 1),
    ],
)
def test_a_record_of_a_part_that_says_it_is_whole_is_not_cited(part: tuple[str, ...], changed: object) -> None:
    pair = [COMMITTED["exp float32"].to_json(), COMMITTED["softmax float32"].to_json()]
    *above, last = part
    for forged in pair:
        held = forged
        for name in above:
            held = held[name]
        held[last] = changed
        found = Record.from_json(forged)
        assert not found.within(EXP_ULPS)
    assert cited("float32", EXP_ULPS, map(Record.from_json, pair)) == ""
    assert cited("float16", EXP_ULPS, map(Record.from_json, pair)) == ""


DAMAGES: dict[str, Callable[[dict[str, Any]], object]] = {
    "empty": dict.clear,
    "no count": lambda record: record["counts"].pop("zero not to one"),
    "no place": lambda record: record["place"].pop("torch"),
    "a name that is null": lambda record: record["place"].update(name=None),
    "another format": lambda record: record.update(dtype="float8"),
    "a count below 0": lambda record: record["counts"].update({"nan made": -1}),
    "a count that is not an integer": lambda record: record["comparisons that differ"].update(another=0.5),
    "an error that is NaN": lambda record: record["worst"]["below the normal range"].update(high="nan"),
    "an error below 0": lambda record: record["worst"]["normal"].update(low=-2.0, high=-1.0),
    "an argument that is not a number": lambda record: record["worst"]["normal"].update(at="far"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_record_is_refused(damage: str, tmp_path: Path) -> None:
    record = COMMITTED["exp float32"].to_json()
    DAMAGES[damage](record)
    (tmp_path / "exp-one.json").write_text(json.dumps(record), encoding="utf-8")
    with pytest.raises(InvalidArgument, match=r"^evidence: expected a record of exp in .*exp-one.json but got none"):
        records(tmp_path)


@pytest.mark.parametrize(
    ("words", "status", "part"),
    [
        ("--dtype float16", 0, "within 3 units, and 1 at 0, and 0 where it must be: yes"),
        ("--dtype float16 --ulps 0.5", 1, "not shown"),
        ("--dtype float16 --patterns 1000", 1, "the first 1,000 bit patterns"),
        ("--dtype float64", 2, "error: dtype: expected one of float32, bfloat16, float16 but got 'float64'"),
        ("--dtype float16 --ulps nan", 2, "error: ulps: expected a positive number but got nan"),
        ("--function log", 2, "error: function: expected one of exp, softmax, exp2 but got 'log'"),
        ("--device nowhere --dtype float16", 2, "error: device: expected one that torch has here but got 'nowhere'"),
    ],
)
def test_the_command(words: str, status: int, part: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["exp", *words.split()]) == status
    found = capsys.readouterr()
    assert part in found.out + found.err


def test_the_help_says_what_the_registry_does() -> None:
    option = get_type_hints(exp, include_extras=True)["function"].__metadata__[0]
    assert option.help == summaries()


def test_the_record_does_not_overwrite_the_checkpoint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "file"
    assert run(["exp", "--dtype", "float16", "--out", str(path), "--checkpoint", str(tmp_path / "." / "file")]) == 2
    assert "error: out: expected another file than the checkpoint but got" in capsys.readouterr().err
    assert not path.exists()


def test_the_command_writes_a_record_and_one_document(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "record.json"
    words = ["exp", "--dtype", "bfloat16", "--json", "--out", str(path), "--checkpoint", str(tmp_path / "checkpoint")]
    assert run(words) == 0
    document = json.loads(capsys.readouterr().out)
    assert document.pop("within") is True
    assert document.pop("ulps") == EXP_ULPS
    assert json.loads(path.read_text(encoding="utf-8")) == document
    assert Record.from_json(document).function == "exp"
    assert (tmp_path / "checkpoint").exists()
