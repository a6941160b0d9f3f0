"""A causal language model from a folder: its weights as they are there, no pickle, no remote code, no network."""

from __future__ import annotations

import contextlib
import hashlib
import json
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


def load_causal_model(folder: Path, *, dtype: str = "float32", device: str = "cpu") -> Any:
    """Return the causal language model in a folder, ready to run, as ``save_pretrained`` wrote it.

    Args:
        folder: with ``config.json`` and the weights as safetensors.
        dtype: the float format into which the weights are rounded.
        device: where it runs, such as ``cpu`` or ``cuda``.

    Returns:
        The model of transformers, in evaluation mode.

    Raises:
        InvalidArgument: no such folder, no causal language model in it, weights that are missing, damaged or pickled,
            or code of its own that it wants to run.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> from constructions import ResidualGeneration
        >>> from verify.huggingface import to_huggingface
        >>> with TemporaryDirectory() as folder:
        ...     to_huggingface(ResidualGeneration(vocab_size=4, context_size=3)).save_pretrained(folder)
        ...     model = load_causal_model(Path(folder), dtype="bfloat16")
        >>> type(model).__name__, model.dtype
        ('GPT2LMHeadModel', torch.bfloat16)

    """
    check_choice("dtype", dtype, tuple(FORMATS))
    if not Path(folder).is_dir():
        raise InvalidArgument(f"model: expected a folder with a saved model but {folder} is not one")
    transformers = needed("transformers", "model")
    damaged = needed("safetensors", "model").SafetensorError
    with _quiet(transformers):
        try:
            model, report = transformers.AutoModelForCausalLM.from_pretrained(
                str(folder),
                local_files_only=True,
                trust_remote_code=False,
                use_safetensors=True,
                dtype=getattr(torch, dtype),
                output_loading_info=True,
            )
        except (OSError, ValueError, damaged) as error:
            raise InvalidArgument(f"model: expected a causal language model in {folder} but {_first(error)}") from None
        except RuntimeError as error:
            if "mismatched" not in str(error):
                raise
            raise InvalidArgument(f"model: expected weights of the shapes in {folder}/config.json") from None
    lacking = sorted(str(key) for name in _LACKING for key in report[name])
    if lacking:
        more = f" and {len(lacking) - 1} more" if lacking[1:] else ""
        raise InvalidArgument(
            f"model: expected every weight of {type(model).__name__} in {folder} but {lacking[0]}{more} would be random"
        )
    model.to(device).eval()
    check_causal(model)
    return model


@contextlib.contextmanager
def _quiet(transformers: Any) -> Iterator[None]:
    """Keep the library from printing: what matters of its report is told as an error."""
    logging = transformers.utils.logging
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity(logging.CRITICAL)
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


def _first(error: Exception) -> str:
    """Return the first sentence of a long message."""
    return str(error).strip().split("\n")[0].split(". ")[0].rstrip(".")


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
    embedded = table[[0, min(1, len(table) - 1)]][None].clone().requires_grad_()
    with frozen(model), torch.enable_grad():
        first = model(inputs_embeds=embedded, use_cache=False).logits[0, 0]
        if not torch.isfinite(first).all():
            raise InvalidArgument("model: expected finite logits but those behind token 0 are not")
        (by_embedding,) = torch.autograd.grad(first.float().square().sum() + first.float().sum(), embedded)
    if not (by_embedding[0, 1] == 0).all():  # NaN is refused as well
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
