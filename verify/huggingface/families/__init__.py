"""Families of stock classes, one file each."""

from __future__ import annotations

from constructions.registry import Registry
from verify.huggingface.families.base import Family as Family
from verify.huggingface.families.base import Sizes as Sizes
from verify.huggingface.families.base import Slot as Slot
from verify.huggingface.families.gpt2 import Gpt2
from verify.huggingface.families.gpt_neox import GptNeox
from verify.huggingface.families.llama import Llama
from verify.huggingface.families.opt import Opt

#: Every family by its name.
FAMILIES: Registry[Family] = Registry("family", [Gpt2(), Opt(), Llama(), GptNeox()], name=lambda family: family.name)
