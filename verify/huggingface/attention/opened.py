"""A model and an adapter from folders or at hand: opened, looked over, and put back as they were."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from constructions.validation import InvalidArgument, check_choice, check_integer, reject
from verify.extras import needed
from verify.huggingface.attention.known import known_attention, known_names
from verify.huggingface.attention.recording import Layer
from verify.huggingface.models import folder_with, quiet, unreadable

#: How an adapter's virtual tokens enter, by the type that peft gives it: as rows of keys and values in the cache, or
#: as rows in front of the input.
CACHED, EMBEDDED = "prefix tuning", "prompt tuning"
_ENTERS = {"PREFIX_TUNING": CACHED, "PROMPT_TUNING": EMBEDDED, "P_TUNING": EMBEDDED}


@dataclass(frozen=True, eq=False)
class Opened:
    """A model with one adapter at work.

    Attributes:
        base: the language model itself.
        adapted: the model with the adapter, as peft wraps it.
        adapter: the adapter's name, or its folder.
        kind: :data:`CACHED` or :data:`EMBEDDED`.
        prefix: how many virtual tokens it has.
        layers: where attention is, in order.

    """

    base: Any
    adapted: Any
    adapter: str
    kind: str
    prefix: int
    layers: list[Layer]


@contextlib.contextmanager
def opened(model: Any, adapter: str | Path | None) -> Iterator[Opened]:
    """Open a model with an adapter, and leave it as it was.

    Args:
        model: a causal language model of transformers, or one that peft wraps.
        adapter: the folder of an adapter; of a model that peft wraps, the name of one of its adapters, or ``None`` for
            the active one.

    Raises:
        InvalidArgument: an unknown kind of attention or of adapter, an adapter of another model, or a model that does
            not give its attention.

    """
    peft = needed("peft", "adapter")
    with contextlib.ExitStack() as stack:
        stack.enter_context(quiet())
        if isinstance(model, peft.PeftModel):
            adapted = model
            active, names = model.active_adapter, tuple(model.peft_config)
            name = active if adapter is None else check_choice("adapter", adapter, names)
            kind = _check_adapter(model.peft_config[name], model.get_base_model())
            if name != active:
                stack.callback(model.set_adapter, active)
                model.set_adapter(name)
        else:
            (adapted, kind), name = _loaded(peft, model, adapter, stack), "default"
        config, base = adapted.peft_config[name], adapted.get_base_model()
        shown = name if adapted is model else str(adapter)
        prefix = check_integer("num_virtual_tokens", config.num_virtual_tokens, 1)
        layers = _layers(base)
        _check_mode(adapted)
        implementation = base.config._attn_implementation  # transformers has no other name for it
        if implementation != "eager":
            raise InvalidArgument(
                f"model: expected attention weights, which {implementation} does not give; load the model with"
                ' attn_implementation="eager"'
            )
        yield Opened(base, adapted, shown, kind, prefix, layers)


def _loaded(peft: Any, model: Any, adapter: str | Path | None, stack: contextlib.ExitStack) -> tuple[Any, str]:
    """Return the model as peft wraps it with the adapter in a folder, and the adapter's kind."""
    if not hasattr(model, "named_modules") or not hasattr(model, "config"):
        reject("model", "a causal language model of transformers", model)
    if adapter is None:
        raise InvalidArgument("adapter: expected the folder of an adapter but got none, so that there is no prefix")
    _check_mode(model)  # peft puts it into evaluation mode, and it is to be left as it was
    folder = folder_with("adapter", adapter, "adapter_config.json")
    folder_with("adapter", adapter, "adapter_model.safetensors")
    for parameter in model.parameters():  # peft freezes them
        stack.callback(parameter.requires_grad_, parameter.requires_grad)
    try:
        config = peft.PeftConfig.from_pretrained(str(folder), local_files_only=True)
        kind = _check_adapter(config, model)  # peft puts an adapter of another kind INTO the model
        found = peft.PeftModel.from_pretrained(
            model, str(folder), config=config, torch_device=str(model.device), local_files_only=True
        )
    except InvalidArgument:
        raise
    except unreadable() as error:
        raise InvalidArgument(f"adapter: expected one of this model in {folder} but {_said(error)}") from error
    return found.eval(), kind


def tokens_of(directory: str | Path, text: str) -> list[int]:
    """Return a text as the tokens of the tokenizer in a model's folder.

    Raises:
        InvalidArgument: there is no tokenizer, or the text has no tokens.

    """
    transformers = needed("transformers", "text")
    if not any((Path(directory) / file).is_file() for file in ("tokenizer.json", "tokenizer_config.json")):
        raise InvalidArgument(f"text: expected a tokenizer in {directory}, which has none; give tokens instead")
    try:
        with quiet():
            tokenizer = transformers.AutoTokenizer.from_pretrained(str(directory), local_files_only=True)
            tokens: list[int] = tokenizer(text)["input_ids"]
    except unreadable() as error:
        raise InvalidArgument(f"text: expected a tokenizer in {directory} but {_said(error)}") from error
    if not tokens:
        reject("text", "at least one token", text)
    return tokens


def _check_adapter(config: Any, base: Any) -> str:
    """Return the kind of an adapter; refuse other kinds, and sizes that are not the model's.

    peft itself notices some of these sizes only when it runs.
    """
    given_kind = str(getattr(config.peft_type, "value", config.peft_type))
    if given_kind not in _ENTERS:
        reject("adapter", f"one of {', '.join(_ENTERS)}", given_kind)
    kind = _ENTERS[given_kind]
    model = base.config.get_text_config()
    heads = getattr(model, "num_key_value_heads", None) or model.num_attention_heads
    size = getattr(model, "head_dim", None) or model.hidden_size // model.num_attention_heads
    # embeddings may be narrower than the layers, as in OPT of 350 million parameters
    width = heads * size if kind == CACHED else base.get_input_embeddings().weight.shape[1]
    wanted = {"num_layers": model.num_hidden_layers, "token_dim": width}
    if kind == CACHED:
        wanted["num_attention_heads"] = heads
    for name, value in wanted.items():
        given = getattr(config, name, None)
        if given is not None and given != value:
            raise InvalidArgument(f"adapter: expected one of this model, with {name} {value}, but got {name} {given}")
    return kind


def _layers(base: Any) -> list[Layer]:
    modules = dict(base.named_modules())
    found = [
        Layer(name, module, modules[name.rpartition(".")[0]])
        for name, module in modules.items()
        if known_attention(module) is not None
    ]
    depth = base.config.get_text_config().num_hidden_layers
    if len(found) != depth:
        raise InvalidArgument(
            f"model: expected attention of a known class ({known_names()}) in each of {depth} layers of"
            f" {type(base).__name__} but found it in {len(found)}"
        )
    return found


def _check_mode(model: Any) -> None:
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    if model.training or any(module.training for module in base.modules()):
        raise InvalidArgument("model: expected it in evaluation mode, without dropout; call model.eval()")


def _said(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
