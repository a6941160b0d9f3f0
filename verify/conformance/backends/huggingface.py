"""Backends: a stock class of Hugging Face's transformers that holds the construction's weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from constructions.construction import Construction
from verify.backends import Backend
from verify.conformance.backends.base import BackendFactory
from verify.extras import needed

if TYPE_CHECKING:
    from verify.huggingface.backend import Through


@final
class HuggingFace(BackendFactory):
    """A stock class, asked by its own ``generate``; the construction must be a decoder that one of them holds."""

    group = "huggingface"
    quick = False

    def __init__(self, word: str, attention: str, through: Through = "inputs_embeds") -> None:
        """Attend by ``attention``, an implementation of transformers, and take virtual tokens ``through``."""
        self.attention, self.through, self.name = attention, through, f"huggingface-{word}"
        self.summary = f"a stock class of transformers, {attention} attention, virtual tokens through {through}"

    def make(self, construction: Construction, dtype: str) -> Backend:
        """Return the stock model with the construction's weights."""
        from verify.huggingface import HuggingFaceBackend, to_huggingface  # noqa: PLC0415 # torch takes seconds

        needed("transformers", "backend")
        model = to_huggingface(construction, dtype=dtype, attn_implementation=self.attention)
        return HuggingFaceBackend(model, through=self.through)
