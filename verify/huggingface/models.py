"""A causal language model from a folder: its weights as they are there, no pickle, no remote code, no network."""

from __future__ import annotations

import contextlib
import hashlib
import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from constructions.formats import FORMATS
from constructions.validation import InvalidArgument, check_choice, reject
from verify.backends.modules import state_sha256
from verify.extras import needed

#: Keys of the loading report that name weights which the folder does not have, or has in another shape.
_LACKING = ("missing_keys", "mismatched_keys")


def load_model(
    directory: str | Path, *, dtype: str = "float32", device: str = "cpu", attn_implementation: str | None = None
) -> Any:
    """Return the causal language model in a folder, ready to run, as ``save_pretrained`` wrote it.

    Nothing is fetched and no code of the folder runs; weights are read from safetensors alone.

    Args:
        directory: with ``config.json`` and the weights as safetensors.
        dtype: the float format into which the weights are rounded.
        device: where it runs, such as ``cpu`` or ``cuda``.
        attn_implementation: how attention is computed; by default as transformers chooses. ``eager`` is the only one
            that gives its weights, which :func:`~verify.huggingface.prefix_report` needs.

    Returns:
        The model of transformers, in evaluation mode.

    Raises:
        InvalidArgument: no such folder, no causal language model in it, weights that are missing, damaged, pickled or
            without a place in the model, an adapter beside them, or code of its own that it wants to run.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> from constructions import ResidualGeneration
        >>> from verify.huggingface import to_huggingface
        >>> with TemporaryDirectory() as folder:
        ...     to_huggingface(ResidualGeneration(vocab_size=4, context_size=3)).save_pretrained(folder)
        ...     model = load_model(folder, dtype="bfloat16")
        >>> type(model).__name__, model.dtype
        ('GPT2LMHeadModel', torch.bfloat16)

    """
    check_choice("dtype", dtype, tuple(FORMATS))
    transformers = needed("transformers", "model")
    folder = folder_with("model", directory, "config.json")
    if (folder / "adapter_config.json").exists():
        # transformers would load the model that the adapter names, wherever it is, and not this one
        raise InvalidArgument(f"model: expected a folder without an adapter but {folder} has adapter_config.json")
    chosen = {} if attn_implementation is None else {"attn_implementation": attn_implementation}
    with quiet():
        try:
            model, report = transformers.AutoModelForCausalLM.from_pretrained(
                str(folder),
                local_files_only=True,
                trust_remote_code=False,
                use_safetensors=True,
                dtype=getattr(torch, dtype),
                output_loading_info=True,
                **chosen,
            )
        except unreadable() as error:
            if isinstance(error, RuntimeError) and "mismatched" in str(error):
                raise InvalidArgument(f"model: expected weights of the shapes in {folder}/config.json") from None
            raise InvalidArgument(f"model: expected a causal language model in {folder} but {_first(error)}") from None
    kind = type(model).__name__
    lacking = sorted(str(key) for name in _LACKING for key in report[name])
    if lacking:
        raise InvalidArgument(
            f"model: expected every weight of {kind} in {folder} but {_and_more(lacking)} would be random"
        )
    left = sorted(map(str, report["unexpected_keys"]))
    if left:
        raise InvalidArgument(
            f"model: expected no weights in {folder} but those of {kind} but {_and_more(left)} would be left out"
        )
    model.to(device).eval()
    check_causal(model)
    return model


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep the libraries from printing: what matters of their reports is told as an error.

    Progress bars and the log of transformers are silent, and so are notices that tell peft, not its user, of new names.
    """
    logging = needed("transformers", "model").utils.logging
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity(logging.CRITICAL)
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            for notice in ("`is_gradient_checkpointing` is deprecated", "`past_key_values` is deprecated"):
                warnings.filterwarnings("ignore", message=notice, category=FutureWarning)
            yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


def folder_with(name: str, directory: str | Path, file: str) -> Path:
    """Return a folder that has a file.

    Args:
        name: of the argument, for messages.
        directory: the folder.
        file: the name of the file.

    Raises:
        InvalidArgument: there is none.

    """
    if not isinstance(directory, str | Path) or not (Path(directory) / file).is_file():
        shown = str(directory) if isinstance(directory, Path) else directory
        raise InvalidArgument(f"{name}: expected a folder with {file} but got {shown!r}")
    return Path(directory)


def unreadable() -> tuple[type[Exception], ...]:
    """Return what the libraries raise for files that are missing, damaged, or of another kind."""
    damaged: type[Exception] = needed("safetensors", "model").SafetensorError
    return (OSError, ValueError, LookupError, RuntimeError, TypeError, AttributeError, ImportError, damaged)


def _and_more(names: list[str]) -> str:
    return f"{names[0]} and {len(names) - 1} more" if names[1:] else names[0]


def _first(error: BaseException) -> str:
    """Return the first sentence of a long message."""
    return str(error).strip().split("\n")[0].split(". ")[0].rstrip(".") or type(error).__name__


def check_causal(model: Any) -> None:
    """Refuse a model whose logits at a position depend on a later token.

    The derivative of the first position's logits by the second embedding is exactly 0 where the second position is
    masked: its attention weight is 0, and so is every product with it. No tolerance is needed.

    Raises:
        InvalidArgument: it is no model of transformers with token embeddings, its logits are not finite, or it looks
            ahead.

    """
    if not hasattr(model, "get_input_embeddings") or not hasattr(model, "config"):
        reject("model", "a causal language model of transformers", model)
    table = model.get_input_embeddings().weight.detach()
    if getattr(model.config, "max_position_embeddings", None) == 1:
        rows = table[:1]  # there is no later position to look at
    else:
        rows = table[[0, min(1, len(table) - 1)]]
    embedded = rows[None].clone().requires_grad_()
    with frozen(model), torch.enable_grad():
        first = model(inputs_embeds=embedded, use_cache=False).logits[0, 0]
        if not torch.isfinite(first).all():
            raise InvalidArgument("model: expected finite logits but those behind token 0 are not")
        (by_embedding,) = torch.autograd.grad(first.float().square().sum() + first.float().sum(), embedded)
    if not (by_embedding[0, 1:] == 0).all():  # NaN is refused as well
        raise InvalidArgument(
            f"model: expected a causal language model but {type(model).__name__} looks at later tokens"
        )


@contextlib.contextmanager
def frozen(model: Any) -> Iterator[None]:
    """Keep weights and dropout as they are inside: no gradient to any weight, evaluation mode."""
    asked, training = [(weight, weight.requires_grad) for weight in model.parameters()], model.training
    model.eval()
    for weight, _ in asked:
        weight.requires_grad_(requires_grad=False)
    try:
        yield
    finally:
        for weight, wanted in asked:
            weight.requires_grad_(requires_grad=wanted)
        model.train(training)


def model_sha256(model: Any) -> str:
    """Return a digest of a model: its class, its configuration and every weight, as they are in memory."""
    config = {name: value for name, value in model.config.to_dict().items() if name != "_name_or_path"}
    said = [type(model).__name__, json.dumps(config, sort_keys=True, default=str), state_sha256(model)]
    return hashlib.sha256("\n".join(said).encode()).hexdigest()
