"""The part of the command ``attention`` that is about a language model: its options, and what it prints."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer
from rich.table import Table

from constructions.validation import InvalidArgument, check_choice, reject
from verify.cli.groups import Group
from verify.cli.options import Running
from verify.cli.terminal import console, echo, print_json
from verify.cli.verdicts import exit_status, show_verdicts
from verify.prefixes.layer import Numbers
from verify.prefixes.measured import Deviation
from verify.report.progress import shown_progress
from verify.suite.whole import verdicts_json

if TYPE_CHECKING:
    from verify.huggingface.prefix_report import PrefixReport


@dataclass(frozen=True)
class LanguageModel(Group):
    """A language model of Hugging Face's libraries, its adapters and a text."""

    model: Annotated[
        Path | None,
        typer.Option("--model", metavar="DIR", help="a language model's folder, in place of FILE; it runs in --dtype"),
    ] = None
    adapter: Annotated[
        list[Path] | None,
        typer.Option("--adapter", metavar="DIR", help="its prefix-tuning or prompt-tuning adapter (may be repeated)"),
    ] = None
    text: Annotated[str | None, typer.Option("--text", help="the content, for the model's own tokenizer")] = None
    tokens: Annotated[
        str | None, typer.Option("--tokens", metavar="T,T,...", help="the content as tokens, without a tokenizer")
    ] = None
    layer: Annotated[
        int | None, typer.Option("--layer", help="show every head of this layer of --model; its picture, by default 0")
    ] = None

    @property
    def given(self) -> bool:
        """Whether the command is about a language model.

        Raises:
            InvalidArgument: an option of a language model was given without one.

        """
        if self.model is not None:
            return True
        for name in ("adapter", "text", "tokens", "layer"):
            if getattr(self, name) not in (None, []):
                raise InvalidArgument(f"{name}: expected --model DIR with it")
        return False

    def content(self) -> list[int]:
        """Return the tokens of the content.

        Raises:
            InvalidArgument: neither a text nor tokens, or both; no tokenizer; or no numbers.

        """
        from verify.huggingface.attention.opened import tokens_of  # noqa: PLC0415 # optional: the extra huggingface

        if (self.text is None) == (self.tokens is None):
            raise InvalidArgument("text: expected either --text or --tokens")
        if self.tokens is None:
            assert self.model is not None
            assert self.text is not None
            return tokens_of(self.model, self.text)
        if not re.fullmatch(r"\s*[0-9]{1,18}\s*(,\s*[0-9]{1,18}\s*)*", self.tokens):
            reject("tokens", "numbers with commas between them, such as 1,2,3", self.tokens)
        return [int(token) for token in self.tokens.split(",")]

    def run(self, running: Running, *, claims: list[str] | None, picture: Path | None, head: int, as_json: bool) -> int:
        """Report on every adapter, and return the exit status.

        Args:
            running: the type of the numbers and the device.
            claims: the identities; all by default.
            picture: where to draw one head.
            head: which one.
            as_json: whether to print JSON.

        Raises:
            InvalidArgument: whatever the report refuses.

        """
        # optional: the extra huggingface
        from verify.huggingface.models import load_model  # noqa: PLC0415
        from verify.huggingface.prefix_report import CLAIMS, prefix_report  # noqa: PLC0415

        assert self.model is not None
        names = [check_choice("claim", claim, CLAIMS) for claim in claims or CLAIMS]
        if running.arithmetic != "torch":
            reject("arithmetic", "torch with --model", running.arithmetic)
        if not self.adapter:
            raise InvalidArgument("adapter: expected --adapter DIR, without which there is no prefix")
        if picture is not None and len(self.adapter) > 1:
            raise InvalidArgument("picture: expected one --adapter with it")
        tokens = self.content()
        model = load_model(self.model, dtype=running.dtype, device=running.device, attn_implementation="eager")
        reports = []
        with shown_progress("attention") as progress:
            for adapter in self.adapter:
                command = self._command(adapter, tokens, running)
                reports.append(prefix_report(model, adapter, tokens, progress=progress, reproduce=command))
                reports[-1].head(self.layer or 0, head)  # refuses a layer and a head that there is not
        verdicts = [verdict for report in reports for verdict in report.verdicts if verdict.claim in names]
        caption = None if picture is None else reports[0].draw(picture, self.layer or 0, head)
        if as_json:
            found = [report.to_json(self.layer, head) for report in reports]
            print_json({**verdicts_json(verdicts), "reports": found})
            return exit_status(verdicts)
        show_verdicts(verdicts, as_json=False)
        for report in reports:
            echo("")
            echo(f"{report.adapter} ({report.kind}, {report.prefix} virtual tokens):")
            console().print(_heads(report, self.layer) if self.layer is not None else _layers(report))
        if caption is not None:
            echo(f"{picture}: {caption}")
        return exit_status(verdicts)

    def _command(self, adapter: Path, tokens: list[int], running: Running) -> str:
        words = ["prefixproof", "attention", "--model", str(self.model), "--adapter", str(adapter)]
        words += ["--tokens", ",".join(map(str, tokens)), "--dtype", running.dtype, "--device", running.device]
        return shlex.join(words)


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        table.add_column(heading, no_wrap=True)
    return table


_PARTS = ("A^pt off by", "bound", "t^pt off by", "bound")


def _layers(report: PrefixReport) -> Table:
    """Return a row for each layer: its largest deviations, and how far it is off where it reads its own rows."""
    table = _table("layer", "attention", "alpha", *_PARTS, "own rows: A^pt", "t^pt")
    for layer in report.layers:
        strengths = np.concatenate([made.strength for made in layer.heads])
        numbers = [number for found in (layer.rescaling, layer.bias) for number in _largest(*found)]
        own = [f"{value:.1e}" for value in (layer.plain_rescaling, layer.plain_bias)]
        table.add_row(str(layer.index), layer.attention, _span(strengths), *numbers, *own)
    return table


def _heads(report: PrefixReport, index: int) -> Table:
    """Return a row for each head of a layer."""
    table = _table("layer", "head", "alpha", "|bias|", *_PARTS)
    layer = report.layer(index)
    for head, (made, *found) in enumerate(zip(layer.heads, layer.rescaling, layer.bias, strict=True)):
        numbers = [number for part in found for number in _largest(part)]
        table.add_row(str(index), str(head), _span(made.strength), _span(np.linalg.norm(made.bias, axis=1)), *numbers)
    return table


def _largest(*found: Deviation) -> tuple[str, str]:
    """Return the largest deviation, and the bound where it is."""
    off = np.array([np.abs(part.left - part.right) for part in found])
    place = np.unravel_index(int(np.argmax(off)), off.shape)
    return f"{off[place]:.1e}", f"{np.array([part.bound for part in found])[place]:.1e}"


def _span(values: Numbers) -> str:
    return f"{values.min():.3f}..{values.max():.3f}"
