"""Files: loaded by transformers and peft alone, nothing but numbers in them, whole or not there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("transformers")

import transformers

from constructions import (
    InvalidArgument,
    RationalSoftmax,
    Ratios,
    ResidualConditional,
    ResidualGeneration,
    Softmax,
    UnconditionalGeneration,
)
from tests.huggingface.test_families import model_of
from tests.huggingface.theorems import FAMILIES
from verify import RationalArithmetic, exhaust, get_arithmetic
from verify.files.folders import file_sha256, new_folder
from verify.huggingface import different_tensors, save, write_huggingface
from verify.huggingface.saving import _check_files

pytestmark = [pytest.mark.extras, pytest.mark.filterwarnings("ignore:Position ids are not supported")]

TARGETS = [[5, 0, 6, 2], [6, 6, 6, 6]]


def construction(family: str = "gpt2") -> ResidualGeneration:
    return ResidualGeneration(7, 4, architecture=family, start_token=True)  # type: ignore[arg-type] # the same names


def run_cards(*folders: Path) -> list[Any]:
    """Run the code on cards in a process that has none of our packages, and return what each last line gives."""
    script = ["import json, sys", "found = []"]
    for folder in folders:
        text = (folder / "README.md").read_text(encoding="utf-8")
        code = text.partition("```python\n")[2].partition("```")[0].replace("DIRECTORY", str(folder))
        *lines, last = code.splitlines()
        script += [
            *lines,
            f"found.append(({last.partition('#')[0]}).tolist())",
            "torch.set_default_dtype(torch.float32)",
        ]
    script.append("print(json.dumps([found, sorted(sys.modules)]))")
    done = subprocess.run(
        [sys.executable, "-I", "-c", "\n".join(script)],
        cwd=folders[0],
        env={**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    found, modules = json.loads(done.stdout)
    assert not {"verify", "constructions", "proofs"} & set(modules)
    return list(found)


def test_the_code_on_the_card_returns_the_target_without_this_package(tmp_path: Path) -> None:
    folders = [
        save(construction(family), tmp_path / f"{family} {dtype}", targets=TARGETS, dtype=dtype, examples=5)
        for family in FAMILIES
        for dtype in ("float32", "float64")
    ]
    at_once = save(ResidualGeneration(3, 2), tmp_path / "no token", targets=[[2, 0]], examples=5)
    a_map = write_huggingface(ResidualConditional(3), tmp_path / "map", [[2, 0, 1]], "float32")
    assert run_cards(*folders, at_once, a_map) == [*[TARGETS[0]] * len(folders), [2, 0], [2]]


def test_the_files_are_numbers_and_configurations_alone(tmp_path: Path) -> None:
    folder = save(construction(), tmp_path / "saved", targets=TARGETS, examples=5)
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    assert files == [
        "README.md",
        "adapters/0/adapter_config.json",
        "adapters/0/adapter_model.safetensors",
        "adapters/1/adapter_config.json",
        "adapters/1/adapter_model.safetensors",
        "adapters/all/adapter_config.json",
        "adapters/all/adapter_model.safetensors",
        "config.json",
        "generation_config.json",
        "model.safetensors",
    ]
    card = (folder / "README.md").read_text(encoding="utf-8")
    for path in files:
        if path.endswith(".safetensors"):
            assert f"| `{path}` | `{file_sha256(folder / path)}` |" in card
    assert "architectures" in json.loads((folder / "config.json").read_text(encoding="utf-8"))
    assert list(tmp_path.iterdir()) == [folder]  # no half-written folder stays behind
    loaded = transformers.AutoModelForCausalLM.from_pretrained(folder)
    assert different_tensors(construction(), loaded) == ()


def test_the_card_has_the_verdicts_that_are_given(tmp_path: Path) -> None:
    made = ResidualGeneration(3, 2)
    verdict = exhaust(made, get_arithmetic("torch", dtype="float32"))
    folder = save(made, tmp_path / "saved", targets=[[2, 0]], verdicts=[verdict])
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert "| ResidualGeneration | torch float32 | exhausted: 9 of 9 cases | " in card
    assert card.count("| holds |") == 1
    # nobody ran these files for it
    assert "Given by whoever saved these files. They are about the construction" in card
    assert "Computed with" not in card


def test_what_is_small_enough_is_exhausted(tmp_path: Path) -> None:
    made = ResidualGeneration(2, 2, start_token=True)
    card = (save(made, tmp_path / "saved") / "README.md").read_text(encoding="utf-8")
    assert "| ResidualGeneration | GPT2LMHeadModel float32, sdpa attention" in card
    assert "exhausted: 8 of 8 cases" in card
    assert (
        "Computed with the model as it was loaded from these files, each virtual token given as `inputs_embeds`."
        in card
    )
    assert "Given by" not in card


def test_arguments_are_refused_in_words(tmp_path: Path) -> None:
    made = ResidualGeneration(2, 2)
    cases: list[tuple[Any, str]] = [
        (lambda: save(3, tmp_path / "x"), "construction: expected a Construction but got a int"),  # type: ignore[arg-type]
        (lambda: save(made, 3), "directory: expected a folder but got 3 (type int)"),  # type: ignore[arg-type]
        (lambda: save(made, tmp_path / "x", targets=3), "targets: expected a list of targets but got 3 (type int)"),  # type: ignore[arg-type]
        (lambda: save(made, tmp_path / "x", examples=0), "examples: expected an integer >= 1 but got 0"),
        (
            lambda: save(made, tmp_path / "x", config=transformers.GPT2Config(output_attentions=True)),
            "output_attentions of config: expected False, as sdpa attention gives no weights, but got True",
        ),
    ]
    for call, said in cases:
        with pytest.raises(InvalidArgument) as raised:
            call()
        assert str(raised.value).startswith(said)
    assert list(tmp_path.iterdir()) == []


def test_a_model_without_virtual_tokens_is_saved_without_adapters(tmp_path: Path) -> None:
    folder = save(model_of("opt"), tmp_path / "saved", verdicts=[])
    assert not (folder / "adapters").exists()
    assert "peft" not in (folder / "README.md").read_text(encoding="utf-8")


def test_a_false_claim_is_saved_as_one(tmp_path: Path) -> None:
    folder = save(model_of("gpt2"), tmp_path / "saved", examples=3)
    assert "| FALSIFIED |" in (folder / "README.md").read_text(encoding="utf-8")


def test_verdicts_about_something_else_are_refused(tmp_path: Path) -> None:
    made = construction()
    other = exhaust(UnconditionalGeneration(2, 2, temperature=RationalSoftmax(Fraction(100))), RationalArithmetic())
    wider = exhaust(ResidualGeneration(2, 2, width=16), get_arithmetic("torch", dtype="float32"))
    hotter = exhaust(ResidualGeneration(2, 2, temperature=Softmax(2.0)), get_arithmetic("torch", dtype="float32"))
    about = "verdicts: expected verdicts about ResidualGeneration(vocab_size="
    cases: list[tuple[Any, Any, str]] = [
        (made, other, about + "7, context_size=4, start_token=True) but one of UnconditionalGeneration says 2"),
        (ResidualGeneration(2, 2), other, about + "2, context_size=2) but one of UnconditionalGeneration says nothing"),
        (ResidualGeneration(2, 2), wider, about + "2, context_size=2) but one of ResidualGeneration says 16 for width"),
        (ResidualGeneration(2, 2), hotter, about + "2, context_size=2) but one of ResidualGeneration says T = 2"),
        (made, "holds", "verdicts: expected verdicts, such as verify.exhaust returns, but got 'holds'"),
        (
            model_of("gpt2"),
            other,
            "verdicts: expected None, as no verdict says what the given_transformer of HandBuilt",
        ),
    ]
    for construction_, verdict, said in cases:
        with pytest.raises(InvalidArgument) as raised:
            save(construction_, tmp_path / "saved", verdicts=[verdict])
        assert str(raised.value).startswith(said)
    assert list(tmp_path.iterdir()) == []


@dataclass(frozen=True, repr=False)
class Own(ResidualGeneration):  # type: ignore[misc] # final to a type checker, as claims are about it alone
    """The same sizes, and weights of its own."""


@dataclass(frozen=True, repr=False)
class OfATable(ResidualGeneration):  # type: ignore[misc] # as above
    """Has an array, of which numpy's repr leaves out most."""

    table: Any = None


class Quiet(int):
    """A number whose ``repr`` does not say which."""

    def __repr__(self) -> str:
        return "a number"


def test_verdicts_about_another_class_or_another_array_are_refused(tmp_path: Path) -> None:
    torch = get_arithmetic("torch", dtype="float32")
    verdict = exhaust(ResidualGeneration(2, 2), torch)
    with pytest.raises(InvalidArgument) as raised:
        save(Own(2, 2), tmp_path / "saved", verdicts=[verdict])
    assert (
        str(raised.value)
        == "verdicts: expected verdicts about Own(vocab_size=2, context_size=2) but one is of ResidualGeneration"
    )
    numbers = [np.arange(2000) == place for place in (1000, 1001)]
    for tables in (numbers, [Ratios(1 * array, 1) for array in numbers], [(Quiet(0),), (Quiet(1),)]):
        first, second = (OfATable(2, 2, table=table) for table in tables)
        assert repr(first) == repr(second)
        expected = "verdicts: expected None, as no verdict says what the table of OfATable"
        with pytest.raises(InvalidArgument, match=expected):
            save(first, tmp_path / "saved", verdicts=[exhaust(second, torch)])
    assert list(tmp_path.iterdir()) == []
    folder = save(Own(2, 2), tmp_path / "saved", verdicts=[exhaust(Own(2, 2), torch, claim="own.py:Own")])
    assert "| own.py:Own | " in (folder / "README.md").read_text(encoding="utf-8")


def test_a_folder_is_whole_or_not_there(tmp_path: Path) -> None:
    def broken() -> None:
        with new_folder(tmp_path / "saved", "directory") as folder:
            (folder / "half").write_text("half", encoding="utf-8")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        broken()
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(InvalidArgument, match="directory: expected an empty folder, or a place where nothing is"):
        save(construction(), tmp_path / "full")
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    with pytest.raises(InvalidArgument, match="directory: expected a folder but"):
        save(construction(), tmp_path / "file")
    (tmp_path / "empty").mkdir()
    assert save(construction(), tmp_path / "empty", verdicts=[]) == tmp_path / "empty"


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("pytorch_model.bin", "", "directory: expected no other files than"),
        ("modeling_own.py", "", "directory: expected no other files than"),
        ("config.json", '{"auto_map": {"AutoModel": "own.Model"}}', "directory: expected no code in config.json"),
    ],
)
def test_pickles_and_code_are_refused(name: str, text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(InvalidArgument) as raised:
        _check_files(tmp_path)
    assert str(raised.value).startswith(said)
