"""The model card: what is claimed, what was shown, of which files, and how to load them."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from constructions.construction import Construction
from verify.evidence.kinds import kind_of
from verify.evidence.verdict import Verdict
from verify.huggingface.classes import dtype_of
from verify.numbers import number
from verify.report.tables import explanation, margin, outcome
from verify.running.cases import parameters_of


@dataclass(frozen=True)
class Saved:
    """What is in a folder.

    Attributes:
        construction: whose weights they are.
        model: the stock model, as it was loaded from the files.
        targets: those that have adapters.
        verdicts: about the construction, in stock classes or elsewhere.
        digests: the SHA-256 of every safetensors file by its path.
        computed: whether the verdicts were computed with the model as it was loaded from the files, and not given.

    """

    construction: Construction
    model: Any
    targets: Sequence[Any]
    verdicts: Sequence[Verdict]
    digests: Mapping[str, str]
    computed: bool


def card(saved: Saved) -> str:
    """Return the text of a README.md."""
    parts = [
        "---\nlibrary_name: transformers\npipeline_tag: text-generation\n---",
        f"# {saved.construction!r}",
        _claim(saved),
        "## Load it\n\n" + _loading(saved),
        "## Verdicts\n\n" + _verdicts(saved),
        "## Files\n\nEvery number in these files is that of the construction, correctly rounded.\n\n" + _digests(saved),
    ]
    return "\n\n".join(parts) + "\n"


def _claim(saved: Saved) -> str:
    construction, model = saved.construction, saved.model
    documented = (inspect.getdoc(type(construction)) or "").splitlines()
    says = documented[0] if documented else ""
    sizes = ", ".join(f"{name} = {value}" for name, value in parameters_of(construction).items())
    parameters = sum(tensor.numel() for tensor in model.parameters())
    targets = number(construction.target_space.size)
    users = number(construction.user_inputs.size)
    return (
        f"{says}\n\n"
        f"The promise covers {targets} targets and {users} user inputs, with {sizes}.\n\n"
        f"The weights were computed, not trained. They are in an untouched `{type(model).__name__}` of"
        f" {parameters:,} parameters in {dtype_of(model).name}: each is the exact weight of the construction,"
        " rounded once. The files are safetensors, and no code comes with them."
    )


def _loading(saved: Saved) -> str:
    prompted = bool(saved.targets)
    lines = ["import torch", "from transformers import AutoModelForCausalLM"]
    lines += ["from peft import PeftModel", ""] if prompted else [""]
    lines.append('model = AutoModelForCausalLM.from_pretrained("DIRECTORY")')
    if prompted:
        if dtype_of(saved.model).name == "float64":
            lines.append("torch.set_default_dtype(torch.float64)  # or peft rounds the virtual token to float32")
        lines.append('model = PeftModel.from_pretrained(model, "DIRECTORY/adapters/0").eval()')
    if prompted or not saved.construction.layout.virtual:
        lines += _call(saved)
    text = "```python\n" + "\n".join(lines) + "\n```"
    if len(saved.targets) > 1:
        text += (
            "\n\nThe adapter `adapters/all` holds all targets: `generate(..., task_ids=torch.tensor([k, ...]))` selects"
            " target `k`\nfor each sequence of a batch."
        )
    if saved.targets:
        rows = "\n".join(f"| `adapters/{index}` | {target} |" for index, target in enumerate(saved.targets))
        text += f"\n\n| adapter | target |\n|---|---|\n{rows}"
    return text


def _call(saved: Saved) -> list[str]:
    """Return the lines that generate a response."""
    user = saved.construction.layout.user
    if saved.model.generation_config.bos_token_id is not None:
        return ["model.generate(do_sample=False)[0, 1:]  # the target, after one token that does not matter"]
    tokens = "your tokens" if user else "no token: the response begins at the virtual token"
    return [
        f"ids = torch.zeros(1, {user}, dtype=torch.long)  # {tokens}",
        f"model.generate(input_ids=ids, do_sample=False)[0, {user}:]",
    ]


def _verdicts(saved: Saved) -> str:
    if not saved.verdicts:
        return "None was asked for."
    rows = ["| claim | arithmetic | evidence | margin | verdict |", "|---|---|---|---|---|"]
    for verdict in saved.verdicts:
        shown = "" if verdict.margin is None else margin(verdict.margin)
        evidence = kind_of(verdict.method).sentence(verdict)
        rows.append(f"| {verdict.claim} | {verdict.arithmetic} | {evidence} | {shown} | {outcome(verdict)} |")
    notes = [line for verdict in saved.verdicts for line in explanation(verdict)]
    return f"{_origin(saved)}\n\n" + "\n".join(rows) + "".join(f"\n\n{line}" for line in notes)


def _origin(saved: Saved) -> str:
    """Say what the verdicts are about."""
    if not saved.computed:
        return (
            "Given by whoever saved these files. They are about the construction, in the arithmetic that each names; of"
            " the files\nit was checked that they hold the construction's exact weights, rounded."
        )
    given = ", each virtual token given as `inputs_embeds`" if saved.construction.layout.virtual else ""
    return f"Computed with the model as it was loaded from these files{given}."


def _digests(saved: Saved) -> str:
    rows = "\n".join(f"| `{path}` | `{digest}` |" for path, digest in saved.digests.items())
    return f"| file | SHA-256 |\n|---|---|\n{rows}"
