r"""Weights as the body of a plain LaTeX article: pages break, and nothing is wider or taller than a page.

A matrix that fits is written out. One that does not is described exactly: its blocks, its entries or its runs of equal
entries, and 0 in all other places. ``amsmath`` is the one package that the body needs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache

import sympy as sp

from constructions.exact_matrix import ExactMatrix
from constructions.expressions import BAND, BANDS, BASE, BLOCK, DIGIT, GRID, N0, latex, n_X
from constructions.transformer import Matrix, Transformer
from constructions.typeset import weights

#: Points: the width of the text in LaTeX's article at its default size, and half of its height (550): pages fill with
#: matrices up to that height.
_WIDTH, _HEIGHT = 345, 275
#: Points: a row of a matrix, and one with fractions.
_ROW, _FRACTION_ROW = 12, 16
#: Points: the brackets of a matrix, and the gap between its columns (twice LaTeX's ``arraycolsep``).
_BRACKETS, _GAP = 14, 10
#: Points: the widest glyph of the formulas, or operator with the space around it; the widest glyph of an index.
_GLYPH, _OPERATOR, _SMALL = 10, 13, 7.5
#: More columns than these are wider than the page with any entries.
_MOST_COLUMNS = (_WIDTH - _BRACKETS) // (_GLYPH + _GAP)
#: A number may be broken after this many digits: five points each, a quarter of a line.
_LONG_NUMBER = _WIDTH // 20
#: This many formulas make a paragraph: TeX holds a whole paragraph in memory.
_PARAGRAPH = 100
#: The shortest run of equal entries that is described in words.
_SHORTEST_RUN = 3

_WITHOUT_WIDTH = {r"\left", r"\right", r"\frac"}

#: The characters that LaTeX takes for itself in text.
_SPECIAL = {
    **{character: rf"\{character}" for character in "#$%&_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "-": "{-}",
}
#: The letters of the symbolic matrices that need a word.
_LETTERS = {
    N0: "the number of response tokens",
    n_X: "the number of user tokens",
    GRID: "the smallest power of two that is at least $V$",
    BAND: "the size of a band of tokens",
    BANDS: "the number of bands",
    BASE: "the base of the digits",
    BLOCK: "the number of the block, from 1",
    DIGIT: "the number of the digit, from 1",
}


def symbolic_article(transformer: Transformer) -> str:
    """Return the symbolic block matrices, a display or a paragraph for each.

    Args:
        transformer: symbolic weights.

    """
    parts = list(weights(transformer))
    used = set().union(*(getattr(expr, "free_symbols", ()) for _, _, expr in parts))
    words = [f"${latex(letter)}$ is {meaning}" for letter, meaning in _LETTERS.items() if letter in used]
    letters = f" {', '.join(words)}." if words else ""
    return _body(letters, (_symbolic(where, name, expr) for where, name, expr in parts))


def numbers_article(matrices: Mapping[str, ExactMatrix]) -> str:
    """Return exact matrices, a display or a paragraph for each.

    Args:
        matrices: by their names.

    """
    return _body("", (_numbers(name, matrix) for name, matrix in matrices.items()))


def formula_article(formula: str) -> str:
    """Return a formula as a paragraph, which breaks where it is too wide.

    Args:
        formula: LaTeX without dollar signs.

    """
    return rf"\begin{{flushleft}}$\displaystyle {formula}$\end{{flushleft}}"


def standalone_article(body: str, title: str) -> str:
    """Return a whole file that compiles by itself.

    Args:
        body: the result of a function above.
        title: in plain text.

    """
    return "\n".join(
        [
            r"\documentclass{article}",
            r"\usepackage{amsmath}",
            r"\begin{document}",
            rf"\section*{{\raggedright {escaped(title)}}}",
            body,
            r"\end{document}",
        ]
    )


def escaped(text: str) -> str:
    """Return plain text as LaTeX, with the numbers of characters that LaTeX's fonts may lack."""
    safe = "".join(
        _SPECIAL.get(character, character if character.isascii() else f"[U+{ord(character):04X}]") for character in text
    )
    return re.sub(r"\\textquotedbl\{\}(.*?)\\textquotedbl\{\}", r"``\1''", safe)


def _symbolic(where: str, name: str, expr: Matrix) -> str:
    begin = rf"\noindent {escaped(where)}:"
    if isinstance(expr, sp.MatrixBase):
        entries = {place: latex(value) for place, value in expr.todok().items()}
        return _explicit(f"{begin} ${name}$", expr.shape, entries)
    shown = latex(expr)
    if not isinstance(expr, sp.BlockMatrix):
        return rf"{{\raggedright {begin} $\displaystyle {name} = {shown}$\par}}\smallskip"
    blocks = expr.blocks
    rows, columns = blocks.shape
    cells = [[latex(blocks[i, j]) for j in range(columns)] for i in range(rows)]
    widths = [max(_width(cells[i][j]) for i in range(rows)) for j in range(columns)]
    if columns <= _MOST_COLUMNS and sum(widths) + _GAP * columns + _BRACKETS + _width(f"{name} =") <= _WIDTH:
        return begin + _display(f"{name} = {shown}")
    heights = ", ".join(f"${latex(blocks[i, 0].shape[0])}$" for i in range(rows))
    lengths = ", ".join(f"${latex(blocks[0, j].shape[1])}$" for j in range(columns))
    intro = (
        rf"{begin} ${name}$ has ${rows} \times {columns}$ blocks ${name}^{{(a, b)}}$, of heights {heights} and widths"
        rf" {lengths}. All are 0 but"
    )
    shown_blocks = (
        rf"${name}^{{({i}, {j})}} = {cells[i][j]}$"
        for i in range(rows)
        for j in range(columns)
        if not isinstance(blocks[i, j], sp.ZeroMatrix)
    )
    return _paragraphs(intro, shown_blocks)


def _width(formula: str) -> float:
    """Return an upper bound on a formula's width in points: every glyph as wide as the widest one."""
    width, small = 0.0, False
    opened: list[bool] = []  # for each open group, whether it is an index
    for part in re.findall(r"\\[a-zA-Z]+|\\.|\S", formula):
        if part in {"^", "_"}:
            small = True
            continue
        if part == "{":
            opened.append(small)
        elif part == "}":
            opened.pop()
        elif part not in _WITHOUT_WIDTH:
            inner = small or any(opened)
            width += _SMALL if inner else _OPERATOR if part in "+-=" else _GLYPH
        small = False
    return width


def _numbers(name: str, matrix: ExactMatrix) -> str:
    rows, columns = matrix.shape
    entries = {(row, column): _number(value.numerator, value.denominator) for row, column, value in matrix.nonzero()}
    return _explicit(rf"\noindent\texttt{{{escaped(name)}}}, ${rows} \times {columns}$", matrix.shape, entries)


def _explicit(begin: str, shape: tuple[int, int], entries: Mapping[tuple[int, int], str]) -> str:
    """Return a matrix by its entries that are not 0."""
    rows, columns = shape
    if not entries:
        return rf"{begin}: $0$\par\smallskip"
    runs = list(_runs(entries))
    few = columns == 1 and _SHORTEST_RUN * len(runs) <= rows
    if _fits(shape, entries) and not few:
        written = r" \\ ".join(" & ".join(entries.get((i, j), "0") for j in range(columns)) for i in range(rows))
        return f"{begin}:" + _display(rf"\begin{{bmatrix}}{written}\end{{bmatrix}}")
    if min(rows, columns) == 1 and 2 * len(runs) > rows * columns:
        places = [(index, 0) if columns == 1 else (0, index) for index in range(rows * columns)]
        what = "column" if columns == 1 else "row"
        return _paragraphs(f"{begin}, the {what}", (f"${entries.get(place, '0')}$" for place in places))
    return _paragraphs(f"{begin}, 0 but for", runs)


def _fits(shape: tuple[int, int], entries: Mapping[tuple[int, int], str]) -> bool:
    """Return whether a matrix fits if it is written out."""
    rows, columns = shape
    tallest = _FRACTION_ROW if any(r"\frac" in value for value in entries.values()) else _ROW
    if rows * tallest > _HEIGHT or columns > _MOST_COLUMNS:
        return False
    widths = [float(_GLYPH)] * columns
    for (_, column), value in entries.items():
        widths[column] = max(widths[column], _width(value))
    return sum(widths) + _GAP * columns + _BRACKETS <= _WIDTH


def _runs(entries: Mapping[tuple[int, int], str]) -> Iterator[str]:
    """Yield the entries that are not 0 in words: along a row, a column or a diagonal where they are equal."""
    told: set[tuple[int, int]] = set()
    for (row, column), value in sorted(entries.items()):
        if (row, column) in told:
            continue
        longest: list[tuple[int, int]] = []
        for down, right in ((1, 1), (0, 1), (1, 0)):
            run, place = [], (row, column)
            while entries.get(place) == value and place not in told:
                run.append(place)
                place = (place[0] + down, place[1] + right)
            longest = max(longest, run, key=len)
        if len(longest) < _SHORTEST_RUN:
            told.add((row, column))
            yield rf"$w_{{{row}, {column}}} = {value}$"
            continue
        told.update(longest)
        yield _run(longest, value)


def _run(places: list[tuple[int, int]], value: str) -> str:
    (row, column), (last_row, last_column) = places[0], places[-1]
    if row == last_row:
        return rf"$w_{{{row}, j}} = {value}$ for ${column} \le j \le {last_column}$"
    if column == last_column:
        index = f"i, {column}"
    else:
        index = "i, i" if row == column else f"i, i {'+' if column > row else '-'} {abs(column - row)}"
    return rf"$w_{{{index}}} = {value}$ for ${row} \le i \le {last_row}$"


@lru_cache(1024)
def _number(numerator: int, denominator: int) -> str:
    text: str = sp.latex(sp.Rational(numerator, denominator))
    return text


def _body(letters: str, parts: Iterable[str]) -> str:
    counting = rf"\noindent Rows and columns count from 0.{letters}\par\smallskip"
    return "\n".join([rf"\setcounter{{MaxMatrixCols}}{{{_MOST_COLUMNS}}}", counting, *parts])


def _display(formula: str) -> str:
    """Return a display, its rows farther apart where fractions would touch."""
    if r"\frac" not in formula:
        return rf"\[{formula}\]"
    return rf"{{\renewcommand{{\arraystretch}}{{{_FRACTION_ROW / _ROW:.2f}}}\[{formula}\]\par}}"


def _breakable(formula: str) -> str:
    """Return a formula for a line: fractions with a slash, and long numbers that may go on in the next line."""
    flat = re.sub(r"\\frac\{(\d+)\}\{(\d+)\}", r"\1/\2", formula)
    return re.sub(rf"\d{{{_LONG_NUMBER}}}(?=\d)", r"\g<0>\\allowbreak ", flat)


def _paragraphs(intro: str, formulas: Iterable[str]) -> str:
    """Return formulas one after another, ragged at the right; a new paragraph after each hundred."""
    lines = [rf"{{\raggedright {intro}"]
    everything = [_breakable(formula) for formula in formulas]
    for number, formula in enumerate(everything, start=1):
        end = "." if number == len(everything) else ("," if number % _PARAGRAPH else r",\par\noindent")
        lines.append(f"{formula}{end}")
    return "\n".join([*lines, r"\par}\smallskip"])
