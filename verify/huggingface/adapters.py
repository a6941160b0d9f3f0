"""Virtual tokens as adapters of peft: one target, or a batch of different ones, on a stock model."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch

from constructions.construction import Construction
from constructions.formats import get_format
from constructions.ratios import Ratios
from constructions.validation import InvalidArgument, check_integer
from verify.extras import needed
from verify.huggingface.blocks import check_construction
from verify.huggingface.classes import PURPOSE, dtype_of, family_of
from verify.huggingface.convert import different_tensors, to_huggingface


def to_peft(
    construction: Construction, target: object, *, model: Any = None, name: str = "default", **options: Any
) -> Any:
    """Return a stock model under a prompt-tuning adapter of peft that selects a target.

    Args:
        construction: whose virtual tokens the adapter holds, usually one.
        target: a single target.
        model: the construction's stock model, or that under an adapter, which this one is added to and set beside; made
            by default.
        name: the adapter's.
        options: those of :func:`~verify.huggingface.to_huggingface`, where the model is made here.

    Returns:
        A ``PeftModel``. ``generate(do_sample=False)`` returns the target, after the token that starts it if there is
        one: ``generate()`` takes ``input_ids`` of the user's tokens otherwise.

    Raises:
        InvalidArgument: no target, no virtual tokens, a model of other weights, or what
            :func:`~verify.huggingface.to_huggingface` refuses.

    """
    check_construction(construction)
    prompts = construction.virtual_tokens(target)
    if len(prompts.shape) != 2:
        raise InvalidArgument(f"target: expected a single target but got a batch of shape {prompts.shape[:-2]}")
    peft = needed("peft", PURPOSE)
    config = peft.PromptTuningConfig(
        task_type="CAUSAL_LM", num_virtual_tokens=_virtual(construction), inference_mode=True
    )
    made, encoder = _adapted(construction, model, config, name, options)
    _write(encoder.embedding.weight, prompts)
    return made


def to_multitask(
    construction: Construction, targets: object, *, model: Any = None, name: str = "default", **options: Any
) -> Any:
    """Return a stock model under a multitask prompt-tuning adapter of peft: task ``k`` selects target ``k``.

    ``generate(..., task_ids=ids)`` takes the number of a target for each sequence of the batch. The adapter's shared
    prompt is all ones, so that the prompt of a task, the product of both, is exactly its virtual tokens.

    Args:
        construction: whose virtual tokens the adapter holds.
        targets: a batch of targets.
        model: the construction's stock model, or that under an adapter; made by default.
        name: the adapter's.
        options: those of :func:`~verify.huggingface.to_huggingface`, where the model is made here.

    Raises:
        InvalidArgument: no batch of targets, no virtual tokens, a model of other weights, or what
            :func:`~verify.huggingface.to_huggingface` refuses.

    """
    check_construction(construction)
    prompts = construction.virtual_tokens(targets)
    if len(prompts.shape) != 3 or not prompts.shape[0]:
        raise InvalidArgument(f"targets: expected a batch of targets but got one of shape {prompts.shape[:-2]}")
    virtual = _virtual(construction)
    made, encoder = _adapted(construction, model, multitask_config(prompts.shape[0], virtual), name, options)
    write_tasks(encoder, prompts)
    return made


def write_tasks(encoder: Any, prompts: Ratios) -> None:
    """Write virtual tokens into a multitask adapter, those of target ``k`` as task ``k``.

    Args:
        encoder: the adapter's prompt encoder.
        prompts: tasks x virtual x embedding size.

    """
    virtual = prompts.shape[1]
    with torch.no_grad():
        encoder.embedding.weight.fill_(1)
        # one rank for each virtual token, and the identity: a sum of one number and of zeros is that number
        encoder.prefix_task_cols.copy_(torch.eye(virtual).expand_as(encoder.prefix_task_cols))
    _write(encoder.prefix_task_rows[: prompts.shape[0]], prompts)


def under_adapter(model: Any, config: Any, name: str = "default") -> Any:
    """Return a stock model under a new adapter.

    Args:
        model: the stock model.
        config: of peft.
        name: the adapter's.

    """
    peft = needed("peft", PURPOSE)
    with warnings.catch_warnings():
        # peft 0.21 asks transformers 5 for a name that it has renamed
        warnings.filterwarnings("ignore", message="`is_gradient_checkpointing` is deprecated")
        return peft.get_peft_model(model, config, adapter_name=name)


def multitask_config(tasks: int, virtual: int) -> Any:
    """Return the configuration of a multitask adapter."""
    peft = needed("peft", PURPOSE)
    return peft.MultitaskPromptTuningConfig(
        task_type="CAUSAL_LM",
        num_virtual_tokens=virtual,
        num_tasks=check_integer("tasks", tasks, 1),
        num_ranks=virtual,
        inference_mode=True,
    )


def _adapted(
    construction: Construction, model: Any, config: Any, name: str, options: dict[str, Any]
) -> tuple[Any, Any]:
    """Return a model under a new adapter of a configuration, and the adapter's prompt encoder in its dtype."""
    peft = needed("peft", PURPOSE)
    if model is None:
        model = to_huggingface(construction, **options)
    elif options:
        raise InvalidArgument(f"{next(iter(options))}: expected none with a model, which is already made")
    else:
        _check_model(construction, model.get_base_model() if isinstance(model, peft.PeftModel) else model)
    if isinstance(model, peft.PeftModel):
        if name in model.peft_config:
            raise InvalidArgument(f"name: expected one that no adapter has but got {name!r}")
        model.add_adapter(name, config)
        model.set_adapter(name)
        made = model
    else:
        made = under_adapter(model, config, name)
    encoder = made.prompt_encoder[name]
    encoder.to(getattr(torch, dtype_of(made.get_base_model()).name))
    return made.eval(), encoder


def _check_model(construction: Construction, model: Any) -> None:
    """Refuse a model of other weights: its virtual tokens are others, though they may be as wide.

    Raises:
        InvalidArgument: its sizes are not the construction's, or its class is not a stock one.

    """
    family_of(model)
    if model.config.hidden_size != construction.transformer.lowered.embedding_size:
        return  # refused where the virtual tokens are written
    try:
        wrong = different_tensors(construction, model)
    except InvalidArgument as error:
        raise InvalidArgument(f"model: expected one of {construction!r} but it is another: {error}") from error
    if wrong:
        raise InvalidArgument(
            f"model: expected the exact weights of {construction!r} but {wrong[0]}"
            f"{f' and {len(wrong) - 1} more differ' if wrong[1:] else ' differs'}"
        )


def _virtual(construction: Construction) -> int:
    virtual = construction.layout.virtual
    if not virtual:
        raise InvalidArgument("construction: expected one with virtual tokens, which an adapter holds, but it has none")
    return virtual


def _write(tensor: Any, prompts: Ratios) -> None:
    """Write virtual tokens, every number correctly rounded to the tensor's format.

    Raises:
        InvalidArgument: a number is beyond the largest of the format.

    """
    fmt = get_format(str(tensor.dtype).removeprefix("torch."))
    try:
        rounded = prompts.to_float(fmt)
    except OverflowError:
        raise InvalidArgument(
            f"dtype: expected a format that holds the virtual tokens but {fmt.name} ends at {float(fmt.largest):g}"
        ) from None
    if tuple(tensor.shape) != tuple(rounded.shape):
        raise InvalidArgument(
            f"model: expected one whose residual stream is {prompts.shape[-1]} wide, as the virtual tokens are, but got"
            f" {tensor.shape[-1]}"
        )
    with torch.no_grad():
        tensor.copy_(torch.from_numpy(np.array(rounded)))
