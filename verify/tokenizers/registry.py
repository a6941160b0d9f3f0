"""The tokenizers that have a name, and those of a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from constructions.validation import InvalidArgument, reject
from verify.extras import needed
from verify.files.atomic import read_text
from verify.tokenizers import gpt2
from verify.tokenizers.base import Tokenizer

#: By name. A new one is a module, and a place here.
TOKENIZERS: Mapping[str, Callable[[], Tokenizer]] = {gpt2.NAME: gpt2.load}


def get_tokenizer(name: str) -> Tokenizer:
    """Return a tokenizer by its name, or from a ``tokenizer.json`` of Hugging Face's libraries.

    Args:
        name: one of :data:`TOKENIZERS`, or the path of a file that ends in ``.json``.

    Raises:
        InvalidArgument: another name, a file that is no tokenizer or too long, or a library that is not installed.
        OSError: the file cannot be opened; the error names it.

    """
    if name in TOKENIZERS:
        return TOKENIZERS[name]()
    path = Path(name)
    if path.suffix != ".json":
        reject("tokenizer", f"one of {', '.join(TOKENIZERS)} or a file tokenizer.json", name)
    inner = needed("tokenizers", "tokenizer").Tokenizer
    text = read_text(path, "tokenizer")
    try:
        return Tokenizer(path.name, inner.from_str(text))
    except Exception as error:  # the library raises Exception itself
        raise InvalidArgument(f"tokenizer: expected a tokenizer in {name} but got: {error}") from error
