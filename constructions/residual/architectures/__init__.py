"""The architectures, one file each; a new one is registered here."""

from __future__ import annotations

from typing import Literal

from constructions.registry import Registry
from constructions.residual.architectures import gpt2, gpt_neox, llama, opt
from constructions.residual.architectures.base import Architecture as Architecture

#: Their names, as a construction's field takes them.
ArchitectureName = Literal["gpt2", "opt", "llama", "gpt-neox"]

#: Every architecture by its name.
ARCHITECTURES: Registry[Architecture] = Registry(
    "architecture",
    (module.ARCHITECTURE for module in (gpt2, opt, llama, gpt_neox)),
    name=lambda architecture: architecture.name,
)
