"""A stock model with its adapters as files: safetensors, configurations and a model card, read back at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import torch

from constructions.construction import Construction
from constructions.formats import FORMATS, Format, get_format
from constructions.layers.weighted import is_ours
from constructions.validation import InvalidArgument, check_integer, reject
from verify.evidence.enumeration import exhaust
from verify.evidence.fuzzing import fuzz
from verify.evidence.verdict import Verdict
from verify.extras import needed
from verify.files.folders import file_sha256, new_folder
from verify.huggingface.adapters import to_multitask, to_peft
from verify.huggingface.backend import HuggingFaceBackend
from verify.huggingface.blocks import check_construction
from verify.huggingface.card import Saved, card
from verify.huggingface.classes import PURPOSE
from verify.huggingface.convert import different_tensors, to_huggingface
from verify.huggingface.models import quiet
from verify.requests.own import names_of
from verify.running.cases import parameters_of, spaces
from verify.running.temperatures import temperature_setting

#: The folder of adapters, and the name of the one that holds several targets.
ADAPTERS, ALL_TARGETS = "adapters", "all"

#: Endings of the files that are written. None of them can hold code.
_ENDINGS = frozenset({".json", ".safetensors", ".md"})


def save(
    construction: Construction,
    directory: str | Path,
    *,
    targets: Sequence[object] = (),
    family: str | None = None,
    dtype: str = "float32",
    attn_implementation: str = "sdpa",
    config: Any = None,
    verdicts: Sequence[Verdict] | None = None,
    examples: int = 100,
) -> Path:
    """Write a stock model, an adapter for each target and one for all of them, and a model card.

    The folder is ``config.json``, ``generation_config.json``, ``model.safetensors``, ``README.md``, and below
    ``adapters/`` a folder for each target, ``0``, ``1``, ..., and ``all``, a multitask adapter of several targets. Its
    files are loaded again before it gets its name: every tensor must be the construction's exact weights, correctly
    rounded, and nothing else may be there.

    Args:
        construction: what :func:`~verify.huggingface.to_huggingface` takes.
        directory: a new folder.
        targets: those that get adapters; none for a model without virtual tokens.
        family: see :func:`~verify.huggingface.to_huggingface`, as for the three that follow.
        dtype: the number format.
        attn_implementation: under which verdicts are computed; a loaded model has its own.
        config: a configuration that fits.
        verdicts: about this construction; by default the loaded model is exhausted, or fuzzed where there are more
            cases than ``examples``.
        examples: how many cases are drawn.

    Returns:
        The folder.

    Raises:
        InvalidArgument: a folder with files in it, a verdict about something else, or what
            :func:`~verify.huggingface.to_huggingface` refuses.

    Example:
        >>> from constructions import ResidualGeneration
        >>> construction = ResidualGeneration(4, 3, start_token=True)
        >>> folder = save(construction, "four-tokens", targets=[[3, 1, 2]])
        >>> sorted(path.name for path in folder.iterdir())
        ['README.md', 'adapters', 'config.json', 'generation_config.json', 'model.safetensors']

    """
    check_construction(construction)
    if not isinstance(directory, str | Path):
        reject("directory", "a folder", directory)
    if isinstance(targets, str) or not hasattr(targets, "__len__"):
        reject("targets", "a list of targets", targets)
    path = Path(directory)
    check_integer("examples", examples, 1)
    for verdict in verdicts or ():
        _check_about(verdict, construction)
    shown = getattr(config, "output_attentions", False)
    if shown and attn_implementation != "eager":  # transformers would not save it
        reject("output_attentions of config", f"False, as {attn_implementation} attention gives no weights,", shown)
    model = to_huggingface(construction, family, dtype=dtype, attn_implementation=attn_implementation, config=config)
    made: dict[str, Any] = {}
    for index, target in enumerate(targets):
        made[str(index)] = (to_peft, target)
    if len(targets) > 1:
        made[ALL_TARGETS] = (to_multitask, list(targets))
    with new_folder(path, "directory") as folder, quiet():
        model.save_pretrained(folder)
        for name, (adapt, chosen) in made.items():
            _save_adapter(adapt(construction, chosen, model=model, name=name), name, folder)
        loaded = _loaded(construction, folder, attn_implementation)
        for name, (_, chosen) in made.items():
            _check_adapter(construction, folder / ADAPTERS / name, chosen, dtype)
        found = list(verdicts) if verdicts is not None else [_verdict(construction, loaded, examples)]
        _check_files(folder)
        digests = {file.relative_to(folder).as_posix(): file_sha256(file) for file in _tensors(folder)}
        chosen_targets = [_list(target) for target in targets]
        saved = Saved(construction, loaded, chosen_targets, found, digests, computed=verdicts is None)
        (folder / "README.md").write_text(card(saved), encoding="utf-8")
    return path


def write_huggingface(
    construction: Construction, directory: str | Path, targets: Sequence[object], dtype: str = "float32"
) -> Path:
    """Write a construction as ``export --format huggingface`` does; see :func:`save`."""
    return save(construction, directory, targets=targets, dtype=dtype)


def _save_adapter(made: Any, name: str, folder: Path) -> None:
    """Write one adapter, without the card of peft's, which is a form to be filled in."""
    made.save_pretrained(folder / ADAPTERS, selected_adapters=[name])
    for card_of_peft in (folder / ADAPTERS).rglob("README.md"):
        card_of_peft.unlink()


def _loaded(construction: Construction, folder: Path, attn_implementation: str) -> Any:
    """Return the model as anyone loads it from the files.

    Raises:
        InvalidArgument: a tensor is not the construction's exact weights.

    """
    transformers = needed("transformers", PURPOSE)
    loaded = transformers.AutoModelForCausalLM.from_pretrained(
        folder, local_files_only=True, use_safetensors=True, attn_implementation=attn_implementation
    ).eval()
    wrong = different_tensors(construction, loaded)
    if wrong:
        raise InvalidArgument(f"directory: expected the exact weights in its files but {', '.join(wrong)} differ")
    return loaded


def _check_adapter(construction: Construction, folder: Path, chosen: object, dtype: str) -> None:
    """Compare the numbers in an adapter's file with the exact virtual tokens."""
    safetensors = needed("safetensors.torch", PURPOSE)
    held: Mapping[str, torch.Tensor] = safetensors.load_file(folder / "adapter_model.safetensors")
    rounded = torch.from_numpy(construction.virtual_tokens(chosen).to_float(get_format(dtype)).copy())
    prompts = held["prompt_embeddings"]
    if "prefix_task_rows" in held:  # the prompt of a task is the shared one times columns times rows
        prompts = prompts.double() * (held["prefix_task_cols"].double() @ held["prefix_task_rows"].double())
    if {tensor.dtype for tensor in held.values()} != {getattr(torch, dtype)} or not torch.equal(
        prompts.double(), rounded
    ):
        raise InvalidArgument(f"directory: expected the exact virtual tokens in {folder.name} but they differ")


def _verdict(construction: Construction, model: Any, examples: int) -> Verdict:
    backend = HuggingFaceBackend(model)
    targets, users = spaces(construction)
    if targets.size * users.size <= examples:
        return exhaust(construction, backend)
    return fuzz(
        st.just(construction),
        backend,
        examples=examples,
        claim=type(construction).__name__,
        parameters=parameters_of(construction, backend),
    )


def _check_about(verdict: Verdict, construction: Construction) -> None:
    """Refuse a verdict that does not say that it is about this construction.

    Raises:
        InvalidArgument: it does not, or nothing could say so, as not every field is one of a verdict's parameters.

    """
    if not isinstance(verdict, Verdict):
        reject("verdicts", "verdicts, such as verify.exhaust returns,", verdict)
    held = {item: getattr(construction, item.name) for item in fields(construction) if item.init}
    hidden = [item.name for item, value in held.items() if not (item.repr and _is_told(value))]
    if hidden:
        raise InvalidArgument(
            f"verdicts: expected None, as no verdict says what the {hidden[0]} of {construction!r} is"
        )
    mine = parameters_of(construction)
    for item in fields(construction):
        said = verdict.parameters.get(item.name)
        if item.name != "temperature" and said != mine.get(item.name):
            raise InvalidArgument(
                f"verdicts: expected verdicts about {construction!r} but one of {verdict.claim} says"
                f" {'nothing' if said is None else said} for {item.name}"
            )
    formats: tuple[Format | None, ...] = (None, *FORMATS.values())
    known = {temperature_setting(construction, fmt)["temperature"] for fmt in formats}
    if verdict.parameters.get("temperature", next(iter(known))) not in known:
        raise InvalidArgument(
            f"verdicts: expected verdicts about {construction!r} but one of {verdict.claim} says"
            f" {verdict.parameters['temperature']}"
        )
    names = names_of(construction)
    if verdict.claim not in names and verdict.claim.rpartition(":")[2] != names[0]:  # FILE:CLASS on the command line
        raise InvalidArgument(f"verdicts: expected verdicts about {construction!r} but one is of {verdict.claim}")


def _is_told(value: Any) -> bool:
    """Say whether a ``repr`` tells all of a value: of a number, and of no array, of which numpy leaves out most.

    That of a subclass of somebody else's may leave out anything.
    """
    if type(value) is tuple:
        return all(map(_is_told, value))
    if is_ours(value) and is_dataclass(value):
        return all(item.repr and _is_told(getattr(value, item.name)) for item in fields(value))
    return type(value) in {type(None), bool, int, float, str, Fraction}


def _check_files(folder: Path) -> None:
    for file in folder.rglob("*"):
        if file.is_file() and file.suffix not in _ENDINGS:
            raise InvalidArgument(
                f"directory: expected no other files than {', '.join(sorted(_ENDINGS))} but got {file.name}"
            )
        if file.suffix == ".json" and "auto_map" in file.read_text(encoding="utf-8").split('"'):
            raise InvalidArgument(f"directory: expected no code in {file.name} but it has an auto_map")


def _tensors(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.safetensors"))


def _list(target: object) -> Any:
    return target.tolist() if hasattr(target, "tolist") else target
