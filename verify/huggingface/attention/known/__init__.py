"""The attention classes of transformers that are known here, one file for each design."""

from __future__ import annotations

from typing import Any

from verify.huggingface.attention.known.base import KnownAttention as KnownAttention
from verify.huggingface.attention.known.base import Projection as Projection
from verify.huggingface.attention.known.base import Projections as Projections
from verify.huggingface.attention.known.base import Sizes as Sizes
from verify.huggingface.attention.known.gpt2 import Gpt2Attention
from verify.huggingface.attention.known.gpt_neox import GptNeoxAttention
from verify.huggingface.attention.known.llama import LlamaAttention
from verify.huggingface.attention.known.opt import OptAttention

#: Every design by its name. A new one is registered here.
DESIGNS: dict[str, KnownAttention] = {
    design.name: design for design in (Gpt2Attention(), OptAttention(), LlamaAttention(), GptNeoxAttention())
}

#: The design of every class, by the full name of the class in transformers.
KNOWN: dict[str, KnownAttention] = {name: design for design in DESIGNS.values() for name in design.names}


def known_attention(module: Any) -> KnownAttention | None:
    """Return what is known of a module's class; ``None`` for any other class, also one made from a known one."""
    return KNOWN.get(f"{type(module).__module__}.{type(module).__qualname__}")


def known_names() -> str:
    """Return the names of the known classes, for messages."""
    return ", ".join(name.rpartition(".")[2] for name in KNOWN)
