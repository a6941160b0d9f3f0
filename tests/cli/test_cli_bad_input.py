"""What the command line cannot accept is told in one line on standard error, with status 2 and no traceback."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from verify.cli.app import run

NO_CUDA = pytest.mark.skipif(torch.cuda.is_available(), reason="here a CUDA device is there")
T1 = ["theorem-1", "--vocab", "3", "--context", "2"]
T2 = ["theorem-2", "--vocab", "3"]
HUGE = "9" * 5_000  # more digits than Python reads


def _refused(arguments: list[str], capsys: pytest.CaptureFixture[str], *mentions: str) -> None:
    assert run(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = captured.err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("error: ")
    assert "Traceback" not in lines[0]
    for mention in mentions:
        assert mention in lines[0]


@pytest.mark.parametrize("command", ["exhaust", "fuzz", "check --rank 0", "show"])
@pytest.mark.parametrize("vocab", ["0", "-1", "2.5", "three", "", "nan", "True", "99999999999", HUGE])
def test_a_vocabulary_size_that_is_none(command: str, vocab: str, capsys: pytest.CaptureFixture[str]) -> None:
    name, *more = command.split()
    _refused([name, "theorem-1", f"--vocab={vocab}", "--context", "2", *more], capsys, "vocab")


@pytest.mark.parametrize("command", ["exhaust", "fuzz", "show"])
@pytest.mark.parametrize(
    ("claim", "option"), [("theorem-1", "context"), ("longer-responses", "response"), ("longer-inputs", "input")]
)
@pytest.mark.parametrize("size", ["0", "-3", "1.5", "99999999999"])
def test_another_size_that_is_none(
    command: str, claim: str, option: str, size: str, capsys: pytest.CaptureFixture[str]
) -> None:
    _refused([command, claim, "--vocab", "2", f"--{option}={size}"], capsys, option)


@pytest.mark.parametrize(
    "arguments",
    [
        ["exhaust", "theorem-1", "--vocab", "3"],
        ["exhaust", "theorem-1", "--context", "3"],
        ["exhaust", "theorem-2"],
        ["fuzz", "longer-responses", "--vocab", "3"],
        ["check", "longer-inputs", "--vocab", "3", "--rank", "0"],
        ["exhaust", "theorem-2", "--vocab", "3", "--context", "2"],
        ["exhaust", "theorem-1", "--vocab", "3", "--context", "2", "--response", "2"],
        ["exhaust", "longer-inputs", "--vocab", "2", "--input", "1"],
        ["exhaust", "longer-inputs", "--vocab", "2", "--input", "60"],
        ["exhaust", "longer-inputs", "--vocab", "9", "--input", "2"],
        ["exhaust", *T1, "--lift", "up"],
        ["exhaust", *T1, "--encoding", "unary"],
        ["exhaust", *T1, "--readout", "best"],
        ["exhaust", *T1, "--band", "4"],
        ["exhaust", *T1, "--readout", "banded", "--band", "3"],
        ["exhaust", *T1, "--readout", "banded", "--band", "0"],
        ["exhaust", "longer-inputs", "--vocab", "2", "--input", "2", "--encoding", "integer"],
        ["exhaust", "longer-inputs", "--vocab", "2", "--input", "2", "--lift", "up"],
        ["exhaust", *T1, "--mask", "full"],
        ["exhaust", *T1, "--limit", "0"],
        ["exhaust", *T1, "--limit", "many"],
        ["fuzz", *T1, "--examples", "0"],
        ["fuzz", *T1, "--seed", "-1"],
        ["verify", "--examples", "0"],
        ["verify", "theorem-2", "--seed", "-1"],
        ["exhaust", *T1, "--nonsense"],
        ["nonsense"],
        ["exhaust"],
        ["generate"],
        ["answer", "a"],
    ],
    ids=" ".join,
)
def test_sizes_and_options_that_do_not_fit(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    _refused(arguments, capsys)


@pytest.mark.parametrize("command", ["exhaust", "fuzz", "show", "verify"])
def test_an_unknown_claim(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    _refused([command, "theorem-9"], capsys, "theorem-9", "theorem-1, theorem-2, longer-responses, longer-inputs")


@pytest.mark.parametrize(
    "arguments", [["exhaust", *T1], ["fuzz", *T1], ["verify", "theorem-1"], ["generate", "a"]], ids=lambda a: a[0]
)
def test_an_unknown_dtype_or_device(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    _refused([*arguments, "--dtype", "float8"], capsys, "dtype", "bfloat16")
    _refused([*arguments, "--device", "abacus"], capsys, "device", "abacus")


@NO_CUDA
@pytest.mark.parametrize(
    "arguments", [["exhaust", *T1], ["verify"], ["generate", "a"], ["check", *T1, "--rank", "0"]], ids=lambda a: a[0]
)
@pytest.mark.parametrize("device", ["cuda", "cuda:0", "cuda:99"])
def test_a_device_that_is_not_there(arguments: list[str], device: str, capsys: pytest.CaptureFixture[str]) -> None:
    _refused([*arguments, "--device", device], capsys, "device", repr(device))


@pytest.mark.parametrize(
    ("options", "mention"),
    [
        (["--arithmetic", "abacus"], "arithmetic"),
        (["--arithmetic", "rational", "--device", "cuda"], "device"),
        (["--arithmetic", "numpy", "--dtype", "bfloat16"], "dtype"),
        (["--arithmetic", "rational", "--temperature", "5"], "temperature"),
        (["--temperature", "0"], "temperature"),
        (["--temperature=-1"], "temperature"),
        (["--temperature", "nan"], "temperature"),
        (["--temperature=-inf"], "temperature"),
        (["--temperature", "x"], "temperature"),
        (["--temperature", ""], "temperature"),
        (["--q", "0"], "q"),
        (["--q=-1/2"], "q"),
        (["--q", "x"], "q"),
        (["--q", "1/0"], "q"),
        (["--q", "nan"], "q"),
        (["--q", "inf"], "q"),
        (["--q", "2", "--temperature", "3"], "both"),
        (["--scaled-by", "depth", "--temperature", "3"], "scaled_by"),
        (["--scaled-by", "length"], "scaled_by"),
    ],
    ids=str,
)
def test_an_arithmetic_or_temperature_that_is_none(
    options: list[str], mention: str, capsys: pytest.CaptureFixture[str]
) -> None:
    _refused(["exhaust", *T1, *options], capsys, mention)
    _refused(["generate", "ab", *options], capsys, mention)


@pytest.mark.parametrize("rank", ["9", "-1", "x", "", "1.5", "0x1", HUGE])
def test_a_rank_that_is_none(rank: str, capsys: pytest.CaptureFixture[str]) -> None:
    _refused(["check", *T1, f"--rank={rank}"], capsys, "rank")


@pytest.mark.parametrize("user", ["", "1,2", "3", "-1", "x", "1,", "1.0"])
def test_user_tokens_that_are_none(user: str, capsys: pytest.CaptureFixture[str]) -> None:
    _refused(["check", *T2, "--rank", "0", f"--user={user}"], capsys, "user")


def test_user_tokens_where_there_is_no_user(capsys: pytest.CaptureFixture[str]) -> None:
    _refused(["check", *T1, "--rank", "0", "--user", "1"], capsys, "user")


def test_text_outside_the_vocabulary(capsys: pytest.CaptureFixture[str]) -> None:
    printable = "".join(map(chr, range(32, 126)))
    _refused(["generate", "hello~", "--vocab", printable], capsys, "94", "position 5", "'~'", "TILDE")
    _refused(["generate", "", "--vocab", "ab"], capsys, "text")
    _refused(["generate", ""], capsys, "text")
    _refused(["generate", "a", "--vocab", ""], capsys, "characters")
    _refused(["generate", "a", "--vocab", "aba"], capsys, "twice")


@pytest.mark.parametrize(
    "document",
    [
        "",
        "{",
        "not JSON",
        "null",
        "3",
        '"a"',
        "[]",
        "{}",
        '{"vocabulary": ["a", "b"], "map": {"a": "b"}}',
        '{"vocabulary": ["a"], "map": {"a": "a", "b": "a"}}',
        '{"vocabulary": ["a", "a"], "map": {"a": "a"}}',
        '{"vocabulary": [], "map": {}}',
        '{"vocabulary": 3, "map": {"a": "a"}}',
        '{"vocabulary": ["a", 1], "map": {"a": "a", "1": "a"}}',
        '{"vocabulary": ["a"], "map": ["a"]}',
        '{"a": "b", "b": "a", "a": "a"}',
        '{"a": "b"}',
        '{"a": ["a", "b"], "b": ["a"]}',
        '{"a": ["a"], "b": "a"}',
        '{"a": []}',
        '{"a": NaN}',
        "[0.0, 1.0]",
        "[NaN, 0]",
        "[Infinity]",
        "[true, false]",
        "[0, 2]",
        "[0, -1]",
        '[0, "a"]',
        "[[0, 1], [1]]",
        '{"a": {"b": 1}}',
        '{"a": null}',
        f"[{HUGE}]",
    ],
)
def test_a_map_that_is_none(document: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "map.json"
    path.write_text(document, encoding="utf-8")
    _refused(["answer", "a", "--map", str(path)], capsys, "map")


def test_a_map_file_that_cannot_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _refused(["answer", "a", "--map", str(tmp_path / "missing.json")], capsys, "missing.json")
    _refused(["answer", "a", "--map", str(tmp_path)], capsys, str(tmp_path))
    (tmp_path / "latin.json").write_bytes(b'{"\xe4": "\xe4"}')
    _refused(["answer", "a", "--map", str(tmp_path / "latin.json")], capsys, "UTF-8")


@pytest.mark.parametrize("token", ["c", "", "A", "a "])
def test_a_token_outside_the_map(token: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "map.json"
    path.write_text(json.dumps({"a": "b", "b": "a"}), encoding="utf-8")
    _refused(["answer", token, "--map", str(path)], capsys, "token", repr(token))


def test_a_checkpoint_that_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "run.json"
    path.write_text("{", encoding="utf-8")
    _refused(["exhaust", *T1, "--checkpoint", str(path)], capsys, "checkpoint")


@pytest.mark.parametrize(
    ("arguments", "mention"),
    [
        (["exhaust", "theorem-1", "--vocab", "0", "--context", "2"], "vocab"),
        (["generate", ""], "text"),
        (["exhaust", *T1, "--nonsense"], "--nonsense"),
        (["exhaust"], "CLAIM"),
        (["nonsense"], "nonsense"),
        (["exhaust", "theorem-1", "--vocab", "three"], "--vocab"),
    ],
    ids=str,
)
def test_a_refusal_with_json_is_one_document(
    arguments: list[str], mention: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*arguments, "--json"]) == 2
    captured = capsys.readouterr()
    document = json.loads(captured.out)
    assert list(document) == ["error"]
    assert mention in document["error"]
    assert captured.err == f"error: {document['error']}\n"


def test_a_case_without_the_users_tokens(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", "theorem-2", "--vocab", "3", "--rank", "1"]) == 2
    assert capsys.readouterr().err == "error: user_input: expected as many tokens as the layout has (1) but got none\n"


def test_a_drawn_layer_has_numbers_of_a_length_that_is_read(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["attention", "--drawn", f"0:{10**18 - 1}{0}"]) == 2
    assert "SEED:INDEX, two natural numbers of at most 18 digits" in capsys.readouterr().err
