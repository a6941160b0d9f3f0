"""The command ``attention`` on a model and adapters in folders."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("transformers")
pytest.importorskip("peft")

from tests.docs.pages import ROOT
from tests.huggingface.attention.small import TEXT, TOKENS, WORDS, saved
from verify import Verdict
from verify.cli.app import run
from verify.huggingface import draw_model
from verify.huggingface.attention import measured
from verify.huggingface.models import quiet

pytestmark = pytest.mark.extras

KINDS = ("PrefixTuningConfig", "PromptTuningConfig")
GIVEN = ",".join(map(str, TOKENS))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(tmp_path_factory.mktemp("llama"), "llama", KINDS, tokenizer=True)


@pytest.fixture(autouse=True)
def _inside(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)


def test_every_layer_of_a_saved_model(capsys: pytest.CaptureFixture[str]) -> None:
    adapters = [word for kind in KINDS for word in ("--adapter", kind)]
    assert run(["attention", "--model", "model", *adapters, "--tokens", GIVEN]) == 0
    told = capsys.readouterr()
    assert told.err == ""
    lines = told.out.splitlines()
    assert sum(line.startswith("attention-") and " holds" in line for line in lines) == 4
    for kind, words in zip(KINDS, ("prefix tuning", "prompt tuning"), strict=True):
        place = lines.index(f"{kind} ({words}, 2 virtual tokens):")
        assert lines[place + 1].split()[:3] == ["layer", "attention", "alpha"]
        assert [line.split()[:2] for line in lines[place + 2 : place + 5]] == [
            [str(layer), "LlamaAttention"] for layer in range(3)
        ]


def test_json_has_verdicts_and_all_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["attention", "--model", "model", "--adapter", KINDS[0], "--tokens", GIVEN, "--dtype", "float64", "--json"]
    assert run([*words, "--layer", "1", "--head", "2"]) == 0
    document = json.loads(capsys.readouterr().out)
    verdicts = [Verdict.from_json(record) for record in document["verdicts"]]
    assert [(verdict.claim, verdict.holds) for verdict in verdicts] == [
        ("attention-rescaling", True),
        ("attention-bias", True),
    ]
    (report,) = document["reports"]
    assert (report["model"], report["kind"], report["tokens"]) == ("LlamaForCausalLM", "prefix tuning", TOKENS)
    assert [len(layer["heads"]) for layer in report["layers"]] == [4, 4, 4]
    found = report["layers"][1]["heads"][2]
    assert 0 <= found["rescaling"]["deviation"] <= found["rescaling"]["bound"]
    assert len(found["strength"]) == len(found["bias_norm"]) == len(TOKENS)
    patterns = report["patterns"]
    assert (patterns["layer"], patterns["head"]) == (1, 2)
    assert [len(row) for row in patterns["with_prefix"]] == [2 + len(TOKENS)] * len(TOKENS)
    assert [sum(row[:2]) for row in patterns["with_prefix"]] == found["strength"]
    assert run(words) == 0
    assert "patterns" not in json.loads(capsys.readouterr().out)["reports"][0]


def test_a_text_is_what_the_tokenizer_makes_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    text = " ".join(TEXT.split()[:8])
    assert run(["attention", "--model", "model", "--adapter", KINDS[1], "--text", text, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [WORDS[token] for token in document["reports"][0]["tokens"]] == text.split()
    words = ["away", "unknown", "content"]
    assert run(["attention", "--model", "model", "--adapter", KINDS[1], "--text", " ".join(words), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["reports"][0]["tokens"] == [
        WORDS.index("away"),
        0,
        WORDS.index("content"),
    ]


def test_the_guide_shows_what_is_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its numbers depend on the processor, so that the page itself is not compared; its words are."""
    page = (ROOT / "docs" / "how-to" / "attention-of-a-model.md").read_text(encoding="utf-8")
    shown = page.partition("```text\n$ prefixproof ")[2].partition("```\n")[0]
    command, _, output = shown.partition("\n")
    monkeypatch.chdir(tmp_path)
    made, _ = draw_model("llama", 0, 16)
    with quiet():
        made.get_base_model().save_pretrained("model")
        made.save_pretrained("adapter")
    assert run(shlex.split(command)) == 0
    printed = capsys.readouterr().out
    assert _words(printed) == _words(output)


def _words(text: str) -> list[str]:
    return re.sub(r"[0-9][0-9.e+-]*", "#", text).split()


def test_one_claim_one_layer_and_the_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = tmp_path / "attention.png"
    words = ["--claim", "attention-bias", "--layer", "2", "--head", "1", "--picture", str(picture)]
    assert run(["attention", "--model", "model", "--adapter", KINDS[0], "--tokens", GIVEN, *words]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "attention-rescaling" not in told
    assert "layer head alpha |bias|" in told
    assert "in torch float32, layer 2, head 1; the computed bound there is" in told
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_violation_is_status_1_and_its_command_shows_it_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from transformers.models.llama import modeling_llama

    own = modeling_llama.eager_attention_forward

    def changed(*parts: object, **more: object) -> object:
        output, weights = own(*parts, **more)
        return output, weights.roll(1, -1) if weights.shape[-1] > weights.shape[-2] else weights

    monkeypatch.setattr(modeling_llama, "eager_attention_forward", changed)
    assert run(["attention", "--model", "model", "--adapter", KINDS[0], "--tokens", GIVEN, "--json"]) == 1
    verdict = Verdict.from_json(json.loads(capsys.readouterr().out)["verdicts"][0])
    assert verdict.holds is False
    assert verdict.case is not None
    words = shlex.split(verdict.case.reproduce)
    assert words[:4] == ["prefixproof", "attention", "--model", "model"]
    assert run([*words[1:], "--json"]) == 1
    again = Verdict.from_json(json.loads(capsys.readouterr().out)["verdicts"][0])
    assert again.case == verdict.case


def test_nothing_shown_is_status_1(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(measured, "_objection", lambda *_: "something else was computed")
    assert run(["attention", "--model", "model", "--adapter", KINDS[0], "--tokens", GIVEN]) == 1
    told = " ".join(capsys.readouterr().out.split())
    assert told.count("not shown") == 2
    assert "layer 0 (LlamaAttention, 4 heads): something else was computed" in told


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--adapter a", "adapter: expected --model DIR with it"),
        ("--layer 0", "layer: expected --model DIR with it"),
        ("--tokens 1", "tokens: expected --model DIR with it"),
        ("--model model", "adapter: expected --adapter DIR, without which there is no prefix"),
        ("--model model --adapter PrefixTuningConfig", "text: expected either --text or --tokens"),
        ("--model model --adapter PrefixTuningConfig --text a --tokens 1", "text: expected either --text or --tokens"),
        ("--model model --adapter PrefixTuningConfig --text ''", "text: expected at least one token but got ''"),
        (
            "--model model --adapter PrefixTuningConfig --tokens 1;2",
            "tokens: expected numbers with commas between them",
        ),
        ("--model model --adapter PrefixTuningConfig --tokens 99", "input_ids: expected integers from 0 to 15"),
        ("--model model --adapter nowhere --tokens 1", "adapter: expected a folder with adapter_config.json"),
        ("--model nowhere --adapter PrefixTuningConfig --tokens 1", "model: expected a folder with config.json"),
        ("--model PrefixTuningConfig --adapter PrefixTuningConfig --text a", "text: expected a tokenizer in Prefix"),
        ("--model model --drawn 0:1", "model: expected neither a FILE nor --drawn with it"),
        ("--model model --adapter a --tokens 1 --arithmetic numpy", "arithmetic: expected torch with --model"),
        (
            "--model model --adapter a --tokens 1 --claim second-layer-attention",
            "claim: expected one of attention-",
        ),
        ("--model model --adapter PrefixTuningConfig --tokens 1 --head 4", "head: expected an integer <= 3 but got 4"),
        (
            "--model model --adapter PrefixTuningConfig --tokens 1 --layer 3",
            "layer: expected an integer <= 2",
        ),
    ],
)
def test_bad_words_are_one_line_and_status_2(words: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["attention", *shlex.split(words)]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith(f"error: {message}")
    assert told.err.count("\n") == 1


def test_without_the_libraries_the_command_says_what_to_install() -> None:
    script = (
        "import sys; sys.modules['transformers'] = None; from verify.cli.app import run;"
        "sys.exit(run(['attention', '--model', 'model', '--adapter', 'a', '--tokens', '1']))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert (
        done.stderr == "error: model: expected transformers; install it with: pip install 'prefixproof[huggingface]'\n"
    )
