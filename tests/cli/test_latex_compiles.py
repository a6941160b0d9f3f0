"""What ``show --latex`` prints, compiled: no error, and nothing wider or taller than the page, at any size."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

import pytest

from constructions import Attention, Head, Linear, Transformer, UnconditionalGeneration
from constructions.activations import ACTIVATIONS, ClippedRelu
from constructions.article import escaped, numbers_article, standalone_article, symbolic_article
from proofs import CLAIMS
from tests.forward.trees import MODELS
from verify.cli.app import run

needs_latex = pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex: texlive-latex-base")

#: Options of ``show``: symbolic and at sizes, small and large, every readout and lift.
SHOWN = [
    *CLAIMS,
    "longer-inputs --lift mask",
    "theorem-1 --encoding integer --lift mask --readout banded",
    "theorem-2 --encoding dyadic --readout split",
    "theorem-1 --encoding integer --readout hat",
    "theorem-1 --vocab 1 --context 1",
    "theorem-1 --vocab 3 --context 2",
    "theorem-1 --vocab 94 --context 20",
    "theorem-1 --vocab 300 --context 8",
    "theorem-1 --vocab 40 --context 4 --encoding integer --lift mask --readout banded",
    "theorem-2 --vocab 11",
    "theorem-2 --vocab 30",
    "longer-responses --vocab 10 --response 3",
    "longer-inputs --vocab 3 --input 2",
    "longer-inputs --vocab 2 --input 3",
    "longer-inputs --vocab 4 --input 2 --lift mask",
]


def _compiled(folder: Path, text: str) -> list[str]:
    """Return what LaTeX complains of."""
    (folder / "paper.tex").write_text(text, encoding="ascii")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
    made = subprocess.run(command, cwd=folder, capture_output=True, check=False, timeout=120)
    log = (folder / "paper.log").read_text(encoding="utf-8", errors="replace")
    assert made.returncode == 0, re.findall(r"^!.*", log, re.MULTILINE)
    assert (folder / "paper.pdf").stat().st_size > 0
    return re.findall(r"^(?:Overfull|LaTeX Warning|!|Missing character).*", log, re.MULTILINE)


def _paper(body: str) -> str:
    return "\n".join(
        [r"\documentclass{article}", r"\usepackage{amsmath}", r"\begin{document}", body, r"\end{document}"]
    )


@needs_latex
def test_all_that_show_prints_compiles_in_a_plain_article(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bodies = []
    for words in SHOWN:
        assert run(["show", *words.split(), "--latex"]) == 0
        bodies.append(capsys.readouterr().out)
    assert _compiled(tmp_path, _paper("\n\\clearpage\n".join(bodies))) == []


@needs_latex
@pytest.mark.parametrize("words", ["theorem-1 --vocab 94 --context 20", "longer-inputs", "second-layer-attention"])
def test_a_standalone_file_compiles_by_itself(words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["show", *words.split(), "--latex", "--standalone"]) == 0
    text = capsys.readouterr().out
    assert text.startswith(r"\documentclass{article}")
    assert _compiled(tmp_path, text) == []


@needs_latex
def test_weights_of_ones_own_compile(tmp_path: Path) -> None:
    """Dense numbers, fractions of two lines, and names with everything that LaTeX takes for itself."""
    size = 40
    dense = [[Fraction(row * size + column, 7919) for column in range(size)] for row in range(size)]
    dense[0][0] = Fraction(10**140 + 1, 3**300)
    head = Head('a_b^c "d" {e} \\ $ % & # ~ <ä>', query=[[1] * size], key=[[1] * size], value=dense)
    layers = (Attention((head,)), Linear(dense, [[0]] * size, activation=None, name="read_out"))
    transformer = Transformer([[0] * size] * (size - 2), layers, context_size=2)
    numbers = numbers_article(transformer.lowered.matrices())
    assert _compiled(tmp_path, standalone_article(numbers + symbolic_article(transformer), head.name)) == []


@needs_latex
def test_every_kind_of_layer_compiles(tmp_path: Path) -> None:
    bodies = [numbers_article(model.lowered.matrices()) + symbolic_article(model) for model in MODELS.values()]
    assert _compiled(tmp_path, standalone_article("\n".join(bodies), "layers")) == []


@needs_latex
def test_what_layers_and_activations_say_of_themselves_compiles(tmp_path: Path) -> None:
    formulas = [activation.latex("W x + b") for activation in (*ACTIVATIONS, ClippedRelu(Fraction(1, 3)))]
    formulas += [layer.formula("x") for model in MODELS.values() for layer in model.layers]
    assert _compiled(tmp_path, _paper("\n".join(rf"\[{formula}\]" for formula in formulas))) == []


@needs_latex
def test_the_test_sees_a_page_that_is_too_narrow(tmp_path: Path) -> None:
    row = " & ".join(["1000"] * 20)
    begin = r"\setcounter{MaxMatrixCols}{20}"
    found = _compiled(tmp_path, _paper(rf"{begin}\[\begin{{bmatrix}}{row}\end{{bmatrix}}\]"))
    assert any(line.startswith("Overfull") for line in found)


def _read(body: str, shape: tuple[int, int]) -> Mapping[tuple[int, int], Fraction]:
    """Return the entries that a paragraph of runs tells, each once."""
    entries: dict[tuple[int, int], Fraction] = {}
    formula = r"\$w_\{([^}]*)\} = ([- \d/]+)\$(?: for \$(\d+) \\le [ij] \\le (\d+)\$)?"
    for index, value, first, last in re.findall(formula, body):
        row, column = index.split(", ")
        for at in range(int(first), int(last) + 1) if first else [0]:
            places = [eval(word, {"i": at, "j": at}) for word in (row, column)]
            assert (places[0], places[1]) not in entries
            assert 0 <= places[0] < shape[0]
            assert 0 <= places[1] < shape[1]
            entries[places[0], places[1]] = Fraction(value.replace(" ", ""))
    return entries


@pytest.mark.parametrize("lift", ["add", "mask"])
def test_the_runs_are_the_matrix(lift: str) -> None:
    construction = UnconditionalGeneration(60, 30, encoding="integer", lift=lift, readout="banded")  # type: ignore[arg-type] # a str
    told = 0
    for name, matrix in construction.transformer.lowered.matrices().items():
        body = numbers_article({name: matrix})
        if "0 but for" in body:
            expected = {(row, column): value for row, column, value in matrix.nonzero() if value}
            assert _read(body, matrix.shape) == expected, name
            told += 1
    assert told > 5


def test_standalone_goes_with_latex(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["--standalone"], ["--standalone", "--latex", "--json"]):
        assert run(["show", "theorem-1", *words]) == 2
        assert "standalone: expected --latex" in "".join(capsys.readouterr())


def test_text_as_latex() -> None:
    assert escaped('head "first_1", 50 % é') == r"head ``first\_1'', 50 \% [U+00E9]"
